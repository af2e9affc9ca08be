"""One connection of one analyzer: read, journal, acknowledge, hand on; answer its questions, send it orders.

Turns bytes of a wire into stored messages. Law: the acknowledgement leaves after the journal's commit, never before;
when the journal cannot commit, the analyzer is refused (NAK, AE) and keeps its data. Every byte of both directions is
journaled. No patient data in logs. What we have to say waits until the line is neutral and quiet.
Source: LIS01-A2 6.2, 6.3.4 and 6.5.2.5. HL7 over MLLP is in connection_hl7.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.driver import Message
from drivers.wire import lis1a
from middleware.answers import Answer, answers_to
from middleware.downloads import Basket, Download, Outcome
from middleware.journal import Entry, Journal, JournalError
from middleware.recorder import Recorder
from middleware.transports import Wire

log = logging.getLogger("labmitra.line")
ANSWER_DELAY = 0.2  # seconds of quiet before we send: analyzers need a moment to turn from sending to listening
ANSWER_TRIES = 3  # sessions spent on bringing one answer across; the analyzer has long stopped waiting then
LOOK = 1.0  # seconds between two looks, on a quiet line, whether there are orders to be sent

Call = Callable[..., None]


def _no_edge(call: Call, _failed: Callable[[Exception], None]) -> Call:
    return call


def _deaf(_noise: bytes) -> None:
    return


@dataclass(slots=True)
class Hooks:
    """What a connection tells, and whom it asks. All are called on the event loop and must be quick, but `answer`,
    which is called in a thread. `edge` wraps each call that the loop makes into a connection: what goes wrong in it is
    told to the second function, not to the loop. `noise` hears the bytes that mean nothing. `downloads` are orders to
    be sent unasked; without `queries` the analyzer is told nothing, which is as it should be."""

    message: Callable[[Message], None]
    handshake: Callable[[], None]
    refused: Callable[[str], None]
    answer: Answer | None = None
    edge: Callable[[Call, Callable[[Exception], None]], Call] = _no_edge
    noise: Callable[[bytes], None] = _deaf
    downloads: Basket | None = None
    queries: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an analyzer counts frames, and how it wants ours cut."""

    free_numbering: bool = False
    frame_size: int = lis1a.SIZE_SERIAL
    one_record_a_frame: bool = False
    bare_frames: bool = False


class Connection:
    """What both languages share: bytes are handled by plain calls as they come, and acknowledged by the call that the
    journal makes after its commit; what takes longer is awaited in `_slow`, and what comes meanwhile is kept."""

    def __init__(self, wire: Wire, journal: Journal, analyzer: str, protocol: str, hooks: Hooks) -> None:
        self._wire, self._hooks, self._analyzer = wire, hooks, analyzer
        self._record = Recorder(journal, wire, analyzer, protocol)
        self._waiting: Entry | None = None  # put and not yet committed: nothing is handled until it is answered
        self._asked: Sequence[Message] = ()  # to be answered by `_slow`
        self._turn: asyncio.Future[bool] | None = None
        self._wrong: Exception | None = None
        self._heard = hooks.edge(self._hear, self._broken)
        self._committed = hooks.edge(self._answer_stored, self._broken)
        self._kept = hooks.edge(self._tell_kept, self._broken)

    async def run(self) -> None:
        """Until the other end closes."""
        try:
            while await self._listen():
                await self._slow()
        finally:
            if self._waiting is not None:  # no use to write it when the line that asked is gone
                self._record.forget(self._waiting)
            await self._closed()

    async def _listen(self) -> bool:
        """Handle what comes until there is something slow to do, or (False) the other end has closed."""
        self._turn = asyncio.get_running_loop().create_future()
        try:
            if self._waiting is None:
                self._go_on()
            return await self._turn
        finally:
            self._wire.hold()
            self._turn = None

    def _leave(self, slow: bool) -> None:
        """End the turn of `_listen`."""
        self._wire.hold()
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(slow)

    def _broken(self, wrong: Exception) -> None:
        self._wire.hold()
        if self._turn is not None and not self._turn.done():
            self._turn.set_exception(wrong)

    def _wait_for(self, entry: Entry) -> None:
        self._waiting = entry
        self._wire.hold()

    def _answer_stored(self, entry: Entry, wrong: str | None) -> None:
        """The journal's word about the entry we wait for."""
        self._waiting = None
        if wrong is None:
            self._stored(entry)
        else:
            self._record.again(entry)
            self._not_stored(entry)
        if self._turn is not None:
            self._go_on()

    def _tell_kept(self, entry: Entry, wrong: str | None) -> None:
        """The journal's word about an incomplete message."""
        if wrong is None:
            for message in entry.messages:
                self._hooks.message(message)

    async def _keep(self, raw: bytes, note: str, message: Message, ends: str, owed: bool) -> None:
        """An incomplete message at the end of the connection; `owed` when its frames were acknowledged."""
        try:
            await self._record.append(raw, note, (message,), ends, owed=owed)
        except JournalError:  # it comes later, or was never acknowledged
            return
        self._hooks.message(message)

    def _hear(self, data: bytes | None) -> None:
        raise NotImplementedError

    def _go_on(self) -> None:
        raise NotImplementedError

    def _stored(self, entry: Entry) -> None:
        raise NotImplementedError

    def _not_stored(self, entry: Entry) -> None:
        raise NotImplementedError

    async def _slow(self) -> None:
        raise NotImplementedError

    async def _closed(self) -> None:
        raise NotImplementedError


