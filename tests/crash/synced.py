"""A process whose syncs are to be counted: real lines on a real journal, then a lab database, and marks of its own.

`python -m tests.crash.synced FOLDER LEVEL` writes into FOLDER/events a line `commit` after each COMMIT that came back
and a line `ack` after each acknowledgement that an analyzer read. Whoever looks from outside (strace, or a library that
is loaded before libc) sees the syncs between them. LEVEL is FULL, as the house has it, or what a mutant has instead.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.wire import lis1a, mllp
from middleware.lab import make_engine
from tests.crash.said import UNIT, body
from tests.system.line_kit import ACK, ENQ, EOT, Running, analyzer, running

LINES, MESSAGES = 4, 3  # analyzers that send at once, then messages of each kind one after the other
_CONNECT = sqlite3.connect


def watched(level: str, mark: Callable[[str], None]) -> None:
    """Every writing connection tells of its commits, and has this level of `synchronous` whatever is asked."""

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            done = super().execute(_weaker(sql, level), *values)
            if sql == "COMMIT":
                mark("commit")
            return done

        def commit(self) -> None:
            begun = self.in_transaction
            super().commit()
            if begun:
                mark("commit")

        def cursor(self, *_factory: Any) -> Any:
            return super().cursor(Asking)

    class Asking(sqlite3.Cursor):
        def execute(self, sql: str, *values: Any) -> Any:
            return super().execute(_weaker(sql, level), *values)

    def connect(database: Any, *args: Any, **options: Any) -> Any:
        factory = {} if "mode=ro" in str(database) else {"factory": Watched}
        return _CONNECT(database, *args, **{**options, **factory})

    sqlite3.connect = connect  # type: ignore[assignment]


def _weaker(sql: str, level: str) -> str:
    return re.sub(r"(PRAGMA\s+synchronous\s*=\s*)\w+", rf"\g<1>{level}", sql)


async def send_astm(lines: Running, name: str, number: int, mark: Callable[[str], None]) -> None:
    """A message, a record a frame."""
    far = await lines.connect(name)
    assert await far.ask(ENQ) == ACK
    for frame in lis1a.frames(body(("a_listen", number, 1), "1"), one_record_a_frame=True):
        assert await far.ask(frame) == ACK
        mark("ack")
    far.writer.write(EOT)
    await far.close()


async def send_hl7(lines: Running, name: str, number: int, mark: Callable[[str], None]) -> None:
    """A message in a block."""
    far = await lines.connect(name)
    assert b"MSA|AA|" in await far.ask_until(mllp.block(body(("h_listen", number, 1), "1")), b"\x1c\r")
    mark("ack")
    await far.close()


async def lines(folder: Path, mark: Callable[[str], None]) -> None:
    """One after the other, so that each acknowledgement must have a commit of its own; then all at once."""
    units = [analyzer(f"a{n}", "tcp-listen://127.0.0.1:0", UNIT["a_listen"].driver) for n in range(LINES)]
    units += [analyzer("h", "tcp-listen://127.0.0.1:0", UNIT["h_listen"].driver)]
    async with running(folder / "journal.sqlite3", *units) as kept:
        await asyncio.gather(*(kept.address(unit.name) for unit in units))
        mark("one by one")
        for number in range(MESSAGES):
            await send_astm(kept, "a0", number, mark)
            await send_hl7(kept, "h", number, mark)
        mark("at once")
        await asyncio.gather(*(send_astm(kept, f"a{n}", n, mark) for n in range(LINES)))


def lab(folder: Path, mark: Callable[[str], None]) -> None:
    """The lab database's commits."""
    engine = make_engine(f"sqlite:///{folder / 'lab.sqlite3'}")
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE t (x)")
    mark("lab")
    for number in range(MESSAGES):
        with engine.begin() as conn:
            conn.exec_driver_sql("BEGIN IMMEDIATE")
            conn.exec_driver_sql("INSERT INTO t VALUES (?)", (number,))
    engine.dispose()


def main(folder: str, level: str) -> None:
    """All of it."""
    events = os.open(Path(folder) / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def mark(what: str) -> None:
        os.write(events, f"{what}\n".encode())

    watched(level, mark)
    asyncio.run(lines(Path(folder), mark))
    lab(Path(folder), mark)
    mark("over")


if __name__ == "__main__":
    main(*sys.argv[1:])
