"""How much of its nonsense a line may leave in the journal: so much an hour, however often it connects anew.

Turns sizes of what is kept into yes or no. Law: pure but for the clock it is given; bounds the disk, never what is
answered. Nobody must be able to fill the disk that acknowledging depends on: 256 KiB an hour are 6 MB a day of a line.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MOST = 262_144  # bytes in PERIOD
PERIOD = 3600.0  # seconds
ROW = 100  # bytes that a row takes beside what it holds, about


class Allowance:
    """One line's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._clock, self._spent, self._until = clock, 0, clock() + PERIOD

    def left(self) -> bool:
        """May anything more be kept now?"""
        if self._clock() >= self._until:
            self._spent, self._until = 0, self._clock() + PERIOD
        return self._spent < MOST

    def spend(self, size: int) -> None:
        """A row with so many bytes is kept."""
        self._spent += size + ROW
