"""What a line of blocks owes the analyzer and the laboratory whatever happens between, over a real socket.

As test_line_kept, for `middleware/block_connection`: Tosoh, whose EOT makes a message of the blocks before it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drivers.wire.blocks import xor_byte
from middleware import journal_file
from middleware.journal import Journal, JournalReader
from tests.system.line_kit import ACK, EOT, NAK, analyzer, running
from tests.system.test_line_kept import LISTEN, locked, say


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "BUSY", 0.02)


def tosoh(text: bytes) -> bytes:
    return b"\x02" + text + b"\x03" + xor_byte(text + b"\x03")


async def test_blocks_that_were_acknowledged_are_kept_when_the_line_breaks(path: Path) -> None:
    async with running(path, analyzer("g8", LISTEN, "tosoh_hlc723")) as lines:
        far = await lines.connect("g8")
        assert await say(far, tosoh(b"8one"), tosoh(b"8two")) == ACK * 2
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(tosoh(b"8one") + tosoh(b"8two"), True)]
    journal = Journal.open(path)
    assert journal.recover() == []
    journal.close()


async def test_blocks_of_a_line_that_broke_while_the_disk_failed_come_when_it_is_back(path: Path) -> None:
    async with running(path, analyzer("g8", LISTEN, "tosoh_hlc723")) as lines:
        far = await lines.connect("g8")
        assert await far.ask(tosoh(b"8one")) == ACK
        with locked(path):
            await far.close()
            await lines.until(lambda: lines.journal.failing)
        await lines.until(lambda: bool(lines.journal.unprocessed()))
    assert [(m.body, m.incomplete) for m in JournalReader(path).unprocessed()] == [(tosoh(b"8one"), True)]


async def test_an_end_without_blocks_is_no_message(path: Path) -> None:
    async with running(path, analyzer("g8", LISTEN, "tosoh_hlc723")) as lines:
        far = await lines.connect("g8")
        far.writer.write(EOT)
        assert await far.ask(tosoh(b"8one")) == ACK
        far.writer.write(EOT + EOT)
        await far.close()
        await lines.until(lambda: not lines.states["g8"].connected)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(tosoh(b"8one"), False)]


async def test_every_byte_of_a_line_of_blocks_is_in_the_journal(path: Path) -> None:
    """Also those that mean nothing, and blocks that were refused."""
    damaged = tosoh(b"8one")[:-1] + b"\x00"
    async with running(path, analyzer("g8", LISTEN, "tosoh_hlc723")) as lines:
        far = await lines.connect("g8")
        far.writer.write(NAK)
        assert await say(far, b"noise" + damaged, tosoh(b"8one")) == NAK + ACK
        far.writer.write(EOT)
        await lines.until(lambda: len(lines.messages) == 1)
        await far.close()
        await lines.until(lambda: not lines.states["g8"].connected)
    with closing(sqlite3.connect(path)) as conn:
        came = b"".join(bytes(data) for (data,) in conn.execute("SELECT data FROM chunk ORDER BY id"))
    assert came == NAK + b"noise" + damaged + tosoh(b"8one") + EOT
