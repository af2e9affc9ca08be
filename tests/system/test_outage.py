"""What is down for a while: the lab's database, the journal's disk, PostgreSQL, the SMS gateway, the report service."""

from __future__ import annotations

import resource
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from drivers.wire import lis1a
from middleware import handover, lab, migrate, work
from middleware.actions import results
from middleware.backup import copy_all
from middleware.lab import Lab, lock_writers, make_engine
from middleware.schema import HandoverRow, ResultRow
from middleware.settings import AnalyzerSettings
from server.demo.stage import Stage
from server.processes import Processes, wait_for
from server.reports import delivery
from server.reports.app import create_app
from server.reports.migrate import upgrade as upgrade_reports
from server.strings import Strings
from simulators import sms_gateway
from tests.conftest import ON_SQLITE
from tests.labs import BENCH, Clock, Desk, fill, lately
from tests.postgres import postgres_in
from tests.system.support import (
    Analyzers,
    ByHand,
    InHouse,
    Lines,
    Person,
    day_of,
    holdings,
    journaled,
    log_of,
    on_stage,
    plans_of,
    start_middleware,
    twin_of,
    undisturbed,
    unprocessed,
    until,
)

ACK, NAK = b"\x06", b"\x15"
PATIENTS = 6
ANALYZER = AnalyzerSettings("bench", "generic_astm", "Bench analyzer", "tcp-listen://127.0.0.1:0")

# ---- the lab's database -----------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return lately()


