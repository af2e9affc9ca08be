"""Turns bytes into frames, for either end of the line; joins frames into messages. Knows only two records: H and L.

Law: no socket, no clock; any bytes give events or WireError, never anything else. Every byte received comes
back in the `raw` of exactly one event, so what is journaled is what came. A frame is accepted only after the
caller stored it: the caller answers by `accept()` or `refuse()`, and until then further bytes are kept.
Source: CLSI LIS01-A2 section 6 (serial), repeated as section 8 (TCP); ASTM E1381. The tables carry clause numbers.

One thing is stricter than the text. An ENQ inside a session is believed only when the line is quiet after it
or an STX follows: a byte damaged into ENQ would otherwise earn an ACK that the analyzer takes for its frame's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, NoReturn
from zlib import adler32

from drivers.wire import WireError
from drivers.wire.lis1a_assembler import Assembled, Assembler
from drivers.wire.lis1a_sender import (
    Failed,
    Interrupted,
    Role,
    Send,
    Sender,
    SenderEvent,
    Sent,
    Yielded,
    checksum,
    frame,
    frames,
    session,
    total,
)
from drivers.wire.lis1a_states import (
    ATTEMPTS,
    ENQ,
    EOT,
    ETB,
    ETX,
    LF,
    MAX_FRAME,
    RECEIVER,
    SENDER,
    SIZE_SERIAL,
    STX,
    TIMERS,
    Signal,
    State,
    Step,
    Timer,
)

__all__ = [
    "ATTEMPTS", "MAX_FRAME", "RECEIVER", "SENDER", "SIZE_SERIAL", "TIMERS", "Assembled", "Assembler", "Ended", "Event",
    "Failed", "FrameArrived", "FrameRefused", "Interrupted", "Junk", "Receiver", "Role", "Send", "Sender",
    "SenderEvent", "Sent", "SessionBegan", "SessionEnded", "Signal", "State", "Step", "Timer", "WireError", "Yielded",
    "checksum", "frame", "frames", "session", "text_of", "total",
]  # fmt: skip

_ETX, _ETB = b"\x03", b"\x17"
_SIGNAL = re.compile(b"[\x02\x04\x05]")  # STX, EOT, ENQ
_RESTART = re.compile(b"\x04\x05|\x05\x02")  # EOT ENQ, ENQ STX: no single damaged byte makes these
_HEX_DIGITS = "0123456789ABCDEFabcdef"
_HEX = {(high + low).encode(): int(high + low, 16) for high in _HEX_DIGITS for low in _HEX_DIGITS}
_NEUTRAL, _FRAMES = State.NEUTRAL, State.FRAMES  # looked up once: a member of an Enum is slow to reach by its name
_BEGUN = RECEIVER[_NEUTRAL, Signal.ENQ].next
_OFFERED, _DONE = RECEIVER[_FRAMES, Signal.GOOD].next, RECEIVER[_FRAMES, Signal.EOT].next
_TAKEN, _ACK = (step := RECEIVER[_OFFERED, Signal.ACCEPT]).next, step.write
_AFTER = tuple([(after, b"\x02%d" % after) for after in (*range(1, 8), 0)])  # the next number and its start, 6.3.2
_TAILS = tuple([b"%02X\r\n" % total for total in range(256)])  # how a frame ends whose bytes add up to this, 6.3.3
_TAILS_ETX, _TAILS_ETB = (_TAILS[mark - 3 :] + _TAILS[: mark - 3] for mark in (ETX, ETB))  # see Receiver.receive
_new = object.__new__


# ---- what the receiver says ---------------------------------------------------------------------------------------


class Ended(Enum):
    """How a session ended."""

    EOT = "eot"
    ENQ = "enq"
    TIMEOUT = "timeout"


_EOT = Ended.EOT


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """ENQ: to be answered."""

    raw: bytes


@dataclass(slots=True)
class FrameArrived:
    """Right checksum, right number: to be stored, then answered. `repeat`: accepted before, store nothing.

    `number` is 0-7, `text` what stands between it and ETB or ETX, `last`: ETX ended it. Nobody changes one; it is not
    frozen because to make a frozen one, or a tuple of a kind of its own, costs a fifth of judging the frame.
    """

    number: int
    text: bytes
    last: bool
    raw: bytes
    repeat: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """A frame that broke a rule: to be answered by `refuse()`."""

    raw: bytes
    reason: str


class SessionEnded(NamedTuple):
    """The sender is done, restarted, or silent for 30 s. Nothing is answered."""

    how: Ended
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes where the standard says to ignore them."""

    raw: bytes


Event = SessionBegan | FrameArrived | FrameRefused | SessionEnded | Junk


