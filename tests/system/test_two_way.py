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
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient

from drivers.driver import Message
from middleware import block_sender, connection, pipeline
from middleware.actions.register import Registered
from middleware.host_orders import answerer
from middleware.journal import Journal
from middleware.lab import Lab
from middleware.schema import OrderTest, ResultRow, Sample
from middleware.settings import AnalyzerSettings
from middleware.supervisor import LineState, run_lines
from simulators import two_way
from simulators.run_any import Wanted, play_any
from tests.apps import app_of
from tests.conftest import ON_SQLITE
from tests.labs import PASSWORD, Desk

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
async def line_of(lab: Lab, unit: AnalyzerSettings, tmp_path: Path, **more: Any) -> AsyncIterator[Line]:
    """The middleware's line of this analyzer."""
    running = Line(replace(lab, settings=replace(lab.settings, analyzers=(unit,))), Journal.open(tmp_path / "journal"))
    stop = asyncio.Event()

    def told(state: LineState) -> None:
        running.state = state

    lines = run_lines(running.lab.settings, running.journal, running.keep, told, stop,
                      answers=partial(answerer, running.lab), **more)  # fmt: skip
    task = asyncio.create_task(lines)
    try:
        yield running
    finally:
        stop.set()
        await task
        running.journal.close()


async def simulate(line: Line, wanted: Wanted, **how: Any) -> list[str]:
    """The simulated analyzer dials the line; what it said until it was done."""
    return await played(wanted, f"tcp://127.0.0.1:{await line.port()}", None, **how)


async def played(wanted: Wanted, to: str | None, listen: str | None, **how: Any) -> list[str]:
    """The simulated analyzer in a thread of its own, until it is done; what it said."""
    said, stop = list[str](), Event()
    options: dict[str, Any] = {"fast": True, "once": True, "retry": 0.02, "say": said.append, **how}
    thread = threading.Thread(target=play_any, args=(wanted, to, listen, stop), kwargs=options, daemon=True)
    thread.start()
    try:
        async with asyncio.timeout(PATIENCE):
            while thread.is_alive():
                await asyncio.sleep(0.002)
    finally:
        stop.set()
        thread.join(10)
    return said


@dataclass(frozen=True)
class Case:
    """A family: what is ordered, what the analyzer must be told to run, and what the site has set. `beside` is ordered
    too and nothing for this analyzer."""

    tests: tuple[str, ...]
    told: str
    beside: str = "RF"
    codes: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    framing: str = ""


COUNT = "HGB RBC HCT MCV MCH MCHC RDW-CV WBC NEUT% LYMPH% MONO% EO% BASO% NEUT# LYMPH# MONO# EO# BASO# PLT MPV"
SITE_UNITS = {"014": "mg/dL", "097": "mg/dL"}
FAMILIES = {
    "abbott_architect": Case(("TSH", "FERR"), "241 651", codes={"241": "TSH", "651": "FERR"}),
    "agappe_mispa_nano": Case(("CREAT", "TP"), "CR TP"),
    "beckman_access": Case(("TSH", "FERR"), "TSH Ferritin"),
    "beckman_au": Case(("CREAT", "UREA"), "014 097", codes={"014": "CREAT", "097": "UREA"}, units=SITE_UNITS),
    "biosystems_ba400": Case(("CREAT", "ALT"), "CREATININE ALT-GPT"),
    "erba_xl": Case(("CREAT", "K"), "CR K"),
    "generic_astm": Case(("TSH", "CRP"), "TSH CRP", beside=""),
    "generic_hl7": Case(("UREA", "NA"), "UREA NA", beside=""),
    "horiba_yumizen": Case(("CBC",), "DIF", "ESR"),
    "mindray_bc": Case(("CBC",), "CBC+DIFF", "ESR"),
    "mindray_bs": Case(("CREAT", "TP"), "CR TP"),
    "mindray_chem_hl7": Case(("CREAT", "ALT"), "4 5", codes={"4": "CREAT", "5": "ALT"}),
    "ortho_vitros": Case(("TSH", "FERR"), "014 032", codes={"032": "FERR", "014": "TSH"}),
    "roche_cobas_c311": Case(("CREAT", "ALT", "K"), "690 685 990"),
    "roche_cobas_e411": Case(("TSH", "FERR"), "8 3", codes={"8": "TSH", "3": "FERR"}),
    "siemens_dimension": Case(("CREAT", "CHOL"), "CREA CHOL"),
    "snibe_maglumi": Case(("TSH", "FT4"), "TSH FT4"),
    "sysmex_ca": Case(("PT", "INR", "APTT"), "041 043 044 051", "DDIMER"),
    "sysmex_xn": Case(("CBC",), COUNT, "ESR"),
    "thermo_indiko": Case(("ALB", "CREAT"), "ALB CR"),
}
MODES = {"horiba_yumizen", "mindray_bc"}  # told a mode: they count more than is awaited
FRAMINGS = {("beckman_au", "stx_bcc"), ("beckman_au", "enq"), ("snibe_maglumi", "simple")}
SILENT = {"beckman_access", "beckman_au"}  # where nothing is ordered they are told nothing, and wait in vain
NOBODY = "107632699905"  # well-formed, and no tube of ours


