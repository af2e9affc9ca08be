"""A whole laboratory for a test: real configuration, a migrated database on SQLite or PostgreSQL, one user per role.

`Desk` is the shortest way to do what people do: register, receive, let an analyzer speak, look at rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from argon2 import PasswordHasher
from sqlalchemy import select

from drivers.driver import Message
from middleware import pipeline, store
from middleware.actions import SYSTEM
from middleware.actions.register import Registered, Registration, register
from middleware.actions.samples import receive
from middleware.lab import Lab, make_engine
from middleware.model import Actor, MobileOwner, Role, Sex
from middleware.schema import AuditRow, OrderTest, ReportRow, ResultRow, Sample, UnmatchedRow, User
from middleware.settings import AnalyzerSettings, Settings, load

CONFIG = Path(__file__).parents[1] / "config"
NOW = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)  # 10:00 in Varanasi
PASSWORD = "blue lamp river 7"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # a real hash takes 0.1 s of each log-in
BENCH = AnalyzerSettings("bench", "generic_astm", "Bench analyzer", "tcp-listen://127.0.0.1:0")


@dataclass
class Clock:
    """The lab's clock in a test: it stands still until it is moved."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


@cache
def _real() -> Settings:
    """The configuration of config/, read once; its secrets go to a folder that is gone at once."""
    with TemporaryDirectory() as var:
        return load(CONFIG, {"LABMITRA_STORE__VAR": var})


def lately() -> Clock:
    """The clock of a desk whose lab is worked by real processes too, or by a command: theirs is the real one, and to
    them a tube of some weeks ago is too old. Some days before, so that nothing hangs on what day it is."""
    return Clock(datetime.now(UTC) - timedelta(days=4))


def settings_for(var: Path, database_url: str) -> Settings:
    """The real configuration with its data under `var`, and one well-behaved analyzer more."""
    var.mkdir(parents=True, exist_ok=True)
    real = _real()
    reports = replace(real.reports, database_url=f"sqlite:///{var / 'reports.sqlite3'}")
    return replace(
        real, var=var, database_url=database_url or f"sqlite:///{var / 'lab.sqlite3'}",
        journal=var / "journal.sqlite3", analyzers=(*real.analyzers, BENCH), reports=reports,
    )  # fmt: skip


