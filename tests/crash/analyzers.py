"""The analyzers of the crash harness: one thread each, sending for ever over the line it really has.

Turns message numbers into traffic and into a log of what was acknowledged. Law: an analyzer behaves as real ones do:
what was not acknowledged to its last frame is sent again, the whole message (LIS01-A2 6.5.1.2, 6.5.2.3); nothing is
noted as acknowledged before its ACK or AA was read. A log outlives a kill of the harness itself: the line that opens an
attempt is with the system before the first byte goes out.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from simulators.line import Line, Opener
from tests.crash.said import Key, Unit, pieces

ENQ, ACK, NAK, EOT = b"\x05", b"\x06", b"\x15", b"\x04"
REPLY = 3.0  # seconds an analyzer waits for an answer; the standard says 15 (LIS01-A2 6.5.2.3)
PAUSE = 0.01  # seconds until a message is begun again
TRIES = 6  # of one frame (6.5.1.2)


@dataclass
class Log:
    """What one analyzer knows for certain, in memory and in a file: (number, attempt, piece), piece 0: begun."""

    path: Path
    name: str
    lines: list[tuple[int, int, int]] = field(default_factory=list)
    heard: int = 0  # acknowledgements since this log was opened

    def __post_init__(self) -> None:
        text = self.path.read_text() if self.path.exists() else ""
        whole = text[
            : text.rfind("\n") + 1
        ]  # a line that was cut off when the harness itself was killed does not count
        self.lines = [(int(n), int(a), int(p)) for n, a, p in map(str.split, whole.splitlines())]
        if whole != text:
            self.path.write_text(whole)
        self._file = self.path.open("a", buffering=1)

    def add(self, number: int, attempt: int, piece: int) -> None:
        """One line, with the system when this returns."""
        self._file.write(f"{number} {attempt} {piece}\n")
        self.lines.append((number, attempt, piece))
        self.heard += piece > 0

    def last(self) -> tuple[int, int]:
        """The message begun last and its attempt; (0, 0): none yet."""
        return self.lines[-1][:2] if self.lines else (0, 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Analyzer(threading.Thread):
    """One analyzer. `finish()` lets it bring its present message across and end."""

    def __init__(self, unit: Unit, opener: Opener, log: Log, sample: Callable[[str, int], str], pace: float) -> None:
        """`sample` says whose the message of that number is; `pace`: seconds between two messages, on average."""
        super().__init__(name=unit.name, daemon=True)
        self.unit, self.log = unit, log
        self._opener, self._sample, self._pace = opener, sample, pace
        self._line: Line | None = None
        self._over, self._abandoned = threading.Event(), threading.Event()
        self._chance = random.Random(unit.name)

    def finish(self) -> None:
        """No new message after this one."""
        self._over.set()

    def abandon(self) -> None:
        """Leave the present message where it is."""
        self._over.set()
        self._abandoned.set()

    def run(self) -> None:
        """Message after message, each until it is acknowledged whole; first the one that was under way."""
        number, attempt = self.log.last()
        if number and not self._confirmed(number):
            self._deliver(number, attempt)
        while not self._over.is_set():
            number += 1
            self._deliver(number, 0)
            self._over.wait(self._chance.random() * 2 * self._pace)
        self._hang_up()
        self._opener.close()

    def _deliver(self, number: int, attempt: int) -> None:
        while not self._abandoned.is_set():
            attempt += 1
            if self._attempt(number, attempt):
                return
            time.sleep(PAUSE)

    def _confirmed(self, number: int) -> bool:
        count = len(pieces((self.unit.name, number, 1), self._sample(self.unit.name, number)))
        return any(line[0] == number and line[2] == count for line in self.log.lines[-2 * count :])

    def _attempt(self, number: int, attempt: int) -> bool:
        """True when every piece was acknowledged."""
        key = (self.unit.name, number, attempt)
        try:
            line = self._line = self._line or self._opener.open()
            sent = pieces(key, self._sample(self.unit.name, number))
            self.log.add(number, attempt, 0)
            return (self._block if self.unit.hl7 else self._session)(line, key, sent)
        except ConnectionError:
            self._hang_up()
            return False

    def _session(self, line: Line, key: Key, frames: tuple[bytes, ...]) -> bool:
        line.read(0)  # what was left on the line answers nothing of ours
        if _ask(line, ENQ) != ACK:
            return False
        for piece, frame in enumerate(frames, 1):
            if not any(_ask(line, frame) == ACK for _ in range(TRIES)):
                line.write(EOT)
                return False
            self.log.add(key[1], key[2], piece)
        line.write(EOT)
        return True

    def _block(self, line: Line, key: Key, blocks: tuple[bytes, ...]) -> bool:
        line.write(blocks[0])
        heard = b""
        while not heard.endswith(b"\x1c\r"):
            came = line.read(REPLY)
            if not came:
                return False
            heard += came
        if f"MSA|AA|{key[1]}.{key[2]}".encode() not in heard:
            return False
        self.log.add(key[1], key[2], 1)
        return True

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None


def _ask(line: Line, data: bytes) -> bytes:
    """One byte for these, b"" when none came; a frame that nothing answered is not sent a second time (6.5.2.3)."""
    line.write(data)
    came = line.read(REPLY)
    if not came:
        raise ConnectionError("no answer")
    return came[:1]
