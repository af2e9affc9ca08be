"""`labmitra journal`: what the flight recorder holds, what of it would go, what is free inside its file.

Turns the journal's file into a few lines of text. Law: reads only; counts that would need the whole file are told as
"about", from the numbers of the rows.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from middleware.journal_file import moment
from middleware.journal_trace import TraceReader

_LAST = "SELECT number, last_chunk FROM message"


def overview(path: Path, days: int, now: datetime, zone: tzinfo) -> list[str]:
    """Lines for a person. `days` kept, 0 for ever. JournalError when the file cannot be read."""
    reader = OverviewReader(path)
    if not reader.newest():
        return [f"{path}: nothing has been heard yet"]
    oldest, newest = (f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in reader.times())
    files = [file for file in (path, path.with_name(path.name + "-wal")) if file.exists()]
    free, size = reader.free_bytes(), sum(file.stat().st_size for file in files)
    return [
        f"{path}",
        f"  holds     {oldest} to {newest}, about {reader.message_count()} messages",
        f"  waiting   {reader.waiting()} messages not yet in the lab database",
        f"  size      {size / 1e6:.1f} MB on the disk, {free / 1e6:.1f} MB of it free and used for what comes next",
        f"  kept      {_kept(reader, days, now)}",
    ]


def _kept(reader: OverviewReader, days: int, now: datetime) -> str:
    if not days:
        return "for ever ([store] journal_days = 0 in lab.toml)"
    cutoff = now - timedelta(days=days)
    rows, messages = reader.older(cutoff)
    going = f"about {messages} messages in {rows} rows are older and go in quiet moments, once they are processed"
    return f"{days} days ([store] journal_days in lab.toml); {going if rows else 'nothing is older'}"


class OverviewReader(TraceReader):
    """The few numbers of the overview."""

    def times(self) -> tuple[datetime, datetime]:
        """Of the first and the last row."""
        first, last = (self._one(f"SELECT at FROM chunk ORDER BY id {way} LIMIT 1") for way in ("ASC", "DESC"))
        return moment(first), moment(last)

    def message_count(self) -> int:
        """About how many there are: numbers are given in a row, and the oldest go first."""
        return self._one("SELECT coalesce(max(number) - min(number) + 1, 0) FROM message")

    def waiting(self) -> int:
        """How many the pipeline has not done."""
        return self._one("SELECT count(*) FROM message WHERE done = 0")

    def free_bytes(self) -> int:
        """Inside the file."""
        return self._one("PRAGMA freelist_count") * self._one("PRAGMA page_size")

    def older(self, cutoff: datetime) -> tuple[int, int]:
        """About how many rows and messages are older."""
        first = self._one("SELECT coalesce(min(id), 1) FROM chunk")
        border = self.first_at(cutoff)
        lowest = self._one("SELECT coalesce(min(number), 1) FROM message")
        return border - first, max(self._border(border) - lowest + 1, 0)

    def _border(self, chunk: int) -> int:
        """The number of the last message before this row, by halving: messages and rows are numbered alike."""
        low, high = 0, self._one("SELECT coalesce(max(number), 0) FROM message")
        while low < high:
            middle = (low + high + 1) // 2
            found = self._rows(f"{_LAST} WHERE number <= ? ORDER BY number DESC LIMIT 1", middle)
            if found and found[0][1] >= chunk:
                high = found[0][0] - 1
            else:
                low = middle
        return low
