"""One connection of one analyzer: read, journal, acknowledge, hand on; and answer its questions.

Turns bytes of a wire into stored messages. Law: the acknowledgement leaves after the journal's commit, never before;
when the journal cannot commit, the analyzer is refused (NAK, AE) and keeps its data. Every byte of both directions is
journaled. No patient data in logs.
Source: LIS01-A2 6.3.4 and 6.5.2.5 (ASTM); HL7 v2.5.1 2.9 (original and enhanced acknowledgement), MLLP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from drivers.driver import Message, WireError
from drivers.wire import hl7, lis1a, mllp
from middleware.journal import Journal, JournalError
from middleware.recorder import Recorder
from middleware.transports import Wire

log = logging.getLogger("labmitra.line")
ANSWER_DELAY = 0.2  # seconds of quiet before we send: analyzers need a moment to turn from sending to listening
ANSWER_TRIES = 3  # sessions spent on bringing one answer across; the analyzer has long stopped waiting then
SILENCE = 30.0  # seconds in the middle of an MLLP block
QUERIES = frozenset({"QRY", "QBP", "ORM", "OSQ"})  # answered by a message of their own
RESULTS = frozenset({"ORU", "OUL", "ESU", "SSU", "NMD", "OPU"})
REPLIES = frozenset({"ACK", "ORR", "ORL", "RSP", "DSR", "MCF", "QCK"})  # never acknowledged, or both sides never stop

Answer = Callable[[Message], "list[bytes] | None"]


def _deaf(_noise: bytes) -> None:
    return


@dataclass(slots=True)
class Hooks:
    """What a connection tells, and whom it asks. All are called on the event loop and must be quick, but `answer`,
    which is called in a thread: the messages to send back to a query, without frames, or None. `noise` hears the
    bytes that mean nothing."""

    message: Callable[[Message], None]
    handshake: Callable[[], None]
    refused: Callable[[str], None]
    answer: Answer | None = None
    noise: Callable[[bytes], None] = _deaf


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an analyzer counts frames, and how it wants ours cut."""

    free_numbering: bool = False
    frame_size: int = lis1a.SIZE_SERIAL
    one_record_a_frame: bool = False


