"""`labmitra trace`: the flight recorder on a terminal, live and from the past.

Turns rows of the journal into lines of text: time, direction, bytes that can be read, what we made of them;
conversations apart. Law: reads only; what stands on the line is shown whole, patients' data with it: this is the
engineer's own tool, on the lab's own computer, and it writes to the terminal alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from middleware.journal_file import moment
from middleware.journal_reader import Chunk
from middleware.journal_trace import Traced, TraceReader
from middleware.spelled import hexadecimal, spelled

LAST = 5  # conversations shown when no time is named
PAUSE = 0.5  # seconds between two looks at a journal that is followed
ARROWS = {"in": "→ in ", "out": "← out"}
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be shown: a time (`until` alone: up to there), or the newest conversations; then what comes."""

    since: datetime | None = None
    until: datetime | None = None
    follow: bool = False


def moment_of(text: str, zone: tzinfo, now: datetime) -> datetime:
    """A time as people write it: 15m, 2h, 3d (ago) · 10:30 (today) · 2026-01-30 · 2026-01-30 10:30. ValueError else."""
    if ago := _AGO.fullmatch(text.strip()):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text.strip()):
            return datetime.combine(now.astimezone(zone).date(), time.fromisoformat(text.strip()), zone)
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f'"{text}" is no time: write 15m, 2h, 10:30, 2026-01-30 or "2026-01-30 10:30"') from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


class Screen:
    """Turns rows into lines; remembers the conversation and the day, so that each is told once."""

    def __init__(self, zone: tzinfo, as_hex: bool = False) -> None:
        """`zone` of the times shown; `as_hex` shows bytes in hexadecimal."""
        self._zone, self._hex = zone, as_hex
        self._session = 0
        self._day: date | None = None

    def lines(self, traced: Traced) -> Iterator[str]:
        """The lines of one row."""
        for chunk in traced.chunks:
            at = chunk.at.astimezone(self._zone)
            if traced.session != self._session or at.date() != self._day:
                self._session, self._day = traced.session, at.date()
                whom = f" · {traced.peer}" if traced.peer else ""
                yield f"── {at:%Y-%m-%d} · conversation {traced.session} · {traced.protocol}{whom} ──"
            yield from self._said(at, chunk)

    def _said(self, at: datetime, chunk: Chunk) -> Iterator[str]:
        body = hexadecimal(chunk.data) if self._hex else spelled(chunk.data)
        head = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {ARROWS[chunk.direction]} "
        blank = " " * len(head)
        if not chunk.data:
            yield f"{head[:12]}   ·   {chunk.note}"
            return
        if chunk.note:
            body[-1] += f"   ({chunk.note})"
        for number, line in enumerate(body):
            yield (blank if number else head) + line


def rows(reader: TraceReader, analyzer: str, asked: Asked) -> Iterable[Traced]:
    """The rows of the past that were asked for."""
    if asked.since is None and asked.until is None:
        return reader.walk(analyzer, reader.last_conversations(analyzer, LAST), reader.newest())
    return reader.between(analyzer, asked.since or moment(0), asked.until)


def show(
    reader: TraceReader, analyzer: str, asked: Asked, screen: Screen, tell: Callable[[str], None],
    pause: Callable[[], None],
) -> int:  # fmt: skip
    """Tell the lines asked for; following, go on for ever, with a `pause()` between two looks. How many were told."""
    told, seen = 0, reader.newest()
    for traced in rows(reader, analyzer, asked):
        seen = max(seen, traced.number)
        told += _tell(screen, traced, tell)
    while asked.follow:
        newest = reader.newest()
        for traced in reader.walk(analyzer, seen + 1, newest):
            told += _tell(screen, traced, tell)
        seen = max(seen, newest)
        pause()
    return told


def _tell(screen: Screen, traced: Traced, tell: Callable[[str], None]) -> int:
    count = 0
    for line in screen.lines(traced):
        tell(line)
        count += 1
    return count
