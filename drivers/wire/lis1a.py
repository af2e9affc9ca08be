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
)
from drivers.wire.lis1a_states import (
    ATTEMPTS,
    ENQ,
    EOT,
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
    "Failed", "Frame", "FrameArrived", "FrameRefused", "Interrupted", "Junk", "Receiver", "Role", "Send", "Sender",
    "SenderEvent", "Sent", "SessionBegan", "SessionEnded", "Signal", "State", "Step", "Timer", "WireError", "Yielded",
    "checksum", "frame", "frames", "session", "text_of",
]  # fmt: skip

_FRAME_END = re.compile(b"[\x03\x17]")  # ETX, ETB
_SIGNAL = re.compile(b"[\x02\x04\x05]")  # STX, EOT, ENQ
_RESTART = re.compile(b"\x04\x05|\x05\x02")  # EOT ENQ, ENQ STX: no single damaged byte makes these
_HEX_DIGITS = "0123456789ABCDEFabcdef"
_HEX = {(high + low).encode(): int(high + low, 16) for high in _HEX_DIGITS for low in _HEX_DIGITS}


# ---- what the receiver says ---------------------------------------------------------------------------------------


class Ended(Enum):
    """How a session ended."""

    EOT = "eot"
    ENQ = "enq"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Frame:
    """Frame number 0-7, text between number and ETB or ETX, and whether ETX ended it."""

    number: int
    text: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """ENQ: to be answered."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """Right checksum, right number: to be stored, then answered. `repeat`: accepted before, store nothing."""

    frame: Frame
    raw: bytes
    repeat: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """A frame that broke a rule: to be answered by `refuse()`."""

    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
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
        self._limit = max_frame
        self._buffer = bytearray()
        self._scanned = 0
        self._last: Frame | None = None  # accepted in this session
        self._offered: Frame | None = None
        self._sure = False  # the clock has spoken: take the buffer as it stands

    @property
    def timer(self) -> Timer | None:
        """What the caller waits for before `expire()`, counted from the last byte or answer. None: for ever."""
        if self.state is not State.FRAMES:
            return None
        buffer = self._buffer
        if not buffer:
            return self._timers["frame"]
        if buffer[-1] in (ENQ, EOT):
            return self._timers["quiet"]
        end = _FRAME_END.search(buffer, self._scanned)
        return self._timers["tail" if end and len(buffer) >= end.end() + 2 else "frame"]

    def receive(self, data: bytes) -> list[Event]:
        """Events in order. Raises WireError when the other side sends on and on without waiting for an answer."""
        if data:
            if len(self._buffer) + len(data) > 2 * self._limit and not self._listening:
                raise WireError("the analyzer sends on without waiting for an answer")
            self._buffer += data
        events: list[Event] = []
        while self._buffer and self._listening:
            event = self._in_session() if self.state is State.FRAMES else self._in_neutral()
            if event is None:
                break
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
        reply = self._step(Signal.ACCEPT)
        self._last, self._offered = self._offered, None
        return reply

    def refuse(self) -> bytes:
        """NAK: not accepted, or not stored; to ENQ it says that we are busy (6.2.6)."""
        self._offered = None
        return self._step(Signal.REFUSE)

    # ---- inside

    @property
    def _listening(self) -> bool:
        return self.state is State.FRAMES or self.state is State.NEUTRAL

    def _step(self, signal: Signal) -> bytes:
        step = RECEIVER.get((self.state, signal))
        if step is None:
            raise RuntimeError(f"{signal.value} while {self.state.value}")
        self.state = step.next
        return step.write

    def _take(self, count: int) -> bytes:
        raw = bytes(self._buffer[:count])
        del self._buffer[:count]
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

    def _in_neutral(self) -> Event | None:
        at = self._buffer.find(ENQ)
        if at == 0:
            self._step(Signal.ENQ)
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
        end = _FRAME_END.search(buffer, self._scanned)
        if end is None:
            self._scanned = len(buffer)
            return self._refused(len(buffer), f"over {self._limit} characters") if len(buffer) > self._limit else None
        at = end.start()
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
        start = 0
        while buffer[start + 1] == STX:  # a run of STX counts as one
            start += 1
        body = bytes(buffer[start + 1 : end + 1])
        if buffer[start] != STX:
            return self._refused(size, "begins with ENQ")
        if _HEX.get(bytes(buffer[end + 1 : end + 3])) != sum(body) & 0xFF:
            restart = _RESTART.search(buffer, 1, size)
            return Junk(self._take(restart.start())) if restart else self._refused(size, "wrong checksum")
        if not body[:1].isdigit():
            return self._refused(size, "no frame number")
        return self._numbered(Frame(body[0] - 0x30, body[1:-1], buffer[end] == ETX), size)

    def _numbered(self, frame: Frame, size: int) -> Event:
        last = self._last
        if last is not None and frame == last:
            return self._offer(frame, size, repeat=True)
        if self._free:
            return self._offer(frame, size)
        number = last.number if last else 0
        if frame.number == (number + 1) % 8:
            return self._offer(frame, size)
        if frame.number == number:
            problem = f"frame number {number} again with other text" if last else "first frame has number 0"
            return self._offer(frame, size, problem=problem)
        return self._refused(size, f"frame number {frame.number}, expected {(number + 1) % 8}")

    def _offer(self, frame: Frame, size: int, repeat: bool = False, problem: str | None = None) -> FrameArrived:
        self._offered = frame
        self._step(Signal.GOOD)
        return FrameArrived(frame, self._take(size), repeat, problem)

    def _refused(self, size: int, reason: str) -> FrameRefused:
        self._step(Signal.BAD)
        return FrameRefused(self._take(size), reason)


def text_of(raw: bytes) -> tuple[bytes, bool]:
    """Text of a frame that was accepted, and whether ETX ended it, from the `raw` of its FrameArrived."""
    start = len(raw) - len(raw.lstrip(b"\x02"))
    end = _FRAME_END.search(raw)
    at = end.start() if end else len(raw)
    return raw[start + 1 : at], raw[at : at + 1] == b"\x03"
