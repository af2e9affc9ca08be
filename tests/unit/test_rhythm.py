"""The silence alarm's judgement, on made-up weeks: unusual is what this analyzer does not do at these hours."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from middleware.rhythm import HOURS, LEAST_DAYS, Rhythm, learn

ZONE = ZoneInfo("Asia/Kolkata")
MONDAY = date(2026, 9, 28)  # the first day of the made-up weeks
WEEKDAYS, EVERY_DAY = range(5), range(7)
NORMAL = 2.0


def at(day: date, hour: float = 0.0) -> datetime:
    """A moment on the laboratory's clock."""
    return datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(hours=hour)


def days(weeks: int, weekdays: range | tuple[int, ...], but: tuple[date, ...] = ()) -> Iterator[date]:
    for number in range(weeks * 7):
        day = MONDAY + timedelta(days=number)
        if day.weekday() in weekdays and day not in but:
            yield day


def made_up(
    weeks: int, weekdays: range | tuple[int, ...], begin: float, end: float, minutes: float, but: tuple[date, ...] = ()
) -> list[datetime]:
    """Messages about every so many minutes from one hour of the day to another, as chance will have it (seeded)."""
    chance, times = random.Random(7), []
    for day in days(weeks, weekdays, but):
        now, last = at(day, begin), at(day, end)
        while (now := now + timedelta(minutes=chance.expovariate(1 / minutes))) < last:
            times.append(now.astimezone(UTC))
    return times


def alarms(rhythm: Rhythm, silent_since: datetime, hours: int, times: float = NORMAL) -> datetime | None:
    """When the alarm begins, looking every five minutes; None when it does not within so many hours."""
    looks = (silent_since + timedelta(minutes=5 * n) for n in range(1, hours * 12))
    return next((look for look in looks if rhythm.unusual(silent_since, look, times)), None)


def false_alarms(rhythm: Rhythm, times: list[datetime]) -> list[datetime]:
    """Silences between these messages that would have raised it."""
    ordered = sorted(times)
    return [a for a, b in pairwise(ordered) if alarms_between(rhythm, a, b)]


def alarms_between(rhythm: Rhythm, begin: datetime, end: datetime) -> bool:
    look = begin
    while look < end:
        if rhythm.unusual(begin, look, NORMAL):
            return True
        look += timedelta(minutes=10)
    return False


@pytest.fixture(scope="module")
def weekday_rhythm() -> Rhythm:
    """Used Monday to Friday, 9 to 17, a message every six minutes or so."""
    return learn(made_up(8, WEEKDAYS, 9, 17, 6), ZONE)


FRIDAY = MONDAY + timedelta(days=8 * 7 + 4)


def test_an_analyzer_of_weekdays_alarms_on_a_weekday_morning(weekday_rhythm: Rhythm) -> None:
    began = alarms(weekday_rhythm, at(FRIDAY, 10), 24)
    assert began is not None and at(FRIDAY, 10.5) <= began <= at(FRIDAY, 13)


def test_never_at_night_nor_on_a_day_when_it_is_not_used(weekday_rhythm: Rhythm) -> None:
    """Silent from Friday evening to Monday morning: every look of the night and the week-end says nothing."""
    assert alarms(weekday_rhythm, at(FRIDAY, 16.9), 24 + 24 + 15) is None
    began = alarms(weekday_rhythm, at(FRIDAY, 16.9), 5 * 24)
    assert began is not None and began.weekday() == 0 and 9 <= began.hour < 13  # Monday, in its hours


def test_a_silence_that_began_in_its_hours_is_not_told_at_night(weekday_rhythm: Rhythm) -> None:
    since = at(FRIDAY, 12)
    assert weekday_rhythm.unusual(since, at(FRIDAY, 16.5), NORMAL)
    assert not weekday_rhythm.unusual(since, at(FRIDAY, 23), NORMAL)
    assert not weekday_rhythm.unusual(since, at(FRIDAY + timedelta(days=2), 11), NORMAL)


def test_sensitivity_is_how_much_longer_than_usual(weekday_rhythm: Rhythm) -> None:
    when = [alarms(weekday_rhythm, at(FRIDAY, 9.5), 24, times) for times in (1.5, 2.0, 3.0)]
    assert None not in when and when == sorted(when, key=str) and when[0] != when[2]


def test_its_own_past_would_have_raised_next_to_nothing() -> None:
    """Eight weeks more of the same: at most one alarm in forty days of work."""
    for minutes in (6, 20, 45):
        times = made_up(16, WEEKDAYS, 9, 17, minutes)
        middle = at(MONDAY + timedelta(weeks=8))
        rhythm = learn([t for t in times if t < middle], ZONE)
        assert len(false_alarms(rhythm, [t for t in times if t >= middle])) <= 1, minutes


def test_the_emergency_analyzer_is_judged_by_the_hour() -> None:
    """Busy by day, a message an hour or so by night: the same silence is unusual at noon and usual at 3 o'clock."""
    times = made_up(8, EVERY_DAY, 8, 20, 4) + made_up(8, EVERY_DAY, 0, 8, 40) + made_up(8, EVERY_DAY, 20, 24, 40)
    rhythm = learn(times, ZONE)
    day, night = at(FRIDAY, 12), at(FRIDAY, 2)
    assert rhythm.unusual(day, day + timedelta(hours=2), NORMAL)
    assert not rhythm.unusual(night, night + timedelta(hours=2), NORMAL)
    assert alarms(rhythm, night, 24) is not None
    by_day, by_night = rhythm.usual_gap(day), rhythm.usual_gap(night)
    assert by_day is not None and by_night is not None and by_day * 5 < by_night


