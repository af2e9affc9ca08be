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
from time import monotonic
from typing import Any

from drivers.driver import Message

PATIENCE = 10.0  # seconds an entry waits for its commit; the analyzer waits 15 (6.5.2.3)
LOOK = 1.0  # seconds between two looks for entries that have waited too long
LONGEST = 0.005  # seconds that a batch may wait for company, and half of what the last commit took
COARSE = 0.001  # seconds: uvloop's timers count these
MANY, FEW, SPREAD = 12, 4, 0.003  # more lines than MANY whose frames come singly: FEW of them, or what SPREAD s bring
PROMPT = 0.004  # seconds: a line whose next frame comes so soon after its acknowledgement is waiting for us


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
    told_at: float = 0.0  # when the loop was last told of a commit; monotonic seconds


Then = Callable[["Entry", "str | None"], None]
"""Called on the loop with what was put: None when it is committed, or why it is not."""


class Entry:
    """One row to write. `said` is what we sent since the entry before; `then` is told on the loop of `side`."""

    __slots__ = (
        "at", "data", "ends", "frame", "given_up", "messages", "note", "said", "said_at", "session", "side", "then",
    )  # fmt: skip
    done: Sequence[str] = ()
    undone = False
    waiter: Future[None] | None = None

    def __init__(
        self, session: Session | None, at: int = 0, data: bytes = b"", note: str = "", frame: bool = False,
        said: bytes = b"", said_at: int = 0, messages: Sequence[Message] = (), ends: str = "",
        then: Then | None = None,
    ) -> None:  # fmt: skip
        """`at` and `said_at`: microseconds since 1970."""
        self.session, self.at, self.data, self.note, self.frame = session, at, data, note, frame
        self.said, self.said_at, self.messages, self.ends, self.then = said, said_at, messages, ends, then
        self.given_up = False  # told already, or nobody waits: write it no more
        self.side: LoopSide | None = None


class ThreadEntry(Entry):
    """One that a thread waits for. `done`: ids of messages that the pipeline has done (`undone`: has to do again)."""

    __slots__ = ("done", "undone", "waiter")

    def __init__(
        self, session: Session | None, *, done: Sequence[str] = (), undone: bool = False, **values: Any
    ) -> None:
        """`values`: as of Entry."""
        super().__init__(session, **values)
        self.done, self.undone = done, undone
        self.waiter: Future[None] | None = Future()


class LoopSide:
    """One event loop's entries. All but `tell` is called on that loop.

    One batch is with the writer at a time. Lines that were just acknowledged send their next frame at once: the next
    batch waits for them a little, so that all lines share one commit instead of two halves taking turns. When many
    slow lines send frames one by one, a sync for each would take half a processor: there is one every 3 ms then. A line
    that is alone never waits, nor one that sends its next frame at once."""

    def __init__(
        self, hand_over: Callable[[list[Entry]], None], keep: Callable[[Entry], None], silent: Callable[[], None]
    ) -> None:
        """`hand_over` gives a batch to the writer's thread; `keep` an entry that no one waits for; `silent` is called
        when an entry has waited too long."""
        self._loop = asyncio.get_running_loop()
        self._hand_over, self._keep, self._silent = hand_over, keep, silent
        self._gathered: list[Entry] = []
        self._ticking = False
        self._flying = 0  # entries with the writer
        self._wanted = 0  # entries that are worth waiting for
        self._spread = False  # and only to save syncs: not when somebody waits for us
        self._seen = 0  # entries at the last tick
        self._handed_at = self._told_at = self._hold_until = 0.0
        self._lately: deque[int] = deque(maxlen=16)  # sessions of the last entries
        self._waiting: deque[tuple[float, list[Entry]]] = deque()
        self._look: asyncio.TimerHandle | None = None

    def put(self, entry: Entry) -> None:
        """To be committed with what else the lines put at this time; then `entry.then` is called."""
        entry.side = self
        gathered = self._gathered
        if not gathered:
            self._waiting.append((monotonic() + PATIENCE, gathered))
            if self._look is None:
                self._look = self._loop.call_later(LOOK, self._overdue)
        gathered.append(entry)
        if self._spread and entry.session is not None and monotonic() < entry.session.told_at + PROMPT:
            self._spread, self._wanted = False, 0
        if not self._ticking and not self._flying:
            self._ticking = True
            self._loop.call_soon(self._tick)

    def later(self, entry: Entry) -> None:
        """To be written with the next commit, after all that was put before it."""
        if self._gathered:
            self._gathered.append(entry)
        else:
            self._keep(entry)

    def tell(self, entries: list[Entry], wrong: str | None) -> None:
        """From the writer's thread: these are committed, or why not."""
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(self._settle, entries, wrong)

    def _tick(self) -> None:
        """At the end of a turn of the loop: hand over, or wait another turn for company."""
        count = len(self._gathered)
        if count < self._wanted:
            now, fresh, self._seen = monotonic(), count != self._seen, count
            if now < self._hold_until or (fresh and now < self._told_at + LONGEST):
                if self._hold_until - now > COARSE:
                    self._loop.call_later(COARSE, self._tick)
                else:
                    self._loop.call_soon(self._tick)
                return
        self._ticking = False
        gathered, self._gathered = self._gathered, []
        self._flying = sum(entry.side is not None for entry in gathered)
        self._handed_at = monotonic()
        self._hand_over(gathered)

    def _settle(self, entries: list[Entry], wrong: str | None) -> None:
        self._wanted = len(entries) + len(self._gathered)
        self._flying -= len(entries)
        now = monotonic()
        for entry in entries:
            if entry.session is not None:
                entry.session.told_at = now
            if not entry.given_up:
                entry.given_up = True
                if entry.then is not None:
                    entry.then(entry, wrong)
        self._forget()
        if self._flying <= 0:
            self._seen, self._told_at = 0, monotonic()
            self._hold_until = self._told_at + min((self._told_at - self._handed_at) / 2, LONGEST)
            self._lately += [entry.session.id for entry in entries[:FEW] if entry.session is not None]
            self._spread = self._wanted < FEW and len(set(self._lately)) > MANY
            if self._spread:
                self._wanted, self._hold_until = FEW, self._told_at + SPREAD
            if self._gathered and not self._ticking:
                self._ticking = True
                self._loop.call_soon(self._tick)

    def _forget(self) -> None:
        waiting = self._waiting
        while waiting and all(entry.given_up or entry.side is None for entry in waiting[0][1]):
            if waiting[0][1] is self._gathered:
                break
            waiting.popleft()

    def _overdue(self) -> None:
        now = monotonic()
        for deadline, entries in list(self._waiting):
            if deadline > now:
                break
            if entries is self._gathered:  # what is put from now on has a patience of its own
                self._gathered = []
                for entry in entries:
                    if entry.side is None:
                        self._keep(entry)
            for entry in entries:
                if entry.side is not None and not entry.given_up:
                    self._silent()
                    entry.given_up = True
                    if entry.then is not None:
                        entry.then(entry, "the disk does not answer")
        self._forget()
        self._look = self._loop.call_later(LOOK, self._overdue) if self._waiting else None
