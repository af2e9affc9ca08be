"""What the registration form must know before an order is written: is this person, number or test already here?

Law: reads only; nothing found here stops a registration, it is shown to the person at the counter.
Source: domain 5.4 (shared phones: more than 8 patients on one number in 30 days is asked about).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, func, select

from middleware.schema import Order, OrderTest, Patient
from middleware.store.core import table

PATIENT, ORDER, TEST = table(Patient), table(Order), table(OrderTest)


@dataclass(frozen=True, slots=True)
class Twin:
    """Somebody already registered who may be the same person."""

    id: int
    uhid: str
    name: str
    sex: str
    birth_date: date
    guardian: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A test that the same patient was ordered a short while ago."""

    test: str
    order_id: int
    order_no: str
    registered_at: datetime


def twins(conn: Connection, name: str, sex: str, mobile: str | None, uhid: str | None) -> tuple[Twin, ...]:
    """Patients with this UHID, or with the same name and sex on the same number (all of no number, when none)."""
    same = (PATIENT.c.name_key == " ".join(name.casefold().split())) & (PATIENT.c.sex == sex)
    same &= PATIENT.c.mobile == mobile if mobile else PATIENT.c.mobile.is_(None)
    if uhid:
        same |= func.upper(PATIENT.c.uhid) == uhid.upper()
    columns = (PATIENT.c[n] for n in Twin.__slots__)
    rows = conn.execute(select(*columns).where(same).order_by(PATIENT.c.id.desc()).limit(5)).mappings()
    return tuple(Twin(**row) for row in rows)


def patients_on_number(conn: Connection, mobile: str, since: datetime) -> int:
    """How many different patients had an order with this number since then."""
    query = select(func.count(func.distinct(ORDER.c.patient_id))).where(
        ORDER.c.sms_mobile == mobile, ORDER.c.registered_at >= since
    )
    return conn.execute(query).scalar_one()


def repeats(conn: Connection, patient_id: int, tests: Iterable[str], since: datetime) -> tuple[Repeat, ...]:
    """Tests of these that the patient was already ordered since then and that were not cancelled."""
    query = (
        select(TEST.c.test, TEST.c.order_id, ORDER.c.order_no, ORDER.c.registered_at)
        .join_from(TEST, ORDER, TEST.c.order_id == ORDER.c.id)
        .where(ORDER.c.patient_id == patient_id, ORDER.c.registered_at >= since)
        .where(TEST.c.test.in_(list(tests)), TEST.c.state != "cancelled")
        .order_by(ORDER.c.registered_at.desc())
    )
    return tuple(Repeat(**row) for row in conn.execute(query).mappings())


def known_words(conn: Connection, limit: int = 30) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Doctors and departments typed before, most used first: offered while typing."""
    return _most_used(conn, "doctor", limit), _most_used(conn, "department", limit)


def _most_used(conn: Connection, column: str, limit: int) -> tuple[str, ...]:
    col = ORDER.c[column]
    query = select(col).where(col != "").group_by(col).order_by(func.count().desc(), col).limit(limit)
    return tuple(conn.execute(query).scalars())


def by_uhid(conn: Connection, uhid: str) -> int | None:
    """The patient with this UHID; None when nobody has it here."""
    return conn.execute(select(PATIENT.c.id).where(func.upper(PATIENT.c.uhid) == uhid.upper())).scalars().first()