def unit(name: str, framing: str = "") -> AnalyzerSettings:
    case = FAMILIES[name]
    return AnalyzerSettings("unit", name, name, "tcp-listen://127.0.0.1:0", codes=case.codes, units=case.units,
                            framing=framing)  # fmt: skip


@ON_SQLITE
@pytest.mark.parametrize(("name", "framing"), [*((name, "") for name in FAMILIES), *sorted(FRAMINGS)])
async def test_exactly_what_is_ordered_is_run_and_filed(
    name: str, framing: str, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tube with orders, and one that nobody registered: each family is told so in its own way, two by silence."""
    case = FAMILIES[name]
    visit = desk.register(*case.tests, *filter(None, [case.beside]))
    tube = desk.sample_id(visit)
    async with line_of(desk.lab, unit(name, framing), tmp_path) as line:
        if name in SILENT:
            said = await simulate(line, Wanted(name, ask=[tube], framing=framing))
            family: Any = two_way.FAMILIES[name]
            monkeypatch.setitem(two_way.FAMILIES, name, replace(family, patience=0.1))  # type: ignore[misc]
            said += (await simulate(line, Wanted(name, ask=[NOBODY], framing=framing)))[1:]
        else:
            said = await simulate(line, Wanted(name, ask=[tube, NOBODY], framing=framing))
    assert said == [f"{tube}: {case.told}", f"{NOBODY}: nothing is ordered"]
    filed(desk, visit, case)
    assert {row["rule"] for row in desk.tray()} <= ({"not_ordered"} if name in MODES else set())


def filed(desk: Desk, visit: Registered, case: Case) -> None:
    """Results of the ordered tests, of no other, each waiting on the worklist; what lies beside is still awaited."""
    results = desk.rows(ResultRow)
    ordered = {row["test"] for row in desk.rows(OrderTest, order_id=visit.order_id)} - {case.beside}
    assert {row["test"] for row in results} == ordered and len(results) == len(ordered)
    assert {row["state"] for row in results} <= {"held", "autoverified"}
    assert {row["analyzer"] for row in results} == {"unit"}


@ON_SQLITE
async def test_from_the_registration_page_to_the_result(desk: Desk, tmp_path: Path) -> None:
    """One question about two tubes and a stranger, with the backtick of an Erba."""
    visit = await asyncio.to_thread(registered_on_the_page, desk, "CREAT", "K", "GLUR")
    tubes = [str(row["sample_id"]) for row in desk.rows(Sample)]
    assert len(tubes) == 2, "one tube each for serum and fluoride plasma"
    async with line_of(desk.lab, unit("erba_xl"), tmp_path) as line:
        said = await simulate(line, Wanted("erba_xl", ask=[tubes[0], NOBODY, tubes[1]]))
    told = {each.partition(":")[0]: each.partition(": ")[2] for each in said}
    assert sorted(told.values()) == ["CR K", "GLU", "nothing is ordered"] and told[NOBODY] == "nothing is ordered"
    assert [b"\rQ" in message.body for message in line.messages] == [True, False, False], "all in one query"
    assert {row["test"] for row in desk.rows(ResultRow)} == {"CREAT", "K", "GLUR"}
    assert {row["state"] for row in desk.rows(OrderTest, order_id=visit)} == {"awaited"}, "until a person releases"


def registered_on_the_page(desk: Desk, *tests: str) -> int:
    """What the counter does, by the pages' own forms; the order's number."""
    with TestClient(app_of(desk.lab), follow_redirects=False) as client:
        login = BeautifulSoup(client.get("/login").text, "html.parser")
        form = {"csrf": login.select_one("form[action='/login'] [name=csrf]")["value"]}  # type: ignore[index]
        client.post("/login", data={**form, "username": "reception", "password": PASSWORD, "next": "/"})
        page = BeautifulSoup(client.get("/register").text, "html.parser")
        sent = client.post("/register", data={
            "csrf": page.select_one("[name=csrf]")["value"], "name": "Kamla Devi", "sex": "F", "age": "45",  # type: ignore[index]
            "age_unit": "years", "mobile": "9876512345", "mobile_owner": "self", "sms_consent": "1", "language": "hi",
            "doctor": "Dr Singh", "department": "OPD 4", "facility": desk.lab.settings.facilities[0].code,
            "collected_now": "1", "tests": list(tests),
        })  # fmt: skip
    assert sent.status_code == 303, sent.text[-500:]
    return int(sent.headers["location"].rpartition("/")[2])


@ON_SQLITE
async def test_what_was_run_is_not_ordered_again(desk: Desk, tmp_path: Path) -> None:
    """The second question about a tube finds its results waiting for release."""
    tube = desk.sample_id(desk.register("TSH"))
    async with line_of(desk.lab, unit("roche_cobas_e411"), tmp_path) as line:
        first = await simulate(line, Wanted("roche_cobas_e411", ask=[tube]))
        second = await simulate(line, Wanted("roche_cobas_e411", ask=[tube]))
    assert (first, second) == ([f"{tube}: 8"], [f"{tube}: nothing is ordered"])
    assert len(desk.rows(ResultRow)) == 1


# ---- other ways to be connected ------------------------------------------------------------------------------------


@ON_SQLITE
async def test_an_analyzer_that_the_lab_dials_asks_too(port: int, desk: Desk, tmp_path: Path) -> None:
    """As a Mindray BC is connected: it listens, and asks over the connection that the lab made."""
    visit, address = desk.register("CBC"), f"tcp://127.0.0.1:{port}"
    tube = desk.sample_id(visit)
    async with line_of(desk.lab, replace(unit("mindray_bc"), line=address), tmp_path):
        said = await played(Wanted("mindray_bc", ask=[tube]), None, address)
    assert said == [f"{tube}: CBC+DIFF"]
    filed(desk, visit, FAMILIES["mindray_bc"])


@ON_SQLITE
@pytest.mark.parametrize("name", ["siemens_dimension", "roche_cobas_c311"])
async def test_an_analyzer_on_a_serial_cable_asks_too(name: str, desk: Desk, tmp_path: Path) -> None:
    visit, case, cable = desk.register(*FAMILIES[name].tests), FAMILIES[name], tmp_path / "cable"
    tube = desk.sample_id(visit)
    on_cable = replace(unit(name), line=f"serial:{cable}?baud=9600")
    async with line_of(desk.lab, on_cable, tmp_path):
        said = await played(Wanted(name, ask=[tube]), f"pty:{cable}", None)
        async with asyncio.timeout(PATIENCE):
            while not desk.rows(ResultRow):
                await asyncio.sleep(0.005)
    assert said == [f"{tube}: {case.told}"]
    filed(desk, visit, case)


# ---- orders that come unasked ---------------------------------------------------------------------------------------

PUSHED = ("biosystems_ba400", "erba_xl", "generic_astm", "generic_hl7", "roche_cobas_c311", "roche_cobas_e411")


@ON_SQLITE
@pytest.mark.parametrize("name", PUSHED)
async def test_what_is_registered_is_sent_run_and_filed(
    name: str, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The analyzer asks nothing: it stands idle while somebody registers."""
    order_desk = pytest.importorskip("middleware.order_desk", reason="this middleware sends no orders unasked")
    for module in (order_desk, connection):
        monkeypatch.setattr(module, "LOOK", 0.02, raising=False)
    monkeypatch.setattr(order_desk, "SHARE", 0, raising=False)
    case, told = FAMILIES[name], list[str]()
    pushing: Any = replace(unit(name), orders="push")  # type: ignore[call-arg]
    desk_of_orders = order_desk.OrderDesk(replace(desk.lab, settings=replace(desk.lab.settings, analyzers=(pushing,))))
    async with line_of(desk.lab, pushing, tmp_path, baskets=desk_of_orders.baskets) as line:
        where, stop = f"tcp://127.0.0.1:{await line.port()}", Event()
        how: dict[str, Any] = {"fast": True, "retry": 0.02, "say": told.append}
        asked = (Wanted(name, ids=[]), where, None, stop)
        thread = threading.Thread(target=play_any, args=asked, kwargs=how, daemon=True)
        thread.start()
        desk_of_orders.start()
        try:
            visit = await asyncio.to_thread(desk.register, *case.tests, *filter(None, [case.beside]))
            async with asyncio.timeout(PATIENCE):
                while not desk.rows(ResultRow):
                    await asyncio.sleep(0.02)
        finally:
            stop.set()
            await asyncio.to_thread(desk_of_orders.stop)
            await asyncio.to_thread(thread.join, PATIENCE)
    assert sorted(told) == sorted([f"{desk.sample_id(visit)}: {case.told}"])
    filed(desk, visit, case)
