"""The lines with nothing but a journal behind them, as a process for the bench; also on an imitated slow disk.

`python -m bench.line_server JOURNAL --astm 15200 --hl7 15201 [--sync-delay 5] [--loop asyncio]` listens until it is
killed and prints "listening" when all lines do. Law: the slow disk lives here, in a subclass, and not in a setting
that a laboratory could leave on.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import uvloop

from middleware.journal import Journal
from middleware.settings import AnalyzerSettings
from middleware.supervisor import LineState, run_lines


class SlowJournal(Journal):
    """A journal on a disk whose every commit takes `delay` seconds longer."""

    delay = 0.0

    def _write(self, batch: Any) -> None:
        super()._write(batch)
        time.sleep(self.delay)


def settings(lines: dict[str, tuple[str, str]]) -> Any:
    """As much of Settings as the lines look at: name → (driver, URL)."""
    made = [AnalyzerSettings(name, driver, name, url) for name, (driver, url) in lines.items()]
    return SimpleNamespace(analyzers=made, lab=SimpleNamespace(timezone=ZoneInfo("Asia/Kolkata")))


async def serve(journal: Journal, lines: dict[str, tuple[str, str]]) -> None:
    """Until killed."""
    up: set[str] = set()

    def told(state: LineState) -> None:
        if (state.address or state.connected) and state.analyzer not in up:
            up.add(state.analyzer)
            if len(up) == len(lines):
                print("listening", flush=True)

    await run_lines(settings(lines), journal, lambda _message: None, told, asyncio.Event())


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--astm", type=int, default=0)
    parser.add_argument("--hl7", type=int, default=0)
    parser.add_argument("--serial", nargs="*", default=[], help="paths of ports, each an ASTM line at 9600 baud")
    parser.add_argument("--sync-delay", type=float, default=0.0, help="milliseconds that every commit takes longer")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    given = parser.parse_args()
    lines = {f"tty{n}": ("generic_astm", f"serial:{path}?baud=9600") for n, path in enumerate(given.serial)}
    for name, port in (("astm", given.astm), ("hl7", given.hl7)):
        if port:
            lines[name] = (f"generic_{name}", f"tcp-listen://127.0.0.1:{port}")
    SlowJournal.delay = given.sync_delay / 1000
    journal = (SlowJournal if given.sync_delay else Journal).open(given.journal)
    journal.recover()
    run = uvloop.run if given.loop == "uvloop" else asyncio.run
    run(serve(journal, lines))


if __name__ == "__main__":
    sys.exit(main())
