"""What every page test stands on: a lab on a fresh SQLite file, one user of each role, a browser logged in as any.

`world` puts patients, orders, samples and results straight into the tables: a page test says what is there, asks for
the page and reads the HTML.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from middleware.actions.users import HASHER
from middleware.catalogue import read_catalogue
from middleware.lab import Lab, make_engine
from middleware.model import Actor, Role
from middleware.sample_id import make
from middleware.schema import (
    LabTable,
    Order,
    OrderTest,
    Patient,
    ReasonRow,
    ResultRow,
    Sample,
    UnmatchedRow,
    User,
)
from middleware.settings import (
    AnalyzerSettings,
    Facility,
    GatewaySettings,
    HubSettings,
    LabSettings,
    ReportServiceSettings,
    RuleSettings,
    Settings,
    WebSettings,
)
from middleware.store import next_serial, put, table
from server.lab.session import COOKIE, Session
from tests.apps import app_of
from tests.labs import NOW, PASSWORD, Clock

CONFIG = Path(__file__).parents[2] / "config"
DDU = Facility(
    "VNS-DH-DDU", "DDU Government Hospital", "पं. दीनदयाल उपाध्याय चिकित्सालय", "District Hospital", "Pandeypur"
)


@pytest.fixture(scope="session")
def catalogue() -> Any:
    found = read_catalogue(CONFIG)
    assert not found.problems
    return found


@pytest.fixture(scope="session")
def password_hash() -> str:
    return HASHER.hash(PASSWORD)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory, password_hash: str) -> Path:
    """A database with the tables and one user of each role, made once and copied for each test."""
    path = tmp_path_factory.mktemp("lab") / "lab.sqlite"
    engine = make_engine(f"sqlite:///{path}")
    LabTable.metadata.create_all(engine)
    with engine.begin() as conn:
        for role in Role:
            put(
                conn, User, username=role.value, name=f"{role.value.title()} Devi", qualification="", language="en",
                role=role.value, password_hash=password_hash, active=True, must_change=False, session_epoch=0,
                created_at=NOW,
            )  # fmt: skip
    with engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


def make_settings(var: Path, catalogue: Any) -> Settings:
    """Settings for a test, without reading a configuration file."""
    lab = LabSettings(
        DDU, 107, "Pandeypur, Varanasi", "0542-0000000", "", "Department of Health, Uttar Pradesh",
        ZoneInfo("Asia/Kolkata"), "en",
    )  # fmt: skip
    analyzers = (
        AnalyzerSettings("xn550", "sysmex_xn", "Sysmex XN-550", "tcp-listen://127.0.0.1:0"),
        AnalyzerSettings("xl640", "erba_xl", "Erba XL-640", "serial:/dev/null"),
    )
    hub = HubSettings("", "https://r.example", "key", 30)
    reports = ReportServiceSettings(
        "127.0.0.1", 0, f"sqlite:///{var / 'reports.sqlite'}", "https://r.example", 90, {},
        GatewaySettings("console", {}, "UPHLTH", 21, 8), "reports secret",
    )  # fmt: skip
    return Settings(
        config=CONFIG, var=var, lab=lab, web=WebSettings("127.0.0.1", 0, 15, False), hub=hub,
        database_url=f"sqlite:///{var / 'lab.sqlite'}", journal=var / "journal.sqlite", secret="a secret of this test",
        analyzers=analyzers, rules=RuleSettings(frozenset(), "test", {}), catalogue=catalogue.tests,
        panels=catalogue.panels, facilities=(DDU,), reports=reports,
        panel_names=catalogue.panel_names,
    )  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lab(
    tmp_path: Path, empty_database: Path, catalogue: Any, clock: Clock, engines: dict[str, Engine]
) -> Iterator[Lab]:
    """A lab on a database of its own, whose address is the same for every test, see `engines`."""
    folder = empty_database.parent / "now"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    url = f"sqlite:///{shutil.copy(empty_database, folder)}"
    settings = replace(make_settings(tmp_path, catalogue), database_url=url)
    lab = Lab(engine=engines.get(url) or engines.setdefault(url, make_engine(url)), settings=settings, now=clock)
    yield lab
    lab.engine.dispose()


@pytest.fixture
def app(lab: Lab) -> Any:
    return app_of(lab)


@dataclass
class Browser:
    """A logged-in (or anonymous) browser: pages come back as soup, forms are sent with the session's token."""

    client: TestClient
    session: Session

    def get(self, url: str, status: int = 200) -> BeautifulSoup:
        response = self.client.get(url)
        assert response.status_code == status, f"{url}: {response.status_code} {response.headers.get('location')}"
        return BeautifulSoup(response.text, "html.parser")

    def post(self, url: str, data: dict[str, Any] | None = None, status: int = 303) -> Any:
        """Send a form with the token; the raw response, redirects not followed."""
        response = self.client.post(url, data={"csrf": self.session.csrf, **(data or {})})
        assert response.status_code == status, f"{url}: {response.status_code}\n{response.text[-900:]}"
        return response

    def post_page(self, url: str, data: dict[str, Any] | None = None, status: int = 303) -> BeautifulSoup:
        """Send a form, follow the redirect, give back the page."""
        response = self.post(url, data, status)
        while response.status_code == 303:
            response = self.client.get(response.headers["location"])
        return BeautifulSoup(response.text, "html.parser")


