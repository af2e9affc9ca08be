"""Listens as an analyzer does: takes a session, a block, a message of the lab, and acknowledges it.

Turns bytes of a line into what the lab said. Law: written without the codec under test where a few lines do it; what is
damaged is refused; silence is None, an answer without anything in it is not. Source: LIS01-A2 6.3 (frames), MLLP, the
framings of the drivers.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from drivers.wire import blocks, mllp
from simulators import framing
from simulators.framing import ACK, ENQ, EOT, NAK
from simulators.line import Waiting

FRAME_SECONDS = 30.0  # LIS01-A2 6.5.2.2: a receiver waits so long for a frame


@dataclass
class Session:
    """What the lab said between ENQ and EOT: the text of each frame that was taken."""

    frames: list[bytes] = field(default_factory=list)

    @property
    def messages(self) -> list[bytes]:
        """The messages: each begins with H. Frames that end without a CR end a record all the same."""
        text = b"".join(frame if frame.endswith(b"\r") or not self.bare else frame + b"\r" for frame in self.frames)
        starts = [found.start() for found in re.finditer(rb"(?:^|(?<=\r))H[^\w\s]", text)]
        return [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)], strict=True)]

    @property
    def bare(self) -> bool:
        """No frame ends with a CR, though each holds a record (Snibe)."""
        return len(self.frames) > 1 and not any(frame.endswith(b"\r") for frame in self.frames)


def session(line: Waiting, seconds: float) -> Session | None:
    """A session of frames, each acknowledged, and those that follow it in one breath; None when no ENQ came in time.
    ConnectionError when the line breaks."""
    if not _enquired(line, seconds):
        return None
    line.line.write(ACK)
    taken, buffer, last = Session(), b"", -1
    while came := line.read(FRAME_SECONDS):
        buffer += came
        while (end := buffer.find(b"\n")) >= 0 or buffer[:1] in (EOT, ENQ):
            if buffer[:1] == EOT and ENQ not in buffer:
                return taken
            if buffer[:1] in (EOT, ENQ):  # the lab did not hear our first ACK, or has more to say at once
                line.line.write(ACK if buffer[:1] == ENQ else b"")
                buffer, last = buffer[1:], -1
                continue
            raw, buffer = buffer[: end + 1], buffer[end + 1 :]
            last = _frame(line, raw, taken, last)
    return taken


def _enquired(line: Waiting, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if ENQ in line.read(left):
            return True
    return False


def _frame(line: Waiting, raw: bytes, taken: Session, last: int) -> int:
    """Take or refuse one frame; the number of the last that was taken."""
    frame = framing.opened(raw)
    if frame is None or not frame.right:
        line.line.write(NAK)
        return last
    if frame.number != last:
        taken.frames.append(frame.text)
    line.line.write(ACK)
    return frame.number


class Blocks:
    """MLLP blocks of the lab, one after the other; several may come in one read."""

    def __init__(self, line: Waiting) -> None:
        self._line, self._receiver, self._bodies = line, mllp.Receiver(), list[bytes]()

    def next(self, seconds: float) -> bytes | None:
        """The next message, or None when none came in time."""
        end = time.monotonic() + seconds
        while not self._bodies:
            came = self._line.read(max(0.0, end - time.monotonic()))
            self._bodies += [event.body for event in self._receiver.receive(came) if isinstance(event, mllp.Block)]
            if not came and time.monotonic() >= end:
                return None
        return self._bodies.pop(0)


def text(line: Waiting, marks: blocks.Framing, seconds: float, heard: bytes = b"") -> bytes | None:
    """A block of the lab, acknowledged; None when none came in time. `heard`: what came already."""
    receiver, end, came = blocks.Receiver(marks), time.monotonic() + seconds, heard
    while True:
        for event in receiver.receive(came):
            if isinstance(event, blocks.Control) and event.raw == ENQ:
                line.line.write(ACK)
            elif isinstance(event, blocks.Block):
                line.line.write(ACK)
                return event.text
            elif isinstance(event, blocks.Damaged):
                line.line.write(NAK)
        left = end - time.monotonic()
        if left <= 0:
            return None
        came = line.read(left)
