"""A connection's own view of the journal: the present conversation, and what we said in it.

Turns what is heard and said into journal rows. Law: `append` returns after the commit; what we said goes into the
row that follows it, so that a frame costs one row; noise is kept up to a bound, for a line may send noise for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import Message
from middleware.journal import Journal, Session
from middleware.journal_file import micros
from middleware.transports import Wire

NOISE = 65_536  # bytes of noise and refused frames kept since a frame or block was accepted


class Recorder:
    """One connection's conversations, one after the other."""

    def __init__(self, journal: Journal, wire: Wire, analyzer: str, protocol: str) -> None:
        """`protocol` is LIS2-A2 or HL7."""
        self.journal = journal
        self._wire, self._analyzer, self._protocol = wire, analyzer, protocol
        self._session: Session | None = None
        self._noise = 0
        self._begun = False  # the present conversation has a row, or soon will
        self._said = b""
        self._said_at = 0

    def begin(self) -> None:
        """A conversation begins; a stretch of noise before it ends."""
        if self._session is not None:
            self.later(b"", "", ends="noise")
        self._session = self.journal.session(self._analyzer, self._protocol, self._wire.peer)

    def message(self, body: bytes, incomplete: bool = False) -> Message:
        """A message of this conversation, to be stored with the next append."""
        return self.journal.message(self._current(), body, incomplete)

    def say(self, data: bytes) -> None:
        """Send, and let the next row tell of it."""
        self._wire.write(data)
        if not self._said:
            self._said_at = micros(self.journal.now())
        self._said += data

    async def append(
        self, data: bytes, note: str, frame: bool = False, messages: Sequence[Message] = (), ends: str = ""
    ) -> None:
        """Committed when this returns. JournalError when not."""
        said, self._begun = self._said, True
        await self.journal.append_async(
            self._current(), data, note, frame=frame, said=said, said_at=self._said_at if said else None,
            messages=messages, ends=ends,
        )  # fmt: skip
        self._said = self._said[len(said) :]
        if frame or messages:
            self._noise = 0
        self._after(ends)

    def later(self, data: bytes, note: str, ends: str = "") -> None:
        """Written with the next commit; but for a line that has long been sending nonsense only what ends a
        conversation that has a row."""
        if self._noise > NOISE and not (ends and self._begun):
            self._said = b""
            self._after(ends)
            return
        self._begun = True
        said, self._said = self._said, b""
        at = self._said_at if said else None
        self.journal.later(self._current(), data, note, said=said, said_at=at, ends=ends)
        self._after(ends)

    def noise(self, data: bytes) -> None:
        """Bytes that mean nothing."""
        self._useless(data, "ignored")

    def refused(self, data: bytes, why: str) -> None:
        """A frame that was not accepted."""
        self._useless(data, f"refused: {why}")

    def _useless(self, data: bytes, note: str) -> None:
        """A byte in noise may look like an ENQ: the bound counts over conversations, until something is accepted."""
        room = NOISE - self._noise
        if room > 0:
            self.later(data[:room], note)
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

    def _after(self, ends: str) -> None:
        if ends:
            self._session, self._begun = None, False
