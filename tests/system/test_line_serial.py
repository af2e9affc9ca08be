"""Serial lines: a real pty pair with pyserial at the far end, a cable that is pulled, pyserial's network URLs."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import serial

from drivers.wire import lis1a
from middleware import serial_wire, supervisor, transports
from middleware.journal import Journal
from middleware.supervisor import LineState
from tests.system.line_kit import ACK, ENQ, EOT, PATIENCE, Analyzer, analyzer, running

MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\r" + b"R|1|^^^GLU|5.4|mmol/L\r" * 60 + b"L|1|N\r"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    real = transports.Backoff
    monkeypatch.setattr(transports, "Backoff", lambda: real(0.01, 0.05))


class Cable:
    """A pty pair: `ours` is the path our line opens, the analyzer holds the other end; it can be pulled."""

    def __init__(self, ours: Path) -> None:
        self.ours = ours
        self.file = -1
        self.plug()

    def plug(self) -> None:
        """Connect; the port appears."""
        self.file, slave = pty.openpty()
        tty.setraw(slave)
        self.ours.symlink_to(os.ttyname(slave))
        os.close(slave)

    def pull(self) -> None:
        """The port is gone, as that of a USB adapter."""
        self.ours.unlink()
        os.close(self.file)
        self.file = -1

    async def ask(self, data: bytes, chunk: int = 16) -> bytes:
        """Send in the pieces of a 9600 baud adapter, and read one byte back."""
        for at in range(0, len(data), chunk):
            os.write(self.file, data[at : at + chunk])
            await asyncio.sleep(0)
        return await asyncio.wait_for(asyncio.to_thread(os.read, self.file, 1), PATIENCE)

    async def send(self, message: bytes) -> bytes:
        """One session."""
        replies = await self.ask(ENQ)
        for frame in lis1a.frames(message):
            replies += await self.ask(frame)
        os.write(self.file, EOT)
        return replies


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    made = Cable(tmp_path / "port")
    yield made
    if made.file >= 0:
        made.pull()


async def test_a_serial_line_and_a_pulled_cable(tmp_path: Path, cable: Cable) -> None:
    count = len(lis1a.frames(MESSAGE)) + 1
    async with running(tmp_path / "journal", analyzer("xl", f"serial:{cable.ours}?baud=9600")) as lines:
        await lines.until(lambda: "xl" in lines.states and lines.states["xl"].connected)
        assert await cable.send(MESSAGE) == ACK * count
        await lines.until(lambda: len(lines.messages) == 1)
        await cable.ask(ENQ)
        cable.pull()
        await lines.until(lambda: "cannot be reached" in lines.states["xl"].trouble)
        assert not lines.states["xl"].connected
        cable.plug()
        await lines.until(lambda: lines.states["xl"].connected and not lines.states["xl"].trouble)
        assert await cable.send(MESSAGE) == ACK * count
        await lines.until(lambda: len(lines.messages) == 2)
    assert [m.body for m in lines.messages] == [MESSAGE, MESSAGE]


async def test_pyserial_at_the_far_end_with_the_same_settings(tmp_path: Path) -> None:
    """Two ptys joined back to back, so that both ends are ports that pyserial opens."""
    (left, left_slave), (right, right_slave) = pty.openpty(), pty.openpty()
    for file in (left, left_slave, right, right_slave):
        tty.setraw(file)
    loop = asyncio.get_running_loop()
    loop.add_reader(left, lambda: os.write(right, os.read(left, 4096)))
    loop.add_reader(right, lambda: os.write(left, os.read(right, 4096)))
    url = f"serial:{os.ttyname(left_slave)}?baud=19200&bits=8&parity=N&stop=1&flow=none"

    def session() -> bytes:
        with serial.Serial(os.ttyname(right_slave), 19200, timeout=PATIENCE) as far:
            replies = b""
            for data in (ENQ, *lis1a.frames(MESSAGE)):
                far.write(data)
                replies += far.read(1)
            far.write(EOT)
            far.flush()
            return replies

    async with running(tmp_path / "journal", analyzer("xl", url)) as lines:
        await lines.until(lambda: "xl" in lines.states and lines.states["xl"].connected)
        replies = await asyncio.to_thread(session)
        await lines.until(lambda: len(lines.messages) == 1)
    for file in (left, right):
        loop.remove_reader(file)
    for file in (left, left_slave, right, right_slave):
        os.close(file)
    assert replies == ACK * (len(lis1a.frames(MESSAGE)) + 1)
    assert [m.body for m in lines.messages] == [MESSAGE]


async def test_a_port_behind_the_network_through_pyserial(tmp_path: Path) -> None:
    """socket:// of pyserial, as for a serial device server; it closes and comes back."""
    wires: asyncio.Queue[Analyzer] = asyncio.Queue()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wires.put(Analyzer(reader, writer))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(tmp_path / "journal", analyzer("xl", f"socket://127.0.0.1:{port}")) as lines:
        for count in (1, 2):
            far = await asyncio.wait_for(wires.get(), PATIENCE)
            await lines.until(lambda: "xl" in lines.states and lines.states["xl"].connected)  # it drops what came first
            assert await far.send(MESSAGE, one_record_a_frame=False) == ACK * (len(lis1a.frames(MESSAGE)) + 1)
            await lines.until(lambda count=count: len(lines.messages) == count)
            await far.close()
            await lines.until(lambda: not lines.states["xl"].connected or not wires.empty())
    while not wires.empty():
        await wires.get_nowait().close()
    server.close()
    assert [m.body for m in lines.messages] == [MESSAGE, MESSAGE]


