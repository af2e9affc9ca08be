"""Reads the journal: for the pages, for the pipeline, for `labmitra trace`. Changes nothing.

Turns rows into StoredMessage, Message and Chunk. Law: the file is opened read only, for each question anew; a journal
that does not exist yet is empty, one that cannot be read is a JournalError.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from drivers.driver import Message
from middleware.journal_file import JournalError, micros, moment

_NEAR = 10_000  # messages of all lines between the first and the last of one conversation, at most
_STORED = "id, analyzer, received_at, protocol, incomplete, length(body), session"
_MESSAGE = "id, analyzer, received_at, body, incomplete"
CHUNK = "at, data, note, said, said_at"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message's line in a list. `protocol` is LIS2-A2 or HL7, `size` bytes."""

    id: str
    analyzer: str
    received_at: datetime
    protocol: str
    incomplete: bool
    size: int
    session_id: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that went over the line. `direction` is "in" (the analyzer sent) or "out" (we sent)."""

    at: datetime
    direction: str
    data: bytes
    note: str


class JournalReader:
    """A journal, read only. Cheap to make; may be used from any thread."""

    def __init__(self, path: Path) -> None:
        """`path` need not exist."""
        self._path = path

    def messages(
        self,
        analyzer: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        text: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[StoredMessage]:
        """The newest first. `text` stands anywhere in the body; `before` is the id of the last one seen."""
        where = [
            ("analyzer = ?", analyzer),
            ("received_at >= ?", micros(since) if since else None),
            ("received_at < ?", micros(until) if until else None),
            ("instr(body, ?) > 0", text.encode() if text else None),
            ("number < (SELECT number FROM message WHERE id = ?)", before),
        ]
        used = [(condition, value) for condition, value in where if value is not None]
        condition = " AND ".join(condition for condition, _ in used) or "1"
        rows = self._rows(
            f"SELECT {_STORED} FROM message WHERE {condition} ORDER BY number DESC LIMIT ?",
            *(value for _, value in used), limit,
        )  # fmt: skip
        return [_stored(row) for row in rows]

    def message(self, message_id: str) -> Message | None:
        """The message, or None when there is none of that id."""
        rows = self._rows(f"SELECT {_MESSAGE} FROM message WHERE id = ?", message_id)
        return _message(rows[0]) if rows else None

    def to_message(self, stored: StoredMessage) -> Message | None:
        """The whole of a line of the list."""
        return self.message(stored.id)

    def unprocessed(self, limit: int = 500) -> list[Message]:
        """The oldest messages the pipeline has not done."""
        rows = self._rows(
            f"SELECT {_MESSAGE} FROM message WHERE done = 0 ORDER BY number LIMIT ?", limit
        )  # fmt: skip
        return [_message(row) for row in rows]

    def done_before(self, number: int | None, limit: int) -> list[tuple[int, str]]:
        """The newest messages that the pipeline has done, with numbers below `number` (None: of all): (number, id)."""
        return self._rows(
            "SELECT number, id FROM message WHERE done = 1 AND number < ? ORDER BY number DESC LIMIT ?",
            2**62 if number is None else number, limit,
        )  # fmt: skip

    def same_session(self, message_id: str) -> list[str]:
        """The ids of all messages of this message's conversation, itself among them, in their order."""
        rows = self._rows(
            "SELECT m.id FROM message one JOIN message m ON m.analyzer = one.analyzer AND m.session = one.session "
            "AND m.number BETWEEN one.number - ? AND one.number + ? WHERE one.id = ? ORDER BY m.number",
            _NEAR, _NEAR, message_id,
        )  # fmt: skip
        return [row[0] for row in rows]

    def chunks(self, of: int | str) -> list[Chunk]:
        """Every byte of a session (its number) or around a message (its id), both directions, in order."""
        bounds = self._message_bounds(of) if isinstance(of, str) else self._session_bounds(of)
        if bounds is None:
            return []
        rows = self._rows(
            f"SELECT {CHUNK} FROM chunk WHERE session = ? AND id BETWEEN ? AND ? ORDER BY id", *bounds
        )  # fmt: skip
        return [chunk for row in rows for chunk in chunks_of(row)]

    def _session_bounds(self, session: int) -> tuple[int, int, int] | None:
        rows = self._rows(
            "SELECT id, first_chunk, coalesce(last_chunk, (SELECT max(id) FROM chunk)) FROM session WHERE id = ?",
            session,
        )
        return rows[0] if rows else None

    def _message_bounds(self, message_id: str) -> tuple[int, int, int] | None:
        rows = self._rows("SELECT session, first_chunk, last_chunk FROM message WHERE id = ?", message_id)
        if not rows:
            return None
        session, first, last = rows[0]
        whole = self._session_bounds(session)
        following = self._rows(  # carries our last acknowledgement
            "SELECT id FROM chunk WHERE session = ? AND id > ? AND id <= ? ORDER BY id LIMIT 1",
            session, last, min(whole[2] if whole else last, last + 100_000),
        )  # fmt: skip
        return session, first, following[0][0] if following else last

    def _rows(self, statement: str, *values: object) -> list[Any]:
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as conn:
                return conn.execute(statement, values).fetchall()
        except sqlite3.Error as broken:
            if not self._path.exists() or _not_begun(broken):
                return []
            raise JournalError(f"{self._path} cannot be read: {broken}") from broken


def _not_begun(broken: sqlite3.Error) -> bool:
    return "no such table" in str(broken)


def _stored(row: Any) -> StoredMessage:
    message_id, analyzer, at, protocol, incomplete, size, session = row
    return StoredMessage(message_id, analyzer, moment(at), protocol, bool(incomplete), size, session)


def _message(row: Any) -> Message:
    message_id, analyzer, at, body, incomplete = row
    return Message(message_id, analyzer, moment(at), body, bool(incomplete))


def chunks_of(row: Any) -> list[Chunk]:
    """What one row tells, of the columns CHUNK: what we had said before, then what the analyzer sent."""
    at, data, note, said, said_at = row
    if not data and said:
        return [Chunk(moment(said_at or at), "out", said, note)]
    found = [Chunk(moment(said_at or at), "out", said, "")] if said else []
    return [*found, Chunk(moment(at), "in", data, note)] if data or note else found
