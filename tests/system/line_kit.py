"""Tools for tests of running lines: the lines with only a journal behind them, and plain analyzers for the far end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drivers.driver import Message
from drivers.wire import lis1a
from middleware import connection, journal_file, transports
from middleware.downloads import Basket
from middleware.journal import Journal, JournalReader
from middleware.settings import AnalyzerSettings
from middleware.supervisor import Answers, LineState, run_lines

ENQ, ACK, NAK, EOT = b"\x05", b"\x06", b"\x15", b"\x04"
PATIENCE = 20.0  # seconds; only a broken test waits so long
LISTEN = "tcp-listen://127.0.0.1:0"
MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
ORU = b"MSH|^~\\&|BC|LAB|||20260130101500||ORU^R01|17|P|2.3.1||||||UNICODE\rPID|1\rOBR|1||S1\rOBX|1|NM|HGB||13\r"


def analyzer(name: str, line: str, driver: str = "generic_astm") -> AnalyzerSettings:
    """A connected unit."""
    return AnalyzerSettings(name, driver, name, line)


def lab_with(*analyzers: AnalyzerSettings) -> Any:
    """As much of Settings as the lines look at."""
    return SimpleNamespace(analyzers=analyzers, lab=SimpleNamespace(timezone=ZoneInfo("Asia/Kolkata")))


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for: before a line is opened again, before we ask, while the journal is busy."""
    real = transports.Backoff
    monkeypatch.setattr(transports, "Backoff", lambda: real(0.01, 0.05))
    monkeypatch.setattr(connection, "ANSWER_DELAY", 0.01)
    monkeypatch.setattr(journal_file, "BUSY", 0.05)


@dataclass
class Running:
    """Lines that run: what they told, and the journal."""

    journal: Journal
    path: Path
    messages: list[Message] = field(default_factory=list)
    states: dict[str, LineState] = field(default_factory=dict)

    @property
    def reader(self) -> JournalReader:
        return JournalReader(self.path)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.005)

    async def address(self, name: str) -> tuple[str, int]:
        """Where a listening line listens."""
        await self.until(lambda: name in self.states and bool(self.states[name].address))
        host, _, port = self.states[name].address.rpartition(":")
        return host, int(port)

    async def connect(self, name: str) -> Analyzer:
        """A new connection to a listening line."""
        return Analyzer(*await asyncio.open_connection(*await self.address(name)))


@asynccontextmanager
async def running(
    path: Path,
    *analyzers: AnalyzerSettings,
    answers: Answers | None = None,
    baskets: Mapping[str, Basket] | None = None,
) -> AsyncIterator[Running]:
    """The lines of these analyzers, until the block ends."""
    lines = Running(Journal.open(path), path)
    stop = asyncio.Event()

    def told(state: LineState) -> None:
        lines.states[state.analyzer] = state

    task = asyncio.create_task(
        run_lines(
            lab_with(*analyzers), lines.journal, lines.messages.append, told, stop, answers=answers, baskets=baskets
        )
    )
    try:
        yield lines
    finally:
        stop.set()
        await task
        lines.journal.close()


class Analyzer:
    """A plain analyzer at the far end of asyncio streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes, count: int = 1) -> bytes:
        """Send, and read `count` bytes back."""
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE)

    async def ask_until(self, data: bytes, end: bytes) -> bytes:
        """Send, and read up to `end`."""
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readuntil(end), PATIENCE)

    async def send(self, *messages: bytes, size: int = 240, one_record_a_frame: bool = True) -> bytes:
        """One whole session; the replies."""
        replies = await self.ask(ENQ)
        for frame in lis1a.session(messages, size, one_record_a_frame):
            replies += await self.ask(frame)
        self.writer.write(EOT)
        return replies

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


def whole(lines: Running) -> list[bytes]:
    """The messages that came with their end."""
    return [message.body for message in lines.messages if not message.incomplete]
