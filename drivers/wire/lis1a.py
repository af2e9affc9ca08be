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
    "Failed", "Frame", "FrameArrived", "FrameRefused", "Interrupted", "Junk", "Receiver", "Role", "Send", "Sender",
    "SenderEvent", "Sent", "SessionBegan", "SessionEnded", "Signal", "State", "Step", "Timer", "WireError", "Yielded",
    "checksum", "frame", "frames", "session", "text_of", "total",
]  # fmt: skip

_ETX, _ETB = b"\x03", b"\x17"
_SIGNAL = re.compile(b"[\x02\x04\x05]")  # STX, EOT, ENQ
_RESTART = re.compile(b"\x04\x05|\x05\x02")  # EOT ENQ, ENQ STX: no single damaged byte makes these
_HEX_DIGITS = "0123456789ABCDEFabcdef"
_HEX = {(high + low).encode(): int(high + low, 16) for high in _HEX_DIGITS for low in _HEX_DIGITS}
_NEUTRAL, _FRAMES = State.NEUTRAL, State.FRAMES  # looked up once: a member of an Enum is slow to reach by its name
_ACCEPTED = {state: step for (state, signal), step in RECEIVER.items() if signal is Signal.ACCEPT}
_GOOD = RECEIVER[_FRAMES, Signal.GOOD]
_TAILS = tuple([b"%02X\r\n" % total for total in range(256)])  # how a frame ends whose bytes add up to this, 6.3.3
_new = tuple.__new__


# ---- what the receiver says ---------------------------------------------------------------------------------------


class Ended(Enum):
    """How a session ended."""

    EOT = "eot"
    ENQ = "enq"
    TIMEOUT = "timeout"


class Frame(NamedTuple):
    """Frame number 0-7, text between number and ETB or ETX, and whether ETX ended it."""

    number: int
    text: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """ENQ: to be answered."""

    raw: bytes


class FrameArrived(NamedTuple):
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
        self._last: Frame | None = None  # accepted in this session
        self._offered: Frame | None = None
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

    def receive(self, data: bytes) -> list[Event]:
        """Events in order. `data` is bytes, never a view of a buffer that changes: a frame keeps them.

        Raises WireError when the other side sends on and on without waiting for an answer.
        """
        if data:
            if self.state is _FRAMES and not self._buffer and (plain := self._plain(data)) is not None:
                return [plain]
            if len(self._buffer) + len(data) > 2 * self._limit and not self._listening:
                raise WireError("the analyzer sends on without waiting for an answer")
            self._buffer += data
        events: list[Event] = []
        while self._buffer and self._listening:
            event = self._in_session() if self.state is _FRAMES else self._in_neutral()
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
        step = _ACCEPTED.get(self.state) or self._illegal(Signal.ACCEPT)
        self.state = step.next
        self._last, self._offered = self._offered, None
        return step.write

    def refuse(self) -> bytes:
        """NAK: not accepted, or not stored; to ENQ it says that we are busy (6.2.6)."""
        self._offered = None
        return self._step(Signal.REFUSE)

    # ---- inside

    @property
    def _listening(self) -> bool:
        return self.state is _FRAMES or self.state is _NEUTRAL

    def _step(self, signal: Signal) -> bytes:
        step = RECEIVER.get((self.state, signal)) or self._illegal(signal)
        self.state = step.next
        return step.write

    def _illegal(self, signal: Signal) -> NoReturn:
        raise RuntimeError(f"{signal.value} while {self.state.value}")

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

    def _plain(self, data: bytes) -> FrameArrived | None:
        """The frame that nearly all are: alone in its read and whole, its number and its checksum right.

        None changes nothing: whatever else came is judged, by the same rules, in the buffer. `total` says why Adler-32.
        """
        last = self._last
        number = (last[0] + 1) & 7 if last else 1  # 6.3.2: next to the last accepted, modulo 8
        end = len(data) - 5
        if not 2 <= end <= 256 or data[0] != STX or data[1] != 0x30 + number or self._free:
            return None
        text, mark = data[2:end], data[end]
        if (mark != ETX and mark != ETB) or ETX in text or ETB in text:
            return None
        if data[end + 1 :] != _TAILS[adler32(data[1 : end + 1], 0) & 0xFF]:
            return None
        self.state = _GOOD.next
        self._offered = frame = _new(Frame, (number, text, mark == ETX))
        return _new(FrameArrived, (frame, data, False, None))

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