@pytest.fixture
def client_as(app: Any, lab: Lab) -> Iterator[Callable[..., Browser]]:
    """`client_as("technician")` is a browser where she is logged in; `client_as(None)` is anonymous."""
    opened: list[TestClient] = []

    def browser(role: str | None, language: str = "en") -> Browser:
        client = TestClient(app, base_url="http://lab.test", follow_redirects=False, raise_server_exceptions=True)
        opened.append(client)
        session = Session(csrf="token", started=int(lab.now().timestamp()), seen=int(lab.now().timestamp()))
        if role is not None:
            session.log_in(user_id(lab, role, language), 0, lab.now())
            client.cookies.set(COOKIE, app.state.sessions.dump(session), domain="lab.test", path="/")
        return Browser(client, session)

    yield browser
    for client in opened:
        client.close()


def user_id(lab: Lab, role: str, language: str = "en") -> int:
    """The id of the user with this role, who now reads this language."""
    users = table(User)
    with lab.write() as conn:
        conn.execute(users.update().where(users.c.username == role).values(language=language))
        return int(conn.execute(select(users.c.id).where(users.c.username == role)).scalar_one())


@pytest.fixture
def actor(lab: Lab) -> Callable[[str], Actor]:
    """`actor("pathologist")` for calling actions directly."""
    return lambda role: Actor(user_id(lab, role), f"{role.title()} Devi", Role(role), role)