class AstmConnection:
    """LIS01-A2, either a serial line or a TCP connection."""

    def __init__(
        self, wire: Wire, journal: Journal, analyzer: str, hooks: Hooks, dialect: Dialect | None = None
    ) -> None:
        """`dialect`: what this analyzer wants otherwise than the standard's default."""
        self._wire, self._hooks, self._analyzer = wire, hooks, analyzer
        self._record = Recorder(journal, wire, analyzer, "LIS2-A2")
        self._dialect = dialect or Dialect()
        self._receiver = lis1a.Receiver(self._dialect.free_numbering)
        self._assembler = lis1a.Assembler()
        self._answers: list[bytes] = []
        self._tries = 0
        self._pause = ANSWER_DELAY
        self._handlers: dict[type[Any], Callable[[Any], Awaitable[None]]] = {
            lis1a.FrameArrived: self._frame,
            lis1a.FrameRefused: self._bad_frame,
            lis1a.SessionBegan: self._began,
            lis1a.SessionEnded: self._ended,
            lis1a.Junk: self._junk,
        }

    async def run(self) -> None:
        """Until the other end closes."""
        try:
            while (data := await self._wire.read(self._seconds())) != b"":
                if data is not None:
                    await self._handle(self._receiver.receive(data))
                elif self._receiver.timer:
                    await self._handle(self._receiver.expire())
                else:
                    await self._send()
        finally:
            await self._closed()

    def _seconds(self) -> float | None:
        timer = self._receiver.timer
        if timer is not None:
            return timer.seconds
        return self._pause if self._answers else None

    async def _handle(self, events: Sequence[lis1a.Event]) -> None:
        while events:
            for event in events:
                await self._handlers[type(event)](event)
            events = self._receiver.receive(b"")

    # ---- receiving

    async def _frame(self, event: lis1a.FrameArrived) -> None:
        frame = event.frame
        note = f"frame {frame.number}" + (" again" if event.repeat else f": {event.problem}" if event.problem else "")
        made = [] if event.repeat else self._assembler.add(frame.text, frame.last)
        messages = [self._record.message(part.body, not part.complete) for part in made]
        try:
            await self._record.append(event.raw, note, not event.repeat, messages)
        except JournalError:
            if not event.repeat:
                self._assembler.undo()
            self._refuse("not stored")
            return
        self._record.say(self._receiver.accept())
        await self._stored(messages)

    async def _stored(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._hooks.message(message)
            if self._hooks.answer and not message.incomplete and _asks(message.body):
                answers: list[bytes] | None = await asyncio.to_thread(self._hooks.answer, message)
                self._answers = answers or []
                self._tries, self._pause = 0, ANSWER_DELAY

    async def _bad_frame(self, event: lis1a.FrameRefused) -> None:
        self._record.refused(event.raw, event.reason)
        self._refuse(event.reason)

    async def _began(self, event: lis1a.SessionBegan) -> None:
        self._record.begin()
        try:
            if self._record.journal.failing:  # is the disk back? then say so by ACK
                await self._record.append(event.raw, "ENQ")
            else:
                self._record.later(event.raw, "ENQ")
        except JournalError:
            self._refuse("not stored")
            return
        self._record.say(self._receiver.accept())
        self._hooks.handshake()

    async def _ended(self, event: lis1a.SessionEnded) -> None:
        await self._end(event.raw, event.how.name, event.how.value)

    async def _end(self, raw: bytes, note: str, how: str) -> None:
        rest = self._assembler.rest()
        if not rest:
            self._record.later(raw, note, ends=how)
            return
        message = self._record.message(rest, incomplete=True)
        try:
            await self._record.append(raw, note, messages=(message,), ends=how)
        except JournalError:  # its frames are stored: the next start finds the session without an end
            return
        self._hooks.message(message)

    async def _junk(self, event: lis1a.Junk) -> None:
        self._record.noise(event.raw)
        self._hooks.noise(event.raw)

    def _refuse(self, why: str) -> None:
        self._record.say(self._receiver.refuse())
        self._hooks.refused(why)

    async def _closed(self) -> None:
        if self._receiver.state is lis1a.State.NEUTRAL:
            self._record.close("closed")
        else:
            await self._end(b"", "closed", "closed")

    # ---- answering queries

    async def _send(self) -> None:
        """The host's turn: the link is neutral and quiet."""
        dialect = self._dialect
        frames = lis1a.session(self._answers, dialect.frame_size, dialect.one_record_a_frame)
        sender = lis1a.Sender(frames, lis1a.Role.HOST)
        self._record.begin()
        self._record.say(sender.start())
        outcome: lis1a.SenderEvent | None = None
        while outcome is None:
            timer = sender.timer
            data = await self._wire.read(timer.seconds if timer else None)
            if data == b"":
                return
            if data:
                self._record.later(data, "reply")
            outcome = self._outcome(sender.receive(data) if data else sender.expire())
        await self._sent(outcome)

    def _outcome(self, events: Sequence[lis1a.SenderEvent]) -> lis1a.SenderEvent | None:
        for event in events:
            if isinstance(event, lis1a.Send):
                self._record.say(event.data)
            elif not isinstance(event, lis1a.Interrupted):
                return event
        return None

    async def _sent(self, outcome: lis1a.SenderEvent) -> None:
        self._record.later(b"", "answer " + type(outcome).__name__.lower(), ends=type(outcome).__name__.lower())
        if isinstance(outcome, lis1a.Yielded):
            self._pause = lis1a.TIMERS["contention_host"].seconds
            await self._handle(self._receiver.receive(outcome.raw))
            return
        self._tries += 1
        self._pause = lis1a.TIMERS["busy"].seconds
        if isinstance(outcome, lis1a.Sent) or self._tries >= ANSWER_TRIES:
            self._answers = []
        if isinstance(outcome, lis1a.Failed):
            log.warning("%s did not take the answer to its query: %s", self._analyzer, outcome.reason)


class Hl7Connection:
    """HL7 v2 over MLLP."""

    def __init__(self, wire: Wire, journal: Journal, analyzer: str, hooks: Hooks, zone: tzinfo = UTC) -> None:
        """`zone`: the laboratory's, for the time in our acknowledgements (some analyzers read 14 digits only)."""
        self._wire, self._hooks, self._zone = wire, hooks, zone
        self._record = Recorder(journal, wire, analyzer, "HL7")
        self._receiver = mllp.Receiver()

    async def run(self) -> None:
        """Until the other end closes."""
        try:
            while (data := await self._wire.read(SILENCE if self._receiver.open else None)) != b"":
                await self._handle(self._receiver.receive(data) if data else self._receiver.close())
        finally:
            await self._handle(self._receiver.close())
            self._record.close("closed")

    async def _handle(self, events: Sequence[mllp.Event]) -> None:
        for event in events:
            if isinstance(event, mllp.Problem):
                await self._problem(event)
            elif event.commit is not None:
                self._record.later(event.raw, "stored" if event.commit else "not stored")
            else:
                await self._block(event)

    async def _problem(self, event: mllp.Problem) -> None:
        if not event.raw.startswith(mllp.VT):
            self._record.noise(event.raw)
            self._hooks.noise(event.raw)
            return
        self._hooks.refused(event.what)
        self._record.begin()
        message = self._record.message(event.raw[1:], incomplete=True)
        try:
            await self._record.append(event.raw, event.what, messages=(message,), ends="cut")
        except JournalError:  # never acknowledged: the analyzer still has it
            return
        self._hooks.message(message)

    async def _block(self, block: mllp.Block) -> None:
        bodies = hl7.split(block.body)
        if len(bodies) == 1 and not block.body.lstrip().startswith((b"FHS", b"BHS")):
            bodies = [block.body]  # verbatim
        self._record.begin()
        messages = [self._record.message(body) for body in bodies]
        self._hooks.handshake()
        try:
            await self._record.append(block.raw, "block", messages=messages)
        except JournalError:
            self._hooks.refused("not stored")
            for message in messages:
                self._say(self._acknowledgement(message, "error", "not stored, send again"))
            self._record.later(b"", "answered: not stored", ends="refused")
            return
        for message in messages:
            await self._answer(message)
        self._record.later(b"", "answered", ends="answered")

    async def _answer(self, message: Message) -> None:
        kind = _kind(message.body)
        answers: list[bytes] | None = None
        if kind in QUERIES and self._hooks.answer:
            answers = await asyncio.to_thread(self._hooks.answer, message)
        if answers is not None:
            self._say(answers)
        elif kind in RESULTS:
            self._say(self._acknowledgement(message, "accept", ""))
        elif kind and kind not in REPLIES:
            self._say(self._acknowledgement(message, "reject", f"{kind} is not served here"))
            self._hooks.refused(f"{kind} is not served")
        self._hooks.message(message)

    def _say(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            self._record.say(mllp.block(body))

    def _acknowledgement(self, message: Message, outcome: str, text: str) -> list[bytes]:
        """As MSH-15 and MSH-16 ask (H7-01, H7-02); none for what cannot be read."""
        at = f"{message.received_at.astimezone(self._zone):%Y%m%d%H%M%S}"
        own = message.id[:18]  # with a digit for each: MSH-10 holds 20 characters
        try:
            asked = hl7.parse(_header(message.body))
            return [
                hl7.acknowledge(asked, code, at=at, control_id=f"{own}{number}", text=text)
                for number, code in enumerate(hl7.codes(asked, outcome))
            ]
        except WireError:
            return []


def _asks(body: bytes) -> bool:
    return b"\rQ" in body or b"\nQ" in body


def _header(body: bytes) -> bytes:
    return body.strip().partition(b"\n")[0].partition(b"\r")[0] + b"\r"


def _kind(body: bytes) -> str:
    """MSH-9.1, "" when this is no HL7 message."""
    try:
        return hl7.parse(_header(body))[0]["9.1"] or ""
    except (WireError, IndexError):
        return ""