@pytest.fixture
def hurried(desk: Desk, lab_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The same laboratory, whose writers give up after a second and are tried again soon."""
    monkeypatch.setattr(lab, "_PATIENCE", 1)
    monkeypatch.setattr(work, "PAUSE", 0.2)
    hurried = replace(desk.lab, engine=make_engine(lab_url, make=False))
    yield hurried
    hurried.engine.dispose()


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else holds the database."""
    engine = make_engine(url)
    with engine.connect() as conn:
        lock_writers(conn)
        yield
        conn.rollback()
    engine.dispose()


def test_a_locked_database_stops_no_acknowledgement(
    desk: Desk, hurried: Lab, lab_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    orders = [desk.register("HB") for _ in range(4)]
    messages = [desk.message(desk.sample_id(made), f"HB=13.{n} g/dL") for n, made in enumerate(orders)]
    caplog.set_level("INFO", "labmitra.pipeline")
    with Lines(hurried, ANALYZER) as lines, lines.connect("bench") as bench:
        with locked(lab_url):
            for message in messages:
                assert bench.send(message.body) == ACK + ACK
            until(lambda: "cannot be used" in caplog.text, "the worker has noticed")
            for message in messages:  # a nervous analyzer says it all once more
                assert bench.send(message.body) == ACK + ACK
            assert len(lines.journal.unprocessed()) == 8
        lines.settle()
    assert [row["verbatim"] for row in desk.rows(ResultRow)] == ["13.0", "13.1", "13.2", "13.3"]
    assert caplog.text.count("cannot be used") == 1 and caplog.text.count("is back") == 1, "once down, once up"


@ON_SQLITE
def test_a_database_file_that_was_moved_away_is_awaited_and_never_made_anew(
    desk: Desk, hurried: Lab, lab_url: str
) -> None:
    file = Path(lab_url.removeprefix("sqlite:///"))
    number = desk.sample_id(desk.register("HB"))
    with Lines(hurried, ANALYZER) as lines, lines.connect("bench") as bench:
        file.rename(file.with_suffix(".away"))
        assert bench.send(desk.message(number, "HB=13.1 g/dL").body) == ACK + ACK
        until(lambda: lines.worker._down, "the worker has noticed")
        assert not file.exists() and len(lines.journal.unprocessed()) == 1
        file.with_suffix(".away").rename(file)
        lines.settle()
    assert [row["verbatim"] for row in desk.rows(ResultRow)] == ["13.1"]


@ON_SQLITE
def test_a_database_file_that_was_restored_is_the_one_written_to(
    desk: Desk, hurried: Lab, lab_url: str, tmp_path: Path
) -> None:
    file = Path(lab_url.removeprefix("sqlite:///"))
    number = desk.sample_id(desk.register("HB"))
    list(copy_all(hurried.settings, tmp_path / "backup"))
    with Lines(hurried, ANALYZER) as lines, lines.connect("bench") as bench:
        assert bench.send(desk.message(number, "HB=13.1 g/dL").body) == ACK + ACK
        lines.settle()
        for old in file.parent.glob(f"{file.name}*"):
            old.unlink()
        shutil.copy(tmp_path / "backup" / file.name, file)
        assert bench.send(desk.message(number, "HB=13.2 g/dL").body) == ACK + ACK
        lines.settle()
        until(lambda: len(desk.rows(ResultRow)) == 2, "what the backup lacks came from the journal, without a restart")
    assert sorted(row["verbatim"] for row in desk.rows(ResultRow)) == ["13.1", "13.2"]


# ---- the disk ---------------------------------------------------------------------------------------------------


@contextmanager
def full_disk(processes: Processes, name: str) -> Iterator[None]:
    """The process may write no file beyond its first page: no database, but the log."""
    pid = processes.running[name].pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_when_the_disk_cannot_be_written_the_analyzer_keeps_its_data(desk: Desk, lab_url: str, tmp_path: Path) -> None:
    made = desk.register("HB")
    body = desk.message(desk.sample_id(made), "HGB=13.1 g/dL").body.replace(b"^^^HGB", b"^^^^HGB^1")
    body = body.replace(b"||^^^ALL", b"|^^" + desk.sample_id(made).rjust(22).encode() + b"^M|^^^^WBC")
    block = HL7.replace(b"SAMPLE", desk.sample_id(made).encode())
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        with bc5150(stage) as dialled:
            start_middleware(stage, processes)
            hl7 = dialled()
            with ByHand(("127.0.0.1", stage.ports[9101])) as analyzer, hl7:
                with full_disk(processes, "middleware"):
                    refused(analyzer, body)
                    assert b"MSA|AE|" in hl7.send_hl7(block)
                    assert analyzer.ask(b"\x05") == NAK, "it does not even begin while the disk is full"
                assert analyzer.send(body) == ACK + ACK
                assert b"MSA|AA|" in hl7.send_hl7(block)
                until(lambda: not unprocessed(stage), "everything is processed")
        said = log_of(stage, "middleware")
        assert said.count("cannot be written") == 1 and said.count("is written again") == 1
        kept = journaled(stage)
    assert kept["bc5150"][b"\x0b" + block + b"\x1c\r"] == 1
    assert [(r["analyzer"], r["display"]) for r in desk.rows(ResultRow)] == [("xn550", "13.1"), ("bc5150", "13.4")]


HL7 = (
    b"MSH|^~\\&|||||20261122100000||ORU^R01|7|P|2.3.1||||||UNICODE\rPID|1\r"
    b"OBR|1||SAMPLE|00001^Automated Count^99MRC||20261122095900|20261122100000\r"
    b"OBX|1|NM|718-7^HGB^LN||134|g/L|110-160|N|||F\r"
)


def refused(analyzer: ByHand, body: bytes) -> None:
    """ENQ may still be taken, for nobody knows yet; the frame is not."""
    assert analyzer.ask(b"\x05") in (ACK, NAK)
    (frame,) = lis1a.frames(body, 1000)
    assert analyzer.ask(frame) == NAK
    analyzer.write(b"\x04")


@contextmanager
def bc5150(stage: Stage) -> Iterator[Callable[[], ByHand]]:
    """The analyzer that the lab dials, played by hand: call it for the connection."""
    with socket.create_server(("127.0.0.1", stage.ports[9103])) as server:
        server.settimeout(30)

        def dialled() -> ByHand:
            connection, _ = server.accept()
            return ByHand(connection)

        yield dialled


# ---- PostgreSQL -------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Any]:
    """A PostgreSQL of this test's own, to be stopped and started."""
    with postgres_in() as server:
        yield server


@pytest.mark.postgres
def test_postgresql_stopped_in_the_middle_and_started_again(server: Any, tmp_path: Path, lab_sqlite: Path) -> None:
    url = server.get_uri()
    migrate.upgrade(url)
    fill(url)
    with on_stage(tmp_path / "home", url) as (stage, processes):
        lab = stage.lab()
        day_of(stage, lab, PATIENTS)
        twin = twin_of(lab_sqlite, tmp_path, PATIENTS)
        plans = {name: steps[-8:] for name, steps in plans_of(stage.day).items()}
        start_middleware(stage, processes)
        with Analyzers(stage, {name: steps[:4] for name, steps in plans.items()}, pace=0.2) as analyzers:
            until(lambda: sum(holdings(lab)["results"].values()), "results arrive")
            lab.engine.dispose()
            server.stop()
            until(lambda: analyzers.done, "what was on its way is acknowledged")
        with Analyzers(stage, {name: steps[4:] for name, steps in plans.items()}) as analyzers:
            until(lambda: "cannot be used" in log_of(stage, "middleware"), "the worker has noticed")
            until(lambda: analyzers.done, "every message is acknowledged meanwhile")
            assert unprocessed(stage)
            server.start()
            until(lambda: not unprocessed(stage), "what waited is processed")
        assert holdings(lab) == undisturbed(twin, plans)
        assert "is back" in log_of(stage, "middleware")
        twin.engine.dispose()
        lab.engine.dispose()


# ---- the SMS gateway --------------------------------------------------------------------------------------------


@contextmanager
def served(app: FastAPI, port: int) -> Iterator[None]:
    """An application on a real port, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, "it is served")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class Hub:
    """The report service and the gateway behind it, the laboratory before it; time passes when told."""

    def __init__(self, stage: Stage) -> None:
        self.settings = stage.settings()
        upgrade_reports(self.settings.reports.database_url)
        self.clock = Clock()
        self.app = create_app(
            self.settings.reports, Strings.load(stage.config), stage.config, now=self.clock, ticker=False
        )
        self.gateway = sms_gateway.create_app(dlr_seconds=0.0, slow_seconds=3.0)
        lab = replace(stage.lab(), settings=replace(self.settings, analyzers=(*self.settings.analyzers, BENCH)))
        self.desk = Desk(replace(lab, now=self.clock), self.clock)

    def hurry(self) -> None:
        """It waits one second for the gateway from now on, and not ten; a slow gateway takes three."""
        self.app.state.hub.gateway._client.timeout = 1.0

    def mode(self, mode: sms_gateway.Mode) -> None:
        """How the gateway behaves from now on."""
        self.gateway.state.gateway.mode = mode

    def report(self, value: str) -> str:
        """A report of one haemoglobin, released and handed over; its number."""
        made, ids = self.desk.measured(f"HB={value} g/dL")
        results.release(self.desk.lab, self.desk.technician, ids)
        with handover.client_for(self.desk.lab) as client:
            assert handover.run_due(self.desk.lab, client) == 1
        return made.report_no

    def work(self, **later: float) -> None:
        """The ticker's work, some time later."""
        self.clock.forward(**later)
        delivery.run_due(self.app.state.hub)

    def told(self, report_no: str) -> str:
        """What the technician reads about this report's SMS."""
        with handover.client_for(self.desk.lab) as client:
            handover.ask_deliveries(self.desk.lab, client)
        with InHouse(self.desk.lab) as technician:
            return technician.reads(f"/reports/{report_no}")

    @property
    def phones(self) -> list[str]:
        """Every SMS that reached a phone."""
        return [sms.text for sms in self.gateway.state.gateway.inbox]


@pytest.fixture
def hub(lab_url: str, tmp_path: Path) -> Iterator[Hub]:
    with on_stage(tmp_path / "home", lab_url) as (stage, _):
        hub = Hub(stage)
        with served(hub.app, stage.ports[8090]), served(hub.gateway, stage.ports[8095]):
            yield hub
        hub.desk.lab.engine.dispose()


def test_an_sms_gateway_that_is_down_is_tried_again_until_it_is_back(hub: Hub) -> None:
    hub.mode("down")
    report_no = hub.report("13.1")
    hub.work()
    hub.work(minutes=2)
    assert hub.phones == [] and "SMS · waits" in hub.told(report_no)
    hub.mode("ok")
    hub.work(minutes=3)
    assert len(hub.phones) == 1
    until(lambda: "reached the phone" in hub.told(report_no), "the receipt comes")
    hub.work(hours=5)
    assert len(hub.phones) == 1, "and never twice"


def test_a_gateway_that_says_yes_and_means_no_is_shown_to_a_person(hub: Hub) -> None:
    hub.mode("lying")
    report_no = hub.report("13.1")
    for _ in range(3):
        hub.work(hours=1)
    assert hub.phones == []
    assert "SMS ‼ failed" in hub.told(report_no)
    with InHouse(hub.desk.lab) as technician:
        assert "Reports that need a person: 1" in technician.reads("/reports")


def test_a_slow_gateway_may_have_sent_it_so_it_is_never_sent_blindly_again(hub: Hub) -> None:
    hub.mode("slow")
    hub.hurry()
    report_no = hub.report("13.1")
    hub.work()
    assert "SMS ! not known" in hub.told(report_no)
    until(lambda: hub.phones, "it had taken it after all")
    hub.mode("ok")
    hub.work(hours=2)
    assert len(hub.phones) == 1
    until(lambda: "reached the phone" in hub.told(report_no), "its receipt settles it")


# ---- the report service -----------------------------------------------------------------------------------------


@ON_SQLITE
def test_the_lab_goes_on_for_a_whole_day_without_the_report_service(desk: Desk, lab_url: str, tmp_path: Path) -> None:
    orders = [desk.measured(f"HB=13.{n} g/dL") for n in range(3)]
    with on_stage(tmp_path / "home", lab_url, LABMITRA_HUB__RETRY_SECONDS="1") as (stage, processes):
        processes.start("lab", "lab", "--config", str(stage.config))
        wait_for(stage.url(8080) + "/healthz", processes)
        with Person(stage.url(8080)) as technician:
            page = technician.get("/worklist/green")
            form = next(form for form in page.all_forms("/worklist/green") if form.value("release"))
            assert technician.send(page, form).status == 200
            until(lambda: tried(desk), "the outbox has tried")
            assert "Waiting for the report service: 3." in technician.reads("/reports?span=ever")
            for made, _ in orders:
                assert technician.get(f"/reports/{made.report_no}/print.pdf").content.startswith(b"%PDF")
            assert httpx2.get(stage.url(8080) + "/healthz", trust_env=False).status_code == 200
            processes.start("reports", "reports", "--config", str(stage.config))
            until(lambda: states(desk) == ["sent"] * 3, "the outbox drains by itself")
            assert "Waiting for the report service" not in technician.reads("/reports?span=ever")
        assert log_of(stage, "lab").count("the outbox waits and tries again") <= 3, "not once a second"


def tried(desk: Desk) -> bool:
    return any(row["attempts"] for row in desk.rows(HandoverRow))


def states(desk: Desk) -> list[str]:
    return [row["state"] for row in desk.rows(HandoverRow)]
