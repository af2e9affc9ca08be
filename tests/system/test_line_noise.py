"""Bytes that make no sense: what they are is named, once, and they fill neither disk nor memory."""

from __future__ import annotations

import asyncio
import logging
import os
import pty
import random
import sqlite3
import tty
from contextlib import closing
from pathlib import Path

import pytest

from drivers.wire import lis1a, mllp
from middleware import allowance, recorder, transports
from middleware.garbage import BAUD, HL7_HERE
from tests.system.line_kit import (
    ACK,
    ENQ,
    EOT,
    LISTEN,
    MESSAGE,
    ORU,
    PATIENCE,
    analyzer,
    quick,
    running,
    whole,
)

FRAMES = lis1a.frames(MESSAGE, one_record_a_frame=True)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


@pytest.fixture
def cable():
    """A pty: the file of the analyzer's end, and the path of ours."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


async def say(file: int, data: bytes) -> bytes:
    os.write(file, data)
    return await asyncio.wait_for(asyncio.to_thread(os.read, file, 1), PATIENCE)


async def test_a_wrong_baud_rate_is_named_once_until_it_is_put_right(
    path: Path, cable: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Even parity read as none: the ENQ comes through, and nothing after it."""
    caplog.set_level(logging.INFO, "labmitra.line")
    file, port = cable
    parity = bytes(byte | (byte.bit_count() % 2) << 7 for byte in b"".join(FRAMES))
    async with running(path, analyzer("xl", f"serial:{port}")) as lines:
        await lines.until(lambda: "xl" in lines.states and lines.states["xl"].connected)
        assert await say(file, ENQ) == ACK
        for _ in range(5):
            os.write(file, parity)
        await lines.until(lambda: lines.states["xl"].garbage == BAUD)
        assert lines.states["xl"].trouble == BAUD
        assert await say(file, EOT + ENQ) == ACK
        assert await say(file, lis1a.frames(MESSAGE)[0]) == ACK
        await lines.until(lambda: len(lines.messages) == 1 and not lines.states["xl"].garbage)
        assert lines.states["xl"].trouble == ""
    assert [r.getMessage() for r in caplog.records] == [f"xl: {BAUD}", "xl: bytes make sense again"]
    assert whole(lines) == [MESSAGE]


async def test_an_analyzer_of_another_language_is_named(path: Path) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        far.writer.write(mllp.block(ORU))
        await lines.until(lambda: lines.states["xn"].garbage == HL7_HERE)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
        far = await lines.connect("xn")
        await lines.until(lambda: lines.states["xn"].connected)
        assert lines.states["xn"].trouble == HL7_HERE, "a new connection proves nothing"
        await far.close()


