"""Fills an empty lab for the demo: users of each role, forty registered patients, earlier results, control targets.

Turns `people` into rows through the same actions that reception and technicians use, and into the day file that the
simulators play. Law: nothing here that a person could not have typed; the demo's passwords are for loopback only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import select

from middleware import store
from middleware.actions import SYSTEM, qc, register, results, samples, users
from middleware.actions.register import MintedSlip, Registered
from middleware.lab import Lab
from middleware.model import Actor, Role, Sex, age_days
from middleware.schema import Order, OrderTest, Patient, ResultRow, Sample, User
from server.demo.people import EARLIER, Visitor, registration, visitors

PASSWORD = "labmitra-demo"  # noqa: S105 - printed by the demo, for a lab on loopback with made-up patients
QUICK = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)  # PINs of made-up patients need no strong hash
USERS = (
    ("reception", "Counter 1", "", Role.RECEPTION),
    ("technician", "Technician on duty", "DMLT", Role.TECHNICIAN),
    ("pathologist", "Pathologist in charge", "MD (Path)", Role.PATHOLOGIST),
    ("engineer", "Field engineer", "", Role.ENGINEER),
    ("admin", "Administrator", "", Role.ADMIN),
)


def is_empty(lab: Lab) -> bool:
    """True before the first seed."""
    with lab.read() as conn:
        return store.count(conn, User) == 0


def people(lab: Lab) -> dict[Role, Actor]:
    """The demo's users as actors, by role."""
    u = store.table(User)
    with lab.read() as conn:
        rows = conn.execute(select(u.c.id, u.c.name, u.c.role, u.c.username)).all()
    return {Role(r.role): Actor(r.id, r.name, Role(r.role), r.username) for r in rows}


def seed(lab: Lab, targets: Mapping[str, Mapping[str, Any]]) -> None:
    """Users, earlier visits, control targets and today's forty patients."""
    for username, name, qualification, role in USERS:
        users.create_user(lab, SYSTEM, username, name, qualification, role, PASSWORD, must_change=False)
    _targets(lab, people(lab)[Role.PATHOLOGIST], targets)
    admit(lab, visitors())


def _targets(lab: Lab, actor: Actor, targets: Mapping[str, Mapping[str, Any]]) -> None:
    """`targets`: "analyzer/lot/level" → test → [mean, sd] in the catalogue's unit, as the simulators' controls have."""
    for place, tests in targets.items():
        analyzer, lot, level = place.split("/")
        for test, (mean, sd) in tests.items():
            qc.set_target(lab, actor, analyzer, lot, level, test, Decimal(str(mean)), Decimal(str(sd)), True, None,
                          "insert of the control, demo")  # fmt: skip


def admit(lab: Lab, people_: tuple[Visitor, ...]) -> list[Registered]:
    """Register these people, receive their tubes; those of EARLIER get a visit three days back first."""
    staff = people(lab)
    desk, bench = staff[Role.RECEPTION], staff[Role.TECHNICIAN]
    today = lab.now().astimezone(lab.settings.lab.timezone).date()
    done = []
    for visitor in people_:
        known = _earlier_visit(lab, desk, bench, visitor, today)
        form = replace(registration(visitor, today), patient_id=known)
        made = register.register(lab, desk, form)
        for pk in made.sample_pks:
            samples.receive(lab, bench, pk)
        _keep_slip(lab, visitor, register.mint_slip(lab, desk, made.order_id, QUICK))
        done.append(made)
    return done


def slips_file(lab: Lab) -> Path:
    """The demo's pile of paper slips: made-up patients' PINs, for whoever tries the demo."""
    return lab.settings.var / "slips.jsonl"


def _keep_slip(lab: Lab, visitor: Visitor, slip: MintedSlip) -> None:
    with slips_file(lab).open("a", encoding="utf-8") as pile:
        line = {"report_no": slip.report_no, "name": visitor.name, "pin": slip.pin, "url": slip.url}
        pile.write(json.dumps(line, ensure_ascii=False) + "\n")


