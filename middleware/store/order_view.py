"""Turns an order's number into the page a counter works with: patient, tests, tubes, reports.

Law: reads only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from middleware.schema import Order, OrderTest, Patient, ReportRow, ResultRow, Sample, SlipToken
from middleware.store.core import table
from middleware.store.patients_view import PatientCard

PATIENT, ORDER, SAMPLE = table(Patient), table(Order), table(Sample)
TEST, RESULT, REPORT, SLIP = table(OrderTest), table(ResultRow), table(ReportRow), table(SlipToken)


@dataclass(frozen=True, slots=True)
class TestLine:
    """One ordered test: where it stands, and the newest result that counts."""

    id: int
    test: str
    panel: str
    state: str
    note: str
    sample_pk: int | None
    result_id: int | None = None
    result_state: str = ""
    display: str = ""
    unit: str = ""
    flag: str = ""
    analyzer: str = ""
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tube:
    """One sample of the order with its times."""

    id: int
    sample_id: str
    specimen: str
    container: str
    timing: str
    state: str
    registered_at: datetime
    collected_at: datetime | None
    collected_by: str
    received_at: datetime | None
    received_by: str
    rejected_at: datetime | None
    reject_reason: str
    replaced_by_id: int | None


@dataclass(frozen=True, slots=True)
class Issued:
    """One version of the order's report."""

    version: int
    status: str
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class OrderView:
    """Everything the order page shows."""

    id: int
    order_no: str
    report_no: str
    facility_code: str
    doctor: str
    department: str
    external_ref: str | None
    ordered_at: datetime | None
    registered_at: datetime
    registered_by: str
    completed_at: datetime | None
    withdrawn_at: datetime | None
    sms_mobile: str | None
    sms_mode: str
    language: str
    slips: int
    patient: PatientCard
    tests: tuple[TestLine, ...]
    tubes: tuple[Tube, ...]
    versions: tuple[Issued, ...]

    def tests_of(self, sample_pk: int | None) -> tuple[TestLine, ...]:
        """The tests measured in one tube."""
        return tuple(t for t in self.tests if t.sample_pk == sample_pk)


def order(conn: Connection, order_id: int) -> OrderView | None:
    """The order with everything around it; None when there is no such order."""
    row = conn.execute(select(ORDER).where(ORDER.c.id == order_id)).mappings().first()
    if row is None:
        return None
    own = {n: row[n] for n in OrderView.__slots__ if n in ORDER.c}
    person = conn.execute(select(PATIENT).where(PATIENT.c.id == row["patient_id"])).mappings().one()
    slips = conn.execute(select(func.count()).select_from(SLIP).where(SLIP.c.order_id == order_id)).scalar_one()
    return OrderView(
        **own,
        slips=slips,
        patient=PatientCard(**{n: person[n] for n in PatientCard.__slots__}),
        tests=_tests(conn, order_id),
        tubes=_tubes(conn, order_id),
        versions=_versions(conn, order_id),
    )


def order_id_for(conn: Connection, reference: str) -> int | None:
    """The order with this order number, report number or hospital's own number; None when unknown."""
    query = select(ORDER.c.id).where(
        or_(ORDER.c.order_no == reference, ORDER.c.external_ref == reference, ORDER.c.report_no == reference)
    )
    return conn.execute(query.order_by(ORDER.c.id.desc())).scalars().first()


def order_id_of_test(conn: Connection, order_test_id: int) -> int | None:
    """The order a test belongs to; None when unknown."""
    return conn.execute(select(TEST.c.order_id).where(TEST.c.id == order_test_id)).scalar_one_or_none()


def order_id_of_sample(conn: Connection, sample_pk: int) -> int | None:
    """The order a tube belongs to; None when unknown."""
    return conn.execute(select(SAMPLE.c.order_id).where(SAMPLE.c.id == sample_pk)).scalar_one_or_none()


def _tests(conn: Connection, order_id: int) -> tuple[TestLine, ...]:
    rows = conn.execute(select(TEST).where(TEST.c.order_id == order_id).order_by(TEST.c.id)).mappings().all()
    newest = _newest_results(conn, [row["id"] for row in rows])
    base = ("id", "test", "panel", "state", "note", "sample_pk")
    return tuple(TestLine(**{n: row[n] for n in base}, **newest.get(row["id"], {})) for row in rows)


def _newest_results(conn: Connection, test_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Of each test, its released result, else its newest one that is not rejected or replaced."""
    query = (
        select(RESULT)
        .where(RESULT.c.order_test_id.in_(test_ids), RESULT.c.state.in_(("held", "autoverified", "released")))
        .order_by((RESULT.c.state == "released").asc(), RESULT.c.id)
    )
    names = ("display", "unit", "flag", "analyzer", "released_at")
    return {
        row["order_test_id"]: {"result_id": row["id"], "result_state": row["state"], **{n: row[n] for n in names}}
        for row in conn.execute(query).mappings()
    }


def _tubes(conn: Connection, order_id: int) -> tuple[Tube, ...]:
    query = select(*(SAMPLE.c[n] for n in Tube.__slots__)).where(SAMPLE.c.order_id == order_id).order_by(SAMPLE.c.id)
    return tuple(Tube(**row) for row in conn.execute(query).mappings())


def _versions(conn: Connection, order_id: int) -> tuple[Issued, ...]:
    columns = (REPORT.c[n] for n in Issued.__slots__)
    query = select(*columns).where(REPORT.c.order_id == order_id).order_by(REPORT.c.version.desc())
    return tuple(Issued(**row) for row in conn.execute(query).mappings())
