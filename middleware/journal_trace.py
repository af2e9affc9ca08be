"""Reads the flight recorder row by row: one analyzer's line in the order of commit, from a time or a message on.

Turns rows into Traced. Law: read only, and each question reads a bounded number of rows, so that a long journal is
walked in steps. Rows are found by time without an index: numbers are given in the order of commit, so times rise with
them but for late rows (an entry nobody waits for) and a clock that was set; SLACK rows on either side cover these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from middleware.journal_file import micros
from middleware.journal_reader import CHUNK, Chunk, JournalReader, chunks_of

STEP = 5000  # rows looked at by one question
SLACK = 2000  # rows by which times and numbers may be out of step
_COLUMNS = ", ".join(f"c.{column.strip()}" for column in CHUNK.split(","))
_ROWS = f"SELECT {_COLUMNS}, c.id, s.id, s.protocol, s.peer FROM chunk c JOIN session s ON s.id = c.session"


@dataclass(frozen=True, slots=True)
class Traced:
    """One row of the journal: what went over the line, in which conversation, and with whom (address or port)."""

    number: int
    session: int
    protocol: str
    peer: str
    chunks: tuple[Chunk, ...]


class TraceReader(JournalReader):
    """The journal as an engineer looks at a line."""

    def newest(self) -> int:
        """The number of the last row, 0 when there is none."""
        return int(self._one("SELECT coalesce(max(id), 0) FROM chunk"))

    def known(self, analyzer: str) -> bool:
        """Has this analyzer ever been heard?"""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM session WHERE analyzer = ?)", analyzer))

    def first_at(self, at: datetime) -> int:
        """The number of the first row at or after this time, as far as numbers follow times; newest + 1 for none."""
        low, high = int(self._one("SELECT coalesce(min(id), 1) FROM chunk")), self.newest() + 1
        while low < high:
            middle = (low + high) // 2
            rows = self._rows("SELECT id, at FROM chunk WHERE id >= ? ORDER BY id LIMIT 1", middle)
            if rows and rows[0][1] < micros(at):
                low = rows[0][0] + 1
            else:
                high = middle
        return low

    def last_conversations(self, analyzer: str, count: int) -> int:
        """The number of the first row of this analyzer's `count` newest conversations; newest + 1 for none."""
        rows = self._rows(
            "SELECT first_chunk FROM session WHERE analyzer = ? ORDER BY id DESC LIMIT ?", analyzer, count
        )
        return min((row[0] for row in rows), default=self.newest() + 1)

    def walk(self, analyzer: str, first: int, last: int) -> Iterator[Traced]:
        """This analyzer's rows with numbers from `first` to `last`."""
        for start in range(first, last + 1, STEP):
            rows = self._rows(
                f"{_ROWS} WHERE c.id BETWEEN ? AND ? AND s.analyzer = ? ORDER BY c.id",
                start, min(start + STEP - 1, last), analyzer,
            )  # fmt: skip
            yield from map(_traced, rows)

    def between(self, analyzer: str, since: datetime, until: datetime | None) -> Iterator[Traced]:
        """This analyzer's rows of this time."""
        first = max(self.first_at(since) - SLACK, 1)
        last = min(self.first_at(until) + SLACK, self.newest()) if until else self.newest()
        for traced in self.walk(analyzer, first, last):
            at = traced.chunks[-1].at if traced.chunks else since
            if since <= at and (until is None or at < until):
                yield traced

    def around(self, message_id: str) -> list[Traced]:
        """Everything said around one message, up to our acknowledgement of it; empty for an unknown id."""
        bounds = self._message_bounds(message_id)
        if bounds is None:
            return []
        return [
            _traced(row)
            for row in self._rows(f"{_ROWS} WHERE c.session = ? AND c.id BETWEEN ? AND ? ORDER BY c.id", *bounds)
        ]

    def _one(self, statement: str, *values: object) -> int:
        rows = self._rows(statement, *values)
        return rows[0][0] if rows else 0


def _traced(row: tuple[object, ...]) -> Traced:
    *chunk, number, session, protocol, peer = row
    return Traced(int(str(number)), int(str(session)), str(protocol), str(peer), tuple(chunks_of(chunk)))