@dataclass
class World:
    """Puts things into the lab's tables; every call commits."""

    lab: Lab
    serial: int = 0
    row: int = 0
    tests: dict[tuple[int, str], int] = field(default_factory=dict)

    def patient(self, name: str = "Sunita Devi", sex: str = "F", birth: date = date(1981, 4, 2), **more: Any) -> int:
        self.row += 1
        values = {"uhid": f"107-P{self.row}", "name": name, "name_key": name.casefold(), "sex": sex,
                  "birth_date": birth, "birth_precision": "day", "guardian": "", "mobile": "+919812345670",
                  "mobile_owner": "self", "sms_consent": True, "language": "hi", "abha": None,
                  "created_at": self.lab.now()}  # fmt: skip
        with self.lab.write() as conn:
            return put(conn, Patient, **{**values, **more})

    def order(self, patient_id: int | None = None, tests: tuple[str, ...] = ("HB", "PLT"), **more: Any) -> Sample:
        """One order with one received tube; the Sample as it stands (its .order_id is set)."""
        patient_id = self.patient() if patient_id is None else patient_id
        self.serial += 1
        now = self.lab.now()
        state = more.pop("sample_state", "received")
        values = {"order_no": f"107-{self.serial:04}", "report_no": f"VNS-DH-DDU-261122-{self.serial:04}",
                  "patient_id": patient_id, "facility_code": DDU.code, "doctor": "Dr Singh", "department": "OPD 4",
                  "external_ref": None, "ordered_at": now, "registered_at": now, "registered_by": "Reception Devi",
                  "completed_at": None, "pin_hash": None, "access_serial": 0, "sms_mobile": None, "sms_mode": "link",
                  "language": "hi", "withdrawn_at": None}  # fmt: skip
        with self.lab.write() as conn:
            order_id = put(conn, Order, **{**values, **more})
            sample_pk = self._sample(conn, order_id, state)
            for code in tests:
                self.tests[sample_pk, code] = put(
                    conn,
                    OrderTest,
                    order_id=order_id,
                    sample_pk=sample_pk,
                    test=code,
                    panel="",
                    state="awaited",
                    note="",
                )
            found = conn.execute(select(table(Sample)).where(table(Sample).c.id == sample_pk)).mappings().one()
            return Sample(**found)

    def _sample(self, conn: Any, order_id: int, state: str) -> int:
        now = self.lab.now()
        day = now.astimezone(self.lab.settings.lab.timezone).date()
        came = now if state == "received" else None
        return put(
            conn, Sample, sample_id=make(107, day, next_serial(conn, day, "sample")), year=day.year, order_id=order_id,
            specimen="EDTA whole blood", container="E", timing="", state=state, registered_at=now,
            collected_at=now if state in ("collected", "received") else None, collected_by="", received_at=came,
            received_by="", rejected_at=None, rejected_by="", reject_reason="", replaced_by_id=None,
        )  # fmt: skip

    def result(self, sample: Sample, test: str = "HB", display: str = "12.9", **more: Any) -> int:
        """One result of a test ordered on this sample; held unless `state` says so; reasons as (text, severity)."""
        self.row += 1
        reasons = more.pop("reasons", ())
        green = more.get("state") == "autoverified"
        with self.lab.write() as conn:
            patient_id = conn.execute(
                select(table(Order).c.patient_id).where(table(Order).c.id == sample.order_id)
            ).scalar_one()
            number = display if display.replace(".", "", 1).isdigit() else None
            values = {"identity": f"test-{self.row}", "message_id": None, "ordinal": 1,
                      "order_test_id": self.tests[sample.id or 0, test], "sample_pk": sample.id,
                      "patient_id": patient_id, "test": test, "analyzer": "xn550", "typed_by": "", "code": test,
                      "verbatim": display, "value": Decimal(number) if number else None, "comparator": "",
                      "coded": None if number else display, "display": display,
                      "unit": self.lab.settings.catalogue[test].unit, "flag": "N", "ref_low": Decimal("12"),
                      "ref_high": Decimal("15"), "analyzer_flags": [], "comments": [], "aspect": "final",
                      "observed_at": None, "state": "held", "green": green, "critical": False, "rule_set": "test",
                      "created_at": self.lab.now(), "released_at": None, "released_by": "", "rejected_at": None,
                      "rejected_by": "", "reject_note": "", "amends_id": None}  # fmt: skip
            result_id = put(conn, ResultRow, **{**values, **more})
            for text, severity in reasons:
                put(conn, ReasonRow, result_id=result_id, rule="absurd", severity=severity, text=text,
                    text_hi=f"हिन्दी: {text}", rule_values={})  # fmt: skip
            if more.get("state") == "released":
                ot = table(OrderTest)
                conn.execute(ot.update().where(ot.c.id == values["order_test_id"]).values(state="released"))
        return result_id

    def unmatched(self, **more: Any) -> int:
        self.row += 1
        values = {"identity": f"row-{self.row}", "message_id": "m1", "ordinal": self.row, "analyzer": "xn550",
                  "sample_id": "107632600425", "sample_pk": None, "code": "HB", "name": "HGB", "value": "11.2",
                  "raw": "11.2", "unit": "g/dL", "flags": [], "observed_at": None, "rule": "unknown_sample",
                  "text": "No sample has this number.", "text_hi": "यह नंबर किसी सैंपल का नहीं है।", "state": "open",
                  "created_at": self.lab.now(), "closed_at": None, "closed_by": "", "closed_note": "",
                  "result_id": None}  # fmt: skip
        with self.lab.write() as conn:
            return put(conn, UnmatchedRow, **{**values, **more})

    def rows(self, row: Any, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table, as mappings."""
        t = table(row)
        statement = select(t).where(*(t.c[k] == v for k, v in where.items()))
        with self.lab.read() as conn:
            return [dict(r) for r in conn.execute(statement).mappings()]


@pytest.fixture
def world(lab: Lab) -> World:
    return World(lab)
