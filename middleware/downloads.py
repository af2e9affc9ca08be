"""Orders on their way to one analyzer: a basket between the thread that reads the lab database and the line.

Turns messages to be sent into outcomes. Law: no I/O, no clock; a download is in one place at a time, so that no two
connections of an analyzer send the same; one that is taken and not told of stays pending in the lab database.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a download that was tried."""

    SENT = "sent"  # the analyzer took it
    REFUSED = "refused"  # it was understood and is not wanted: no use to send the same again
    FAILED = "failed"  # it did not get there: to be tried again later
    NOTHING = "nothing"  # its family cannot be told so: there was nothing to send


@dataclass(frozen=True, slots=True)
class Download:
    """What one tube's row tells one analyzer. `key` is the row, `content` what the analyzer knows once it was taken:
    catalogue test → [its code, the last result it was asked to replace]."""

    key: int
    messages: tuple[bytes, ...]
    content: Mapping[str, list[object]]


@dataclass(frozen=True, slots=True)
class Told:
    """A download with its outcome; `why` in words where it was not taken."""

    download: Download
    outcome: Outcome
    why: str = ""


class Basket:
    """One analyzer's downloads. Filled and emptied by a thread, used by the line on the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: deque[Download] = deque()
        self._out: dict[int, Download] = {}
        self._told: list[Told] = []
        self._woke = False

    @property
    def waiting(self) -> bool:
        """Is there anything to be sent? Cheap, to be asked often."""
        return bool(self._ready)

    def wake(self) -> None:
        """The analyzer connected, or said something: it is there, whatever failed before."""
        self._woke = True

    def woke(self) -> bool:
        """Did it say something since this was asked the last time?"""
        woke, self._woke = self._woke, False
        return woke

    def fill(self, downloads: Iterable[Download]) -> None:
        """These are to be sent, and nothing that was put here before; what is on its way is not put here again."""
        with self._lock:
            self._ready = deque(one for one in downloads if one.key not in self._out)

    def take(self) -> Download | None:
        """The next one, to be sent now; it is on its way until it is told of or given back."""
        with self._lock:
            if not self._ready:
                return None
            taken = self._ready.popleft()
            self._out[taken.key] = taken
            return taken

    def back(self, download: Download) -> None:
        """It was not sent, for no reason of its own: it stays pending."""
        with self._lock:
            self._out.pop(download.key, None)

    def tell(self, download: Download, outcome: Outcome, why: str = "") -> None:
        """What became of it; it is on its way until `outcomes` are fetched, for the database does not know yet."""
        with self._lock:
            self._told.append(Told(download, outcome, why))

    def outcomes(self) -> list[Told]:
        """What was told and not fetched yet. `settled` says when they are written."""
        with self._lock:
            return list(self._told)

    def settled(self, told: Iterable[Told]) -> None:
        """These are in the lab database now."""
        with self._lock:
            for one in told:
                self._told.remove(one)
                self._out.pop(one.download.key, None)
