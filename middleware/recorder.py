"""A connection's own view of the journal: the present conversation, and what we said in it.

Turns what is heard and said into journal rows. Law: `put` calls back after the commit; what we said goes into the
row that follows it, so that a frame costs one row; noise is kept up to a bound, for a line may send noise for ever,
and connect for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from drivers.driver import Message
from middleware.allowance import Allowance
from middleware.journal import Entry, Journal, JournalError, Session
from middleware.journal_loop import Then
from middleware.transports import Wire

LATE = 1_000_000  # microseconds: a reply that took so long may come when nobody waits for it any more
NOISE = 65_536  # bytes of noise and refused frames kept since a frame or block was accepted
THEIRS = ("eot", "enq", "timeout")  # ways a conversation of the analyzer's ends


class Recorder:
    """One connection's conversations, one after the other."""

    def __init__(self, journal: Journal, wire: Wire, analyzer: str, protocol: str) -> None:
        """`protocol` is LIS2-A2 or HL7."""
        self.journal = journal
        self._side = journal.loop_side()
        self._micros = journal.micros
        self._wire, self._analyzer, self._protocol = wire, analyzer, protocol
        self._session: Session | None = None
        self._noise = 0
        self._allowance = journal.noise.setdefault(analyzer, Allowance())
        self._idle = False  # the conversation brought nothing yet, or the last one
        self._begun = False  # the present conversation has a row, or soon will
        self._said = b""
        self._said_at = 0

    def begin(self) -> None:
        """A conversation begins; a stretch of noise before it ends."""
        if self._session is not None:
            self.later(b"", "", ends="noise")
        if self._idle and not self._allowance.left():
            self._noise = max(self._noise, NOISE + 1)
        self._idle = True
        self._session = self.journal.session(self._analyzer, self._protocol, self._wire.peer)

    def message(self, body: bytes, incomplete: bool = False) -> Message:
        """A message of this conversation, to be stored with the next append."""
        return self.journal.message(self._current(), body, incomplete)

    def say(self, data: bytes) -> None:
        """Send, and let the next row tell of it."""
        self._wire.write(data)
        if not self._said:
            self._said_at = self._micros()
        self._said += data

    def reply(self, data: bytes, to: Entry | None = None, given_up: bool = False) -> None:
        """Answer at once, or when `to` is settled: not if that took long and the analyzer has spoken since, nor if it
        is known to have `given_up` waiting (LIS01-A2 6.5.2.3; we were stopped, or the computer slept). It would take
        this reply for the one to its ENQ, that for the one to its next frame, and so on: the last would be
        acknowledged before it is stored."""
        if given_up or (to is not None and self._wire.spoken and self._micros() - to.at > LATE):
            self.later(b"", "not answered: the analyzer has given up waiting")
        else:
            self.say(data)

    def put(
        self, data: bytes, note: str, then: Then, frame: bool = False, messages: Sequence[Message] = (), ends: str = ""
    ) -> Entry:
        """`then(entry, None)` is called when it is committed, `then(entry, why)` when it is not: then what we said
        before stays to be told by the next row, and a session that should end here stays open for the next start."""
        entry = self._entry(data, note, frame, messages, ends, then)
        self._side.put(entry)
        return entry

    async def append(
        self, data: bytes, note: str, messages: Sequence[Message] = (), ends: str = "", *, frame: bool = False,
        owed: bool = False,
    ) -> None:  # fmt: skip
        """`put()` for those who can wait. JournalError when it is not committed; then it is written later if `owed`."""
        waiter: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def told(_entry: Entry, wrong: str | None) -> None:
            if not waiter.done():
                waiter.set_result(wrong)

        entry = self.put(data, note, told, frame, messages, ends)
        if (wrong := await waiter) is not None:
            if owed:
                self.owe(entry)
            else:
                self.again(entry)
            raise JournalError(wrong)

    def owe(self, entry: Entry) -> None:
        """It was not committed, but what its messages are made of was acknowledged before: it is written as soon as
        the journal can be, once, with the ids it had; who waits for messages finds them in the journal."""
        self._side.later(
            Entry(
                entry.session, entry.at, entry.data, entry.note, False, entry.said, entry.said_at, entry.messages,
                entry.ends,
            )
        )  # fmt: skip

    def forget(self, entry: Entry) -> None:
        """Nobody waits for it any more: it is not written if that is not too late."""
        entry.given_up = True

    def again(self, entry: Entry) -> None:
        """It was not committed, but what we had said before it is still to be told."""
        if entry.said:
            self._said, self._said_at = entry.said + self._said, entry.said_at

    def later(self, data: bytes, note: str, ends: str = "") -> None:
        """Written with the next commit; but for a line that has long been sending nonsense only what ends a
        conversation that has a row."""
        if self._noise > NOISE and not (ends and self._begun):
            self._said = b""
            if ends:
                self._session, self._begun = None, False
            return
        if self._idle and ends in THEIRS:
            self._allowance.spend(len(data))
        self._side.later(self._entry(data, note, False, (), ends, None))

    def noise(self, data: bytes) -> None:
        """Bytes that mean nothing."""
        self._useless(data, "ignored")

    def refused(self, data: bytes, why: str) -> None:
        """A frame that was not accepted."""
        self._useless(data, f"refused: {why}")

    def _useless(self, data: bytes, note: str) -> None:
        """A byte in noise may look like an ENQ: the bound counts over conversations, until something is accepted. Who
        connects anew for each piece of noise finds what the line may still leave in this hour."""
        if not self._allowance.left():
            self._noise = max(self._noise, NOISE)
        room = NOISE - self._noise
        if room > 0:
            self.later(data[:room], note)
            self._allowance.spend(min(room, len(data)))
            if len(data) > room:
                self.later(b"", "what follows is not kept until a frame is accepted")
        self._noise += len(data)

    def close(self, why: str) -> None:
        """The connection ends, and with it the present conversation."""
        if self._session is not None:
            self.later(b"", why, ends="closed")

    def _current(self) -> Session:
        if self._session is None:
            self._session = self.journal.session(self._analyzer, "noise", self._wire.peer)
        return self._session

    def _entry(
        self, data: bytes, note: str, frame: bool, messages: Sequence[Message], ends: str, then: Then | None
    ) -> Entry:
        said, self._said = self._said, b""
        entry = Entry(
            self._session or self._current(),
            self._micros(),
            data,
            note,
            frame,
            said,
            self._said_at,
            messages,
            ends,
            then,
        )
        if ends:
            self._session, self._begun = None, False
        else:
            self._begun = True
        if frame or messages:
            self._noise, self._idle = 0, False
        return entry
