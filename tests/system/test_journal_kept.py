"""What the journal's writer owes: what is kept, what is dropped, in which order, told how often, belonging to what.

Written after single conditions of `middleware/journal*` had been turned round, for those that no test had noticed.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drivers.wire.lis1a import frame
from middleware import journal as journal_module
from middleware import journal_file, journal_loop
from middleware.journal import Entry, Journal, JournalError, JournalReader
from tests.system.test_journal_loop import HangingJournal

BODY = b"H|\\^&\rP|1\rL|1\r"
HALF = frame(1, b"H|\\^&|||X^1\rP|1\r", True)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(query).fetchall()


def kept(path: Path) -> list[bytes]:
    return [bytes(data) for (data,) in rows(path, "SELECT data FROM chunk ORDER BY id")]


def soon(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ---- while the disk fails -----------------------------------------------------------------------------------------


def test_what_nobody_waits_for_is_written_in_its_order_when_the_disk_is_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for large things, of which there might be many: memory is bounded."""
    monkeypatch.setattr(journal_file, "BUSY", 0.02)
    journal = Journal.open(path)
    session = journal.session("xn", "LIS2-A2")
    journal.append(session, b"0", "")
    tries, write = list[int](), journal._write

    def noted(batch: list[Entry]) -> None:
        tries.append(len(batch))
        write(batch)

    monkeypatch.setattr(journal, "_write", noted)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for data in (b"1", b"2", b"3"):
            journal.later(session, data, "")
        soon(lambda: journal.failing)
        journal.later(session, b"x" * (journal_module.LARGE + 1), "")
        journal.later(session, b"4", "")
        before = len(tries)
        soon(lambda: len(tries) > before + 1)  # it is tried again meanwhile, and stays in order
    soon(lambda: not journal.failing)
    journal.append(session, b"5", "")
    journal.close()
    assert kept(path) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_what_was_given_up_while_the_writer_hung_is_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = HangingJournal.open(path)
    session = journal.session("xn", "LIS2-A2")
    journal.answers.clear()
    first = threading.Thread(target=journal.append, args=(session, b"in the writer's hand", ""))
    first.start()
    journal.hangs.wait()
    monkeypatch.setattr(journal_module, "PATIENCE", 0.05)
    with pytest.raises(JournalError, match="does not answer"):
        journal.append(session, b"given up", "")
    journal.answers.set()
    first.join()
    journal.append(session, b"next", "")
    journal.close()
    assert kept(path) == [b"in the writer's hand", b"next"]


def test_a_commit_of_nothing_does_not_say_that_the_disk_is_back(path: Path) -> None:
    journal = Journal.open(path)
    journal.close()
    journal.failing = True
    entry = Entry(journal.session("xn", "LIS2-A2"))
    entry.given_up = True
    assert journal._commit([entry])
    assert journal.failing


async def test_who_was_told_that_the_disk_does_not_answer_is_told_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the one in the writer's hand nor those behind it: a NAK is not followed by an ACK. What nobody waits for
    is kept, once."""
    monkeypatch.setattr(journal_loop, "PATIENCE", 0.05)
    monkeypatch.setattr(journal_loop, "LOOK", 0.01)
    journal = HangingJournal.open(path)
    session = journal.session("xn", "LIS2-A2")
    told: list[tuple[bytes, str | None]] = []

    def tell(entry: Entry, wrong: str | None) -> None:
        told.append((bytes(entry.data), wrong))

    side = journal.loop_side()
    journal.answers.clear()
    side.put(Entry(session, 1, b"in hand", then=tell))
    await asyncio.to_thread(journal.hangs.wait)
    side.put(Entry(session, 2, b"behind", then=tell))
    side.later(Entry(session, 3, b"nobody waits"))
    async with asyncio.timeout(20):
        while len(told) < 2:
            await asyncio.sleep(0.01)
    monkeypatch.setattr(journal_loop, "PATIENCE", 10.0)
    journal.answers.set()
    await journal.append_async(session, b"next", "")
    await asyncio.sleep(0.05)
    journal.close()
    assert sorted(told) == [(b"behind", "the disk does not answer"), (b"in hand", "the disk does not answer")]
    assert sorted(kept(path)) == [b"in hand", b"next", b"nobody waits"]


# ---- what belongs to what ------------------------------------------------------------------------------------------


def test_a_message_knows_the_rows_it_was_made_of(path: Path) -> None:
    """Of two lines side by side, and of two messages of one conversation."""
    journal = Journal.open(path)
    one, other = journal.session("xn", "LIS2-A2"), journal.session("xl", "LIS2-A2")
    for session in (one, other):
        journal.append(session, b"first half", "", frame=True)
    for session in (other, one, one):
        journal.append(session, b"end", "", frame=True, messages=[journal.message(session, BODY)])
    journal.close()
    found = rows(path, "SELECT analyzer, first_chunk, last_chunk FROM message ORDER BY number")
    assert found == [("xl", 2, 3), ("xn", 1, 4), ("xn", 5, 5)]


def test_a_crash_of_two_lines_keeps_the_half_message_of_each(path: Path) -> None:
    """What one line completed says nothing of the other."""
    journal = Journal.open(path)
    half, whole = journal.session("xn", "LIS2-A2"), journal.session("xl", "LIS2-A2")
    journal.append(half, HALF, "", frame=True)
    made = journal.message(whole, BODY)
    journal.append(whole, frame(1, BODY, True), "", frame=True, messages=[made])
    journal.close()
    journal = Journal.open(path)
    assert [(m.analyzer, m.body) for m in journal.recover()] == [("xn", b"H|\\^&|||X^1\rP|1\r")]
    journal.close()


def test_a_conversation_that_outlives_its_file_begins_again_in_the_one_put_back(path: Path) -> None:
    """Somebody put yesterday's copy back: the rows that follow are not nobody's."""
    journal = Journal.open(path)
    before = journal.session("xn", "LIS2-A2")
    journal.append(before, b"yesterday", "", ends="eot")
    copy = path.with_name("copy")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    session = journal.session("xn", "LIS2-A2")
    journal.append(session, b"today", "")
    copy.replace(path)
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    journal.append(session, b"afterwards", "")
    journal.close()
    assert [chunk.data for chunk in JournalReader(path).chunks(session.id)] == [b"afterwards"]


def test_numbers_of_a_file_that_was_put_in_place_are_not_given_again(path: Path) -> None:
    """The journal that is put back knows more conversations than the one that was written since."""
    with closing(Journal.open(path)) as longer:
        for number in range(1, 6):
            longer.append(longer.session("xl", "LIS2-A2"), b"%d" % number, "", ends="eot")
    path.rename(path.with_name("longer"))
    journal = Journal.open(path)
    begun = journal.session("xn", "LIS2-A2")
    journal.append(begun, b"before", "")
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    path.with_name("longer").replace(path)
    made = journal.session("xn", "LIS2-A2")
    journal.append(begun, b"begun", "")
    journal.append(made, b"made", "", ends="eot")
    after = journal.session("xn", "LIS2-A2")
    journal.append(after, b"after", "", ends="eot")
    journal.close()
    reader = JournalReader(path)
    assert [[chunk.data for chunk in reader.chunks(n)] for n in range(1, 6)] == [[b"%d" % n] for n in range(1, 6)]
    new = [begun.id, made.id, after.id]
    assert min(new) > 5 and [reader.chunks(n)[0].data for n in new] == [b"begun", b"made", b"after"]
