"""Turns a scanned number into the tube it stands on, and lists the tubes still on their way.

Law: reads only. Of two tubes with one number (the number repeats after ten years) the newest is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, select

from middleware.schema import Order, OrderTest, Patient, Sample
from middleware.store.core import table

PATIENT, ORDER, SAMPLE, TEST = table(Patient), table(Order), table(Sample), table(OrderTest)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tube with whose it is and what is asked of it."""

    sample_pk: int
    sample_id: str
    specimen: str
    container: str
    timing: str
    state: str
    registered_at: datetime
    collected_at: datetime | None
    received_at: datetime | None
    reject_reason: str
    order_id: int
    order_no: str
    patient_name: str
    patient_sex: str
    department: str
    tests: tuple[str, ...]


def waiting(conn: Connection, limit: int = 200) -> tuple[Waiting, ...]:
    """Tubes registered or collected but not yet received, the longest waiting first."""
    query = (
        _tubes().where(SAMPLE.c.state.in_(("registered", "collected"))).order_by(SAMPLE.c.registered_at, SAMPLE.c.id)
    )
    return _read(conn, query.limit(limit))


def tube(conn: Connection, sample_id: str) -> Waiting | None:
    """The newest tube with this number; None when the lab never gave it."""
    found = _read(conn, _tubes().where(SAMPLE.c.sample_id == sample_id).order_by(SAMPLE.c.year.desc()).limit(1))
    return found[0] if found else None


def received_since(conn: Connection, since: datetime, limit: int = 15) -> tuple[Waiting, ...]:
    """The tubes received since then, the latest first: what the last scans did."""
    query = _tubes().where(SAMPLE.c.received_at >= since, SAMPLE.c.state == "received")
    return _read(conn, query.order_by(SAMPLE.c.received_at.desc(), SAMPLE.c.id.desc()).limit(limit))


def _tubes() -> Select[tuple[object, ...]]:
    joined = SAMPLE.join(ORDER, SAMPLE.c.order_id == ORDER.c.id).join(PATIENT, ORDER.c.patient_id == PATIENT.c.id)
    own = [SAMPLE.c[n] for n in Waiting.__slots__ if n in SAMPLE.c]
    return select(
        SAMPLE.c.id.label("sample_pk"),
        *own,
        ORDER.c.order_no,
        ORDER.c.department,
        PATIENT.c.name.label("patient_name"),
        PATIENT.c.sex.label("patient_sex"),
    ).select_from(joined)


def _read(conn: Connection, query: Select[tuple[object, ...]]) -> tuple[Waiting, ...]:
    rows = conn.execute(query).mappings().all()
    asked = select(TEST.c.sample_pk, TEST.c.test).where(
        TEST.c.sample_pk.in_([row["sample_pk"] for row in rows]), TEST.c.state != "cancelled"
    )
    tests: dict[int, list[str]] = {}
    for pk, test in conn.execute(asked.order_by(TEST.c.id)):
        tests.setdefault(pk, []).append(test)
    return tuple(Waiting(**row, tests=tuple(tests.get(row["sample_pk"], ()))) for row in rows)
