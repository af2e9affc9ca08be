"""The link of LIS01-A2 as data: its bytes, its timers, its states, and one table for each role.

Turns (state, signal) into a step. Law: every cell carries its clause; no code here decides anything.
Source: CLSI LIS01-A2 section 6 (serial), repeated as section 8 (TCP); ASTM E1381.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

STX, ETX, EOT, ENQ, ACK, LF, CR, NAK, ETB = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0D, 0x15, 0x17
MAX_FRAME = 64_000  # characters in all, 6.3.1; E1381-95 said 247
SIZE_SERIAL = 240  # characters of text that every receiver understands, E1381-95 6.3.1
ATTEMPTS = 6  # of one frame, 6.5.1.2


@dataclass(frozen=True, slots=True)
class Timer:
    """How long to wait, in seconds, and which clause says so. The caller owns the clock and calls `expire()`."""

    name: str
    seconds: float
    clause: str


TIMERS: Mapping[str, Timer] = {
    timer.name: timer
    for timer in (
        Timer("establish", 15, "6.5.2.1"),  # sender: answer to ENQ
        Timer("busy", 10, "6.2.6"),  # sender: at least this long after NAK to ENQ
        Timer("contention_analyzer", 1, "6.2.7.1"),  # analyzer: at least this long, then ENQ again
        Timer("contention_host", 20, "6.5.2.2"),  # host: at most this long for the analyzer's ENQ
        Timer("reply", 15, "6.5.2.3"),  # sender: answer to a frame
        Timer("interrupt", 15, "6.3.5"),  # sender: silence after it gave way to an interrupt
        Timer("frame", 30, "6.5.2.4"),  # receiver: next frame or EOT
        Timer("answer", 15, "6.5.2.5"),  # receiver: its own delay before a reply, at most
        Timer("quiet", 0.5, "project"),  # receiver: an ENQ or EOT where none should be is meant, when nothing follows
        Timer("tail", 0.25, "project"),  # receiver: CR LF after the checksum that never come
    )
}


class State(Enum):
    """Where one side of the link stands, 6.1. The receiver owes an answer in every ANSWER state."""

    __hash__ = object.__hash__  # of the one member itself: Enum's own hashes its name anew at every step

    NEUTRAL = "neutral"
    # receiver
    ANSWER_ENQ = "ENQ seen, to be answered"
    FRAMES = "waiting for a frame"
    ANSWER_FRAME = "good frame seen, to be answered"
    ANSWER_BAD = "bad frame seen, to be refused"
    # sender
    ENQ_SENT = "waiting for the answer to ENQ"
    BUSY = "other side busy"
    CONTENTION = "both sent ENQ"
    REPLY = "waiting for the reply to a frame"
    HELD = "gave way to an interrupt"


class Signal(Enum):
    """What happens to one side of the link."""

    __hash__ = object.__hash__

    # from the line, receiver
    GOOD = "a good frame"
    BAD = "a bad frame"
    # from the line, both
    ENQ = "ENQ"
    EOT = "EOT"
    # from the line, sender
    ACK = "ACK"
    NAK = "NAK"
    OTHER = "another byte"
    # from the clock, from the caller
    TIMEOUT = "timer"
    ACCEPT = "caller accepts"
    REFUSE = "caller refuses"
    START = "caller has data"


@dataclass(frozen=True, slots=True)
class Step:
    """One cell of a table: where it leads, what is written, by which clause."""

    next: State
    clause: str
    write: bytes = b""


_S, _N = State, Signal
RECEIVER: Mapping[tuple[State, Signal], Step] = {
    (_S.NEUTRAL, _N.ENQ): Step(_S.ANSWER_ENQ, "6.2.5"),
    (_S.NEUTRAL, _N.EOT): Step(_S.NEUTRAL, "6.2.5"),
    (_S.NEUTRAL, _N.GOOD): Step(_S.NEUTRAL, "6.2.5"),
    (_S.NEUTRAL, _N.BAD): Step(_S.NEUTRAL, "6.2.5"),
    (_S.NEUTRAL, _N.TIMEOUT): Step(_S.NEUTRAL, "6.2.5"),
    (_S.ANSWER_ENQ, _N.ACCEPT): Step(_S.FRAMES, "6.2.5", b"\x06"),
    (_S.ANSWER_ENQ, _N.REFUSE): Step(_S.NEUTRAL, "6.2.6", b"\x15"),
    (_S.FRAMES, _N.GOOD): Step(_S.ANSWER_FRAME, "6.3.4"),
    (_S.FRAMES, _N.BAD): Step(_S.ANSWER_BAD, "6.5.1.1"),
    (_S.FRAMES, _N.EOT): Step(_S.NEUTRAL, "6.4.1"),
    (_S.FRAMES, _N.ENQ): Step(_S.ANSWER_ENQ, "project: the sender restarted"),
    (_S.FRAMES, _N.TIMEOUT): Step(_S.NEUTRAL, "6.5.2.4"),
    (_S.ANSWER_FRAME, _N.ACCEPT): Step(_S.FRAMES, "6.3.4.2", b"\x06"),
    (_S.ANSWER_FRAME, _N.REFUSE): Step(_S.FRAMES, "6.3.4.3", b"\x15"),
    (_S.ANSWER_BAD, _N.REFUSE): Step(_S.FRAMES, "6.5.1.1", b"\x15"),
}
"""The receiver. A cell that is not here is the caller's mistake (RuntimeError), never the line's."""

SENDER: Mapping[tuple[State, Signal], Step] = {
    (_S.NEUTRAL, _N.START): Step(_S.ENQ_SENT, "6.2.3", b"\x05"),
    (_S.ENQ_SENT, _N.ACK): Step(_S.REPLY, "6.2.5"),
    (_S.ENQ_SENT, _N.NAK): Step(_S.BUSY, "6.2.6"),
    (_S.ENQ_SENT, _N.ENQ): Step(_S.CONTENTION, "6.2.7.1"),
    (_S.ENQ_SENT, _N.TIMEOUT): Step(_S.NEUTRAL, "6.5.2.1", b"\x04"),
    (_S.BUSY, _N.TIMEOUT): Step(_S.ENQ_SENT, "6.2.6", b"\x05"),
    (_S.BUSY, _N.ENQ): Step(_S.CONTENTION, "6.2.4"),
    (_S.CONTENTION, _N.TIMEOUT): Step(_S.ENQ_SENT, "6.2.7.1", b"\x05"),
    (_S.REPLY, _N.ACK): Step(_S.REPLY, "6.3.4.2"),
    (_S.REPLY, _N.EOT): Step(_S.REPLY, "6.3.4.4"),
    (_S.REPLY, _N.NAK): Step(_S.REPLY, "6.3.4.3"),
    (_S.REPLY, _N.ENQ): Step(_S.REPLY, "6.5.1.2"),
    (_S.REPLY, _N.OTHER): Step(_S.REPLY, "6.5.1.2"),
    (_S.REPLY, _N.TIMEOUT): Step(_S.NEUTRAL, "6.5.2.3", b"\x04"),
    (_S.HELD, _N.TIMEOUT): Step(_S.NEUTRAL, "6.3.5"),
}
"""The sender. A signal from the line that is not here is ignored (6.2.4); REPLY leaves by the code's count of
frames and attempts (all sent: EOT, 6.4.1; refused six times: EOT, 6.5.1.2)."""
