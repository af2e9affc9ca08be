"""The loop of every asynchronous test here: its clock stands still while the machine does.

A line and its analyzer share one loop, each with its own short timers. Where the whole process is stopped for a while
(a busy machine, a virtual one that sleeps) their order would come out by chance: all that fell due meanwhile is due at
once. Law: time passes where the loop waits for it, as long as it meant to wait; what a turn takes counts a little.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

TURN = 0.01  # seconds: what one turn of the loop counts at most, so that a loop that never waits gets on too


class Waits(selectors.DefaultSelector):
    """Counts the time that was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._passed, self._left = 0.0, time.monotonic()

    def time(self) -> float:
        """Seconds that count, since it was made."""
        return self._passed + min(time.monotonic() - self._left, TURN)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._passed, began = self.time(), time.monotonic()
        ready = super().select(timeout)
        self._left = time.monotonic()
        waited = self._left - began
        self._passed += waited if timeout is None else min(waited, max(timeout, 0.0))
        return ready


class Steady(asyncio.SelectorEventLoop):
    """A loop on such a clock."""

    def __init__(self) -> None:
        self._waits = Waits()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.time()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Steady]]:
    """For all of this folder."""
    return {"steady": Steady}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's journal is."""
    return tmp_path / "journal.sqlite"
