"""A watched folder as a line: each complete file is journaled, handed on, then moved.

Turns files into stored messages. Law: a file is moved after its bytes and all its messages are committed, in one
commit; a crash in between finds it again and knows it by its messages' ids, so that the same file twice is one
result. A share that hangs hangs this line alone. No file name in logs: it may hold a patient's name.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any, TypeVar

from drivers.driver import Driver
from middleware import folder_files as files
from middleware.connection import Hooks
from middleware.folder_files import Changed, Looks, Stamp
from middleware.folder_place import place
from middleware.folder_take import Taken, shown, take, words
from middleware.journal import Journal, JournalError, JournalReader
from middleware.transports import Tell

POLL = 1.0  # seconds between two looks
HUNG = 30.0  # seconds until a share that does not answer is told of
PATIENCE = 60.0  # seconds that a file may be held by the program that writes it
NOTE = 300  # characters of what is wrong, kept with the bytes

T = TypeVar("T")


class Folder:
    """The folder of one analyzer."""

    def __init__(
        self, url: str, journal: Journal, analyzer: str, driver: Driver, hooks: Hooks, now: Callable[[], datetime],
        zone: tzinfo,
    ) -> None:  # fmt: skip
        """`zone` of the times told beside a file that failed. ValueError when the URL makes no sense."""
        self._place, self._journal, self._analyzer, self._driver = place(url), journal, analyzer, driver
        self._hooks, self._now, self._zone = hooks, now, zone
        self._looks = Looks(self._place)
        self._kept: dict[str, tuple[Stamp, str]] = {}  # committed, not moved yet, and what is wrong with it
        self._held: dict[str, float] = {}  # cannot be read, since when

    async def run(self, count: Callable[[int], None], tell: Tell) -> None:
        """Until cancelled. `count` is told +1 when the folder can be read, -1 when no more."""
        up, before = False, "not looked yet"
        try:
            while True:
                reachable, trouble = await self._look(tell)
                if reachable != up:
                    up = reachable
                    count(+1 if up else -1)
                if trouble:
                    tell("down", trouble)
                elif trouble != before:
                    tell("listening", str(self._place.folder))
                before = trouble
                await asyncio.sleep(POLL)
        finally:
            if up:
                count(-1)

    async def _look(self, tell: Tell) -> tuple[bool, str]:
        """Take what is complete. Can the folder be read, and what is wrong, "" when nothing."""
        looking = asyncio.ensure_future(_away(files.found_in, self._place))
        await asyncio.wait({looking}, timeout=HUNG)
        if not looking.done():
            tell("down", f"folder {self._place.folder} does not answer")
        try:
            seen, names = await looking
        except OSError as wrong:
            return False, f"folder {self._place.folder} cannot be read: {wrong.strerror or wrong}"
        clock, trouble = asyncio.get_running_loop().time(), ""
        for name, stamp in self._looks.complete(seen, names, clock):
            trouble = await self._file(name, stamp, clock) or trouble
        return True, trouble

    async def _file(self, name: str, stamp: Stamp, clock: float) -> str:
        """Store one file and put it away; what is wrong with the folder or the disk, "" when nothing."""
        try:
            if name not in self._kept or self._kept[name][0] != stamp:
                self._kept[name] = (stamp, await self._store(name, stamp, clock))
            await _away(files.put_away, self._place, name, stamp, self._kept[name][1], self._now())
        except JournalError:
            return "files wait: the journal cannot be written"
        except (Changed, FileNotFoundError):  # look again; a version that is committed stays committed
            self._forget(name)
            return ""
        except OSError as wrong:
            return f"a file cannot be read or moved: {os.strerror(wrong.errno or 0)}"
        self._forget(name)
        return ""

    def _forget(self, name: str) -> None:
        self._kept.pop(name, None)
        self._held.pop(name, None)

    async def _store(self, name: str, stamp: Stamp, clock: float) -> str:
        """Commit a file's bytes and messages, unless they are there; the text to lay beside it, "" when all is well."""
        when = f"{self._now().astimezone(self._zone):%Y-%m-%d %H:%M:%S}"
        try:
            data = await _away(files.read, self._place, name, stamp)
        except ValueError as wrong:
            return words(name, Taken((), (str(wrong),)), when)
        except OSError as wrong:
            if isinstance(wrong, FileNotFoundError) or clock - self._held.setdefault(name, clock) < PATIENCE:
                raise
            return words(name, Taken((), (f"the file cannot be read: {wrong.strerror}",)), when)
        taken = await _away(
            take, self._driver, self._analyzer, name, data, self._now(), self._place.open_end
        )  # fmt: skip
        if not taken.messages or not await _away(self._known, taken):
            await self._commit(name, data, taken)
        return words(name, taken, when)

    def _known(self, taken: Taken) -> bool:
        """All messages of a file are in one commit: one tells of all."""
        return JournalReader(self._journal.path).message(taken.messages[0].id) is not None

    async def _commit(self, name: str, data: bytes, taken: Taken) -> None:
        session = self._journal.session(self._analyzer, self._driver.speaks, f"file {shown(name)}")
        note = f"file: {'; '.join(taken.problems)}"[:NOTE] if taken.problems else "file"
        await self._journal.append_async(session, data, note, messages=taken.messages, ends="file")
        self._hooks.handshake()
        if taken.problems:
            self._hooks.refused(taken.problems[0])
        for message in taken.messages:
            self._hooks.message(message)


async def _away(function: Callable[..., T], *values: Any) -> T:
    """Call in a thread of its own that nobody waits for at the end: a share may hang for ever."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def call() -> None:
        outcome: tuple[T, ...] = ()
        wrong: Exception = RuntimeError(f"{function.__name__} failed")
        try:
            outcome = (function(*values),)
        except (OSError, ValueError, Changed, JournalError) as told:
            wrong = told
        finally:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, answer, outcome, wrong)

    threading.Thread(target=call, name="folder", daemon=True).start()
    return await answer


def _settle(answer: asyncio.Future[T], outcome: tuple[T, ...], wrong: Exception) -> None:
    if answer.done():
        return
    if outcome:
        answer.set_result(outcome[0])
    else:
        answer.set_exception(wrong)