def test_a_holiday_in_the_past_changes_nothing(weekday_rhythm: Rhythm) -> None:
    diwali = (MONDAY + timedelta(days=16), MONDAY + timedelta(days=17))
    rhythm = learn(made_up(8, WEEKDAYS, 9, 17, 6, but=diwali), ZONE)
    assert rhythm.rates[9 + 2 * 24 : 17 + 2 * 24].count(0) == 0  # that Wednesday's hours are still its hours
    assert rhythm.usual < 1.5 * weekday_rhythm.usual


def test_a_holiday_that_is_named_counts_no_silence() -> None:
    holiday = FRIDAY
    rhythm = learn(made_up(8, WEEKDAYS, 9, 17, 6), ZONE, {holiday})
    assert alarms(rhythm, at(holiday - timedelta(days=1), 16.9), 24) is None
    assert not rhythm.active(at(holiday, 11)) and rhythm.active(at(holiday - timedelta(days=1), 11))
    began = alarms(rhythm, at(holiday - timedelta(days=1), 16.9), 6 * 24)
    assert began is not None and began.date() == holiday + timedelta(days=3)


def test_a_day_of_results_sent_again_changes_nothing(weekday_rhythm: Rhythm) -> None:
    again = [at(MONDAY + timedelta(days=30), 11) + timedelta(seconds=5 * n) for n in range(500)]
    rhythm = learn(made_up(8, WEEKDAYS, 9, 17, 6) + again, ZONE)
    assert rhythm.rates == weekday_rhythm.rates
    assert abs(rhythm.usual - weekday_rhythm.usual) < 1


def test_an_analyzer_used_once_a_week() -> None:
    times = made_up(8, (2,), 10, 13, 8)  # Wednesdays
    rhythm = learn(times, ZONE)
    wednesday = MONDAY + timedelta(days=8 * 7 + 2)
    assert rhythm.learned and {slot // 24 for slot in range(HOURS) if rhythm.rates[slot]} == {2}
    assert alarms(rhythm, max(times), 6 * 24) is None  # six days of silence are usual
    began = alarms(rhythm, max(times), 8 * 24)
    assert began is not None and began.date() == wednesday
    assert alarms(rhythm, at(wednesday, 12.9), 24 * 6) is None


@pytest.mark.parametrize(
    ("times", "days_known"),
    [
        (list, 0),
        (lambda: made_up(2, EVERY_DAY, 9, 17, 6), 13),
        (lambda: [at(MONDAY, 24 * 7 * n) for n in range(6)], 35),  # weeks enough, and six messages
    ],
)
def test_a_new_analyzer_is_still_being_learned(times: Callable[[], list[datetime]], days_known: int) -> None:
    rhythm = learn(times(), ZONE)
    assert (rhythm.learned, rhythm.days) == (False, days_known)
    assert alarms(rhythm, at(FRIDAY, 9), 7 * 24) is None and rhythm.usual_gap(at(FRIDAY, 10)) is None


def test_three_weeks_are_enough() -> None:
    times = made_up(4, WEEKDAYS, 9, 17, 6)
    enough = [t for t in times if t < min(times) + timedelta(days=LEAST_DAYS, hours=1)]
    assert learn(enough, ZONE).learned
    assert not learn([t for t in enough if t < min(times) + timedelta(days=LEAST_DAYS)], ZONE).learned


def test_without_a_common_hour_there_is_no_alarm() -> None:
    """Used now and then, never twice in the same hour of the week: nothing can be said."""
    times = [at(MONDAY + timedelta(days=2 * n), 7 + n % 11) for n in range(28)]
    rhythm = learn(times, ZONE)
    assert not rhythm.learned
    assert alarms(rhythm, max(times), 14 * 24) is None


def test_an_analyzer_that_stopped_keeps_its_rhythm() -> None:
    times = made_up(8, WEEKDAYS, 9, 17, 6)
    monday_after = MONDAY + timedelta(weeks=12)
    assert learn(times, ZONE).unusual(max(times), at(monday_after, 11), NORMAL)


def test_old_habits_are_forgotten_after_eight_weeks() -> None:
    mornings = made_up(16, WEEKDAYS, 9, 12, 6)
    moved = [t + timedelta(hours=5 if t > at(MONDAY + timedelta(weeks=8)) else 0) for t in mornings]
    rhythm = learn(moved, ZONE)
    assert not rhythm.active(at(FRIDAY, 10)) and rhythm.active(at(FRIDAY, 15))


def test_a_short_silence_is_never_unusual() -> None:
    """Even of an analyzer that sends every ten seconds."""
    rhythm = learn(made_up(4, WEEKDAYS, 10, 11, 1 / 6), ZONE)
    since = at(MONDAY + timedelta(weeks=4), 10.1)
    assert rhythm.missed(since, since + timedelta(minutes=29)) > 10 * rhythm.usual
    assert not rhythm.unusual(since, since + timedelta(minutes=29), NORMAL)
    assert rhythm.unusual(since, since + timedelta(minutes=31), NORMAL)


def test_time_in_its_hours_only(weekday_rhythm: Rhythm) -> None:
    assert weekday_rhythm.active_time(at(FRIDAY, 16), at(FRIDAY + timedelta(days=3), 10)) == timedelta(hours=2)