async def test_a_line_goes_down_and_comes_back_in_the_log_also_while_its_bytes_make_no_sense(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once each: a wrong setting and a pulled cable are two troubles."""
    caplog.set_level(logging.INFO, "labmitra.line")
    wires: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wires.put(writer)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(path, analyzer("xn", f"tcp://127.0.0.1:{port}")) as lines:
        far = await asyncio.wait_for(wires.get(), PATIENCE)
        far.write(mllp.block(ORU))
        await lines.until(lambda: lines.states["xn"].garbage == HL7_HERE)
        server.close()
        far.close()
        await lines.until(lambda: "cannot be reached" in lines.states["xn"].trouble)
        server = await asyncio.start_server(accepted, "127.0.0.1", port)
        far = await asyncio.wait_for(wires.get(), PATIENCE)
        await lines.until(lambda: lines.states["xn"].connected)
        far.close()
        server.close()
    told = [record.getMessage().partition(": ")[2].partition(":")[0] for record in caplog.records]
    assert told[1:3] == ["line is down", "line is back"]


async def test_what_was_said_of_a_line_ends_with_a_message_also_after_the_line_began_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[asyncio.Task[None]] = []
    real = transports.TcpListen.run

    async def run(self: transports.TcpListen, handle: transports.Handle, tell: transports.Tell) -> None:
        runs.append(asyncio.ensure_future(real(self, handle, tell)))
        await asyncio.wait(runs[-1:])
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(transports.TcpListen, "run", run)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        far.writer.write(mllp.block(ORU))
        await lines.until(lambda: lines.states["xn"].garbage == HL7_HERE)
        old = lines.states["xn"].address
        runs[0].cancel()
        await lines.until(lambda: lines.states["xn"].address != old)
        await far.close()
        far = await lines.connect("xn")
        assert await far.send(MESSAGE) == ACK * 6
        await lines.until(lambda: len(lines.messages) == 1)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
        assert (lines.states["xn"].garbage, lines.states["xn"].trouble) == ("", "")
    for task in runs:
        task.cancel()
    await asyncio.gather(*runs, return_exceptions=True)


async def test_nonsense_from_ever_new_connections_leaves_a_bounded_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that speaks another language and connects anew each time must not fill the disk."""
    monkeypatch.setattr(allowance, "MOST", 8_000)
    rng = random.Random(7)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        for _ in range(40):
            far = await lines.connect("xn")
            drained = asyncio.create_task(far.reader.read())
            far.writer.write(rng.randbytes(2_000))
            await far.close()
            await drained
        far = await lines.connect("xn")
        assert await far.send(MESSAGE) == ACK * 6
        await far.close()
        await lines.until(lambda: len(whole(lines)) == 1)
    with closing(sqlite3.connect(path)) as conn:
        size, rows = conn.execute("SELECT sum(length(data) + length(said)), count(*) FROM chunk").fetchone()
        (left_open,) = conn.execute("SELECT count(*) FROM session WHERE ended_at IS NULL").fetchone()
    assert 1_000 < size < 12_000 and rows < 200, "of 80 000"
    assert left_open == 0


async def test_sessions_without_a_frame_leave_a_bounded_journal_and_the_next_frame_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENQ and EOT for ever are answered for ever; what they leave is bounded."""
    monkeypatch.setattr(allowance, "MOST", 2_000)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        for _ in range(100):
            far.writer.write(b"\x05")
            assert await far.reader.readexactly(1) == ACK
            far.writer.write(b"\x04")
        for _ in range(3):
            assert await far.send(MESSAGE) == ACK * 6
        await lines.until(lambda: len(whole(lines)) == 3)
        await far.close()
    with closing(sqlite3.connect(path)) as conn:
        sessions = conn.execute("SELECT count(*), count(ended_at) FROM session").fetchone()
        (frames,) = conn.execute("SELECT count(*) FROM chunk WHERE frame = 1").fetchone()
    assert sessions[0] == sessions[1] < 30 and frames == 15


async def test_nonsense_for_ever_leaves_a_bounded_journal_and_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random bytes hold ENQ, STX and line ends: sessions begin and frames are refused without end. What they leave is
    bounded, and the first good message is as good as ever."""
    monkeypatch.setattr(recorder, "NOISE", 5_000)
    rng = random.Random(7)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        drained = asyncio.create_task(far.reader.read())
        for _ in range(60):
            far.writer.write(rng.randbytes(5_000))
            await far.writer.drain()
        await lines.until(lambda: lines.states["xn"].garbage == BAUD)
        await far.close()
        await drained
        await lines.until(lambda: not lines.states["xn"].connected)
        far = await lines.connect("xn")
        assert await far.send(MESSAGE) == ACK * 6
        await far.close()
        await lines.until(lambda: len(whole(lines)) == 1)
    with closing(sqlite3.connect(path)) as conn:
        size, rows = conn.execute("SELECT sum(length(data) + length(said)), count(*) FROM chunk").fetchone()
        (sessions,) = conn.execute("SELECT count(*) FROM session").fetchone()
        (left_open,) = conn.execute("SELECT count(*) FROM session WHERE ended_at IS NULL").fetchone()
    assert 1_000 < size < 12_000, "of 300 000"
    assert rows < 300 and sessions < 100 and left_open == 0
