"""The flight recorder: every byte of every line, committed to this machine's disk before an analyzer is acknowledged.

Turns what the lines hear and say into rows of one SQLite file of its own. Law: `append()` returns only after the
commit (WAL, synchronous FULL: an fsync each); one writer thread, and lines that wait at the same moment share its
commit; nothing here knows the lab database, the network or the pages. Nothing is ever changed but a session's end and
a message's `done`.
Source: LIS01-A2 6.5.2.5 (a receiver may take up to 15 s before it answers): that is the time we use to store.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import logging
import os
import queue
import secrets
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from drivers.driver import Message
from middleware import journal_file as file
from middleware.allowance import Allowance
from middleware.journal_file import JournalError, micros
from middleware.journal_loop import PATIENCE, Entry, LoopSide, Session, ThreadEntry
from middleware.journal_reader import Chunk, JournalReader, StoredMessage

__all__ = ["Chunk", "Entry", "Journal", "JournalError", "JournalReader", "Session", "StoredMessage"]

log = logging.getLogger("labmitra.journal")
LINGER = 0.2  # seconds that an entry nobody waits for may wait for company
LARGE = 4096  # bytes: too much to keep in memory while the disk cannot be written
BATCH = 1000  # entries in one commit, at most
KEPT = 10_000  # entries nobody waits for, kept while the disk cannot be written

_Row = tuple[object, ...]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """The writer: one per middleware process, which a lock on the file makes sure of."""

    def __init__(self, path: Path, now: Callable[[], datetime] = _utc_now) -> None:
        """Use `Journal.open()`."""
        self.path = path
        self.failing = False
        self.now = now
        self.micros: Callable[[], int] = _micros_now if now is _utc_now else lambda: micros(now())
        self.quiet: Callable[[sqlite3.Connection], None] | None = None  # the writer's work while nobody waits
        self.noise: dict[str, Allowance] = {}  # by analyzer, for the recorders of its connections
        self._lock_file = _lock(path)
        self._opening = 0
        self._chunk = 0
        try:
            self._conn: sqlite3.Connection | None = self._reopen()
        except (sqlite3.Error, OSError) as broken:
            os.close(self._lock_file)
            raise JournalError(f"{path} cannot be used as the journal: {broken}") from broken
        self._numbers = itertools.count(file.last(self._open(), "session") + 1)
        self._count, self._chance = itertools.count(secrets.randbits(24)), secrets.token_hex(7)  # of message ids
        self._todo: deque[Entry] = deque()
        self._wake: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._sides: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSide] = weakref.WeakKeyDictionary()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    @classmethod
    def open(cls, path: Path, now: Callable[[], datetime] = _utc_now) -> Self:
        """The journal in this file, made when missing. JournalError when it cannot be used, and why."""
        journal = cls(path, now)
        journal._thread.start()
        return journal

    def close(self) -> None:
        """Commit what still waits and end."""
        self._wake.put(False)
        self._thread.join()
        if self._conn is not None:
            self._conn.close()
        os.close(self._lock_file)

    # ---- writing

    def session(self, analyzer: str, protocol: str, peer: str = "") -> Session:
        """A new conversation; its row comes with its first entry."""
        return Session(next(self._numbers), analyzer, protocol, peer)

    def message(self, session: Session, body: bytes, incomplete: bool = False) -> Message:
        """A message with an id that is unique for ever, to be given to an append."""
        now = self.now()
        return Message(self._new_id(now), session.analyzer, now, body, incomplete)

    def loop_side(self) -> LoopSide:
        """Of the running event loop: its `put(entry)` is the way of the lines. `entry.then` is called on that loop,
        with None after the commit, or with the reason why there was none: acknowledge nothing then."""
        loop = asyncio.get_running_loop()
        side = self._sides.get(loop)
        if side is None:
            side = self._sides[loop] = LoopSide(self._put, self._keep, self._silent)
        return side

    def later(
        self, session: Session, data: bytes, note: str, *, said: bytes = b"", said_at: int = 0, ends: str = ""
    ) -> None:
        """Write with the next commit, nobody waits: what no acknowledgement depends on."""
        self._keep(Entry(session, self.micros(), data, note, False, said, said_at, ends=ends))

    async def append_async(
        self, session: Session, data: bytes, note: str, *, frame: bool = False, said: bytes = b"",
        said_at: int = 0, messages: Sequence[Message] = (), ends: str = "",
    ) -> None:  # fmt: skip
        """Return when these bytes are committed. JournalError when they are not: acknowledge nothing then."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(_entry: Entry, wrong: str | None) -> None:
            if not waiter.done():
                waiter.set_exception(JournalError(wrong)) if wrong else waiter.set_result(None)

        entry = Entry(session, self.micros(), data, note, frame, said, said_at, messages, ends, told)
        self.loop_side().put(entry)
        try:
            await waiter
        finally:
            entry.given_up = True  # no use to write it when the line that asked is gone

    def append(
        self, session: Session, data: bytes, note: str, *, frame: bool = False, messages: Sequence[Message] = (),
        ends: str = "",
    ) -> None:  # fmt: skip
        """`append_async()` for threads."""
        entry = ThreadEntry(session, at=self.micros(), data=data, note=note, frame=frame, messages=messages, ends=ends)
        self._wait(entry)

    def finish(
        self, analyzer: str, session: Session | None, body: bytes, incomplete: bool, at: datetime | None = None
    ) -> Message:
        """Store a message whose bytes are journaled already (or came without a line, as from a file)."""
        session = session or self.session(analyzer, "", "")
        now = at or self.now()
        message = Message(self._new_id(now), analyzer, now, body, incomplete)
        self._wait(ThreadEntry(session, at=micros(now), note="message", messages=(message,), ends="finished"))
        return message

    def mark_done(self, *message_ids: str) -> None:
        """The pipeline has these messages in the lab database."""
        self._wait(ThreadEntry(None, done=message_ids))

    def mark_undone(self, *message_ids: str) -> None:
        """The lab database does not hold these messages (it was restored from a backup): they are to be done again."""
        self._wait(ThreadEntry(None, done=message_ids, undone=True))

    def done_before(self, number: int | None, limit: int) -> list[tuple[int, str]]:
        """The newest messages that are marked as done, numbers below `number`: (number, id)."""
        return JournalReader(self.path).done_before(number, limit)

    def _new_id(self, now: datetime) -> str:
        """Time first, so that the index grows at its end; then a count, and what tells this opening from all others."""
        return f"{micros(now) // 1000:012x}{next(self._count) & 0xFFFFFF:06x}{self._chance}"

    # ---- reading, for the pipeline and after a crash

    def unprocessed(self, limit: int = 500) -> list[Message]:
        """The oldest messages the pipeline has not done, in the order they came."""
        return JournalReader(self.path).unprocessed(limit)

    def recover(self) -> list[Message]:
        """End the sessions that a crash cut off. What was acknowledged of a message without its L becomes an
        incomplete message; a message with its L is one already, by the commit that stored it."""
        found: list[Message] = []
        for number, analyzer, protocol, complete, body in file.cut_off(self._open()):
            session = Session(number, analyzer, protocol, "", opening=self._opening)
            messages = [self.message(session, text) for text in complete]
            messages += [self.message(session, body, incomplete=True)] if body else []
            self._wait(ThreadEntry(session, at=self.micros(), note="restart", messages=messages, ends="restart"))
            found += messages
        return found

    # ---- the writer's thread

    def _keep(self, entry: Entry) -> None:
        if len(self._todo) < KEPT and not (self.failing and len(entry.data) > LARGE):
            self._todo.append(entry)

    def _put(self, entries: list[Entry]) -> None:
        self._todo.extend(entries)
        self._wake.put(True)

    def _wait(self, entry: ThreadEntry) -> None:
        assert entry.waiter is not None
        self._put([entry])
        try:
            entry.waiter.result(PATIENCE)
        except TimeoutError:
            entry.given_up = True
            raise JournalError("the disk does not answer") from None

    def _run(self) -> None:
        going = True
        while going:
            try:
                going = self._wake.get(timeout=LINGER)
                for _ in range(self._wake.qsize()):
                    going = self._wake.get_nowait() and going
            except queue.Empty:
                self._rest()
            while self._todo:
                if not self._commit(self._take()):
                    break

    def _rest(self) -> None:
        if self.quiet is None or self._todo or self.failing or self._conn is None:
            return
        try:
            self.quiet(self._conn)
        except sqlite3.Error as broken:  # the next commit finds out, and says so
            log.debug("quiet work of the journal put off: %s", broken)

    def _take(self) -> list[Entry]:
        todo = self._todo
        return [todo.popleft() for _ in range(min(len(todo), BATCH))]

    def _commit(self, batch: list[Entry]) -> bool:
        wanted = [entry for entry in batch if not entry.given_up]
        try:
            if wanted:
                self._write(wanted)
        except (sqlite3.Error, OSError) as broken:
            self._failed(wanted, broken)
            _tell(batch, str(broken))
            return False
        if self.failing and wanted:
            self.failing = False
            log.info("journal %s is written again; analyzers are acknowledged", self.path)
        _tell(batch, None)
        return True

    def _write(self, batch: list[Entry]) -> None:
        conn = self._open()
        rows, marks = self._rows(batch)
        file.write(conn, rows)
        self._chunk += len(rows["chunk"])
        for session, mark in marks.items():
            session.opening, session.mark = self._opening, mark

    def _rows(self, batch: list[Entry]) -> tuple[dict[str, list[_Row]], dict[Session, int]]:
        """The rows of each table, and where each session's next message begins once they are committed."""
        chunks: list[_Row] = []
        rows: dict[str, list[_Row]] = {"session": [], "chunk": chunks, "message": [], "ends": [], "done": []}
        marks: dict[Session, int] = {}
        number = self._chunk
        for entry in batch:
            session = entry.session
            if session is None:
                rows["done"] += [(0 if entry.undone else 1, message_id) for message_id in entry.done]
                continue
            number += 1
            if session not in marks:
                if session.opening != self._opening:
                    self._renumber(session)
                    rows["session"].append(_session_row(session, entry.at, number))
                marks[session] = session.mark
            if not marks[session]:
                marks[session] = number
            data, said = bytearray(entry.data), _SAID.get(entry.said) or bytearray(entry.said)
            chunks.append((number, session.id, entry.at, data, entry.note, int(entry.frame), said, entry.said_at))
            if entry.messages:
                rows["message"] += [_message_row(session, made, marks[session], number) for made in entry.messages]
                marks[session] = 0
            if entry.ends:
                rows["ends"].append((entry.at, entry.ends, number, session.id))
        return rows, marks

    def _renumber(self, session: Session) -> None:
        """Another file may have been put in place, in which this number is another conversation's."""
        if self._opening == 1 or self._conn is None:
            return
        if file.taken(self._conn, session.id, session.analyzer, session.peer):
            session.id, session.mark = next(self._numbers), 0

    def _silent(self) -> None:
        """The writer waits for a disk that neither does nor refuses what it is asked."""
        self._fails("the disk does not answer")

    def _fails(self, why: str) -> None:
        if not self.failing:
            self.failing = True
            log.error("journal %s cannot be written (%s); analyzers are refused and keep their data", self.path, why)

    def _failed(self, wanted: list[Entry], broken: Exception) -> None:
        self._fails(str(broken))
        if self._conn is not None:
            with suppress(sqlite3.Error):
                self._conn.close()
            self._conn = None
        kept = [entry for entry in wanted if entry.waiter is None and entry.side is None]
        self._todo.extendleft(reversed(kept[: KEPT - len(self._todo)]))

    def _open(self) -> sqlite3.Connection:
        """The connection, opened anew when the file failed, went or was replaced."""
        if self._conn is not None and file.same(self.path, self._inode):
            return self._conn
        if self._conn is not None:
            self._conn.close()
        self._conn = None
        self._conn = self._reopen()
        return self._conn

    def _reopen(self) -> sqlite3.Connection:
        # Only the first opening may make the file: one that went away is awaited, for a new one could be overwritten.
        conn = file.connect(self.path, make=self._opening == 0)
        self._inode = file.inode(self.path)
        self._opening += 1
        self._chunk = file.last(conn, "chunk")
        if self._opening > 1:
            self._numbers = itertools.count(max(file.last(conn, "session") + 1, next(self._numbers)))
        return conn


