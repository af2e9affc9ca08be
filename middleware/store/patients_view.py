"""Turns what a person typed in a search box into patients and their visits.

Law: reads only. A name part, a mobile number, a UHID, a sample id, an order or a report number all find the patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, or_, select

from middleware.schema import AuditRow, Order, OrderTest, Patient, ResultRow, Sample
from middleware.store.core import table

PATIENT, ORDER, SAMPLE, TEST, RESULT = table(Patient), table(Order), table(Sample), table(OrderTest), table(ResultRow)


@dataclass(frozen=True, slots=True)
class PatientCard:
    """Who a patient is, as the search list and the registration form show it."""

    id: int
    uhid: str
    name: str
    sex: str
    birth_date: date
    birth_precision: str
    guardian: str
    mobile: str | None
    mobile_owner: str
    sms_consent: bool
    language: str
    abha: str | None


@dataclass(frozen=True, slots=True)
class Visit:
    """One order of a patient, in a line."""

    order_id: int
    order_no: str
    report_no: str
    patient_id: int
    registered_at: datetime
    completed_at: datetime | None
    withdrawn: bool
    tests: int
    awaited: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A patient found, with the newest visits first."""

    patient: PatientCard
    visits: tuple[Visit, ...]


def search(conn: Connection, text: str, limit: int = 30) -> tuple[Hit, ...]:
    """Patients that fit the text, best known first; empty text finds nobody."""
    wanted = " ".join(text.split())
    if len(wanted) < 2:
        return ()
    newest = select(func.max(ORDER.c.registered_at)).where(ORDER.c.patient_id == PATIENT.c.id).scalar_subquery()
    query = select(PATIENT).where(_fits(wanted)).order_by(newest.desc(), PATIENT.c.id.desc()).limit(limit)
    cards = [_card(row) for row in conn.execute(query).mappings()]
    visits = visits_of(conn, [c.id for c in cards])
    return tuple(Hit(card, tuple(v for v in visits if v.patient_id == card.id)) for card in cards)


def patient(conn: Connection, patient_id: int) -> Hit | None:
    """One patient with every visit; None when there is no such patient."""
    row = conn.execute(select(PATIENT).where(PATIENT.c.id == patient_id)).mappings().first()
    if row is None:
        return None
    return Hit(_card(row), visits_of(conn, [patient_id]))


def visits_of(conn: Connection, patient_ids: Iterable[int]) -> tuple[Visit, ...]:
    """The visits of these patients, newest first, with how many tests are still awaited."""
    awaited = func.count().filter(TEST.c.state == "awaited")
    query = (
        select(ORDER, func.count(TEST.c.id).label("tests"), awaited.label("awaited"))
        .select_from(ORDER.outerjoin(TEST, TEST.c.order_id == ORDER.c.id))
        .where(ORDER.c.patient_id.in_(list(patient_ids)))
        .group_by(ORDER.c.id)
        .order_by(ORDER.c.registered_at.desc(), ORDER.c.id.desc())
    )
    return tuple(_visit(row) for row in conn.execute(query).mappings())


def history(conn: Connection, patient_id: int, limit: int = 20) -> tuple[RowMapping, ...]:
    """The audit lines about this patient, newest first: at, who, action, detail."""
    audit = table(AuditRow)
    query = (
        select(audit.c.at, audit.c.who, audit.c.action, audit.c.detail)
        .where(audit.c.subject == "patient", audit.c.subject_id == str(patient_id))
        .order_by(audit.c.id.desc())
        .limit(limit)
    )
    return tuple(conn.execute(query).mappings())


def _fits(text: str) -> ColumnElement[bool]:
    """What is typed decides where to look: digits may be a phone, a sample id or a UHID; the rest may be a name."""
    upper = text.upper()
    tests: list[ColumnElement[bool]] = [
        PATIENT.c.name_key.contains(text.casefold(), autoescape=True),
        func.upper(PATIENT.c.uhid) == upper,
        PATIENT.c.id.in_(_by_order(upper)),
    ]
    digits = re.sub(r"\D", "", text)
    if len(digits) >= 10:
        tests.append(PATIENT.c.mobile.endswith(digits[-10:], autoescape=True))
    if len(digits) == 12:
        tests.append(PATIENT.c.id.in_(_by_sample(digits)))
    return or_(*tests)


def _by_order(number: str) -> Select[tuple[int]]:
    return select(ORDER.c.patient_id).where(
        or_(func.upper(ORDER.c.report_no) == number, func.upper(ORDER.c.order_no) == number)
    )


def _by_sample(digits: str) -> Select[tuple[int]]:
    joined = ORDER.join(SAMPLE, SAMPLE.c.order_id == ORDER.c.id)
    return select(ORDER.c.patient_id).select_from(joined).where(SAMPLE.c.sample_id == digits)


def _card(row: RowMapping) -> PatientCard:
    return PatientCard(**{name: row[name] for name in PatientCard.__slots__})


def _visit(row: RowMapping) -> Visit:
    return Visit(
        order_id=row["id"],
        order_no=row["order_no"],
        report_no=row["report_no"],
        patient_id=row["patient_id"],
        registered_at=row["registered_at"],
        completed_at=row["completed_at"],
        withdrawn=row["withdrawn_at"] is not None,
        tests=row["tests"],
        awaited=row["awaited"],
    )
