"""The flight recorder: committed before it is acknowledged, whole after a crash, loud when the disk fails."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.driver import Message, load_driver
from drivers.wire.blocks import Block, Receiver
from drivers.wire.lis1a import frame
from middleware import journal_file
from middleware.journal import Entry, Journal, JournalError, JournalReader, Session

START = datetime(2026, 1, 30, 10, 0, tzinfo=UTC)
BODY = b"H|\\^&\rP|1\rL|1\r"


class Clock:
    """A second later each time it is asked."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal.open(path, now=Clock())
    yield opened
    opened.close()


def store(journal: Journal, body: bytes = BODY, analyzer: str = "xn") -> tuple[Session, Message]:
    """One session with one message, whole."""
    session = journal.session(analyzer, "LIS2-A2", "127.0.0.1:1")
    journal.later(session, b"\x05", "ENQ")
    message = journal.message(session, body)
    journal.append(session, frame(1, body, True), "frame 1", frame=True, messages=(message,))
    journal.later(session, b"\x04", "EOT", said=b"\x06", ends="eot")
    return session, message


def test_what_is_appended_is_on_disk_when_append_returns(journal: Journal, path: Path) -> None:
    session = journal.session("xn", "LIS2-A2")
    journal.append(session, b"\x05", "ENQ")
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT data, note FROM chunk").fetchall() == [(b"\x05", "ENQ")]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("PRAGMA user_version").fetchone() == (journal_file.VERSION,)
    other.close()


def test_the_writer_syncs_each_commit(path: Path) -> None:
    conn = journal_file.connect(path, make=True)
    assert conn.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: every commit is an fsync"
    conn.close()


def test_a_message_comes_back_as_it_was(journal: Journal, path: Path) -> None:
    session, message = store(journal)
    reader = JournalReader(path)
    assert reader.message(message.id) == message
    (stored,) = reader.messages()
    assert (stored.id, stored.analyzer, stored.received_at) == (message.id, "xn", message.received_at)
    assert (stored.protocol, stored.incomplete, stored.size, stored.session_id) == (
        "LIS2-A2", False, len(BODY), session.id,
    )  # fmt: skip
    assert reader.to_message(stored) == message
    assert reader.message("nothing") is None


def test_both_directions_are_shown_in_order(journal: Journal, path: Path) -> None:
    session, message = store(journal)
    journal.mark_done()  # a commit, so that the EOT nobody waited for is written too
    raw = frame(1, BODY, True)
    expected = [("in", b"\x05", "ENQ"), ("in", raw, "frame 1"), ("out", b"\x06", ""), ("in", b"\x04", "EOT")]
    for of in (session.id, message.id):
        assert [(c.direction, c.data, c.note) for c in JournalReader(path).chunks(of)] == expected
    assert all(c.at.tzinfo is UTC for c in JournalReader(path).chunks(session.id))


def test_messages_are_listed_newest_first_and_filtered(journal: Journal, path: Path) -> None:
    stored = [store(journal, b"H|%d\rL|1\r" % n, "xn" if n % 2 else "xl")[1] for n in range(6)]
    reader, ids = JournalReader(path), [message.id for message in reversed(stored)]
    assert [m.id for m in reader.messages()] == ids
    assert [m.id for m in reader.messages(limit=2)] == ids[:2]
    assert [m.id for m in reader.messages(before=ids[3])] == ids[4:]
    assert [m.id for m in reader.messages(analyzer="xn")] == ids[::2]
    assert [m.id for m in reader.messages(text="H|3")] == [stored[3].id]
    middle = stored[2].received_at
    assert [m.id for m in reader.messages(since=middle)] == ids[:4]
    assert [m.id for m in reader.messages(until=middle)] == ids[4:]


def test_unprocessed_are_the_oldest_first_until_done(journal: Journal) -> None:
    stored = [store(journal)[1] for _ in range(3)]
    assert journal.unprocessed() == stored
    journal.mark_done(stored[0].id, stored[2].id)
    assert journal.unprocessed() == [stored[1]]


