"""One conversation of a case with the peer: bytes out, bytes in, the time between them.

Turns an open line into ask, hear and silence. Law: every wait is a wait on the line, so the clock may be a made-up one;
a peer that hangs up raises ConnectionError, a peer that makes the case impossible raises `Stuck`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulators.framing import ACK, ENQ, EOT, NAK, frame
from simulators.line import Line

REPLY = 15.0  # seconds the standard gives for every answer, 6.5.2
GRACE = 0.5  # seconds for the way there and back
NAMES = {0x02: "STX", 0x03: "ETX", 0x04: "EOT", 0x05: "ENQ", 0x06: "ACK", 0x0A: "LF", 0x0B: "VT", 0x0D: "CR",
         0x15: "NAK", 0x17: "ETB", 0x1C: "FS"}  # fmt: skip


class Stuck(Exception):
    """The case cannot be tried to its end; the text says what was seen."""


class Missing(Exception):
    """The peer never does what this case is about; the text says what was waited for."""


def show(data: bytes, most: int = 60) -> str:
    """Bytes for people: control characters by name, long texts shortened, "nothing" for none."""
    if not data:
        return "nothing"
    cut = data if len(data) <= most else data[: most - 12] + b"\x00" + data[-12:]
    text = "".join(f"<{NAMES[b]}>" if b in NAMES else "…" if b == 0 else chr(b) if 32 <= b < 127 else "." for b in cut)
    return text if len(data) <= most else f"{text} ({len(data)} bytes)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, and after how many seconds."""

    data: bytes
    seconds: float

    def __str__(self) -> str:
        return f"{show(self.data)} after {self.seconds:.1f} s"


class Talk:
    """Bytes to and from one peer. `again` gives a new line of the same peer, for cases that hang up."""

    def __init__(self, line: Line, again: Callable[[], Line], clock: Callable[[], float]) -> None:
        self.line, self._again, self._clock = line, again, clock
        self._left = b""
        self.slowest = 0.0

    def write(self, data: bytes) -> None:
        """Say it."""
        self.line.write(data)

    def hear(self, seconds: float, count: int = 1) -> Answer:
        """The next `count` bytes, or what came of them within `seconds`."""
        start = self._clock()
        while len(self._left) < count and (left := start + seconds - self._clock()) > 0:
            self._left += self.line.read(min(left, 0.5))
        data, self._left = self._left[:count], self._left[count:]
        return Answer(data, self._clock() - start)

    def until(self, end: bytes, seconds: float) -> Answer:
        """What comes, up to the first byte sequence `end` or until `seconds` are over."""
        start = self._clock()
        while end not in self._left and (left := start + seconds - self._clock()) > 0:
            self._left += self.line.read(min(left, 0.5))
        at = self._left.find(end) + len(end) if end in self._left else len(self._left)
        data, self._left = self._left[:at], self._left[at:]
        return Answer(data, self._clock() - start)

    def silence(self, seconds: float) -> bytes:
        """Everything that comes in this time."""
        return self.hear(seconds, 1 << 30).data

    def pause(self, seconds: float) -> None:
        """Let time pass; what comes meanwhile is heard later."""
        self._left = self.silence(seconds)

    def ask(self, data: bytes) -> bytes:
        """Say it, and the one byte that is answered; b"" when nothing is in the standard's time."""
        self.write(data)
        answer = self.hear(REPLY + GRACE)
        self.slowest = max(self.slowest, answer.seconds)
        return answer.data

    def hang_up(self) -> None:
        """End this line and have another."""
        self.line.close()
        self._left = b""
        self.line = self._again()

    # ---- ASTM

    def establish(self) -> None:
        """ENQ until ACK. A busy peer is given its 10 s twice, contention its second (6.2.6, 6.2.7.1). Stuck."""
        reply = self.ask(ENQ)
        for _ in range(2):
            if reply == NAK:
                self.silence(10)
            elif reply == ENQ:
                self.silence(1.1)
            else:
                break
            reply = self.ask(ENQ)
        if reply != ACK:
            raise Stuck(f"to ENQ: {show(reply)}")

    def frames(self, texts: list[bytes], first: int = 1) -> bytes:
        """Say each text in a frame of its own; the replies, up to the first that is not ACK."""
        replies = b""
        for number, text in enumerate(texts, first):
            reply = self.ask(frame(number, text))
            replies += reply or b"?"
            if reply != ACK:
                break
        return replies

    def session(self, texts: list[bytes]) -> None:
        """A whole session, accepted frame by frame. Stuck when it is not."""
        self.establish()
        replies = self.frames(texts)
        if replies != ACK * len(texts):
            self.write(EOT)
            raise Stuck(f"to the frames of a whole session: {show(replies)}")
        self.write(EOT)
