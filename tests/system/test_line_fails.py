"""Lines that fail: a port that is taken, a peer that is not there, a fault of our own; and what the lamps tell."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from drivers.wire import lis1a, mllp
from middleware import connection
from tests.system.line_kit import ACK, ENQ, LISTEN, MESSAGE, ORU, PATIENCE, Analyzer, analyzer, quick, running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


async def test_a_port_in_use_is_this_lines_trouble_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "labmitra.line")
    taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with running(path, analyzer("bad", f"tcp-listen://127.0.0.1:{port}"), analyzer("good", LISTEN)) as lines:
        await lines.until(lambda: "bad" in lines.states and "in use" in lines.states["bad"].trouble)
        far = await lines.connect("good")
        assert await far.send(MESSAGE) == ACK * 6
        await far.close()
        taken.close()
        await taken.wait_closed()
        far = await lines.connect("bad")
        assert await far.send(MESSAGE) == ACK * 6
        await far.close()
        assert lines.states["bad"].trouble == ""
        await lines.until(lambda: len(lines.messages) == 2)
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("bad")]
    assert [text.partition(":")[2].partition(":")[0].strip() for text in said] == ["line is down", "line is back"]


async def test_we_dial_and_dial_again(path: Path) -> None:
    """An analyzer that listens, is switched off, and comes back at the same address."""
    wires: asyncio.Queue[Analyzer] = asyncio.Queue()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wires.put(Analyzer(reader, writer))

    first = await asyncio.start_server(accepted, "127.0.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    async with running(path, analyzer("bc", f"tcp://127.0.0.1:{port}", "generic_hl7")) as lines:
        far = await asyncio.wait_for(wires.get(), PATIENCE)
        assert b"MSA|AA" in await far.ask_until(mllp.block(ORU), b"\x1c\r")
        first.close()
        await far.close()
        await lines.until(lambda: "cannot be reached" in lines.states["bc"].trouble)
        assert not lines.states["bc"].connected
        second = await asyncio.start_server(accepted, "127.0.0.1", port)
        far = await asyncio.wait_for(wires.get(), PATIENCE)
        assert b"MSA|AA" in await far.ask_until(mllp.block(ORU), b"\x1c\r")
        await lines.until(lambda: lines.states["bc"].connected and lines.states["bc"].trouble == "")
        await far.close()
        second.close()
    assert [m.body for m in lines.messages] == [ORU, ORU]


async def test_a_bug_in_one_connection_ends_that_connection_only(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = connection.AstmConnection._bad_frame

    def broken(self: connection.AstmConnection, event: lis1a.FrameRefused) -> None:
        raise ZeroDivisionError("RAM PRASAD")

    monkeypatch.setattr(connection.AstmConnection, "_bad_frame", broken)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) == ACK
        far.writer.write(b"\x021H\x0300\r\n")
        assert await asyncio.wait_for(far.reader.read(), PATIENCE) == b""
        await far.close()
        await lines.until(lambda: lines.states["xn"].trouble == "ZeroDivisionError")
        monkeypatch.setattr(connection.AstmConnection, "_bad_frame", real)
        far = await lines.connect("xn")
        assert await far.send(MESSAGE) == ACK * 6
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert "ZeroDivisionError" in caplog.text
    assert "PRASAD" not in caplog.text


async def test_the_lamps(path: Path) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        await lines.address("xn")
        dark = lines.states["xn"]
        assert (dark.connected, dark.handshake_at, dark.message_at, dark.refused, dark.trouble) == (
            False, None, None, 0, "",
        )  # fmt: skip
        far = await lines.connect("xn")
        await lines.until(lambda: lines.states["xn"].connected)
        await far.send(MESSAGE)
        await far.close()
        await lines.until(lambda: lines.states["xn"].messages == 1)
        lit = lines.states["xn"]
    assert lit.handshake_at is not None
    assert lit.message_at == lines.messages[0].received_at