def test_a_journal_that_does_not_exist_is_empty(path: Path) -> None:
    reader = JournalReader(path)
    assert (reader.messages(), reader.message("x"), reader.chunks("x"), reader.chunks(1)) == ([], None, [], [])
    assert not path.exists()


def test_a_damaged_journal_is_no_empty_journal(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(JournalError, match="cannot be read"):
        JournalReader(path).messages()
    with pytest.raises(JournalError, match="cannot be used as the journal"):
        Journal.open(path)


def test_another_programs_database_and_a_later_schema_are_refused(path: Path) -> None:
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE other (id)")
    conn.close()
    with pytest.raises(JournalError, match="another program"):
        Journal.open(path)
    path.unlink()
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA user_version = 99")
    conn.close()
    with pytest.raises(JournalError, match="later version"):
        Journal.open(path)


def test_a_second_writer_is_refused(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalError, match="in use by another"):
        Journal.open(path)


# ---- many lines -------------------------------------------------------------------------------------------------


async def test_lines_that_wait_at_the_same_moment_share_a_commit(journal: Journal, path: Path) -> None:
    commits: list[int] = []
    journal._open().set_trace_callback(lambda sql: commits.append(1) if sql == "COMMIT" else None)

    async def line(number: int) -> None:
        session = journal.session(f"a{number}", "LIS2-A2")
        for step in range(10):
            await journal.append_async(session, b"%d" % step, "frame", frame=True)

    await asyncio.gather(*(line(number) for number in range(50)))
    reader = JournalReader(path)
    for number in range(1, 51):
        assert [chunk.data for chunk in reader.chunks(number)] == [b"%d" % step for step in range(10)]
    assert len(commits) < 250, "500 appends"


def test_threads_may_append_too(journal: Journal) -> None:
    threads = [threading.Thread(target=store, args=(journal,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.unprocessed()) == 8


def test_what_nobody_waits_for_is_written_at_close(path: Path) -> None:
    journal = Journal.open(path)
    session = journal.session("xn", "LIS2-A2")
    journal.later(session, b"\x05", "ENQ")
    journal.close()
    assert [chunk.data for chunk in JournalReader(path).chunks(session.id)] == [b"\x05"]


# ---- after a crash ----------------------------------------------------------------------------------------------


def test_recover_ends_what_a_crash_cut_off(path: Path) -> None:
    """A whole message is one already; what was acknowledged of the next becomes an incomplete message."""
    journal = Journal.open(path)
    session = journal.session("xn", "LIS2-A2")
    journal.append(session, b"\x05", "ENQ")
    whole = journal.message(session, BODY)
    journal.append(session, frame(1, BODY, True), "frame 1", frame=True, messages=(whole,))
    journal.append(session, frame(2, b"H|\\^&\rP|1\rO|1", False), "frame 2", frame=True)
    journal.append(session, b"\x02junk", "refused: wrong checksum")
    journal.append(session, frame(3, b"|S1\r", True), "frame 3", frame=True)
    journal.close()

    journal = Journal.open(path)
    (cut,) = journal.recover()
    assert (cut.analyzer, cut.body, cut.incomplete) == ("xn", b"H|\\^&\rP|1\rO|1|S1\r", True)
    assert journal.unprocessed() == [whole, cut]
    assert journal.recover() == []
    assert JournalReader(path).chunks(session.id)[-1].note == "restart"
    journal.close()


def test_recover_keeps_blocks_as_they_came(path: Path) -> None:
    """They are no frames of LIS01-A2: nothing of them is taken for a frame number or a checksum."""
    capture = Path(__file__).parents[1] / "captures/tosoh_hlc723/no_result_then_flagged_in_one_message.raw"
    tosoh = load_driver("tosoh_hlc723")
    assert tosoh.framing is not None
    came = [event.raw for event in Receiver(tosoh.framing).receive(capture.read_bytes()) if isinstance(event, Block)]
    journal = Journal.open(path)
    session = journal.session("g8", "blocks")
    for raw in came:
        journal.append(session, raw, "block", frame=True)
    journal.close()
    journal = Journal.open(path)
    (cut,) = journal.recover()
    assert (cut.body, cut.incomplete) == (b"".join(came), True)
    assert len(tosoh.decode(cut).observations) == 6
    journal.close()


def test_finish_makes_a_message_of_its_own(journal: Journal) -> None:
    message = journal.finish("xn", None, BODY, incomplete=False, at=START)
    assert (message.body, message.received_at, message.incomplete) == (BODY, START, False)
    assert journal.unprocessed() == [message]


# ---- the disk fails ---------------------------------------------------------------------------------------------


def locked(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_a_locked_journal_refuses_says_so_once_and_recovers(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_file, "BUSY", 0.05)
    journal = Journal.open(path)
    session = journal.session("xn", "LIS2-A2")
    other = locked(path)
    with caplog.at_level(logging.INFO, "labmitra.journal"):
        for _ in range(3):
            with pytest.raises(JournalError):
                await journal.append_async(session, b"lost", "frame 1", frame=True)
        assert journal.failing
        journal.later(session, b"\x05", "ENQ")
        other.execute("ROLLBACK")
        other.close()
        await journal.append_async(session, b"kept", "frame 1", frame=True)
    assert not journal.failing
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    journal.close()
    assert [c.data for c in JournalReader(path).chunks(session.id)] == [b"\x05", b"kept"]


def test_a_full_disk_refuses_and_recovers(journal: Journal, path: Path) -> None:
    store(journal)
    conn = journal._open()
    (pages,) = conn.execute("PRAGMA page_count").fetchone()
    conn.execute(f"PRAGMA max_page_count = {pages}")
    session = journal.session("xn", "LIS2-A2")
    with pytest.raises(JournalError, match="full"):
        journal.append(session, b"x" * 100_000, "frame 1", frame=True)
    journal.append(session, b"again", "frame 1", frame=True)  # a new connection has no such limit
    assert [c.data for c in JournalReader(path).chunks(session.id)] == [b"again"]


def test_a_journal_that_vanishes_refuses_until_it_is_back(journal: Journal, path: Path) -> None:
    """Writing on into a deleted file would acknowledge into nothing."""
    session, _ = store(journal)
    journal.mark_done()
    moved = path.with_suffix(".moved")
    journal._open().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.rename(moved)
    with pytest.raises(JournalError):
        journal.append(session, b"x", "frame 1", frame=True)
    assert not path.exists(), "nobody makes a new one meanwhile"
    moved.rename(path)
    store(journal)
    assert len(JournalReader(path).messages()) == 2


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be used as the journal"):
        Journal.open(tmp_path / "missing" / "journal.sqlite")


async def test_an_append_that_is_cancelled_before_its_commit_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(path)
    other, begun, write = locked(path), threading.Event(), journal._write

    def noted(batch: list[Entry]) -> None:
        begun.set()
        write(batch)

    monkeypatch.setattr(journal, "_write", noted)
    session = journal.session("xn", "LIS2-A2")
    first = asyncio.create_task(journal.append_async(session, b"1", "frame 1", frame=True))
    assert await asyncio.to_thread(begun.wait, 20), "the writer waits for the lock with this one in hand"
    second = asyncio.create_task(journal.append_async(session, b"2", "frame 2", frame=True))
    async with asyncio.timeout(20):
        while not journal.loop_side()._gathered:  # this one waits behind it
            await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    other.execute("ROLLBACK")
    other.close()
    await first
    await journal.append_async(session, b"3", "frame 3", frame=True)  # what was put before it would be written before
    journal.close()
    assert [c.data for c in JournalReader(path).chunks(session.id)] == [b"1", b"3"]