def fill(url: str) -> None:
    """One user of each role, with a qualification for the pathologist."""
    engine = make_engine(url)
    hashed = QUICK.hash(PASSWORD)
    with engine.begin() as conn:
        for role in Role:
            store.put(
                conn, User, username=role.value, name=f"{role.value.title()} Devi",
                qualification="MD" if role is Role.PATHOLOGIST else "", role=role.value, password_hash=hashed,
                language="en", active=True, must_change=False, session_epoch=0, created_at=NOW,
            )  # fmt: skip
    if engine.dialect.name == "sqlite":
        with engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def run_sql(url: str, statement: str) -> None:
    """One statement on a PostgreSQL server, outside any transaction (CREATE DATABASE)."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(statement)  # type: ignore[call-overload]


def named(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@dataclass
class Desk:
    """What people do in a laboratory, one line each."""

    lab: Lab
    clock: Clock
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        u = store.table(User)
        with self.lab.read() as conn:
            rows = conn.execute(select(u.c.id, u.c.name, u.c.role, u.c.username)).all()
        self.people = {Role(r.role): Actor(r.id, r.name, Role(r.role), r.username) for r in rows}

    @property
    def reception(self) -> Actor:
        return self.people[Role.RECEPTION]

    @property
    def technician(self) -> Actor:
        return self.people[Role.TECHNICIAN]

    @property
    def pathologist(self) -> Actor:
        return self.people[Role.PATHOLOGIST]

    @property
    def admin(self) -> Actor:
        return self.people[Role.ADMIN]

    @property
    def engineer(self) -> Actor:
        return self.people[Role.ENGINEER]

    def form(self, *tests: str, **changes: Any) -> Registration:
        """A woman of forty-five with her own phone."""
        base = Registration(
            name="Sunita Devi", sex=Sex.FEMALE, birth_date=date(1981, 4, 2), tests=tests or ("HB",),
            mobile="9812345670", mobile_owner=MobileOwner.SELF, sms_consent=True, doctor="Dr S Singh",
            department="Gynae OPD",
        )  # fmt: skip
        return replace(base, **changes)

    def register(self, *tests: str, received: bool = True, **changes: Any) -> Registered:
        """A visit; its tubes are in the laboratory unless told otherwise."""
        made = register(self.lab, self.reception, self.form(*tests, **changes))
        for pk in made.sample_pks if received else ():
            receive(self.lab, self.technician, pk)
        return made

    def rows(self, row: Any, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table by id, as mappings."""
        t = store.table(row)
        statement = select(t).where(*(t.c[k] == v for k, v in where.items())).order_by(next(iter(t.primary_key)))
        with self.lab.read() as conn:
            return [dict(r) for r in conn.execute(statement).mappings()]

    def one(self, row: Any, **where: Any) -> dict[str, Any]:
        """The one row."""
        (found,) = self.rows(row, **where)
        return found

    def sample_id(self, made: Registered, at: int = 0) -> str:
        """The number on the tube."""
        return str(self.one(Sample, id=made.sample_pks[at])["sample_id"])

    def test(self, made: Registered, code: str) -> dict[str, Any]:
        """One ordered test."""
        return self.one(OrderTest, order_id=made.order_id, test=code)

    def message(self, sample_id: str, *values: str, at: str = "20261122100000", **head: Any) -> Message:
        """A message of the bench analyzer: "CODE=value unit", for a correction "CODE=value unit!C"."""
        lines = ["H|\\^&|||Bench^1|||||||P|1|20261122100000", "P|1", f"O|1|{sample_id}||^^^ALL|||{at}"]
        for number, said in enumerate(values, 1):
            code, _, rest = said.partition("=")
            rest, _, status = rest.partition("!")
            value, _, unit = rest.partition(" ")
            lines.append(f"R|{number}|^^^{code}|{value}|{unit}||N||{status or 'F'}||||{at}")
        body = "\r".join([*lines, "L|1|N"]) + "\r"
        message_id = head.pop("id", None) or f"m{next(self.numbers):04d}"
        return Message(message_id, head.pop("analyzer", "bench"), self.clock(), body.encode(), **head)

    def say(self, sample_id: str, *values: str, **head: Any) -> list[int]:
        """The bench analyzer speaks and is processed; ids of the results that came of it."""
        message = self.message(sample_id, *values, **head)
        assert pipeline.process(self.lab, message).state == "processed"
        return [r["id"] for r in self.rows(ResultRow, message_id=message.id)]

    def measured(self, *values: str, **changes: Any) -> tuple[Registered, list[int]]:
        """A visit for exactly these tests, each with its first result."""
        made = self.register(*(v.partition("=")[0] for v in values), **changes)
        ids = []
        for at, pk in enumerate(made.sample_pks):
            mine = {t["test"] for t in self.rows(OrderTest, sample_pk=pk)}
            ids += self.say(self.sample_id(made, at), *(v for v in values if v.partition("=")[0] in mine))
        return made, ids

    def tray(self) -> list[dict[str, Any]]:
        """The open rows of the unmatched tray."""
        return self.rows(UnmatchedRow, state="open")

    def audit(self, since: int = 0) -> list[tuple[str, str, str]]:
        """(action, subject, who) of each audit line after `since`."""
        lines = [line for line in self.rows(AuditRow) if line["id"] > since]
        return [(line["action"], line["subject"], line["who"]) for line in lines]

    def last_audit(self) -> int:
        """The newest audit line's id."""
        return max((line["id"] for line in self.rows(AuditRow)), default=0)

    def versions(self, made: Registered) -> list[dict[str, Any]]:
        """Every stored version of a visit's report."""
        return self.rows(ReportRow, order_id=made.order_id)

    def dump(self, ignore: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table, for "nothing changed"."""
        from middleware.schema import LabTable

        tables = {t.name: t for t in LabTable.metadata.sorted_tables if t.name not in ignore}
        with self.lab.read() as conn:
            return {
                name: [dict(r) for r in conn.execute(select(t).order_by(*t.primary_key)).mappings()]
                for name, t in tables.items()
            }


__all__ = ["BENCH", "CONFIG", "NOW", "PASSWORD", "SYSTEM", "Clock", "Desk", "fill", "named", "run_sql", "settings_for"]
