"""The journal's file: its tables and the few statements that touch them. SQL of the journal stands here alone.

Turns rows into SQLite pages. Law: the schema's version is in PRAGMA user_version; a file of a later version or of
another program is refused, never repaired. Times are microseconds since 1970, UTC.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drivers.wire.lis1a import Assembler, text_of
from middleware.new_file import make_new
from middleware.write_ahead import write_ahead

VERSION = 1
BLOCKS = "blocks"  # the protocol of the dialects that frame otherwise than LIS01-A2
BUSY = 5.0  # seconds to wait for another program's lock; the analyzer waits 15
CHECKPOINT = 250  # pages: a short log is soon written over, not made longer, and then a sync costs half (measured)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

SCHEMA = """
CREATE TABLE session (
    id          INTEGER PRIMARY KEY,
    analyzer    TEXT NOT NULL,
    protocol    TEXT NOT NULL,        -- LIS2-A2, HL7, noise
    peer        TEXT NOT NULL,        -- the other end: address or port
    began_at    INTEGER NOT NULL,
    first_chunk INTEGER NOT NULL,
    ended_at    INTEGER,              -- empty: going on, or cut off by a crash
    how         TEXT,                 -- eot, enq, timeout, closed, answered, restart …
    last_chunk  INTEGER
) STRICT;
CREATE INDEX session_open ON session (id) WHERE ended_at IS NULL;
CREATE TABLE chunk (
    id      INTEGER PRIMARY KEY,      -- in the order of commit, over all lines
    session INTEGER NOT NULL,         -- no index: lines write side by side, and a session knows its first and last
    at      INTEGER NOT NULL,
    data    BLOB NOT NULL,            -- what the analyzer sent, as it came
    note    TEXT NOT NULL,
    frame   INTEGER NOT NULL,         -- 1: an accepted frame, part of a message
    said    BLOB NOT NULL,            -- what we had sent before, since the row before of this session
    said_at INTEGER                   -- 0 or empty: nothing was said
) STRICT;
CREATE TABLE message (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    analyzer    TEXT NOT NULL,
    session     INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    protocol    TEXT NOT NULL,
    incomplete  INTEGER NOT NULL,
    body        BLOB NOT NULL,
    first_chunk INTEGER NOT NULL,
    last_chunk  INTEGER NOT NULL,
    done        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX message_analyzer ON message (analyzer, number);
CREATE INDEX message_waiting ON message (number) WHERE done = 0;
"""

_STATEMENTS = {
    "session": "INSERT OR IGNORE INTO session (id, analyzer, protocol, peer, began_at, first_chunk) "
    "VALUES (?,?,?,?,?,?)",
    "chunk": "INSERT INTO chunk (id, session, at, data, note, frame, said, said_at) VALUES (?,?,?,?,?,?,?,?)",
    "message": "INSERT INTO message (id, analyzer, session, received_at, protocol, incomplete, body, first_chunk, "
    "last_chunk) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING",  # one that is owed may have come through
    "ends": "UPDATE session SET ended_at = ?, how = ?, last_chunk = ? WHERE id = ?",
    "done": "UPDATE message SET done = ? WHERE id = ?",
}


class JournalError(Exception):
    """The journal cannot be written or read: refuse the analyzer, it keeps its data and tries again."""


def micros(at: datetime) -> int:
    """Microseconds since 1970, of an aware time."""
    return (at - _EPOCH) // MICROSECOND


def moment(at: int) -> datetime:
    """The aware UTC time of `micros`."""
    return _EPOCH + at * MICROSECOND


def connect(path: Path, make: bool) -> sqlite3.Connection:
    """A writing connection; a new file gets its tables when `make`. sqlite3.Error when it cannot be or is not ours."""
    if make:
        make_new(path)
    address = f"{path.absolute().as_uri()}?mode={'rwc' if make else 'rw'}"
    conn = sqlite3.connect(address, uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        write_ahead(conn, BUSY)
        conn.execute("PRAGMA synchronous=FULL")
        conn.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")
        _upgrade(conn)
    except BaseException:
        conn.close()
        raise
    return conn


def _upgrade(conn: sqlite3.Connection) -> None:
    if _version(conn) == 0:
        conn.execute("BEGIN IMMEDIATE")  # of those that open a new file together the first makes the tables
        if _version(conn) == 0:
            _make(conn)
        conn.commit()
    if (version := _version(conn)) > VERSION:
        raise sqlite3.DatabaseError(f"it was written by a later version of this program (schema {version})")


def _make(conn: sqlite3.Connection) -> None:
    if conn.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
        raise sqlite3.DatabaseError("it is the database of another program")
    for statement in (*SCHEMA.split(";"), f"PRAGMA user_version={VERSION}"):
        conn.execute(statement)


def _version(conn: sqlite3.Connection) -> int:
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    return int(version)


def inode(path: Path) -> tuple[int, int]:
    """Which file this is."""
    found = os.stat(path)  # noqa: PTH116 - per commit: half the price
    return found.st_dev, found.st_ino


def same(path: Path, known: tuple[int, int]) -> bool:
    """Is the file we write still the one at this path? One that was deleted would take our rows with it."""
    try:
        return inode(path) == known
    except FileNotFoundError:
        return False


def last(conn: sqlite3.Connection, table: str) -> int:
    """The highest number given."""
    (number,) = conn.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()
    return int(number)


def taken(conn: sqlite3.Connection, session: int, analyzer: str, peer: str) -> bool:
    """Is this the number of another conversation than one that goes on with this peer?"""
    other = "SELECT 1 FROM session WHERE id = ? AND (ended_at IS NOT NULL OR analyzer <> ? OR peer <> ?)"
    return conn.execute(other, (session, analyzer, peer)).fetchone() is not None


def write(conn: sqlite3.Connection, rows: Mapping[str, Sequence[Sequence[object]]]) -> None:
    """One transaction: all of it or nothing. `rows` of session, chunk, message, ends (of sessions) and done."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        for table, statement in _STATEMENTS.items():
            if rows[table]:
                conn.executemany(statement, rows[table])
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


Cut = tuple[int, str, str, list[bytes], bytes]


def cut_off(conn: sqlite3.Connection) -> list[Cut]:
    """The sessions without an end: number, analyzer, protocol, whole messages not yet stored (there should be none),
    and the text of what was accepted after the last message."""
    opened = conn.execute(
        "SELECT id, analyzer, protocol, first_chunk FROM session WHERE ended_at IS NULL ORDER BY id"
    ).fetchall()
    return [
        (number, analyzer, protocol, *_assembled(conn, number, first, protocol == BLOCKS))
        for number, analyzer, protocol, first in opened
    ]


def _assembled(conn: sqlite3.Connection, session: int, first: int, raw_blocks: bool) -> tuple[list[bytes], bytes]:
    (after,) = conn.execute(
        "SELECT coalesce(max(last_chunk), 0) FROM message WHERE session = ? AND number >= "
        "(SELECT coalesce(max(number), 0) - 10000 FROM message)", (session,),
    ).fetchone()  # fmt: skip
    frames = _frames(conn, session, max(first, after + 1))
    if raw_blocks:  # a message of blocks is their bytes as they came; two that are alike may be two
        return [], b"".join(raw for (raw,) in frames)
    assembler, whole, before = Assembler(), [], b""
    for (raw,) in frames:
        if raw != before:  # else one that was stored too late to be acknowledged, and came again
            whole += [made.body for made in assembler.add(*text_of(raw))]
        before = raw
    return whole, assembler.rest()


def _frames(conn: sqlite3.Connection, session: int, first: int) -> Iterator[tuple[bytes]]:
    return conn.execute(
        "SELECT data FROM chunk WHERE id >= ? AND session = ? AND frame = 1 ORDER BY id", (first, session)
    )