@pytest.mark.parametrize(
    "url", ["serial:", "serial:/dev/x?speed=1", "serial:/dev/x?flow=maybe", "serial:/dev/x?parity=Q", "tcp://h", "x:y"]
)
def test_a_url_that_makes_no_sense_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        transports.line(url)


def test_the_settings_of_a_url() -> None:
    """LL-01, LL-02: LIS01-A2 5.2.2.4-5, 5.2.3: 9600 8N1 unless said otherwise."""
    assert serial_wire._settings(serial_wire.OPTIONS) == {
        "baudrate": 9600, "bytesize": 8, "parity": "N", "stopbits": 1, "xonxoff": False, "rtscts": False,
        "dsrdtr": False,
    }  # fmt: skip


# ---- dialling ---------------------------------------------------------------------------------------------------


async def test_a_line_that_was_reached_is_soon_tried_again_whenever_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """An analyzer that hangs up after every message is not punished as one that is away."""
    pauses: list[float] = []
    reached = [False, False, False, False, True, True, True]

    async def connect() -> transports.Wire:
        if not reached.pop(0):
            raise ConnectionRefusedError(111, "Connection refused")
        return transports.Wire()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if not reached:
            raise asyncio.CancelledError

    async def handle(_wire: transports.Wire) -> None:
        return

    monkeypatch.setattr(transports.random, "uniform", lambda _low, high: high)
    monkeypatch.setattr(transports.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await transports.Dial(connect, "there").run(handle, lambda _what, _text: None)
    assert pauses == [0.01, 0.02, 0.04, 0.05, 0.01, 0.01, 0.01]


async def test_refusals_are_counted_for_the_laboratorys_own_day(tmp_path: Path) -> None:
    """What was refused yesterday is no trouble of today's; midnight is the laboratory's (18:30 UTC)."""
    clock = [datetime(2026, 1, 30, 18, 29, tzinfo=UTC)]
    states: list[LineState] = []
    journal = Journal.open(tmp_path / "journal")
    line = supervisor._Line(
        analyzer("xn", "tcp-listen://127.0.0.1:0"), ZoneInfo("Asia/Kolkata"), journal, lambda _message: None,
        states.append, lambda: clock[0], supervisor.nothing_known, None,
    )  # fmt: skip
    line._refused("wrong checksum")
    line._refused("wrong checksum")
    line._publish()
    clock[0] += timedelta(minutes=1)
    line._refused("wrong checksum")
    line._publish()
    journal.close()
    assert [state.refused for state in states] == [2, 1]
