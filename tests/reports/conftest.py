"""A report service for each test, on SQLite and on PostgreSQL: migrated once, copied for every test."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from middleware.model import Access, Handover, LinkPolicy, Report, ReportLine, ReportSample, ReportStatus, Sex
from middleware.settings import GatewaySettings, ReportServiceSettings
from server.reports import delivery, intake, migrate
from server.reports.app import create_app
from server.reports.hub import Hub
from server.reports.sms import Accepted, Outgoing, Told
from server.strings import Strings
from tests.apps import REPORT_TEMPLATES
from tests.labs import Clock, named, run_sql

CONFIG = Path(__file__).parents[2] / "config"
NOON = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)  # 12:00 in India
KEY = "the key of Pandit Deen Dayal"
OTHER_KEY = "the key of another hospital"
PIN = "402817"
SLIP = "8K3F9QXZ2M7TWB4D"
PATIENT = "Rekha <b>Devi</b>"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # a real hash takes 0.1 s of each test


@dataclass
class FakeGateway:
    """Takes every SMS, or raises what the test has put in front."""

    sent: list[Outgoing] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def send(self, message: Outgoing) -> Accepted:
        self.before()
        if self.trouble:
            raise self.trouble.pop(0)
        self.sent.append(message)
        return Accepted(f"gw-{len(self.sent)}")

    def receipts(self, body: object, /) -> list[Told]:
        rows = body if isinstance(body, list) else [body]
        return [Told(str(r["id"]), r["status"], r.get("code", "")) for r in rows]

    def close(self) -> None:
        pass


@dataclass
class Service:
    """The running service and the laboratory beside it."""

    client: TestClient
    hub: Hub
    clock: Clock
    gateway: FakeGateway
    pin_hash: str = field(default_factory=lambda: CHEAP.hash(PIN))

    def report(self, **changes: Any) -> Report:
        """A final report of one haemoglobin."""
        return replace(_report(), **changes)

    def access(self, **changes: Any) -> Access:
        """The patient's own phone, a PIN and a slip."""
        slips = (hashlib.sha256(SLIP.encode()).hexdigest(),)
        return replace(Access(1, "9876543210", "hi", "link", self.pin_hash, slips), **changes)

    def put(self, report: Report | None = None, access: Access | None = None, key: str = KEY) -> Any:
        """Hand one over."""
        report, access = report or self.report(), access or self.access()
        body = intake.HANDOVER.dump_json(Handover(report, access))
        return self.put_body(report.report_no, report.version, body, key)

    def put_body(self, report_no: str, version: int, body: bytes, key: str = KEY) -> Any:
        path = f"/api/v1/reports/{report_no}/versions/{version}"
        return self.client.put(path, content=body, headers={"Authorization": f"Bearer {key}"})

    def state(self, report_no: str = "DDU-261122-0001", key: str = KEY) -> Any:
        """What GET tells the lab."""
        return self.client.get(f"/api/v1/reports/{report_no}", headers={"Authorization": f"Bearer {key}"}).json()

    def sms(self) -> list[tuple[int, str, str]]:
        """Every SMS of the usual report: version, template, status."""
        return [(row["version"], row["template"], row["status"]) for row in self.state()["delivery"]["sms"]]

    def send(self) -> list[Outgoing]:
        """Work off the outbox; what the gateway got by it."""
        before = len(self.gateway.sent)
        delivery.run_due(self.hub)
        return self.gateway.sent[before:]

    def token(self, message: Outgoing) -> str:
        """The token in an SMS."""
        return next(w for w in message.text.split() if w.startswith("https://")).rsplit("/", 1)[1].rstrip(".")

    def try_pin(self, pin: str = PIN, token: str = SLIP, lang: str = "en") -> Any:
        return self.client.post(f"/{token}?lang={lang}", data={"pin": pin})


def _report() -> Report:
    line = ReportLine(
        "HGB", "Haemoglobin", "हीमोग्लोबिन", "CBC", "Blood", "718-7", "SLS", "7.1", "g/dL", "L", "12.0 - 15.0", "final",
        released_by="Dr A Verma", released_at=NOON, ref_low="12.0", ref_high="15.0",
    )  # fmt: skip
    return Report(
        "DDU-261122-0001", 1, ReportStatus.FINAL, "DDU", "DDU Hospital, Varanasi", "डीडीयू अस्पताल", "Pandeypur",
        "0542-1",
        "Gynae OPD", "Dr S Singh", PATIENT, "107-0000001", Sex.FEMALE, "45 y", NOON, NOON,
        (ReportSample("107632600017", "Blood", NOON, NOON),), (line,), NOON, "Dr A Verma, MD", LinkPolicy.YES,
    )  # fmt: skip


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hub") / "reports.sqlite"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str) -> str:
    run_sql(postgres, "CREATE DATABASE hub_template")
    migrate.upgrade(named(postgres, "hub_template"))
    return postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "reports.sqlite")
        yield f"sqlite:///{tmp_path / 'reports.sqlite'}"
        return
    server = request.getfixturevalue("migrated_postgres")
    run_sql(server, "CREATE DATABASE hub_test TEMPLATE hub_template STRATEGY FILE_COPY")
    yield named(server, "hub_test")
    run_sql(server, "DROP DATABASE hub_test WITH (FORCE)")


@pytest.fixture(scope="session")
def strings() -> Strings:
    return Strings.load(CONFIG)


@pytest.fixture
def settings(database_url: str) -> ReportServiceSettings:
    keys = {code: hashlib.sha256(key.encode()).hexdigest() for code, key in (("DDU", KEY), ("CHC", OTHER_KEY))}
    sms = GatewaySettings("console", {}, "UPHLTH", 21, 7)
    return ReportServiceSettings("127.0.0.1", 0, database_url, "https://r.example", 30, keys, sms, "a test's secret")


@pytest.fixture
def service(settings: ReportServiceSettings, strings: Strings) -> Iterator[Service]:
    clock, gateway = Clock(NOON), FakeGateway()
    app = create_app(settings, strings, CONFIG, now=clock, gateway=gateway, ticker=False)
    app.state.shelf._jinja.bytecode_cache = REPORT_TEMPLATES
    app.state.hub.pins._hasher = CHEAP  # for the run of argon2 where there is nothing to check
    with TestClient(app, base_url="https://r.example") as client:
        yield Service(client, app.state.hub, clock, gateway)
