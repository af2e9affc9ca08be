"""Learns an analyzer's own rhythm from when its messages came, and says when its silence is unusual.

Turns times into a Rhythm, and a Rhythm with a silence into a limit that it passed or not. Law: pure, no clock of its
own; hours in which this analyzer is usually idle never count, so nights, Sundays and holidays raise nothing; too little
history gives no verdict.

How: of every hour of the week the usual number of messages is the (lower) median over the weeks seen: an hour that was
used in half of the weeks or fewer counts nothing, and one day of re-sent messages or one holiday changes nothing.
A silence is then measured in messages that should have come in it: ten quiet minutes weigh much on a busy morning and
little in a slow afternoon. The usual longest silence is the longest one of a day, as four days of five keep to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from math import ceil
from statistics import median_low

WEEKS = 8  # of history that count
LEAST_DAYS, LEAST_MESSAGES = 21, 20  # before that nothing is known: still learning
SHORTEST = timedelta(minutes=30)  # a shorter silence is never unusual
KEPT = 0.8  # the share of days that keep to the usual longest silence
HOUR = timedelta(hours=1)
HOURS = 7 * 24


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What is known of one analyzer. `rates`: usual messages in each hour of the week, Monday's first hour first.

    `usual`: the usual longest silence, in messages that should have come; `days`: of history; `last`: newest message.
    """

    zone: tzinfo
    rates: tuple[int, ...] = (0,) * HOURS
    usual: float = 0.0
    days: int = 0
    last: datetime | None = None
    learned: bool = False
    holidays: Collection[date] = field(default_factory=frozenset)

    def missed(self, begin: datetime, end: datetime) -> float:
        """How many messages usually come between these two moments."""
        return _missed(self.rates, self.holidays, _local(begin, self.zone), _local(end, self.zone))

    def active(self, at: datetime) -> bool:
        """True when this analyzer usually sends at this hour."""
        local = _local(at, self.zone)
        return self.learned and self.rates[_slot(local)] > 0 and local.date() not in self.holidays

    def active_time(self, begin: datetime, end: datetime) -> timedelta:
        """How much of the time between lies in the usual hours."""
        pace = tuple(min(rate, 1) for rate in self.rates)
        return HOUR * _missed(pace, self.holidays, _local(begin, self.zone), _local(end, self.zone))

    def usual_gap(self, at: datetime) -> timedelta | None:
        """The usual longest silence at the pace of this hour, to be told to people; None outside the usual hours."""
        if not self.active(at):
            return None
        return HOUR * (self.usual / self.rates[_slot(_local(at, self.zone))])

    def unusual(self, since: datetime, now: datetime, times: float) -> bool:
        """True when nothing since `since` is more than `times` the usual longest silence. Only ever in usual hours."""
        if not self.active(now) or now - since < SHORTEST:
            return False
        return self.missed(since, now) > times * self.usual


def learn(times: Sequence[datetime], zone: tzinfo, holidays: Collection[date] = frozenset()) -> Rhythm:
    """The rhythm of an analyzer whose messages came at these moments, in any order.

    Only the last eight weeks before its newest message count: an analyzer that stopped does not unlearn its rhythm.
    """
    if not times:
        return Rhythm(zone, holidays=holidays)
    last = max(times)
    local = sorted(_local(t, zone) for t in times)
    local = local[bisect_left(local, local[-1] - timedelta(weeks=WEEKS)) :]
    days = (local[-1] - local[0]).days
    if days < LEAST_DAYS or len(local) < LEAST_MESSAGES:
        return Rhythm(zone, days=days, last=last, holidays=holidays)
    rates = _rates(local, holidays)
    usual = _usual_longest(local, rates, holidays)
    return Rhythm(zone, rates, usual, days, last, any(rates), holidays)


def _local(at: datetime, zone: tzinfo) -> datetime:
    """On the laboratory's clock, without its zone. Doubt: where clocks change, that hour is counted wrongly."""
    return at.astimezone(zone).replace(tzinfo=None)


def _slot(local: datetime) -> int:
    return local.weekday() * 24 + local.hour


def _floor(local: datetime) -> datetime:
    return local.replace(minute=0, second=0, microsecond=0)


def _hours(begin: datetime, end: datetime) -> Iterator[datetime]:
    """The beginnings of the clock hours that touch the time between."""
    at = _floor(begin)
    while at < end:
        yield at
        at += HOUR


def _rates(local: Sequence[datetime], holidays: Collection[date]) -> tuple[int, ...]:
    counts = Counter(map(_floor, local))
    seen: list[list[int]] = [[] for _ in range(HOURS)]
    for at in _hours(local[0], local[-1]):
        if at.date() not in holidays:
            seen[_slot(at)].append(counts[at])
    return tuple(median_low(week) if week else 0 for week in seen)


def _missed(rates: Sequence[int], holidays: Collection[date], begin: datetime, end: datetime) -> float:
    if end - begin < HOUR and begin.hour == end.hour:  # most gaps of a busy analyzer
        rate = 0 if begin.date() in holidays else rates[_slot(begin)]
        return rate * ((end - begin) / HOUR)
    total = 0.0
    for at in _hours(begin, end):
        rate = rates[_slot(at)]
        if rate and at.date() not in holidays:
            total += rate * ((min(end, at + HOUR) - max(begin, at)) / HOUR)
    return total


def _usual_longest(local: Sequence[datetime], rates: Sequence[int], holidays: Collection[date]) -> float:
    """The longest silence that ended on each day, and of those the one that four days of five keep to; 1 at least."""
    longest: dict[date, float] = {}
    for before, after in pairwise(local):
        gap = _missed(rates, holidays, before, after)
        longest[after.date()] = max(gap, longest.get(after.date(), 0.0))
    kept = sorted(longest.values())
    return max(1.0, kept[ceil(KEPT * len(kept)) - 1])
