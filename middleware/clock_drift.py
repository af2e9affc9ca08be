"""How far an analyzer's clock is from ours, from what its last messages say of themselves.

Turns (when a message came, when it says it was sent) into a Drift. Law: pure; one odd message is no drift (median of
the last few, and most of them agree), and results sent again months later are none either: the time in the head of a
message (LIS02-A2 6.14, H-14; HL7 MSH-7) is asked first, and the times of results only when they agree among themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from statistics import median

from drivers.driver import Decoded

LAST = 5  # messages that count
LEAST = 3  # before that nothing is said
STEADY = timedelta(minutes=10)  # times of results that lag alike, within this, over at least APART: that is a clock
APART = timedelta(minutes=30)
UNSET_BEFORE = 2015  # no analyzer that is set sends a year before this; a dead battery says 1970, 1980, 2000 …
_LARGEST = 2_000_000_000  # seconds: what the database's integer holds
_PARTS = ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12))
_TIME = re.compile(r"(\d{12})(\d{2})?(?:\.\d+)?([+-]\d{4})?")


@dataclass(frozen=True, slots=True)
class Reading:
    """One message's word: it came `at`, and said it was sent at `said` (aware); `head`: its head said so."""

    at: datetime
    said: datetime
    head: bool

    @property
    def seconds(self) -> float:
        """How far its clock is ahead of ours; negative: behind."""
        return (self.said - self.at).total_seconds()


@dataclass(frozen=True, slots=True)
class Drift:
    """`seconds` ahead of our clock, negative: behind; `unset`: the clock was never set since its battery died."""

    seconds: int
    unset: bool = False


def reading(decoded: Decoded, came: datetime, zone: tzinfo) -> Reading | None:
    """What one message says of the time; None when it says nothing that can be read as a time with minutes."""
    said = moment(decoded.sent_at, zone)
    if said is not None:
        return Reading(came, said, head=True)
    texts = {row.observed_at for row in decoded.observations}  # most often one
    measured = [t for text in texts if (t := moment(text, zone)) is not None]
    return Reading(came, max(measured), head=False) if measured else None


def moment(text: str | None, zone: tzinfo) -> datetime | None:
    """YYYYMMDDHHMM[SS][.s][+ZZZZ] as an aware time, in the laboratory's zone when it names none; None for all else."""
    found = _TIME.fullmatch((text or "").strip())
    if found is None:
        return None
    year, month, day, hour, minute = (int(found[1][begin:end]) for begin, end in _PARTS)
    try:
        naive = datetime(year, month, day, hour, minute, int(found[2] or 0))  # noqa: DTZ001 - its zone follows
    except ValueError:
        return None
    offset = found[3]
    if offset is None:
        return naive.replace(tzinfo=zone)
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    if minutes >= 24 * 60:
        return None
    return naive.replace(tzinfo=timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes)))


def drift(readings: Sequence[Reading]) -> Drift | None:
    """What the last readings (oldest first) come to; None when there are too few, or when they say nothing."""
    heads = [r for r in readings if r.head]
    last = (heads or list(readings))[-LAST:]
    if len(last) < LEAST or not (heads or _agree(last)):
        return None
    seconds = round(median(r.seconds for r in last))
    unset = sum(r.said.year < UNSET_BEFORE for r in last) * 2 > len(last)
    alike = sum(abs(r.seconds - seconds) <= STEADY.total_seconds() for r in last)
    if heads and not unset and seconds < 0 and alike < LEAST:
        return None  # each says something else: heads that were written with the results, days ago
    return Drift(max(-_LARGEST, min(_LARGEST, seconds)), unset)


def _agree(last: Sequence[Reading]) -> bool:
    """Times of results tell of a clock when all lag alike over a while; results kept back or sent again do not.

    A year before any analyzer was set, and a time that has not come yet, are a clock's fault whatever else they say.
    """
    if all(r.said.year < UNSET_BEFORE or r.seconds > STEADY.total_seconds() for r in last):
        return True
    lags = [r.seconds for r in last]
    return max(lags) - min(lags) <= STEADY.total_seconds() and last[-1].at - last[0].at >= APART
