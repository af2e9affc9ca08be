"""An analyzer asks what to run, gets exactly what was registered, runs it, and the lab holds results of exactly that.

Every family that asks, over real sockets: the registration of a person, the middleware's own lines and answers, a
simulated analyzer that reads the answer by its family's own rule, the pipeline, the database.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from drivers.driver import Message
from middleware import block_sender, connection, pipeline
from middleware.host_orders import answerer
from middleware.journal import Journal
from middleware.lab import Lab
from middleware.schema import OrderTest, ResultRow
from middleware.settings import AnalyzerSettings
from middleware.supervisor import LineState, run_lines
from simulators.run_any import Wanted, play_any
from tests.labs import Desk

PATIENCE = 20.0  # seconds; only a broken test waits so long


@dataclass
class Line:
    """A line that runs in a lab."""

    lab: Lab
    journal: Journal
    messages: list[Message] = field(default_factory=list)
    state: LineState | None = None

    def keep(self, message: Message) -> None:
        """What the worker would do with it."""
        self.messages.append(message)
        assert pipeline.process(self.lab, message).state == "processed"

    async def port(self) -> int:
        async with asyncio.timeout(PATIENCE):
            while self.state is None or not self.state.address:
                await asyncio.sleep(0.002)
        return int(self.state.address.rpartition(":")[2])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause that the lab makes before it answers is made for real analyzers."""
    monkeypatch.setattr(connection, "ANSWER_DELAY", 0.01)
    monkeypatch.setattr(block_sender, "QUIET", 0.05)


@asynccontextmanager
async def line_of(lab: Lab, unit: AnalyzerSettings, tmp_path: Path) -> AsyncIterator[Line]:
    """The middleware's line of this analyzer."""
    running = Line(replace(lab, settings=replace(lab.settings, analyzers=(unit,))), Journal.open(tmp_path / "journal"))
    stop = asyncio.Event()

    def told(state: LineState) -> None:
        running.state = state

    lines = run_lines(running.lab.settings, running.journal, running.keep, told, stop,
                      answers=partial(answerer, running.lab))  # fmt: skip
    task = asyncio.create_task(lines)
    try:
        yield running
    finally:
        stop.set()
        await task
        running.journal.close()


async def simulate(line: Line, wanted: Wanted, **how: Any) -> list[str]:
    """The simulated analyzer in a thread of its own, until it is done; what it said."""
    said: list[str] = []
    stop, where = Event(), f"tcp://127.0.0.1:{await line.port()}"
    options: dict[str, Any] = {"fast": True, "once": True, "retry": 0.02, "say": said.append, **how}
    thread = threading.Thread(target=play_any, args=(wanted, where, None, stop), kwargs=options)
    thread.start()
    try:
        async with asyncio.timeout(PATIENCE):
            while thread.is_alive():
                await asyncio.sleep(0.002)
    finally:
        stop.set()
        thread.join(10)
    return said


FAMILIES: dict[str, tuple[tuple[str, ...], dict[str, str], dict[str, Any]]] = {
    # driver: tests that are ordered, the site's own codes, other settings
    "abbott_architect": (("TSH", "FT4"), {"241": "TSH", "651": "FT4"}, {}),
    "beckman_access": (("TSH", "FERR"), {}, {}),
    "beckman_au": (("CREAT", "UREA"), {"014": "CREAT", "097": "UREA"}, {"units": {"014": "mg/dL", "097": "mg/dL"}}),
    "biosystems_ba400": (("CREAT", "ALT"), {}, {}),
    "erba_xl": (("CREAT", "K", "GLUR"), {}, {}),
    "generic_astm": (("TSH", "CRP"), {}, {}),
    "generic_hl7": (("UREA", "NA"), {}, {}),
    "horiba_yumizen": (("CBC",), {}, {}),
    "mindray_bc": (("CBC",), {}, {}),
    "mindray_bs": (("CREAT", "TP"), {}, {}),
    "mindray_chem_hl7": (("CREAT", "ALT"), {"4": "CREAT", "5": "ALT"}, {}),
    "ortho_vitros": (("TSH", "FERR", "CREAT"), {"032": "FERR", "014": "TSH", "002": "CREAT"}, {}),
    "roche_cobas_c311": (("CREAT", "ALT", "K"), {}, {}),
    "roche_cobas_e411": (("TSH", "FERR"), {}, {}),
    "siemens_dimension": (("CREAT", "CHOL"), {}, {}),
    "snibe_maglumi": (("TSH", "FT4"), {}, {}),
    "sysmex_ca": (("PT", "INR", "APTT"), {}, {}),
    "sysmex_xn": (("CBC",), {}, {}),
    "thermo_indiko": (("ALB", "CREAT"), {}, {}),
}


def unit(name: str) -> AnalyzerSettings:
    _, codes, more = FAMILIES[name]
    return AnalyzerSettings("unit", name, name, "tcp-listen://127.0.0.1:0", codes=codes, **more)


@pytest.mark.parametrize("name", FAMILIES)
async def test_the_ordered_tests_are_asked_for_run_and_filed(name: str, desk: Desk, tmp_path: Path) -> None:
    visit = desk.register(*FAMILIES[name][0])
    tubes = [desk.sample_id(visit, at) for at in range(len(visit.sample_pks))]
    async with line_of(desk.lab, unit(name), tmp_path) as line:
        said = await simulate(line, Wanted(name, ask=tubes))
    print(said, desk.tray())
    ordered = {row["test"]: row["state"] for row in desk.rows(OrderTest, order_id=visit.order_id)}
    results = {row["test"]: (row["state"], row["display"]) for row in desk.rows(ResultRow)}
    print(ordered, results)
    assert set(results) == set(ordered)
