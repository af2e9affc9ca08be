"""Turns messages into frames and sends them, as the analyzer or as the host. Knows nothing of records.

Law: no socket, no clock; any bytes that come back give events, never an exception. What was not accepted is kept.
Source: CLSI LIS01-A2 section 6, ASTM E1381; the table is in lis1a_states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from zlib import adler32

from drivers.wire.lis1a_states import (
    ACK,
    ATTEMPTS,
    ENQ,
    EOT,
    MAX_FRAME,
    NAK,
    SENDER,
    SIZE_SERIAL,
    TIMERS,
    Signal,
    State,
    Timer,
)

_FORBIDDEN = bytes([1, 2, 3, 4, 5, 6, 10, 16, 17, 18, 19, 20, 21, 22, 23])  # 6.6
_SIGNALS = {ACK: Signal.ACK, NAK: Signal.NAK, ENQ: Signal.ENQ, EOT: Signal.EOT}


# ---- framing ------------------------------------------------------------------------------------------------------


def total(data: bytes) -> int:
    """The sum of the bytes from the frame number to ETB or ETX, low 8 bits (6.3.3).

    The low half of Adler-32, begun at 0, is the plain sum of the bytes while that is below 65 521, which 256 bytes
    cannot reach; the standard library sums so ten times faster than byte by byte.
    """
    if len(data) <= 256:
        return adler32(data, 0) & 0xFF
    return sum([adler32(data[at : at + 256], 0) & 0xFF for at in range(0, len(data), 256)]) & 0xFF


def checksum(data: bytes) -> bytes:
    """Two characters 0-9 A-F: the `total` of the bytes from the frame number to ETB or ETX (6.3.3)."""
    return b"%02X" % total(data)


def frame(number: int, text: bytes, last: bool) -> bytes:
    """One frame, STX to LF (6.3.1.2). ValueError when the text holds what 6.6 forbids or is too long."""
    if len(text) > MAX_FRAME - 7:
        raise ValueError(f"{len(text)} characters do not fit in one frame")
    if len(text.translate(None, _FORBIDDEN)) != len(text):
        raise ValueError("the text holds a control character that frames may not carry")
    body = b"%d%b%b" % (number % 8, text, b"\x03" if last else b"\x17")
    return b"\x02%b%02X\r\n" % (body, total(body))


def frames(
    text: bytes, size: int = SIZE_SERIAL, one_record_a_frame: bool = False, first: int = 1, bare: bool = False
) -> list[bytes]:
    """The frames of one message: cut every `size` characters with ETB, the last with ETX (6.3.1).

    `one_record_a_frame`: each record (up to its CR) begins a frame of its own that ends with ETX, as Sysmex sends.
    `first` is the number of the first frame: 1 in a new session, +1 per frame (6.3.2.1). `bare`: no CR before ETX, as
    Snibe sends and reads them.
    """
    records = text.splitlines(keepends=True) if one_record_a_frame else [text]
    records = [record.removesuffix(b"\r") for record in records] if bare else records
    made: list[bytes] = []
    for record in records or [b""]:
        for at in range(0, max(len(record), 1), size):
            made.append(frame(first + len(made), record[at : at + size], at + size >= len(record)))
    return made


def session(
    messages: Sequence[bytes], size: int = SIZE_SERIAL, one_record_a_frame: bool = False, bare: bool = False
) -> list[bytes]:
    """The frames of all messages of one session, numbered through; each message begins a frame (6.3.1.1)."""
    made: list[bytes] = []
    for message in messages:
        made += frames(message, size, one_record_a_frame, first=1 + len(made), bare=bare)
    return made


# ---- the sender ---------------------------------------------------------------------------------------------------


class Role(Enum):
    """Which end of the line we are; the analyzer has priority in contention (6.2.7.1)."""

    ANALYZER = "analyzer"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """Every frame was accepted."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Given up: nothing counts as sent; `start()` repeats the whole later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The other side accepted the frame and asks for the line (6.3.5): after this message we keep silent for 15 s."""


@dataclass(frozen=True, slots=True)
class Yielded:
    """The other side wants to send: what comes next is for our receiver, `raw` first; `expire()` tries again later."""

    raw: bytes = b""


SenderEvent = Send | Sent | Failed | Interrupted | Yielded


