"""Lines that need no restart: whatever a cable, a peer or a network does, the line is there for the next message."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import tty
from pathlib import Path

import pytest

from drivers.wire import lis1a
from middleware import serial_wire, transports
from tests.system.bad_network import reset
from tests.system.line_kit import (
    ACK,
    ENQ,
    EOT,
    LISTEN,
    MESSAGE,
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


# ---- TCP --------------------------------------------------------------------------------------------------------


async def test_every_connection_is_watched_for_a_peer_that_is_gone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes: idle by keep-alive, with a reply of ours on its way by TCP_USER_TIMEOUT."""
    real, seen = transports._keep_alive, []
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")

    def watched(sock: socket.socket) -> None:
        real(sock)
        seen.append([sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)])
        seen[-1] += [sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]

    monkeypatch.setattr(transports, "_keep_alive", watched)
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(path, analyzer("xn", LISTEN), analyzer("bc", f"tcp://127.0.0.1:{port}")) as lines:
        far = await lines.connect("xn")
        await lines.until(lambda: len(seen) >= 2)
        await far.close()
    server.close()
    assert seen[:2] == [[1, 60, 15, 4, 120_000]] * 2
    assert 60 + 15 * 4 <= 120


async def test_an_analyzer_that_lost_power_comes_back_while_its_old_connection_hangs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No FIN ever came: the old connection is still open here, in the middle of a message. The new one is served at
    once; what was acknowledged before stays, as incomplete."""
    real = lis1a.Receiver
    timers = {**lis1a.TIMERS, "frame": lis1a.Timer("frame", 0.3, "6.5.2.4")}
    monkeypatch.setattr(lis1a, "Receiver", lambda free: real(free, timers))
    async with running(path, analyzer("xn", LISTEN)) as lines:
        old = await lines.connect("xn")
        assert await old.ask(ENQ) + await old.ask(FRAMES[0]) + await old.ask(FRAMES[1]) == ACK * 3
        new = await lines.connect("xn")
        assert await new.send(MESSAGE) == ACK * 6
        await lines.until(lambda: len(lines.messages) == 2)
        assert lines.states["xn"].connected
        assert await new.send(MESSAGE) == ACK * 6
        await lines.until(lambda: len(lines.messages) == 3)
        await new.close()
        await old.close()
    assert whole(lines) == [MESSAGE, MESSAGE]
    assert [m.body for m in lines.messages if m.incomplete] == [b"H|\\^&|||X^1\rP|1\r"]


async def test_two_connections_at_once_are_journaled_apart(path: Path) -> None:
    texts = [MESSAGE.replace(b"S1", name) for name in (b"A1", b"B1")]
    async with running(path, analyzer("xn", LISTEN)) as lines:
        both = [await lines.connect("xn") for _ in texts]
        for far in both:
            assert await far.ask(ENQ) == ACK
        for frames in zip(*(lis1a.frames(text, one_record_a_frame=True) for text in texts), strict=True):
            for far, frame in zip(both, frames, strict=True):
                assert await far.ask(frame) == ACK
        for far in both:
            far.writer.write(EOT)
            await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    for message in lines.messages:
        said = b"".join(c.data for c in lines.reader.chunks(message.id) if c.direction == "in")
        frames = b"".join(lis1a.frames(message.body, one_record_a_frame=True))
        assert said == ENQ + frames + EOT
    assert sorted(m.body for m in lines.messages) == texts


async def test_a_reset_in_the_middle_of_a_frame(path: Path) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) + await far.ask(FRAMES[0]) == ACK * 2
        far.writer.write(FRAMES[1][:5])
        await far.writer.drain()
        reset(far.writer)
        await lines.until(lambda: len(lines.messages) == 1 and not lines.states["xn"].connected)
        far = await lines.connect("xn")
        assert await far.send(MESSAGE) == ACK * 6
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
        assert lines.states["xn"].trouble == ""
    assert [(m.body, m.incomplete) for m in lines.messages] == [(b"H|\\^&|||X^1\r", True), (MESSAGE, False)]


async def test_an_analyzer_that_never_hangs_up_uses_up_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest of too many connections is hung up; the newest is served."""
    monkeypatch.setattr(transports, "MOST", 3)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = [await lines.connect("xn") for _ in range(3)]
        for one in far:
            assert await one.ask(ENQ) == ACK
        far.append(await lines.connect("xn"))
        assert await asyncio.wait_for(far[0].reader.read(), PATIENCE) == b""
        assert await far[3].send(MESSAGE) == ACK * 6
        assert await far[1].ask(FRAMES[0]) == ACK
        for one in far:
            await one.close()
        await lines.until(lambda: MESSAGE in whole(lines))


