"""One conversation of a case with the peer: bytes out, bytes in, the time between them.

Turns an open line into ask, hear and silence. Law: every wait is a wait on the line, so the clock may be a made-up one;
a peer that hangs up raises ConnectionError, a peer that makes the case impossible raises `Stuck`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from simulators.framing import ACK, ENQ, EOT, NAK, STX, Opened, frame, opened
from simulators.line import Line

REPLY = 15.0  # seconds the standard gives for every answer, 6.5.2
GRACE = 0.5  # seconds for the way there and back
MOST = 12  # times the same frame is accepted in a row before it is given up
_SUM = re.compile(rb"[\x03\x17]..", re.DOTALL)
NAMES = {0x02: "STX", 0x03: "ETX", 0x04: "EOT", 0x05: "ENQ", 0x06: "ACK", 0x0A: "LF", 0x0B: "VT", 0x0D: "CR",
         0x15: "NAK", 0x17: "ETB", 0x1C: "FS"}  # fmt: skip


class Stuck(Exception):
    """The case cannot be tried to its end; the text says what was seen."""


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


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
    """Bytes to and from one peer. `again` gives a new line of the same peer, for cases that hang up; `analyzer`: we
    are the analyzer, the peer is the host. `neutral`: no session stands; `disturbed`: the peer has sent an ENQ then, as
    it may (6.2.4); `interrupted`: it accepted a frame by EOT (6.3.4.4); `ended`: so did its last session, by EOT."""

    def __init__(
        self, line: Line, again: Callable[[], Line], clock: Callable[[], float], analyzer: bool = True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._stopped = stopped
        self.line, self._again, self._clock, self._analyzer = line, again, clock, analyzer
        self.neutral, self.disturbed, self.interrupted, self.ended = True, False, False, False
        self.left = b""
        self.slowest, self.lines = 0.0, 1

    def write(self, data: bytes) -> None:
        """Say it."""
        self.neutral |= EOT in data
        self.line.write(data)

    def _read(self, seconds: float) -> bytes:
        if self._stopped():
            raise Stopped
        return self.line.read(seconds)

    def hear(self, seconds: float, count: int = 1) -> Answer:
        """The next `count` bytes, or what came of them within `seconds`."""
        start = self._clock()
        while len(self.left) < count and (left := start + seconds - self._clock()) > 0:
            self.left += self._read(min(left, 0.5))
        data, self.left = self.left[:count], self.left[count:]
        self.disturbed |= self.neutral and ENQ in data
        return Answer(data, self._clock() - start)

    def until(self, end: bytes | re.Pattern[bytes], seconds: float) -> Answer:
        """What comes, up to the first byte sequence `end` or until `seconds` are over."""
        start = self._clock()
        wanted = re.compile(re.escape(end)) if isinstance(end, bytes) else end
        while not wanted.search(self.left) and (left := start + seconds - self._clock()) > 0:
            self.left += self._read(min(left, 0.5))
        found = wanted.search(self.left)
        at = found.end() if found else len(self.left)
        data, self.left = self.left[:at], self.left[at:]
        return Answer(data, self._clock() - start)

    def unhear(self, data: bytes) -> None:
        """It is heard again, first of all."""
        self.left = data + self.left

    def silence(self, seconds: float) -> bytes:
        """Everything that comes in this time."""
        return self.hear(seconds, 1 << 30).data

    def pause(self, seconds: float) -> None:
        """Let time pass; what comes meanwhile is heard later."""
        self.left = self.silence(seconds)

    def ask(self, data: bytes) -> bytes:
        """Say it, and the one byte that is answered; b"" when nothing is in the standard's time."""
        self.write(data)
        return self.reply() if STX in data else self._answer()

    def reply(self) -> bytes:
        """The one byte answered to a frame. EOT accepts it, too, and asks us to stop (6.3.4.4), which we need not."""
        answer = self._answer()
        self.interrupted |= answer == EOT
        return ACK if answer == EOT else answer

    def _answer(self) -> bytes:
        answer = self.hear(REPLY + GRACE)
        self.slowest = max(self.slowest, answer.seconds)
        return answer.data

    def hang_up(self) -> None:
        """End this line and have another."""
        self.line.close()
        self.left, self.neutral = b"", True
        self.line = self._again()
        self.lines += 1

    # ---- ASTM

    def enquire(self, patience: int = 2) -> bytes:
        """ENQ, and the answer to it. A busy peer is given its 10 s so many times (6.2.6). In contention the analyzer
        has priority (6.2.7.1): as one we ask again after a second, as a host we first take its session."""
        reply = self.ask(ENQ)
        for _ in range(3):
            if reply == NAK and patience:
                patience -= 1
                self.silence(10)
            elif reply == ENQ and self._analyzer:
                self.silence(1.1)
            elif reply == ENQ:
                self.give_way()
            else:
                break
            reply = self.ask(ENQ)
        return reply

    def give_way(self) -> None:
        """Take the session that the analyzer wants to begin (6.5.2.2: at most 20 s for its next ENQ)."""
        if self.hear(20).data == ENQ:
            take(self)

    def establish(self) -> None:
        """ENQ until ACK. Stuck when it does not come."""
        if (reply := self.enquire()) != ACK:
            raise Stuck(f"to ENQ: {show(reply)}")
        self.neutral = False

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


def take(talk: Talk, begun: bool = False) -> list[bytes]:
    """ACK the peer's ENQ, or the frame it has `begun` with, and every frame until EOT; the frames. Stuck when none
    comes. That it says EOT is one clause among many: where it falls silent or begins anew, `talk.ended` is False."""
    frames: list[bytes] = []
    talk.write(ACK)
    while (came := _next(talk)) != EOT:
        if (frames or begun) and came in (b"", ENQ):
            break
        _must_be_frame(came)
        frames.append(came)
        if frames[-MOST:] == [came] * MOST:
            raise Stuck(f"the same frame {MOST} times, each accepted: {show(came, 30)}")
        talk.write(ACK)
    talk.ended = came == EOT
    return frames


def next_frame(talk: Talk) -> bytes:
    """The next frame, whole, or EOT. Stuck when neither comes in the standard's time."""
    came = _next(talk)
    if came != EOT:
        _must_be_frame(came)
    return came


def _next(talk: Talk) -> bytes:
    """EOT, ENQ, or what is marked as a frame; b"" when nothing comes. A frame may lack its CR LF: LL-20 judges it."""
    first = talk.hear(15.5).data
    while first in (b"\r", b"\n"):  # behind the frame before: ignored (6.5.1.1)
        first = talk.hear(15.5).data
    if first in (EOT, ENQ, b""):
        return first
    return first + talk.until(_SUM, 15.5).data + talk.until(b"\n", GRACE).data


def _must_be_frame(raw: bytes) -> None:
    if opened(raw) is None:
        raise Stuck(f"instead of a frame or EOT: {show(raw)}")


def open_frame(raw: bytes) -> Opened:
    """A frame taken apart. Stuck when it is none."""
    made = opened(raw)
    if made is None:
        raise Stuck(f"instead of a frame: {show(raw)}")
    return made