class Receiver:
    """One end of a line, receiving. `receive(data)` gives events up to the first that wants an answer; answer it by
    `accept()` or `refuse()` and call `receive(b"")` for what else had come. `timer` says what to wait for."""

    def __init__(
        self, free_numbering: bool = False, timers: Mapping[str, Timer] = TIMERS, max_frame: int = 4 * MAX_FRAME
    ) -> None:
        self.state = State.NEUTRAL
        self._free = free_numbering
        self._timers = timers
        self._limit, self._too_long = max_frame, f"over {max_frame} characters"
        self._buffer = bytearray()
        self._scanned = 0
        self._last: FrameArrived | None = None  # accepted in this session
        self._offered: FrameArrived | None = None
        self._sure = False  # the clock has spoken: take the buffer as it stands

    @property
    def timer(self) -> Timer | None:
        """What the caller waits for before `expire()`, counted from the last byte or answer. None: for ever."""
        if self.state is not _FRAMES:
            return None
        buffer = self._buffer
        if not buffer:
            return self._timers["frame"]
        if buffer[-1] in (ENQ, EOT):
            return self._timers["quiet"]
        end = _frame_end(buffer, self._scanned)
        return self._timers["tail" if end >= 0 and len(buffer) >= end + 3 else "frame"]

    @property
    def given_up(self) -> bool:
        """EOT and ENQ have come behind what is to be answered: the sender waits for no answer but that to the ENQ."""
        return self._buffer[:2] == b"\x04\x05"

    def receive(self, data: bytes) -> list[Event]:
        """Events in order. `data` is bytes, never a view of a buffer that changes: a frame keeps them.

        Nearly every frame is alone in its read and whole, its number and its checksum right: it is told at once. All
        else is judged in the buffer, by the same rules. `total` says why Adler-32; it begins at 1 and is given STX but
        not the end mark, which the tables of tails make good.
        Raises WireError when the other side sends on and on without waiting for an answer.
        """
        buffer = self._buffer
        if data and not buffer and self.state is _FRAMES and not self._free:
            last = self._last
            number, start = _AFTER[last.number if last is not None else 0]
            head, _, tail = data.partition(_ETX)
            text = head.removeprefix(start)
            if tail == _TAILS_ETX[adler32(head) & 0xFF] and len(text) + 2 == len(head) <= 256 and ETB not in text:
                self.state = _OFFERED
                self._offered = arrived = _new(FrameArrived)  # without the detour through its constructor
                arrived.number, arrived.text, arrived.raw = number, text, data
                arrived.last, arrived.repeat, arrived.problem = True, False, None
                return [arrived]
            if (event := self._alone(data, number, start)) is not None:
                return [event]
        elif data == b"\x05" and not buffer and self.state is _NEUTRAL:
            self.state = _BEGUN
            return [SessionBegan(data)]
        if data:
            if len(buffer) + len(data) > 2 * self._limit and not self._listening:
                raise WireError("the analyzer sends on without waiting for an answer")
            buffer += data
        events: list[Event] = []
        while buffer and (event := self._next()) is not None:
            events.append(event)
        return events

    def expire(self) -> list[Event]:
        """The timer ran out."""
        timer = self.timer
        if timer is None:
            return []
        if timer.name == "frame":
            return [*self._junk(len(self._buffer)), self._ended(Ended.TIMEOUT, Signal.TIMEOUT)]
        events: list[Event] = []
        if timer.name == "quiet":
            events = [*self._junk(len(self._buffer.rstrip(b"\x04\x05")))]
        self._sure = True
        events += self.receive(b"")
        self._sure = False
        return events

    def accept(self) -> bytes:
        """ACK: what was offered is stored."""
        if self.state is _OFFERED:  # nearly always
            self.state, write = _TAKEN, _ACK
        else:
            write = self._step(Signal.ACCEPT)
        self._last = self._offered  # None when it was an ENQ
        return write

    def refuse(self) -> bytes:
        """NAK: not accepted, or not stored; to ENQ it says that we are busy (6.2.6)."""
        self._offered = None
        return self._step(Signal.REFUSE)

    # ---- inside

    @property
    def _listening(self) -> bool:
        return self.state is _FRAMES or self.state is _NEUTRAL

    def _next(self) -> Event | None:
        """What the buffer begins with; None while more of it may come, or an answer is owed."""
        if self.state is _FRAMES:
            return self._in_session()
        return self._in_neutral() if self.state is _NEUTRAL else None

    def _step(self, signal: Signal) -> bytes:
        step = RECEIVER.get((self.state, signal)) or self._illegal(signal)
        self.state = step.next
        return step.write

    def _illegal(self, signal: Signal) -> NoReturn:
        raise RuntimeError(f"{signal.value} while {self.state.value}")

    def _take(self, count: int) -> bytes:
        buffer = self._buffer
        raw = bytes(buffer) if count == len(buffer) else bytes(buffer[:count])
        del buffer[:count]
        self._scanned = 0
        return raw

    def _junk(self, count: int) -> list[Junk]:
        return [Junk(self._take(count))] if count else []

    def _ended(self, how: Ended, signal: Signal, raw: bytes = b"") -> SessionEnded:
        self._last = self._offered = None
        if signal is Signal.ENQ:  # the ENQ itself is still in the buffer: neutral answers it
            self.state = State.NEUTRAL
        else:
            self._step(signal)
        return SessionEnded(how, raw)

    def _alone(self, data: bytes, number: int, start: bytes) -> Event | None:
        """What else may be alone in its read: EOT, a plain frame that ends with ETB; None, which changes nothing."""
        if data == b"\x04":
            self.state, self._last, self._offered = _DONE, None, None
            return SessionEnded(_EOT, data)
        head, _, tail = data.partition(_ETB)
        text = head.removeprefix(start)
        if tail != _TAILS_ETB[adler32(head) & 0xFF] or not len(text) + 2 == len(head) <= 256 or ETX in text:
            return None
        self.state = _OFFERED
        self._offered = arrived = FrameArrived(number, text, False, data)
        return arrived

    def _in_neutral(self) -> Event | None:
        at = self._buffer.find(ENQ)
        if at == 0:
            self.state = _BEGUN
            return SessionBegan(self._take(1))
        return Junk(self._take(at if at > 0 else len(self._buffer)))  # 6.2.5: ignored

    def _in_session(self) -> Event | None:
        first = self._buffer[0]
        if first == STX:
            return self._in_frame()
        if first == EOT:
            return self._ended(Ended.EOT, Signal.EOT, self._take(1))
        if first == ENQ:
            return self._enquiry()
        signal = _SIGNAL.search(self._buffer)
        return Junk(self._take(signal.start() if signal else len(self._buffer)))  # 6.5.1.1: ignored before STX

    def _enquiry(self) -> Event | None:
        """ENQ where a frame should be: a restart, a doubled ENQ, or a damaged STX."""
        following = self._buffer[1:2]
        if not following and not self._sure:
            return None
        if following.isdigit():
            return self._in_frame()
        if self._last is None and following and following[0] in (STX, ENQ, EOT):
            return Junk(self._take(1))  # doubled: answered once
        return self._ended(Ended.ENQ, Signal.ENQ)

    def _in_frame(self) -> Event | None:
        buffer = self._buffer
        at = _frame_end(buffer, self._scanned)
        if at < 0:
            self._scanned = len(buffer)
            return self._refused(len(buffer), self._too_long) if len(buffer) > self._limit else None
        size = self._size(at)
        if size is None:
            self._scanned = at
            return None
        return self._judge(at, size)

    def _size(self, end: int) -> int | None:
        """Length of the frame with its CR LF, or None while they may still come."""
        buffer, size = self._buffer, end + 3
        if buffer[size : size + 2] == b"\r\n":
            return size + 2
        for _ in range(2):  # a damaged CR or LF is swallowed with the frame
            if len(buffer) <= size:
                return size if self._sure and len(buffer) == size else None
            if buffer[size] in (STX, EOT):
                return size
            size += 1
            if buffer[size - 1] == LF:
                return size
        return size

    def _judge(self, end: int, size: int) -> Event:
        """Checksum, then number: 6.5.1.1."""
        buffer = self._buffer
        if end > self._limit:
            return self._refused(size, self._too_long)
        start = 0
        while buffer[start + 1] == STX:  # a run of STX counts as one
            start += 1
        body = bytes(buffer[start + 1 : end + 1])
        if buffer[start] != STX:
            return self._refused(size, "begins with ENQ")
        if _HEX.get(bytes(buffer[end + 1 : end + 3])) != total(body):
            restart = _RESTART.search(buffer, 1, size)
            return Junk(self._take(restart.start())) if restart else self._refused(size, "wrong checksum")
        if not body[:1].isdigit():
            return self._refused(size, "no frame number")
        return self._numbered(body[0] - 0x30, body[1:-1], buffer[end] == ETX, size)

    def _numbered(self, number: int, text: bytes, ended: bool, size: int) -> Event:
        last, repeat, problem = self._last, False, None
        before = last.number if last else 0
        if last is not None and (number, text, ended) == (last.number, last.text, last.last):
            repeat = True
        elif number == before and not self._free:
            what = "another end" if last and text == last.text else "other text"  # no repeat has ETB where ETX was
            problem = f"frame number {number} again with {what}" if last else "first frame has number 0"
        elif number != (before + 1) % 8 and not self._free:
            return self._refused(size, f"frame number {number}, expected {(before + 1) % 8}")
        self._step(Signal.GOOD)
        self._offered = event = FrameArrived(number, text, ended, self._take(size), repeat, problem)
        return event

    def _refused(self, size: int, reason: str) -> FrameRefused:
        self._step(Signal.BAD)
        return FrameRefused(self._take(size), reason)


def _frame_end(data: bytes | bytearray, start: int) -> int:
    """Where the first ETX or ETB from `start` on stands; -1 when there is none."""
    etx = data.find(_ETX, start)
    etb = data.find(_ETB, start, etx if etx >= 0 else len(data))
    return etb if etb >= 0 else etx


def text_of(raw: bytes) -> tuple[bytes, bool]:
    """Text of a frame that was accepted, and whether ETX ended it, from the `raw` of its FrameArrived."""
    start = len(raw) - len(raw.lstrip(b"\x02"))
    end = _frame_end(raw, 0)
    at = end if end >= 0 else len(raw)
    return raw[start + 1 : at], raw[at : at + 1] == _ETX