async def test_a_peer_that_does_not_answer_when_we_dial(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue of connections is full: no refusal comes, and no answer. The line tries on, and says so once."""
    monkeypatch.setattr(transports, "CONNECT_TIMEOUT", 0.1)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    waiting = [socket.socket() for _ in range(3)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(address)
    async with running(path, analyzer("bc", f"tcp://127.0.0.1:{address[1]}", "generic_hl7")) as lines:
        await lines.until(lambda: "bc" in lines.states and bool(lines.states["bc"].trouble))
        assert lines.states["bc"].trouble == f"127.0.0.1:{address[1]} cannot be reached: no answer"
    for one in (*waiting, listener):
        one.close()


@pytest.mark.parametrize("turns", range(8))
async def test_a_line_ends_when_told_whatever_it_is_doing(turns: int) -> None:
    """Told at any turn of the loop around the moment a connection comes: a line that missed it would dial for ever, and
    the middleware would not end."""
    gate = asyncio.get_running_loop().create_future()

    async def connect() -> transports.Wire:
        await gate
        return transports.Wire()

    async def handle(wire: transports.Wire) -> None:
        await wire.read()

    task = asyncio.create_task(transports.Dial(connect, "x").run(handle, lambda _what, _text: None))
    await asyncio.sleep(0.001)
    gate.set_result(None)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()


def test_why_a_peer_cannot_be_reached_is_told_in_words() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert transports._reason(unknown) == "the name is unknown (Name or service not known)"
    assert transports._reason(ConnectionRefusedError(111, "x")) == "Connection refused"
    assert transports._reason(TimeoutError()) == "no answer"


async def test_a_peer_that_never_reads_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our replies pile up to a bound; then the connection ends, whatever it still sends."""
    monkeypatch.setattr(transports, "STUCK", 200_000)
    sizes: list[int] = []
    done = asyncio.Event()

    async def handle(wire: transports.Wire) -> None:
        while await wire.read(0.001) is None:
            wire.write(bytes(50_000))
            assert wire._transport is not None
            sizes.append(wire._transport.get_write_buffer_size())
        done.set()

    listen = transports.TcpListen("127.0.0.1", 0)
    task = asyncio.create_task(listen.run(handle, lambda _what, _text: None))
    while not listen.address:
        await asyncio.sleep(0.001)
    far = socket.socket()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    far.setblocking(False)
    await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", int(listen.address.rpartition(":")[2])))
    await asyncio.wait_for(done.wait(), PATIENCE)
    assert max(sizes) <= 250_000
    far.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# ---- serial -----------------------------------------------------------------------------------------------------


async def test_a_serial_peer_that_never_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_wire, "STUCK", 20_000)
    master, slave = pty.openpty()
    tty.setraw(slave)
    wire = await serial_wire.opener(f"serial:{os.ttyname(slave)}")()
    for _ in range(100):
        wire.write(bytes(1000))
    assert await asyncio.wait_for(wire.read(), PATIENCE) == b""
    os.close(master)
    os.close(slave)


async def test_a_network_port_that_never_takes_our_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyserial blocks in its thread; the event loop does not, and the wire ends."""
    monkeypatch.setattr(serial_wire, "STUCK", 20_000)
    listener = socket.create_server(("127.0.0.1", 0))
    wire = await serial_wire.opener(f"socket://127.0.0.1:{listener.getsockname()[1]}")()
    far, _ = listener.accept()
    wire._port.write = lambda _data: far.recv(1)  # as long as nobody sends
    for _ in range(30):
        wire.write(bytes(1000))
    assert await asyncio.wait_for(wire.read(), PATIENCE) == b""
    far.close()
    listener.close()