class AstmConnection(Connection):
    """LIS01-A2, either a serial line or a TCP connection."""

    def __init__(
        self, wire: Wire, journal: Journal, analyzer: str, hooks: Hooks, dialect: Dialect | None = None
    ) -> None:
        """`dialect`: what this analyzer wants otherwise than the standard's default."""
        super().__init__(wire, journal, analyzer, "LIS2-A2", hooks)
        self._dialect = dialect or Dialect()
        self._receiver = lis1a.Receiver(self._dialect.free_numbering)
        self._assembler = lis1a.Assembler()
        self._answers: list[bytes] = []
        self._asking = False  # a question of this session was answered; Mindray asks for each tube in its own message
        self._tries = 0
        self._pause = ANSWER_DELAY
        self._download: Download | None = None  # taken, and to be sent again after contention
        self._runs: lis1a.Timer | None = None  # what the wire waits for; noise alone does not wind it up again
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            lis1a.FrameArrived: self._frame, lis1a.FrameRefused: self._bad_frame, lis1a.SessionBegan: self._began,
            lis1a.SessionEnded: self._ended, lis1a.Junk: self._junk,
        }  # fmt: skip

    def _hear(self, data: bytes | None) -> None:
        if data:
            self._handle(self._receiver.receive(data))
        elif data is not None:
            self._leave(slow=False)
        elif self._receiver.timer is not None:
            self._runs = None
            self._handle(self._receiver.expire())
        elif self._due():  # the line is neutral and quiet: our turn
            self._leave(slow=True)
        else:
            self._wire.expect(self._seconds())

    def _go_on(self) -> None:
        """After an answer, or after `_slow`: first what the receiver has kept, then what the wire has."""
        if self._asked:
            self._leave(slow=True)
            return
        if events := self._receiver.receive(b""):
            self._handle(events)
        if self._waiting is None:
            self._wire.flow(self._heard, self._seconds())

    def _seconds(self) -> float | None:
        self._runs = timer = self._receiver.timer
        if timer is not None:
            return timer.seconds
        if self._due():
            return self._pause
        return LOOK if self._hooks.downloads is not None else None

    def _due(self) -> bool:
        """Have we anything to say?"""
        basket = self._hooks.downloads
        return bool(self._answers) or self._download is not None or (basket is not None and basket.waiting)

    def _handle(self, events: Sequence[lis1a.Event]) -> None:
        ignored = bool(events)
        while events:
            for event in events:
                self._handlers[type(event)](event)
            if self._waiting is not None:
                return
            events = self._receiver.receive(b"")
        if not (ignored and self._runs is not None and self._runs is self._receiver.timer):
            self._wire.expect(self._seconds())

    # ---- receiving

    def _frame(self, event: lis1a.FrameArrived) -> None:
        number = event.number
        made: Sequence[lis1a.Assembled] = ()
        if event.repeat:
            note = f"frame {number} again"
        else:
            note = f"frame {number}: {event.problem}" if event.problem else _NOTES[number]
            made = self._assembler.add(event.text, event.last)
        messages = [self._record.message(part.body, not part.complete) for part in made] if made else ()
        self._wait_for(self._record.put(event.raw, note, self._committed, not event.repeat, messages))

    def _stored(self, entry: Entry) -> None:
        self._record.reply(self._receiver.accept(), entry, self._receiver.given_up)
        if entry.note == "ENQ":
            self._hooks.handshake()
        for message in entry.messages:
            self._hooks.message(message)
            if self._hooks.answer and not message.incomplete and _asks(message.body):
                self._asked = [*self._asked, message]

    def _not_stored(self, entry: Entry) -> None:
        if entry.frame:
            self._assembler.undo()
        self._refuse("not stored", entry)

    def _bad_frame(self, event: lis1a.FrameRefused) -> None:
        self._record.refused(event.raw, event.reason)
        self._refuse(event.reason)

    def _began(self, event: lis1a.SessionBegan) -> None:
        self._asking, self._runs = False, None
        if self._pause != lis1a.TIMERS["busy"].seconds:  # contention or its interrupt: what it wanted to say comes now
            self._pause = ANSWER_DELAY
        self._record.begin()
        if self._record.journal.failing:  # is the disk back? then say so by ACK
            self._wait_for(self._record.put(event.raw, "ENQ", self._committed))
        else:
            self._record.later(event.raw, "ENQ")
            self._record.reply(self._receiver.accept(), None, self._receiver.given_up)
            self._hooks.handshake()

    def _ended(self, event: lis1a.SessionEnded) -> None:
        rest = self._assembler.rest()
        if rest:
            message = self._record.message(rest, incomplete=True)
            self._record.put(event.raw, event.how.name, self._kept, messages=(message,), ends=event.how.value)
        else:
            self._record.later(event.raw, event.how.name, ends=event.how.value)

    def _tell_kept(self, entry: Entry, wrong: str | None) -> None:
        super()._tell_kept(entry, wrong)
        if wrong is not None:
            self._record.owe(entry)

    def _junk(self, event: lis1a.Junk) -> None:
        self._record.noise(event.raw)
        self._hooks.noise(event.raw)

    def _refuse(self, why: str, entry: Entry | None = None) -> None:
        self._runs = None
        self._record.reply(self._receiver.refuse(), entry, self._receiver.given_up)
        self._hooks.refused(why)

    async def _closed(self) -> None:
        if self._download is not None and self._hooks.downloads is not None:
            self._hooks.downloads.back(self._download)
        rest = self._assembler.rest()
        if rest and self._receiver.state is not lis1a.State.NEUTRAL:
            await self._keep(b"", "closed", self._record.message(rest, incomplete=True), "closed", owed=True)
        else:
            self._record.close("closed")

    # ---- answering queries, sending orders

    async def _slow(self) -> None:
        asked, self._asked = self._asked, ()
        if not asked:
            await self._our_turn()
            return
        kept = self._answers if self._asking else []  # what was asked in an earlier session and not told is stale
        for message in asked:
            kept = [*kept, *(await answers_to(self._hooks.answer, message) if self._hooks.answer else [])]
        self._answers, self._tries, self._pause, self._asking = kept, 0, ANSWER_DELAY, True

    async def _our_turn(self) -> None:
        """The link is neutral and quiet: an answer, else an order that waits."""
        if self._answers:
            outcome = await self._send(self._answers)
            if outcome is not None:
                self._answered(outcome)
        elif (basket := self._hooks.downloads) is not None:
            self._download = self._download or basket.take()
            outcome = await self._send(self._download.messages) if self._download else None
            if outcome is not None and self._download:
                self._downloaded(basket, self._download, outcome)

    async def _send(self, messages: Sequence[bytes]) -> lis1a.SenderEvent | None:
        """One session of ours; how it ended, None when the other end closed."""
        dialect = self._dialect
        frames = lis1a.session(messages, dialect.frame_size, dialect.one_record_a_frame, dialect.bare_frames)
        sender, now = lis1a.Sender(frames, lis1a.Role.HOST), asyncio.get_running_loop().time
        self._record.begin()
        self._record.say(sender.start())
        outcome: lis1a.SenderEvent | None = None
        busy, since = 0, now()  # noise is ignored, and moves no timer
        while outcome is None:
            timer, before = sender.timer, sender.state
            data = await self._wire.read(max(0.0, since + timer.seconds - now()) if timer else None)
            if data == b"":
                return None
            if data:
                self._record.later(data, "reply")
            events = sender.receive(data) if data else sender.expire()
            since = now() if events or sender.state is not before else since
            outcome = self._outcome(events)
            if sender.state is lis1a.State.BUSY is not before:
                busy += 1
                if busy == lis1a.ATTEMPTS:  # it cannot receive (6.2.7), or not for long: later, the line is neutral
                    outcome = lis1a.Failed(f"ENQ refused {busy} times")
        rest = sender.timer or (None if isinstance(outcome, lis1a.Sent) else lis1a.TIMERS["busy"])
        self._pause = rest.seconds if rest else ANSWER_DELAY  # 6.3.5 after an interrupt, 6.5.2.2 after contention
        return outcome

    def _outcome(self, events: Sequence[lis1a.SenderEvent]) -> lis1a.SenderEvent | None:
        for event in events:
            if isinstance(event, lis1a.Send):
                self._record.say(event.data)
            elif not isinstance(event, lis1a.Interrupted):
                return event
        return None

    def _answered(self, outcome: lis1a.SenderEvent) -> None:
        if self._ended_ours("answer", outcome):
            return
        self._tries += 1
        if isinstance(outcome, lis1a.Sent) or self._tries >= ANSWER_TRIES:
            self._answers = []
        if isinstance(outcome, lis1a.Failed):
            log.warning("%s did not take the answer to its query: %s", self._analyzer, outcome.reason)

    def _downloaded(self, basket: Basket, download: Download, outcome: lis1a.SenderEvent) -> None:
        if self._ended_ours("order", outcome):
            return  # it waits for the line
        if isinstance(outcome, lis1a.Failed):
            basket.tell(download, Outcome.FAILED, outcome.reason)
        else:
            basket.tell(download, Outcome.SENT)
        self._download = None

    def _ended_ours(self, what: str, outcome: lis1a.SenderEvent) -> bool:
        """Note how our session ended; True when the analyzer wanted the line, which it has now (6.2.7.1)."""
        how = type(outcome).__name__.lower()
        self._record.later(b"", f"{what} {how}", ends=how)
        if isinstance(outcome, lis1a.Yielded):
            self._handle(self._receiver.receive(outcome.raw))
            return True
        return False


_NOTES = tuple(f"frame {number}" for number in range(10))


def _asks(body: bytes) -> bool:
    return any(mark in body for mark in (b"\rQ", b"\nQ", b"\rq", b"\nq"))  # 5.5: the letter is case-insensitive
