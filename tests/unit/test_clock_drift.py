"""How far an analyzer's clock is off: by the head of its messages, never by old results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from drivers.driver import Decoded, MessageType, Observation
from middleware.clock_drift import Drift, Reading, drift, moment, reading

ZONE = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)  # 10:00 in Varanasi


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261122100000", NOW),
        ("202611221000", NOW),
        ("20261122100000.123", NOW),
        ("20261122043000+0000", NOW),
        ("20261121233000-0500", NOW),
        (" 20261122100000 ", NOW),
        ("20261122", None),  # a day says nothing of a clock
        ("20261322100000", None),
        ("20261122100000+9900", None),
        ("22/11/2026 10:00", None),
        ("", None),
        (None, None),
    ],
)
def test_moments(text: str | None, expected: datetime | None) -> None:
    assert moment(text, ZONE) == expected


def said(sent_at: str | None, *observed: str) -> Decoded:
    rows = tuple(Observation("1", "HB", "Hb", "13", "13", "g/dL", observed_at=at) for at in observed)
    return Decoded(MessageType.RESULT, "x", sent_at, rows)


def test_the_head_is_asked_first() -> None:
    assert reading(said("20261122100000", "20260101080000"), NOW, ZONE) == Reading(NOW, NOW, head=True)
    newest = reading(said(None, "20261122080000", "20261122093000"), NOW, ZONE)
    assert newest == Reading(NOW, NOW - timedelta(minutes=30), head=False)
    assert reading(said("", "20261122"), NOW, ZONE) is None


def heads(*minutes: float) -> list[Reading]:
    """Messages whose heads are so many minutes ahead of our clock."""
    return [Reading(NOW + timedelta(minutes=n), NOW + timedelta(minutes=n + m), True) for n, m in enumerate(minutes)]


def results(*minutes: float, apart: float = 20) -> list[Reading]:
    """Messages without a time in the head, whose newest result is so many minutes ahead of our clock."""
    came = [NOW + timedelta(minutes=n * apart) for n in range(len(minutes))]
    return [Reading(at, at + timedelta(minutes=m), False) for at, m in zip(came, minutes, strict=True)]


YEAR = 365 * 24 * 60.0


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        (heads(), None),
        (heads(-125, -125), None),  # too few
        (heads(-125, -125, -126), Drift(-7500)),
        (heads(0.1, 0.2, -0.1, 0, 0), Drift(0)),
        (heads(0, 0, -600, 0, 0), Drift(0)),  # one odd message
        (heads(0, 0, 0, 60, 60, 60), Drift(3600)),  # the last five
        (heads(60, 60, 60, 0, 0, 0), Drift(0)),  # set right again
        (heads(0, 0, 0) + results(-YEAR, -YEAR, -YEAR), Drift(0)),  # heads are known: results say nothing
        (results(-2, -3, -2), Drift(-120)),  # they lag alike over a while
        (results(-125, -126, -124), Drift(-7500)),
        (results(-YEAR / 2, -YEAR / 3, -YEAR / 4), None),  # sent again months later
        (results(-YEAR / 2, -YEAR / 2 - 1, -YEAR / 2 - 2, apart=0.1), None),  # in one go
        (results(-5, -200, -90), None),  # kept back for a while
        (results(90, 30, 60), Drift(3600)),  # not yet come: fast, however they vary
    ],
)
def test_what_the_last_messages_come_to(readings: list[Reading], expected: Drift | None) -> None:
    assert drift(readings) == expected


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("year", [1970, 1980, 2000])
def test_a_clock_that_was_never_set_is_named(year: int, head: bool) -> None:
    readings = [Reading(NOW + timedelta(seconds=n), datetime(year, 1, 1, n, tzinfo=UTC), head) for n in range(4)]
    found = drift(readings)
    assert found is not None and found.unset and -2_000_000_000 <= found.seconds < -300_000_000


def test_heads_written_with_old_results_are_no_clock() -> None:
    """Controls of several days, sent this morning in one go, each with the time of its own day in the head."""
    day = 24 * 60
    assert drift(heads(-5 * day, -4 * day, -3 * day, -2 * day, -1 * day)) is None
    assert drift(heads(-5 * day, -4 * day, -60, -60, -60)) == Drift(-3600)
