"""The lines with nothing but a journal behind them, as a process that a test may kill.

`python -m tests.system.crash_middleware JOURNAL ADDRESSES NAME=DRIVER …` listens for each NAME on a free port and
writes the ports to ADDRESSES (JSON) when all listen.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from middleware.journal import Journal
from middleware.supervisor import LineState, run_lines
from tests.system.line_kit import analyzer, lab_with


async def serve(journal: Journal, addresses: Path, names: dict[str, str]) -> None:
    """Until killed."""
    ports: dict[str, int] = {}

    def told(state: LineState) -> None:
        if state.address and state.analyzer not in ports:
            ports[state.analyzer] = int(state.address.rpartition(":")[2])
            if len(ports) == len(names):
                fresh = addresses.with_suffix(".new")
                fresh.write_text(json.dumps(ports))
                fresh.replace(addresses)

    lines = [analyzer(name, "tcp-listen://127.0.0.1:0", driver) for name, driver in names.items()]
    await run_lines(lab_with(*lines), journal, lambda _message: None, told, asyncio.Event())


def main(journal_path: str, addresses: str, *named: str) -> None:
    """As the middleware does: open, recover, run."""
    journal = Journal.open(Path(journal_path))
    journal.recover()
    asyncio.run(serve(journal, Path(addresses), dict(name.split("=") for name in named)))


if __name__ == "__main__":
    main(*sys.argv[1:])
