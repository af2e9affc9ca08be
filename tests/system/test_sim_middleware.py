"""The four simulated analyzers, each over the transport it really uses, against the middleware's own lines."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from drivers.driver import Message
from middleware.journal import Journal
from middleware.settings import AnalyzerSettings, load
from middleware.supervisor import LineState, run_lines
from server.processes import held_port
from simulators.day import made_up_day, plan
from simulators.run import play
from simulators.step import Step

DAY = made_up_day(5, datetime(2026, 11, 22, 3, 30, tzinfo=UTC), count=8)


CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Three that no other program is given meanwhile."""
    with held_port() as a, held_port() as b, held_port() as c:
        yield [int(held.getsockname()[1]) for held in (a, b, c)]


def wiring(ports: list[int], folder: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Analyzer → the lab's line, the simulator's end of it."""
    tcp = [f"tcp://127.0.0.1:{port}" for port in ports]
    return {
        "sysmex_xn": (f"tcp-listen://127.0.0.1:{ports[0]}", {"to": tcp[0]}),
        "roche_cobas_e411": (f"tcp-listen://127.0.0.1:{ports[1]}", {"to": tcp[1]}),
        "mindray_bc": (tcp[2], {"listen": tcp[2]}),
        "erba_xl": (f"serial:{folder}/cable?baud=9600", {"to": f"pty:{folder}/cable"}),
    }


def start(name: str, steps: tuple[Step, ...], where: dict[str, str], stop: Event, books: Path) -> threading.Thread:
    args = (name, steps, where.get("to"), where.get("listen"), stop)
    how: dict[str, Any] = {"fast": True, "once": True, "books": books}
    thread = threading.Thread(target=play, args=args, kwargs=how)
    thread.start()
    return thread


async def test_every_message_of_four_analyzers_reaches_the_journal_byte_for_byte(
    ports: list[int], tmp_path: Path
) -> None:
    wires = wiring(ports, tmp_path)
    plans = {name: plan(DAY, name)[-6:] for name in wires}
    lines = tuple(AnalyzerSettings(name, name, name, line) for name, (line, _) in wires.items())
    got: list[Message] = []
    states: list[LineState] = []
    journal, stop, over = Journal.open(tmp_path / "journal.db"), asyncio.Event(), Event()
    settings = replace(load(CONFIG, {"LABMITRA_STORE__VAR": str(tmp_path / "var")}), analyzers=lines)
    running = asyncio.create_task(run_lines(settings, journal, got.append, states.append, stop))
    threads = [start(name, plans[name], ends, over, tmp_path / f"{name}.books") for name, (_, ends) in wires.items()]
    try:
        async with asyncio.timeout(30):
            while any(thread.is_alive() for thread in threads) or len(got) < sum(map(len, plans.values())):
                assert not running.done()
                await asyncio.sleep(0.02)
    finally:
        over.set()
        stop.set()
        await running
        journal.close()
    for name, steps in plans.items():
        assert [message.body for message in got if message.analyzer == name] == [step.said.body for step in steps]
        lines_ = (tmp_path / f"{name}.books").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["seq"] for line in lines_] == [step.seq for step in steps]
