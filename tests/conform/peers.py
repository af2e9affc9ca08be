"""The far end of a line in this process, on a clock that jumps: hosts and analyzers made of drivers.wire, right ones.

The broken ones are made from these by changing one method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Event

from drivers.driver import Message, load_driver
from drivers.wire import hl7, lis1a, mllp

Timers = Mapping[str, lis1a.Timer]


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Peer:
    """A line whose other end is a state machine: what is written is heard at once, waiting lets its timers run out."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.out, self.since, self.closed = clock, b"", clock.now, False

    # ---- the line

    def open(self) -> Peer:
        self.closed, self.out, self.since = False, b"", self.clock.now
        return self

    def write(self, data: bytes) -> None:
        if self.closed:
            raise ConnectionError("closed")
        self.until(self.clock.now)
        self.since = self.clock.now
        self.heard(data)

    def read(self, seconds: float) -> bytes:
        if self.closed:
            raise ConnectionError("closed")
        deadline = self.clock.now + seconds
        while not self.out:
            due = self.due()
            if due is None or due > deadline:
                self.clock.now = deadline
                break
            self.clock.now = max(self.clock.now, due)
            self.since = self.clock.now
            self.expired()
        out, self.out = self.out, b""
        return out

    def until(self, moment: float) -> None:
        """What would have happened by itself until now."""
        while (due := self.due()) is not None and due <= moment:
            self.since = due
            self.expired()

    def close(self) -> None:
        self.closed = True
        self.gone()

    def due(self) -> float | None:
        """When the timer that runs now runs out."""
        seconds = self.seconds()
        return None if seconds is None else self.since + seconds

    # ---- the other end

    def heard(self, data: bytes) -> None:
        raise NotImplementedError

    def seconds(self) -> float | None:
        return None

    def expired(self) -> None:
        return None

    def gone(self) -> None:
        return None


class Host(Peer):
    """The lab: receives, keeps what it accepted, answers queries as the driver says."""

    def __init__(self, clock: Clock, driver: str = "generic_astm", answers: bool = True) -> None:
        super().__init__(clock)
        self.driver = load_driver(driver)
        self.answering = answers
        self.receiver = self.new_receiver()
        self.assembler = lis1a.Assembler()
        self.sender: lis1a.Sender | None = None
        self.messages: list[bytes] = []
        self.incomplete: list[bytes] = []
        self.answers: list[bytes] = []
        self.pause = 0.2

    def new_receiver(self) -> lis1a.Receiver:
        return lis1a.Receiver(self.driver.free_numbering)

    def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
        return lis1a.Sender(frames, lis1a.Role.HOST)

    def heard(self, data: bytes) -> None:
        if self.sender:
            self.sent(self.sender.receive(data))
        else:
            self.handle(self.receiver.receive(data))

    def seconds(self) -> float | None:
        timer = self.sender.timer if self.sender else self.receiver.timer
        return timer.seconds if timer else self.pause if self.answers and not self.sender else None

    def expired(self) -> None:
        if self.sender:
            self.sent(self.sender.expire())
        elif self.receiver.timer:
            self.handle(self.receiver.expire())
        else:
            self.sender = self.new_sender(lis1a.session(self.answers))
            self.out += self.sender.start()

    def gone(self) -> None:
        self.left()
        self.receiver, self.sender, self.answers = self.new_receiver(), None, []

    def handle(self, events: Sequence[lis1a.Event]) -> None:
        while events:
            for event in events:
                self.one(event)
            events = self.receiver.receive(b"")

    def one(self, event: lis1a.Event) -> None:
        match event:
            case lis1a.SessionBegan():
                self.out += self.receiver.accept()
            case lis1a.FrameArrived(_, text, last, _, repeat, _):
                self.out += self.receiver.accept()
                for made in [] if repeat else self.assembler.add(text, last):
                    self.message(made)
            case lis1a.FrameRefused():
                self.out += self.receiver.refuse()
            case lis1a.SessionEnded():
                self.left()

    def message(self, made: lis1a.Assembled) -> None:
        if not made.complete:
            self.incomplete.append(made.body)
            return
        self.messages.append(made.body)
        if b"\rQ|" in made.body and self.answering:
            asked = self.driver.decode(message_of(made.body))
            self.answers, self.pause = self.driver.answer(asked, ()) or [], 0.2

    def left(self) -> None:
        if rest := self.assembler.rest():
            self.incomplete.append(rest)

    def sent(self, events: Sequence[lis1a.SenderEvent]) -> None:
        for event in events:
            if isinstance(event, lis1a.Send):
                self.out += event.data
            elif isinstance(event, lis1a.Yielded):
                self.sender, self.pause = None, 20.0
                self.handle(self.receiver.receive(event.raw))
            elif isinstance(event, lis1a.Sent | lis1a.Failed):
                if isinstance(event, lis1a.Sent):
                    self.answers = []
                self.sender, self.pause = None, 10.0


