"""How long the flight recorder keeps what it heard: old, processed conversations go, in small steps, in quiet moments.

Turns a number of days into deleted rows of the journal. Law: run by the journal's own writer, and only while nobody
waits for a commit; a step is bounded in rows and bytes, so that no acknowledgement waits long behind it; what the
pipeline has not done is never deleted, nor a conversation that is not ended, nor the newest row of a table (numbers
are never given twice). The file does not shrink: SQLite uses the freed pages for what comes next.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from middleware.journal_file import micros, moment

log = logging.getLogger("labmitra.journal")
ROWS = 300  # looked at in one step
BYTES = 1_000_000  # deleted in one step, about
REST = 3600.0  # seconds between two passes
LEAP = timedelta(days=90)  # a clock so far ahead of the newest row may be wrong, and old rows may be young

# For each table: the rows after a number, in order. Columns: number, is it old, may it go, bytes.
_UNDONE = "EXISTS (SELECT 1 FROM message m WHERE m.done = 0 AND m.session = {session})"
_LOOK = {
    "message": "SELECT number, received_at < :cutoff, done = 1, length(body) FROM message WHERE number > :after "
    "ORDER BY number LIMIT :rows",
    "chunk": f"SELECT c.id, c.at < :cutoff, (s.id IS NULL OR coalesce(s.ended_at < :cutoff, 0)) AND NOT "
    f"{_UNDONE.format(session='c.session')}, length(c.data) FROM chunk c LEFT JOIN session s ON s.id = c.session "
    "WHERE c.id > :after ORDER BY c.id LIMIT :rows",
    "session": f"SELECT s.id, s.began_at < :cutoff, coalesce(s.ended_at < :cutoff, 0) AND NOT "
    f"{_UNDONE.format(session='s.id')}, 0 FROM session s WHERE s.id > :after ORDER BY s.id LIMIT :rows",
}
_KEY = {"message": "number", "chunk": "id", "session": "id"}


class Retention:
    """The journal's `quiet` work; one for each middleware process."""

    def __init__(self, days: int, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic) -> None:
        """`days` to keep, at least 1; `clock` in seconds, for the rest between two passes."""
        self._days, self._now, self._clock = timedelta(days=days), now, clock
        self._after = dict.fromkeys(_LOOK, 0)
        self._next = 0.0
        self._trusted: bool | None = None

    def __call__(self, conn: sqlite3.Connection) -> None:
        """One step, when it is time. sqlite3.Error when the file cannot be written: nothing is deleted then."""
        if self._clock() < self._next:
            return
        if self._trusted is None:
            self._trusted = self._trust(conn)
        if not self._trusted or not self.step(conn):
            self._next = self._clock() + REST

    def step(self, conn: sqlite3.Connection) -> bool:
        """Delete a few old rows. False when a whole pass is done; the next begins from the start."""
        for table in _LOOK:
            if self._some(conn, table):
                return True
        self._after = dict.fromkeys(_LOOK, 0)
        return False

    def _some(self, conn: sqlite3.Connection, table: str) -> bool:
        """Look at the next rows; False when none of them is old."""
        cutoff = micros(self._now() - self._days)
        asked = {"cutoff": cutoff, "after": self._after[table], "rows": ROWS}
        going: list[tuple[int]] = []
        size, seen, old = 0, self._after[table], False
        for number, is_old, may_go, length in conn.execute(_LOOK[table], asked).fetchall():
            seen, old = number, old or bool(is_old)
            if is_old and may_go:
                going.append((number,))
                size += length
            if size > BYTES:
                break
        if not old:
            return False
        if going:
            _delete(conn, table, going)
        self._after[table] = seen
        return True

    def _trust(self, conn: sqlite3.Connection) -> bool:
        newest = conn.execute("SELECT at FROM chunk ORDER BY id DESC LIMIT 1").fetchone()
        if newest is None or self._now() - moment(newest[0]) < LEAP:
            return True
        log.warning("the clock is far ahead of the journal's newest entry: nothing old is deleted until the next start")
        return False


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