class Sender:
    """One end of a line, sending one session. `start()`, then `receive()` what comes back and write each `Send`."""

    def __init__(
        self, frames: Sequence[bytes], role: Role = Role.ANALYZER, timers: Mapping[str, Timer] = TIMERS
    ) -> None:
        self.state = State.NEUTRAL
        self._frames = tuple(frames)
        self._role = role
        self._timers = timers
        self._at = 0
        self._attempts = 0
        self._interrupted = False

    @property
    def timer(self) -> Timer | None:
        """What the caller waits for before `expire()`, counted from the last thing written or received."""
        names = {
            State.ENQ_SENT: "establish",
            State.BUSY: "busy",
            State.CONTENTION: "contention_" + self._role.value,
            State.REPLY: "reply",
            State.HELD: "interrupt",
        }
        name = names.get(self.state)
        return self._timers[name] if name else None

    def start(self) -> bytes:
        """ENQ, to be written. RuntimeError unless the link is neutral (6.2.4)."""
        step = SENDER.get((self.state, Signal.START))
        if step is None:
            raise RuntimeError(f"cannot start while {self.state.value}")
        self.state, self._at, self._attempts, self._interrupted = step.next, 0, 0, False
        return step.write

    def receive(self, data: bytes) -> list[SenderEvent]:
        """What to do about the bytes that came back; one reply is one byte (6.3.4).

        The bytes behind a reply were there before we write the next frame, so they are no reply to it: they are
        passed over, or handed on with `Yielded`.
        """
        for at, byte in enumerate(data, 1):
            events = self._signal(_SIGNALS.get(byte, Signal.OTHER))
            if events and isinstance(events[-1], Yielded):
                return [Yielded(events[-1].raw + data[at:])]
            if events:
                return events
        return []

    def expire(self) -> list[SenderEvent]:
        """The timer ran out."""
        return self._signal(Signal.TIMEOUT)

    def _signal(self, signal: Signal) -> list[SenderEvent]:
        step = SENDER.get((self.state, signal))
        if step is None:
            return []
        before, self.state = self.state, step.next
        written: list[SenderEvent] = [Send(step.write)] if step.write else []
        act = _ACTIONS.get((before, signal))
        return written + act(self) if act else written

    def _transmit(self) -> list[SenderEvent]:
        if self._at == len(self._frames):
            self.state = State.HELD if self._interrupted else State.NEUTRAL
            return [Send(b"\x04"), Sent()]  # 6.4.1
        self._attempts += 1
        return [Send(self._frames[self._at])]

    def _accepted(self) -> list[SenderEvent]:
        self._at, self._attempts = self._at + 1, 0
        return self._transmit()

    def _interrupt(self) -> list[SenderEvent]:
        self._interrupted = True
        return [Interrupted(), *self._accepted()]

    def _refused(self) -> list[SenderEvent]:
        if self._attempts < ATTEMPTS:
            return self._transmit()
        self.state = State.NEUTRAL
        return [Send(b"\x04"), Failed(f"frame {self._at + 1} refused {ATTEMPTS} times")]  # 6.5.1.2

    def _no_answer(self) -> list[SenderEvent]:
        return [Failed("no answer to ENQ")]

    def _no_reply(self) -> list[SenderEvent]:
        return [Failed(f"no reply to frame {self._at + 1}")]

    def _yield(self) -> list[SenderEvent]:
        return [Yielded()] if self._role is Role.HOST else []

    def _give_way(self) -> list[SenderEvent]:
        return [Yielded(b"\x05")]  # the link is neutral, we only wait: whoever asks, sends


_ACTIONS: Mapping[tuple[State, Signal], Callable[[Sender], list[SenderEvent]]] = {
    (State.ENQ_SENT, Signal.ACK): Sender._transmit,
    (State.ENQ_SENT, Signal.ENQ): Sender._yield,
    (State.ENQ_SENT, Signal.TIMEOUT): Sender._no_answer,
    (State.BUSY, Signal.ENQ): Sender._give_way,
    (State.REPLY, Signal.ACK): Sender._accepted,
    (State.REPLY, Signal.EOT): Sender._interrupt,
    (State.REPLY, Signal.NAK): Sender._refused,
    (State.REPLY, Signal.ENQ): Sender._refused,
    (State.REPLY, Signal.OTHER): Sender._refused,
    (State.REPLY, Signal.TIMEOUT): Sender._no_reply,
}
