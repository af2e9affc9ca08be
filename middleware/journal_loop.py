"""The event loop's side of the journal: what its lines put in one turn of the loop goes to the writer together.

Turns puts into batches, and commits into calls. Law: an entry is told exactly once: committed, or not; one that waits
longer than PATIENCE is given up and never written if the writer has not begun it. No thread is woken and no timer made
for one entry: once for all that one turn of the loop has read.
Source: LIS01-A2 6.5.2.3 (the analyzer waits 15 s for its answer).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from drivers.driver import Message

PATIENCE = 10.0  # seconds an entry waits for its commit; the analyzer waits 15 (6.5.2.3)
LOOK = 1.0  # seconds between two looks for entries that have waited too long


@dataclass(eq=False, slots=True)
class Session:
    """One conversation: ENQ … EOT, one MLLP block and its answer, or a stretch of noise. Its row is written with its
    first entry; `opening` tells for which opening of the file that was, `mark` where its next message begins."""

    id: int
    analyzer: str
    protocol: str
    peer: str
    opening: int = 0
    mark: int = 0


Then = Callable[["Entry", "str | None"], None]
"""Called on the loop with what was put: None when it is committed, or why it is not."""


class Entry:
    """One row to write. `said` is what we sent since the entry before; `then` is told, or `waiter` of a thread."""

    __slots__ = (
        "at", "data", "done", "ends", "frame", "given_up", "messages", "note", "said", "said_at", "session", "side",
        "then", "waiter",
    )  # fmt: skip

    def __init__(
        self, session: Session | None, at: int = 0, data: bytes = b"", note: str = "", frame: bool = False,
        said: bytes = b"", said_at: int | None = None, messages: Sequence[Message] = (), ends: str = "",
        then: Then | None = None,
    ) -> None:  # fmt: skip
        """`at` and `said_at`: microseconds since 1970."""
        self.session, self.at, self.data, self.note, self.frame = session, at, data, note, frame
        self.said, self.said_at, self.messages, self.ends, self.then = said, said_at, messages, ends, then
        self.done: Sequence[str] = ()
        self.given_up = False  # told already: write it no more
        self.side: LoopSide | None = None
        self.waiter: Future[None] | None = None


class LoopSide:
    """One event loop's entries. All but `tell` is called on that loop."""

    def __init__(
        self, hand_over: Callable[[list[Entry]], None], keep: Callable[[Entry], None], silent: Callable[[], None]
    ) -> None:
        """`hand_over` gives a batch to the writer's thread; `keep` an entry that no one waits for; `silent` is called
        when an entry has waited too long."""
        self._loop = asyncio.get_running_loop()
        self._hand_over, self._keep, self._silent = hand_over, keep, silent
        self._gathered: list[Entry] = []
        self._waiting: deque[tuple[float, list[Entry]]] = deque()
        self._look: asyncio.TimerHandle | None = None

    def put(self, entry: Entry) -> None:
        """To be committed with what else this turn of the loop puts; then `entry.then` is called."""
        entry.side = self
        if not self._gathered:
            self._loop.call_soon(self._release)
        self._gathered.append(entry)

    def later(self, entry: Entry) -> None:
        """To be written with the next commit, after all that was put before it."""
        if self._gathered:
            self._gathered.append(entry)
        else:
            self._keep(entry)

    def give_up(self, entry: Entry, why: str = "the disk does not answer") -> None:
        """Tell it now, if it waits still; not to be written, if that is not too late."""
        if not entry.given_up:
            entry.given_up = True
            if entry.then is not None:
                entry.then(entry, why)

    def tell(self, entries: list[Entry], wrong: str | None) -> None:
        """From the writer's thread: these are committed, or why not."""
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(self._settle, entries, wrong)

    def _release(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._waiting.append((self._loop.time() + PATIENCE, gathered))
        if self._look is None:
            self._look = self._loop.call_later(LOOK, self._overdue)
        self._hand_over(gathered)

    def _settle(self, entries: list[Entry], wrong: str | None) -> None:
        for entry in entries:
            if not entry.given_up:
                entry.given_up = True
                if entry.then is not None:
                    entry.then(entry, wrong)
        self._forget()

    def _forget(self) -> None:
        waiting = self._waiting
        while waiting and all(entry.given_up or entry.side is None for entry in waiting[0][1]):
            waiting.popleft()

    def _overdue(self) -> None:
        now = self._loop.time()
        for deadline, entries in list(self._waiting):
            if deadline > now:
                break
            for entry in entries:
                if entry.side is not None and not entry.given_up:
                    self._silent()
                    self.give_up(entry)
        self._forget()
        self._look = self._loop.call_later(LOOK, self._overdue) if self._waiting else None