# sqlite3 binds a bytearray as it stands, but looks for an adapter of bytes, bool and None each time.
_SAID = {said: bytearray(said) for said in (b"", b"\x06", b"\x15")}


def _micros_now() -> int:
    return time.time_ns() // 1000


def _session_row(session: Session, at: int, number: int) -> _Row:
    return (session.id, session.analyzer, session.protocol, session.peer, at, number)


def _message_row(session: Session, message: Message, first: int, last: int) -> _Row:
    at = micros(message.received_at)
    return (
        message.id, message.analyzer, session.id, at, session.protocol, message.incomplete, message.body, first, last
    )  # fmt: skip


def _lock(path: Path) -> int:
    """One writer per journal: a second process is told so."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as broken:
        raise JournalError(f"{path} cannot be used as the journal: {broken.strerror}") from broken
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise JournalError(f"{path} is in use by another middleware process. End that one first.") from None
    return descriptor


def _tell(entries: list[Entry], wrong: str | None) -> None:
    """Wake those who wait: threads one by one, all that an event loop put by one call."""
    sides: dict[LoopSide, list[Entry]] = {}
    for entry in entries:
        if entry.side is not None:
            sides.setdefault(entry.side, []).append(entry)
        elif entry.waiter is not None and not entry.waiter.done():
            entry.waiter.set_exception(JournalError(wrong)) if wrong else entry.waiter.set_result(None)
    for side, told in sides.items():
        side.tell(told, wrong)