def slip_of(lab: Lab, report_no: str) -> dict[str, str]:
    """The newest slip of a report in the demo's pile. LookupError when there is none."""
    lines = [json.loads(line) for line in slips_file(lab).read_text(encoding="utf-8").splitlines()]
    for line in reversed(lines):
        if line["report_no"] == report_no:
            return dict(line)
    raise LookupError(f"no slip was printed for {report_no}")


def _earlier_visit(lab: Lab, desk: Actor, bench: Actor, visitor: Visitor, today: date) -> int | None:
    found = EARLIER.get(visitor.index)
    if found is None:
        return None
    before = replace(lab, now=lambda: lab.now() - timedelta(days=3))
    made = register.register(before, desk, registration(visitor, today, tuple(found)))
    for pk in made.sample_pks:
        samples.receive(before, bench, pk)
    t = store.table(OrderTest)
    with lab.read() as conn:
        rows = conn.execute(select(t.c.id, t.c.test).where(t.c.order_id == made.order_id)).all()
    typed = [results.enter(before, bench, row.id, found[row.test], found[row.test]) for row in rows]
    results.release(before, bench, typed)
    return made.patient_id


def day_items(lab: Lab, orders: list[Registered] | None = None) -> list[dict[str, Any]]:
    """Today's tubes as the simulators need them: id, tests, sex, age, usual interval, earlier results."""
    s, o, p, t = (store.table(x) for x in (Sample, Order, Patient, OrderTest))
    wanted = (
        select(s.c.id, s.c.sample_id, s.c.container, p.c.id.label("patient"), p.c.name, p.c.sex, p.c.birth_date,
               s.c.registered_at)
        .join_from(s, o, s.c.order_id == o.c.id)
        .join(p, o.c.patient_id == p.c.id)
        .where(s.c.registered_at >= lab.now() - timedelta(hours=20))
        .order_by(s.c.id)
    )  # fmt: skip
    if orders is not None:
        wanted = wanted.where(s.c.order_id.in_([order.order_id for order in orders]))
    with lab.read() as conn:
        rows = [dict(r) for r in conn.execute(wanted).mappings()]
        tests: dict[int, list[str]] = {}
        for pk, test in conn.execute(select(t.c.sample_pk, t.c.test)):
            tests.setdefault(pk, []).append(test)
        previous = _previous(conn, {row["patient"] for row in rows})
    return [_item(lab, row, tests.get(row["id"], []), previous.get(row["patient"], {})) for row in rows]


def _previous(conn: Any, patients: set[int]) -> dict[int, dict[str, str]]:
    r = store.table(ResultRow)
    found: dict[int, dict[str, str]] = {}
    where = r.c.patient_id.in_(patients) & (r.c.state == "released")
    for row in conn.execute(select(r.c.patient_id, r.c.test, r.c.display).where(where).order_by(r.c.released_at)):
        found.setdefault(row.patient_id, {})[row.test] = row.display
    return found


def _item(lab: Lab, row: Mapping[str, Any], tests: list[str], previous: Mapping[str, str]) -> dict[str, Any]:
    days = age_days(row["birth_date"], row["registered_at"].date())
    intervals: dict[str, list[str | None]] = {}
    for code in tests:
        limits = lab.settings.catalogue[code].interval_for(Sex(row["sex"]), days)
        if limits is not None:
            intervals[code] = [None if v is None else str(v) for v in (limits.ref_low, limits.ref_high)]
    return {
        "sample_id": row["sample_id"],
        "container": row["container"],
        "tests": tests,
        "sex": row["sex"],
        "age_days": days,
        "name": row["name"],
        "previous": {k: v for k, v in previous.items() if k in tests},
        "intervals": intervals,
    }


def write_day(path: Path, items: list[dict[str, Any]], start: datetime, seed_number: int = 1) -> None:
    """The day file, written whole or not at all: a simulator may be looking for it. `start` anchors its times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    day = {"seed": seed_number, "start": start.isoformat(), "samples": items}
    draft.write_text(json.dumps(day, ensure_ascii=False, indent=1))
    draft.replace(path)
