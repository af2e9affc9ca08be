"""How lines share the writer: one commit for what comes together, patience with a disk that hangs, rows in order."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.wire.blocks import xor_byte
from drivers.wire.lis1a import frame
from middleware import connection, journal_file, journal_loop, transports
from middleware.journal import Entry, Journal, JournalError, JournalReader
from tests.system import line_kit
from tests.system.line_kit import ACK, ENQ, EOT, NAK, analyzer, running

LISTEN = "tcp-listen://127.0.0.1:0"
HALF = frame(1, b"H|\\^&|||X^1\rP|1\r", True)


class HangingJournal(Journal):
    """Its disk can be made to hang."""

    def __init__(self, *values: Any) -> None:
        self.answers, self.hangs = threading.Event(), threading.Event()
        self.answers.set()
        super().__init__(*values)

    def _write(self, batch: list[Entry]) -> None:
        if not self.answers.is_set():
            self.hangs.set()
        self.answers.wait()
        super()._write(batch)


def kept(path: Path) -> list[bytes]:
    conn = sqlite3.connect(path)
    rows = [bytes(data) for (data,) in conn.execute("SELECT data FROM chunk ORDER BY id")]
    conn.close()
    return rows


async def test_what_one_turn_of_the_loop_puts_is_one_commit(path: Path) -> None:
    journal, commits = Journal.open(path), []
    journal._open().set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    sessions = [journal.session(f"a{number}", "LIS2-A2") for number in range(50)]
    await asyncio.gather(*(journal.append_async(session, b"1", "frame 1", frame=True) for session in sessions))
    assert len(commits) == 1
    journal.close()


async def test_lines_that_were_just_told_share_the_next_commit_too(path: Path) -> None:
    """Twenty lines that each send on at once, begun at two moments: not two halves that take turns."""
    journal, commits = Journal.open(path), []
    journal._open().set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    async def line(number: int) -> None:
        session = journal.session(f"a{number}", "LIS2-A2")
        if number % 2:
            await asyncio.sleep(0)
        for _ in range(10):
            await journal.append_async(session, b"1", "frame 1", frame=True)

    await asyncio.gather(*(line(number) for number in range(20)))
    assert len(commits) <= 15, "200 appends, ten for each line"
    journal.close()


async def test_a_disk_that_hangs_is_not_waited_for_and_what_was_refused_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LIS01-A2 6.5.2.3: the analyzer hears NAK before its 15 seconds are over, those behind the first one too."""
    patient = journal_loop.PATIENCE
    monkeypatch.setattr(journal_loop, "PATIENCE", 0.05)
    monkeypatch.setattr(journal_loop, "LOOK", 0.01)
    journal = HangingJournal.open(path)
    first, second = journal.session("a", "LIS2-A2"), journal.session("b", "LIS2-A2")
    journal.answers.clear()
    stuck = asyncio.create_task(journal.append_async(first, b"in the writer's hand", "frame 1", frame=True))
    await asyncio.to_thread(journal.hangs.wait)
    for _ in range(2):
        with pytest.raises(JournalError, match="does not answer"):
            await journal.append_async(second, b"refused", "frame 1", frame=True)
    with pytest.raises(JournalError, match="does not answer"):
        await stuck
    monkeypatch.setattr(journal_loop, "PATIENCE", patient)
    journal.answers.set()
    await journal.append_async(second, b"sent again", "frame 1", frame=True)
    journal.close()
    assert kept(path) == [b"in the writer's hand", b"sent again"]


async def test_a_frame_stored_too_late_and_sent_again_is_one(path: Path) -> None:
    journal = Journal.open(path)
    session = journal.session("xn", "LIS2-A2")
    for raw in (HALF, HALF, frame(2, b"O|1|S1\r", True)):  # the first was refused, for the disk had hung
        await journal.append_async(session, raw, "frame", frame=True)
    journal.close()
    journal = Journal.open(path)
    assert [message.body for message in journal.recover()] == [b"H|\\^&|||X^1\rP|1\rO|1|S1\r"]
    journal.close()


async def test_rows_of_a_line_stand_in_the_order_of_its_bytes(path: Path) -> None:
    """Half a message, its EOT and the next ENQ in one piece: the end waits for a commit, the ENQ for none."""
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) + await far.ask(HALF) + await far.ask(EOT + ENQ) == ACK * 3
        assert await far.ask(HALF) == ACK
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert kept(path) == [ENQ, HALF, EOT, ENQ, HALF, b""]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def stored(path: Path) -> list[tuple[bytes, bool]]:
    """Every message in the order they came: what it holds, and whether it is incomplete."""
    return [(message.body, message.incomplete) for message in JournalReader(path).unprocessed()]


