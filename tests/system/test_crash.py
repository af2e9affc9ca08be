"""kill -9 at random moments: every frame that was acknowledged is in the journal, every message whole and once.

The analyzers behave as real ones do: what was not acknowledged is sent again, the whole message.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drivers.wire import lis1a, mllp
from middleware.journal import Journal, JournalReader
from tests.system.line_kit import ACK, ENQ, EOT, Analyzer

KILLS = 20
NAMES = {"xn": "generic_astm", "e411": "generic_astm", "bc": "generic_hl7"}
REPLY = 5.0  # seconds an analyzer waits here; the standard says 15


class LostError(Exception):
    """The middleware went away, or did not accept."""


@dataclass
class Books:
    """What the analyzers know for certain."""

    accepted: Counter[bytes] = field(default_factory=Counter)  # frames and blocks that got their ACK or AA
    confirmed: list[bytes] = field(default_factory=list)  # messages whose last frame was acknowledged
    attempts: Counter[bytes] = field(default_factory=Counter)  # how often each was begun


def astm_message(name: str, number: int, chance: random.Random) -> bytes:
    rows = b"".join(b"R|%d|^^^T%d|%d|mg/dL||N||F\r" % (n, n, chance.randrange(999)) for n in range(1, 9))
    return b"H|\\^&|||%b\rP|1\rO|1|%b-%d\r%bL|1|N\r" % (name.encode(), name.encode(), number, rows)


def hl7_message(name: str, number: int) -> bytes:
    return b"MSH|^~\\&|%b||||20260130||ORU^R01|%d|P|2.3.1\rPID|1\rOBR|1||%b-%d\rOBX|1|NM|HGB||13\r" % (
        name.encode(), number, name.encode(), number,
    )  # fmt: skip


async def reply(far: Analyzer, data: bytes, end: bytes) -> bytes:
    far.writer.write(data)
    try:
        return await asyncio.wait_for(far.reader.readuntil(end), REPLY)
    except (OSError, EOFError, TimeoutError) as gone:
        raise LostError from gone


async def send_astm(far: Analyzer, body: bytes, one_record_a_frame: bool, books: Books) -> None:
    if await reply(far, ENQ, ACK) != ACK:
        raise LostError
    for frame in lis1a.frames(body, one_record_a_frame=one_record_a_frame):
        if await reply(far, frame, ACK) != ACK:
            raise LostError
        books.accepted[frame] += 1
    books.confirmed.append(body)
    far.writer.write(EOT)


async def send_hl7(far: Analyzer, body: bytes, books: Books) -> None:
    if b"MSA|AA|" not in await reply(far, mllp.block(body), b"\x1c\r"):
        raise LostError
    books.accepted[mllp.block(body)] += 1
    books.confirmed.append(body)


class Sender:
    """One analyzer on one connection, again and again."""

    def __init__(self, number: int, line: str, addresses: Path, books: Books) -> None:
        self.name, self.line, self.addresses, self.books = f"{line}{number}", line, addresses, books
        self.chance = random.Random(number)
        self.far: Analyzer | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Message after message; each until it is confirmed."""
        number = 0
        while not stop.is_set():
            number += 1
            hl7 = NAMES[self.line] == "generic_hl7"
            body = hl7_message(self.name, number) if hl7 else astm_message(self.name, number, self.chance)
            while not await self.attempt(body, hl7):
                await self.hang_up()
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.chance.random() / 100)
        await self.hang_up()

    async def attempt(self, body: bytes, hl7: bool) -> bool:
        try:
            far = self.far = self.far or await self.connect()
            self.books.attempts[body] += 1
            if hl7:
                await send_hl7(far, body, self.books)
            else:
                await send_astm(far, body, self.line == "xn", self.books)
        except (LostError, OSError, ValueError):
            return False
        return True

    async def connect(self) -> Analyzer:
        port = json.loads(await asyncio.to_thread(self.addresses.read_text))[self.line]
        return Analyzer(*await asyncio.open_connection("127.0.0.1", port))

    async def hang_up(self) -> None:
        if self.far is not None:
            with suppress(OSError):
                await self.far.close()
        self.far = None


async def started(journal: Path, addresses: Path) -> asyncio.subprocess.Process:
    """The middleware, listening."""
    addresses.unlink(missing_ok=True)
    named = [f"{name}={driver}" for name, driver in NAMES.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.system.crash_middleware", str(journal), str(addresses), *named,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    async with asyncio.timeout(60):
        while not addresses.exists():
            assert process.returncode is None, "the middleware did not start"
            await asyncio.sleep(0.01)
    return process


async def killed(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


@pytest.mark.slow
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    journal, addresses, books = tmp_path / "journal", tmp_path / "addresses", Books()
    chance, stop = random.Random(20260130), asyncio.Event()
    senders = [Sender(n, line, addresses, books) for n, line in enumerate(["xn", "xn", "e411", "e411", "bc", "bc"])]
    process = await started(journal, addresses)
    tasks = [asyncio.create_task(sender.run(stop)) for sender in senders]
    for _ in range(KILLS):
        await asyncio.sleep(0.03 + chance.random() * 0.15)
        await killed(process)
        process = await started(journal, addresses)
    stop.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    await killed(process)
    recovered(journal)
    reconcile(journal, books)


def recovered(journal: Path) -> None:
    """What the next start does."""
    opened = Journal.open(journal)
    opened.recover()
    assert opened.recover() == []
    opened.close()


def reconcile(path: Path, books: Books) -> None:
    """Acknowledged and lost: none. Stored as something else: none. Stored more often than sent: none."""
    conn = sqlite3.connect(path)
    stored = Counter(data for (data,) in conn.execute("SELECT data FROM chunk WHERE frame = 1 OR note = 'block'"))
    conn.close()
    assert books.accepted - stored == Counter(), "acknowledged and not in the journal"

    messages = [JournalReader(path).message(m.id) for m in JournalReader(path).messages(limit=10**6)]
    whole = Counter(m.body for m in messages if m and not m.incomplete)
    assert set(books.confirmed) <= set(whole), "confirmed and no message"
    assert set(whole) <= set(books.attempts), "a message nobody sent"
    assert whole - books.attempts == Counter(), "stored more often than it was sent"
    once = {body for body, count in books.attempts.items() if count == 1}
    assert all(whole[body] == 1 for body in once), "sent once, stored twice"
    for cut in (m.body for m in messages if m and m.incomplete):
        assert any(body.startswith(cut) for body in books.attempts), "an incomplete message nobody began"
    assert len(books.confirmed) > KILLS
    assert max(books.attempts.values()) > 1, "no message was cut off: the kills proved nothing"