class Sending(Peer):
    """An analyzer that connects to us: says its message again and again, takes nothing from a host."""

    def __init__(self, clock: Clock, messages: Sequence[bytes]) -> None:
        super().__init__(clock)
        self.to_say, self.sender = list(messages), self.new_sender(lis1a.session(messages))

    def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
        return lis1a.Sender(frames, lis1a.Role.ANALYZER)

    def seconds(self) -> float | None:
        timer = self.sender.timer
        return timer.seconds if timer else 5.0

    def expired(self) -> None:
        if self.sender.timer:
            self.told(self.sender.expire())
        else:
            self.out += self.sender.start()

    def heard(self, data: bytes) -> None:
        if self.sender.state is lis1a.State.NEUTRAL:
            self.out += b"\x15" if data.endswith(b"\x05") else b""
        else:
            self.told(self.sender.receive(data))

    def told(self, events: Sequence[lis1a.SenderEvent]) -> None:
        for event in events:
            if isinstance(event, lis1a.Send):
                self.out += event.data
            elif isinstance(event, lis1a.Yielded):
                self.out += b"\x15"


class SendingHl7(Peer):
    """An analyzer that sends HL7: each message until it is acknowledged with its own control id."""

    def __init__(self, clock: Clock, body: bytes) -> None:
        super().__init__(clock)
        self.body, self.number, self.waiting = body, 1, False

    def seconds(self) -> float | None:
        return 10.0 if self.waiting else 1.0

    def expired(self) -> None:
        self.waiting = True
        self.out += mllp.block(self.body % self.number)

    def heard(self, data: bytes) -> None:
        if b"MSA|AA|%d\r" % self.number in data:
            self.number, self.waiting = self.number + 1, False


class Hl7Host(Peer):
    """The lab on an HL7 line: keeps the messages, acknowledges each as its header asks."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.receiver = mllp.Receiver()
        self.messages: list[bytes] = []
        self.incomplete: list[bytes] = []
        self.count = 0

    def heard(self, data: bytes) -> None:
        self.handle(self.receiver.receive(data))

    def gone(self) -> None:
        self.handle(self.receiver.close())

    def handle(self, events: Sequence[mllp.Event]) -> None:
        for event in events:
            if isinstance(event, mllp.Block):
                for body in hl7.split(event.body):
                    self.message(body)
            elif event.raw.startswith(mllp.VT):
                self.incomplete.append(event.raw[1:])

    def message(self, body: bytes) -> None:
        self.messages.append(body)
        asked = hl7.parse(body)
        served = asked[0]["9.1"] in ("ORU", "OUL")
        for code in hl7.codes(asked, "accept" if served else "reject"):
            self.say(self.acknowledgement(asked, code))

    def acknowledgement(self, asked: Sequence[hl7.Segment], code: str) -> bytes:
        self.count += 1
        return hl7.acknowledge(asked, code, at="20261122093000", control_id=f"LAB{self.count}")

    def say(self, body: bytes) -> None:
        self.out += mllp.block(body)


def message_of(body: bytes) -> Message:
    """A message as the journal would hand it on."""
    return Message("1", "test", datetime(2026, 11, 22, tzinfo=UTC), body)


class Stop(Event):
    """The stop signal, of which waiting lets the peer's time pass."""

    def __init__(self, clock: Clock, passed: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._clock, self._passed = clock, passed

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += timeout or 0.0
        self._passed()
        return self.is_set()
