"""What every fault is made of: when it strikes, with which options, and how it waits.

Turns a kind, its options and a seed into dice. Law: the same seed and the same traffic give the same faults; a wait
ends at once when the simulator is asked to stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from threading import Event

from simulators.line import Line, Stopped


class Spoilt(Exception):
    """This attempt was spoilt on purpose, on a line that still stands: the message is to be repeated whole."""


class Rig:
    """The dice and the options of one fault. `rate` is the share of chances it takes, `times` the most it strikes;
    `struck` is how often it did; `body` is the message that is about to be said."""

    def __init__(self, kind: str, options: Mapping[str, str], seed: int, stop: Event) -> None:
        self.kind, self.options, self._stop = kind, options, stop
        self.random = Random(f"{seed}/{kind}")
        self._rate, self._left = float(options["rate"]), int(options["times"]) or -1
        self.struck = 0
        self.body = b""

    def strikes(self) -> bool:
        """Throw the dice for one chance."""
        if self._left == 0 or self.random.random() >= self._rate:
            return False
        self._left -= 1
        self.struck += 1
        return True

    def missed(self, for_good: bool = False) -> None:
        """It came to nothing: there was no such thing to spoil. The next chance counts instead, unless `for_good`."""
        self.struck -= 1
        self._left += not for_good

    def number(self, option: str) -> float:
        """An option as a number."""
        return float(self.options[option])

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises Stopped."""
        if self._stop.wait(seconds):
            raise Stopped


class Layer:
    """A line with another line behind it, on which something goes wrong."""

    def __init__(self, line: Line, rig: Rig) -> None:
        self.line, self.rig = line, rig

    def read(self, seconds: float) -> bytes:
        """What came within `seconds`, or b""."""
        return self.line.read(seconds)

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self.line.write(data)

    def close(self) -> None:
        """Let go of the line."""
        self.line.close()

    def hear(self, seconds: float, count: int = 1) -> bytes:
        """`count` bytes, or what came of them within `seconds`. Raises Stopped."""
        heard, slices = b"", max(1, round(seconds / 0.1))
        while len(heard) < count and slices:
            came = self.line.read(0.1)
            heard += came
            slices -= not came
            self.rig.wait(0)
        return heard
