"""How long the flight recorder keeps what it heard: old, processed conversations go, in small steps, in quiet moments.

Turns a number of days into deleted rows of the journal. Law: run by the journal's own writer, and only while nobody
waits for a commit; a step is bounded in rows and bytes, so that no acknowledgement waits long behind it; what the
pipeline has not done is never deleted, nor a conversation that is not ended, nor the newest row of a table (numbers
are never given twice), nor what only a clock that was wrong for a while makes old. The file does not shrink: SQLite
uses the freed pages for what comes next.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from middleware.journal_file import MICROSECOND, micros

log = logging.getLogger("labmitra.journal")
ROWS = 300  # looked at in one step
BYTES = 1_000_000  # deleted in one step, about
REST = 3600.0  # seconds between two passes
LEAP = timedelta(days=90)  # between two rows: the clock may have been wrong, and the rows before may be young
AHEAD = timedelta(days=1)  # of our clock: a row's time that is further ahead tells nothing
SAMPLES = 50  # rows that are looked at to find a leap

# For each table: the rows after a number, in order. Columns: number, time, may it go, bytes.
_UNDONE = "EXISTS (SELECT 1 FROM message m WHERE m.done = 0 AND m.session = {session})"
_LOOK = {
    "message": "SELECT number, received_at, done = 1, length(body) FROM message WHERE number > :after "
    "ORDER BY number LIMIT :rows",
    "chunk": f"SELECT c.id, c.at, (s.id IS NULL OR coalesce(s.ended_at < :cutoff, 0)) AND NOT "
    f"{_UNDONE.format(session='c.session')}, length(c.data) FROM chunk c LEFT JOIN session s ON s.id = c.session "
    "WHERE c.id > :after ORDER BY c.id LIMIT :rows",
    "session": f"SELECT s.id, s.began_at, coalesce(s.ended_at < :cutoff, 0) AND NOT "
    f"{_UNDONE.format(session='s.id')}, 0 FROM session s WHERE s.id > :after ORDER BY s.id LIMIT :rows",
}
_KEY = {"message": "number", "chunk": "id", "session": "id"}


class Retention:
    """The journal's `quiet` work; one for each middleware process."""

    def __init__(self, days: int, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic) -> None:
        """`days` to keep, at least 1; `clock` in seconds, for the rest between two passes."""
        self._days, self._now, self._clock = timedelta(days=days), now, clock
        self._after = dict.fromkeys(_LOOK, 0)
        self._newest = dict.fromkeys(_LOOK, 0)  # time among the rows of this pass
        self._pass: tuple[int, int] | None = None  # one is going on: what is older goes; what is later cannot be
        self._next = 0.0
        self._warned = False

    def __call__(self, conn: sqlite3.Connection) -> None:
        """One step, when it is time. sqlite3.Error when the file cannot be written: nothing is deleted then."""
        if self._clock() < self._next:
            return
        if (self._pass is None and not self._trust(conn)) or not self.step(conn):
            self._next = self._clock() + REST

    def step(self, conn: sqlite3.Connection) -> bool:
        """Delete a few old rows. False when a whole pass is done; the next begins from the start."""
        if self._pass is None:  # by one reading of the clock, which may leap before the pass is done
            now = self._now()
            self._pass = micros(now - self._days), micros(now + AHEAD)
        for table in _LOOK:
            if self._some(conn, table, *self._pass):
                return True
        self._after, self._newest = dict.fromkeys(_LOOK, 0), dict.fromkeys(_LOOK, 0)
        self._pass = None
        return False

    def _some(self, conn: sqlite3.Connection, table: str, cutoff: int, limit: int) -> bool:
        """Look at the next rows; False when none of them is old. A row is as young as the youngest one before it: it
        was written later, whatever the clock said then."""
        asked = {"cutoff": cutoff, "after": self._after[table], "rows": ROWS}
        going: list[tuple[int]] = []
        size, seen, old, newest = 0, self._after[table], False, self._newest[table]
        for number, at, may_go, length in conn.execute(_LOOK[table], asked).fetchall():
            newest = max(newest, at) if at <= limit else newest
            is_old = newest < cutoff
            seen, old = number, old or is_old
            if is_old and may_go:
                going.append((number,))
                size += length
            if size > BYTES:
                break
        if not old:
            return False
        if going:
            _delete(conn, table, going)
        self._after[table], self._newest[table] = seen, newest
        return True

    def _trust(self, conn: sqlite3.Connection) -> bool:
        """Is what looks old by this clock old? Not where the time leapt ahead since: nobody knows how long it was."""
        now = self._now()
        cutoff, before = micros(now - self._days), 0
        for at in (*(at for at in _samples(conn) if at <= micros(now + AHEAD)), micros(now)):
            if before and at - before > LEAP // MICROSECOND and at >= cutoff:
                if not self._warned:
                    log.warning("the time in the journal leaps ahead: nothing old is deleted before that is old too")
                self._warned = True
                return False
            before = max(before, at)
        self._warned = False
        return True


def _samples(conn: sqlite3.Connection) -> list[int]:
    """The times of some rows in their order, the first and the last among them."""
    first, last = conn.execute("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM chunk").fetchone()
    step = max(1, (last - first) // SAMPLES)
    found = (
        conn.execute("SELECT at FROM chunk WHERE id >= ? ORDER BY id LIMIT 1", (number,)).fetchone()
        for number in (*range(first, last, step), last)
    )
    return [row[0] for row in found if row is not None]


def _delete(conn: sqlite3.Connection, table: str, numbers: list[tuple[int]]) -> None:
    key = _KEY[table]
    conn.execute("BEGIN IMMEDIATE")
    try:
        conn.executemany(
            f"DELETE FROM {table} WHERE {key} = ? AND {key} < (SELECT max({key}) FROM {table})", numbers
        )  # fmt: skip
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
