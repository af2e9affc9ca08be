"""Tools for the tests of the line: every stream is fed three ways; a sender and a receiver joined in one process.

Turns bytes into what a receiver made of them. Law: `hear` feeds whole, byte by byte and in random pieces, and fails
when these differ; time is a number that the test moves; random means the same in every run.
`LABMITRA_EXAMPLES=20 pytest tests/wire` tries twenty times as many examples of each property.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings

from drivers.wire import lis1a

ENQ, ACK, NAK, EOT, STX = b"\x05", b"\x06", b"\x15", b"\x04", b"\x02"
Said = tuple[object, ...]
WAYS = ("whole", "bytes", "random")
MORE = int(os.environ.get("LABMITRA_EXAMPLES", "1"))


def examples(count: int) -> settings:
    """A property's settings: so many examples, the same in every run; the knob multiplies them."""
    return settings(max_examples=count * MORE, deadline=None, derandomize=True, database=None)


def pieces(stream: bytes, how: str) -> list[bytes]:
    """The stream whole, byte by byte, or cut at random places that are the same in every run."""
    if how == "whole":
        return [stream]
    if how == "bytes":
        return [stream[i : i + 1] for i in range(len(stream))]
    chance = random.Random(f"{how}{len(stream)}")
    cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(2, 12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def damaged(sent: bytes, at: int = -4) -> bytes:
    """The frame with one byte changed; by default a character of the checksum."""
    changed = bytearray(sent)
    changed[at] = ord("0") if changed[at] != ord("0") else ord("1")
    return bytes(changed)


def arrived(number: int, text: bytes, last: bool = True, repeat: bool = False, problem: str | None = None) -> Said:
    """A frame as `Heard.said` tells it."""
    return ("frame", number, text, last, repeat, problem)


class Clock:
    """Time that the test moves. A timer counts from the last thing that happened; `wait` lets it run out."""

    def __init__(self, end: Any) -> None:
        self._end = end
        self._spent = 0.0  # of the timer that runs

    def wait(self, seconds: float) -> list[Any]:
        """What `expire()` gave while so many seconds passed without a byte."""
        gave = []
        until = self._spent + seconds
        while (timer := self._end.timer) is not None and timer.seconds <= round(until, 6):
            until -= timer.seconds
            gave.append(self._end.expire())
        self._spent = until
        return gave

    def touched(self) -> None:
        """A byte came or was written: the timer begins anew."""
        self._spent = 0.0


@dataclass
class Heard:
    """What a receiver made of a stream: events without noise, replies, every byte that came back in an event."""

    said: list[Said] = field(default_factory=list)
    replies: bytes = b""
    raw: bytes = b""
    messages: list[bytes] = field(default_factory=list)
    incomplete: list[bytes] = field(default_factory=list)


class Answering:
    """A receiver with the plainest of callers: stores what is good, refuses what is bad."""

    def __init__(self, free_numbering: bool = False) -> None:
        self.receiver = lis1a.Receiver(free_numbering)
        self.assembler = lis1a.Assembler()
        self.heard = Heard()

    def receive(self, data: bytes) -> bytes:
        return self._answer(self.receiver.receive(data))

    def expire(self) -> bytes:
        return self._answer(self.receiver.expire())

    def _answer(self, events: list[lis1a.Event]) -> bytes:
        before = len(self.heard.replies)
        while events:
            for event in events:
                self._one(event)
            events = self.receiver.receive(b"")
        return self.heard.replies[before:]

    def _one(self, event: lis1a.Event) -> None:
        heard = self.heard
        heard.raw += event.raw
        match event:
            case lis1a.SessionBegan():
                heard.said.append(("began",))
                heard.replies += self.receiver.accept()
            case lis1a.FrameArrived(number, text, last, _, repeat, problem):
                heard.said.append(("frame", number, text, last, repeat, problem))
                heard.replies += self.receiver.accept()
                if not repeat:
                    self._add(text, last)
            case lis1a.FrameRefused(_, reason):
                heard.said.append(("refused", reason))
                heard.replies += self.receiver.refuse()
            case lis1a.SessionEnded(how):
                heard.said.append(("ended", how.value))
                self._incomplete(self.assembler.rest())

    def _add(self, text: bytes, last: bool) -> None:
        for made in self.assembler.add(text, last):
            if made.complete:
                self.heard.messages.append(made.body)
            else:
                self._incomplete(made.body)

    def _incomplete(self, body: bytes) -> None:
        if body:
            self.heard.incomplete.append(body)


def hear_one_way(stream: bytes, how: str, free_numbering: bool = False, expire: int = 0) -> Heard:
    """Feed a stream to a receiver in one way, then let its timer run out `expire` times."""
    answering = Answering(free_numbering)
    for piece in pieces(stream, how):
        answering.receive(piece)
    for _ in range(expire):
        answering.expire()
    return answering.heard


def hear(stream: bytes, free_numbering: bool = False, expire: int = 0) -> Heard:
    """What a receiver makes of a stream: fed whole, byte by byte and in random pieces, with one result."""
    whole, *others = (hear_one_way(stream, how, free_numbering, expire) for how in WAYS)
    for how, other in zip(WAYS[1:], others, strict=True):
        assert other == whole, f"fed in {how}, the stream gives something else"
    return whole


Line = Callable[[str, bytes], bytes]


def _clean(_direction: str, data: bytes) -> bytes:
    return data


@dataclass
class Pair:
    """A sender and a receiver on one line, with a clock that jumps to whatever timer is next.

    `line(direction, data)` may damage what passes: "out" from the sender, "back" from the receiver.
    """

    frames: list[bytes]
    role: lis1a.Role = lis1a.Role.ANALYZER
    line: Line = _clean
    free_numbering: bool = False
    tries: int = 4
    outcomes: list[lis1a.SenderEvent] = field(default_factory=list)
    seconds: float = 0.0

    def run(self) -> Heard:
        """Send until it is sent, starting again after each failure, as an analyzer does."""
        answering, sender = Answering(self.free_numbering), lis1a.Sender(self.frames, self.role)
        for _ in range(self.tries):
            self._session(sender, answering)
            if isinstance(self.outcomes[-1], lis1a.Sent):
                break
        while answering.receiver.timer:
            answering.expire()
        return answering.heard

    def _session(self, sender: lis1a.Sender, answering: Answering) -> None:
        out = deque([self.line("out", sender.start())])
        back: deque[bytes] = deque()
        while True:
            if out:
                self._put(back, self.line("back", answering.receive(out.popleft())))
            elif back:
                if self._act(sender.receive(back.popleft()), out):
                    break
            elif self._wait(sender, answering, out, back):
                break
        for data in out:
            self.line("back", answering.receive(data))

    def _wait(self, sender: lis1a.Sender, answering: Answering, out: deque[bytes], back: deque[bytes]) -> bool:
        ours, theirs = sender.timer, answering.receiver.timer
        assert ours is not None, "the sender waits for ever"
        if theirs is not None and theirs.seconds < ours.seconds:
            self.seconds += theirs.seconds
            self._put(back, self.line("back", answering.expire()))
            return False
        self.seconds += ours.seconds
        return self._act(sender.expire(), out)

    def _act(self, events: Iterable[lis1a.SenderEvent], out: deque[bytes]) -> bool:
        over = False
        for event in events:
            if isinstance(event, lis1a.Send):
                self._put(out, self.line("out", event.data))
            elif isinstance(event, lis1a.Sent | lis1a.Failed):
                self.outcomes.append(event)
                over = True
        return over

    @staticmethod
    def _put(queue: deque[bytes], data: bytes) -> None:
        if data:
            queue.append(data)