@pytest.mark.parametrize("how", ["eot", "closed"])
async def test_an_end_that_could_not_be_stored_comes_as_soon_as_the_disk_does(
    how: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was acknowledged becomes an incomplete message, without a restart, and once."""
    monkeypatch.setattr(journal_file, "BUSY", 0.02)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) + await far.ask(HALF) == ACK * 2
        with locked(path):
            if how == "eot":
                far.writer.write(EOT)
            else:
                await far.close()
            await lines.until(lambda: lines.journal.failing)
        await lines.until(lambda: bool(stored(path)))
        await far.close()
    assert stored(path) == [(b"H|\\^&|||X^1\rP|1\r", True)]
    journal = Journal.open(path)
    assert journal.recover() == []
    journal.close()


async def test_an_end_that_came_through_after_all_is_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk hung, and wrote what was given up."""
    monkeypatch.setattr(line_kit, "Journal", HangingJournal)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        journal = lines.journal
        assert isinstance(journal, HangingJournal)
        far = await lines.connect("xn")
        assert await far.ask(ENQ) + await far.ask(HALF) == ACK * 2
        with monkeypatch.context() as impatient:  # only while it hangs: a slow disk is another test's
            impatient.setattr(journal_loop, "PATIENCE", 0.1)
            impatient.setattr(journal_loop, "LOOK", 0.02)
            journal.answers.clear()
            far.writer.write(EOT)
            await lines.until(lambda: journal.failing)
        journal.answers.set()
        await lines.until(lambda: not journal.failing)
        assert await far.ask(ENQ) + await far.ask(HALF) == ACK * 2
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert stored(path) == [(b"H|\\^&|||X^1\rP|1\r", True)] * 2, "that of the other session beside it"


async def test_an_end_that_could_not_be_stored_is_found_at_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was not back before the program ended."""
    monkeypatch.setattr(journal_file, "BUSY", 0.02)
    with ExitStack() as until_the_end:
        async with running(path, analyzer("xn", LISTEN)) as lines:
            far = await lines.connect("xn")
            assert await far.ask(ENQ) + await far.ask(HALF) == ACK * 2
            until_the_end.enter_context(locked(path))
            far.writer.write(EOT)
            await lines.until(lambda: lines.journal.failing)
            assert await far.ask(ENQ) == NAK
            await far.close()
            await lines.until(lambda: not lines.states["xn"].connected)
            assert lines.messages == []
    journal = Journal.open(path)
    assert [(m.body, m.incomplete) for m in journal.recover()] == [(b"H|\\^&|||X^1\rP|1\r", True)]
    assert JournalReader(path).chunks(1)[-1].note == "restart"
    journal.close()


async def test_blocks_whose_end_could_not_be_stored_are_a_message_of_their_own(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the first half of the next one: that is another sample's."""
    monkeypatch.setattr(journal_file, "BUSY", 0.02)
    first, second = (b"\x02" + text + b"\x03" + xor_byte(text + b"\x03") for text in (b"8one", b"8two"))
    async with running(path, analyzer("g8", LISTEN, "tosoh_hlc723")) as lines:
        far = await lines.connect("g8")
        assert await far.ask(first) == ACK
        with locked(path):
            far.writer.write(EOT)
            await lines.until(lambda: lines.journal.failing)
            assert await far.ask(second) == NAK
        await lines.until(lambda: bool(stored(path)))
        assert await far.ask(second) == ACK
        far.writer.write(EOT)
        await lines.until(lambda: len(lines.messages) == 1)
        await far.close()
    assert stored(path) == [(first, False), (second, False)]


async def test_reading_stops_while_a_commit_hangs_and_goes_on_after_it(path: Path) -> None:
    """A mad sender cannot fill the memory; what it sent is not lost."""
    said: list[bytes] = []

    class Far(asyncio.Transport):
        reading = True

        def write(self, data: bytes) -> None:
            said.append(data)

        def get_write_buffer_size(self) -> int:
            return 0

        def is_closing(self) -> bool:
            return False

        def close(self) -> None:
            self.reading = False

        def pause_reading(self) -> None:
            self.reading = False

        def resume_reading(self) -> None:
            self.reading = True

    journal, far, wire = HangingJournal.open(path), Far(), transports.Wire()
    wire.connection_made(far)
    hooks = connection.Hooks(lambda _message: None, lambda: None, lambda _why: None)
    task = asyncio.create_task(connection.AstmConnection(wire, journal, "xn", hooks).run())
    await asyncio.sleep(0)
    wire.data_received(ENQ)
    journal.answers.clear()
    wire.data_received(HALF)
    wire.data_received(b"\x80" * (transports.FULL + 1))
    assert (said, far.reading) == ([ACK], False)
    journal.answers.set()
    async with asyncio.timeout(20):
        while not far.reading:
            await asyncio.sleep(0.001)
    assert said == [ACK, ACK]
    wire.connection_lost(None)
    await task
    journal.close()


async def sixteen_lines_speak(journal: Journal) -> list[journal_loop.Session]:
    """One frame of each, one after the other: many lines whose frames come singly."""
    sessions = [journal.session(f"a{number}", "LIS2-A2") for number in range(16)]
    for session in sessions:
        await journal.append_async(session, b"1", "frame 1", frame=True)
    return sessions


async def test_many_slow_lines_share_a_sync_that_none_of_them_is_in_a_hurry_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, commits = Journal.open(path), []
    sessions = await sixteen_lines_speak(journal)
    monkeypatch.setattr(journal_loop, "SPREAD", 60.0)
    await journal.append_async(sessions[0], b"2", "frame 2", frame=True)  # from here on it is 60 s
    await asyncio.sleep(2 * journal_loop.PROMPT)  # their wires are slow
    journal._open().set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    few = sessions[: journal_loop.FEW]
    tasks = []
    for session in few:  # not in one turn of the loop
        tasks.append(asyncio.create_task(journal.append_async(session, b"3", "frame 3", frame=True)))
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    assert len(commits) == 1
    journal.close()


async def test_a_line_that_sends_on_at_once_does_not_wait_for_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(path)
    sessions = await sixteen_lines_speak(journal)
    monkeypatch.setattr(journal_loop, "SPREAD", 60.0)
    monkeypatch.setattr(journal_loop, "PROMPT", 30.0)
    async with asyncio.timeout(20):
        for number in range(3):
            await journal.append_async(sessions[3], b"2", f"frame {number}", frame=True)
    journal.close()
