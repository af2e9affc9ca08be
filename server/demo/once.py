"""`labmitra demo --once`: the whole day without a person, at full speed; exit 0 only when the books balance.

Turns a fresh stage into a table: sent, journaled, observed, matched, held, unmatched, released, handed over, delivered,
opened. Eleven analyzers, five of which ask what to run. Law: nothing is counted from memory; every figure is read where
it came to rest.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select

from middleware import handover, store
from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.schema import Order, Patient, ReportRow, Sample
from middleware.store import books_view
from server.demo import guests, patient
from server.demo.books import balance, table
from server.demo.seed import PASSWORD, slip_of
from server.demo.stage import (
    SIMULATORS,
    Stage,
    build,
    empty_lab,
    fill,
    launch_services,
    services_answer,
    start_simulators,
)
from server.demo.technician import Technician
from server.demo.visitor import Visitor
from server.processes import Processes

PATIENCE = 120.0  # seconds, for a very busy computer


@dataclass
class Day:
    """What the run found, beside what stands in the database."""

    seconds: dict[str, float] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)


def run(config: Path) -> int:
    """Play the day in a folder that is thrown away afterwards; 0 when everything balances."""
    with tempfile.TemporaryDirectory(prefix="labmitra-once-") as name:
        stage = build(config, Path(name), usual_ports=False, guests=tuple(guests.GUESTS))
        with (stage.config / "analyzers.toml").open("a", encoding="utf-8") as analyzers:
            analyzers.write(guests.tables(stage.guests))
        lab = empty_lab(stage)
        try:
            with Processes(stage.home / "log", stage.environ) as processes:
                return _day(stage, lab, processes)
        except (RuntimeError, LookupError, httpx2.HTTPError) as broken:
            print(f"\nThe day broke: {broken}")
            return 1
        finally:
            lab.engine.dispose()
            stage.close()


def _day(stage: Stage, lab: Lab, processes: Processes) -> int:
    begin = time.monotonic()
    day = Day()
    launch_services(stage, processes)
    fill(stage, lab)
    start_simulators(stage, processes, pace=0.0, fast=True)
    guests.start(stage, processes, guests.admit_patients(lab))
    services_answer(stage, processes)
    day.seconds["start"] = time.monotonic() - begin
    _analyzers_done(stage, lab, processes)
    day.seconds["analyzers"] = time.monotonic() - begin
    with Visitor(stage.url(8080)) as browser:
        browser.log_in("technician", PASSWORD)
        technician = Technician(browser, lab.settings.catalogue)
        _work(technician)
        day.seconds["technician"] = time.monotonic() - begin
        _story(stage, lab, technician, day)
    _outbox_empty(lab)
    handover_seconds = time.monotonic() - begin
    day.seconds["all"] = handover_seconds
    troubles = balance(stage, lab)
    print(table(stage, lab, technician.done, day.opened, day.seconds))
    for trouble in troubles:
        print(f"NOT BALANCED: {trouble}")
    print("the books balance" if not troubles else f"{len(troubles)} differences")
    return 1 if troubles else 0


def _work(technician: Technician) -> None:
    technician.release_green()
    technician.call_criticals()
    technician.clear_the_tray()
    technician.work_off_held()
    technician.type_the_rest()
    technician.call_criticals()
    technician.work_off_held()
    technician.release_green()


def _analyzers_done(stage: Stage, lab: Lab, processes: Processes) -> None:
    """Every simulator sent its plan and every message of the journal is processed."""
    names = [f"simulator-{a}" for a in (*SIMULATORS, *stage.guests)]
    deadline = time.monotonic() + PATIENCE
    while not processes.finished(*names):
        if dead := processes.died():
            raise RuntimeError(f"{dead[0]} ended:\n{processes.tail(dead[0])}")
        if time.monotonic() > deadline:
            raise RuntimeError("the analyzers did not finish their day")
        time.sleep(0.1)
    expected = len(JournalReader(stage.settings().journal).messages(limit=100_000))
    while time.monotonic() < deadline:
        with lab.read() as conn:
            if sum(b.messages for b in books_view.message_books(conn)) >= expected:
                return
        time.sleep(0.1)
    raise RuntimeError("the pipeline did not finish the journal")


def _story(stage: Stage, lab: Lab, technician: Technician, day: Day) -> None:
    """One patient: slip, SMS, link, wrong PIN, right PIN, PDF; then the report is amended and a new SMS comes."""
    order = _linked_order(lab)
    slip = slip_of(lab, order["report_no"])
    number = order["sms_mobile"].removeprefix("+91")
    first = patient.wait_for_sms(stage.url(8095), number, "http", PATIENCE)
    day.opened = patient.open_report(stage.url(8090), first, slip["pin"])
    s = store.table(Sample)
    with lab.read() as conn:
        pk = conn.execute(select(s.c.id).where(s.c.order_id == order["id"], s.c.container != "U")).scalars().first()
    if not technician.amend(f"/samples/{pk}"):
        raise RuntimeError("no released number could be amended")
    _second_sms(stage, number, first)
    amended = patient.inbox(stage.url(8095), number)[0]
    day.opened |= {f"amended, {k}": v for k, v in patient.open_report(stage.url(8090), amended, slip["pin"]).items()}


def _second_sms(stage: Stage, number: str, first: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        texts = [t for t in patient.inbox(stage.url(8095), number) if "http" in t]
        if texts and texts[0] != first and len(texts) > 1:
            return
        time.sleep(0.2)
    raise RuntimeError("no SMS came for the amended report")


def _linked_order(lab: Lab) -> dict[str, Any]:
    """The first complete order whose report goes by link to the patient's own phone."""
    o, p, r = store.table(Order), store.table(Patient), store.table(ReportRow)
    wanted = (
        select(o.c.id, o.c.report_no, o.c.sms_mobile, r.c.document)
        .join(r, r.c.order_id == o.c.id)
        .join(p, p.c.id == o.c.patient_id)
        .where(o.c.sms_mode == "link", p.c.mobile_owner == "self")
        .order_by(o.c.id)
    )
    with lab.read() as conn:
        for row in conn.execute(wanted).mappings():
            if row["document"]["link"] == "yes":
                return dict(row)
    raise RuntimeError("no order became complete")


def _outbox_empty(lab: Lab) -> None:
    """Every hand-over acknowledged, and every delivery heard of."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with lab.read() as conn:
            pending = books_view.deliveries_pending(conn)
        if not handover.waiting(lab) and not pending:
            return
        time.sleep(0.2)
