"""Which tests wait to be typed by hand, and what each needs to be typed well.

Law: reads only. A test waits when it is awaited, its tube is here, and no result of it is open.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Select, and_, select

from middleware.schema import AnalyzerState, Order, OrderTest, Patient, ResultRow, Sample
from middleware.store.core import table

PATIENT, ORDER, SAMPLE = table(Patient), table(Order), table(Sample)
TEST, RESULT, LAMPS = table(OrderTest), table(ResultRow), table(AnalyzerState)


@dataclass(frozen=True, slots=True)
class Awaited:
    """One awaited test with the tube it is measured in and whose tube it is."""

    order_test_id: int
    test: str
    panel: str
    sample_pk: int
    sample_id: str
    sample_state: str
    specimen: str
    container: str
    collected_at: datetime | None
    received_at: datetime | None
    order_id: int
    order_no: str
    patient_id: int
    patient_name: str
    sex: str
    birth_date: date


def awaited(conn: Connection, tests: Collection[str], limit: int = 300) -> tuple[Awaited, ...]:
    """Awaited tests of these codes whose tube is received, by tube, the longest waiting first."""
    query = _query().where(TEST.c.test.in_(list(tests)), SAMPLE.c.state == "received")
    rows = conn.execute(query.order_by(SAMPLE.c.received_at, SAMPLE.c.id, TEST.c.id).limit(limit)).mappings()
    return tuple(Awaited(**row) for row in rows)


def awaited_of_sample(conn: Connection, sample_pk: int) -> tuple[Awaited, ...]:
    """The awaited tests of one tube, whatever its state."""
    rows = conn.execute(_query().where(SAMPLE.c.id == sample_pk).order_by(TEST.c.id)).mappings()
    return tuple(Awaited(**row) for row in rows)


def one(conn: Connection, order_test_id: int) -> Awaited | None:
    """One awaited test; None when it is unknown, not awaited, or already has a result waiting for release."""
    row = conn.execute(_query().where(TEST.c.id == order_test_id)).mappings().first()
    return Awaited(**row) if row else None


def previous(conn: Connection, patient_id: int, tests: Collection[str]) -> dict[str, tuple[str, datetime]]:
    """The latest released value of each test of this patient: display text and when it was released."""
    query = (
        select(RESULT.c.test, RESULT.c.display, RESULT.c.released_at)
        .where(RESULT.c.patient_id == patient_id, RESULT.c.state == "released", RESULT.c.test.in_(list(tests)))
        .order_by(RESULT.c.released_at)
    )
    return {test: (display, at) for test, display, at in conn.execute(query)}


def connected(conn: Connection) -> frozenset[str]:
    """The analyzers whose line is up now."""
    return frozenset(conn.execute(select(LAMPS.c.analyzer).where(LAMPS.c.connected)).scalars())


def _query() -> Select[tuple[object, ...]]:
    open_result = and_(RESULT.c.order_test_id == TEST.c.id, RESULT.c.state.in_(("held", "autoverified")))
    joined = (
        TEST.join(SAMPLE, TEST.c.sample_pk == SAMPLE.c.id)
        .join(ORDER, TEST.c.order_id == ORDER.c.id)
        .join(PATIENT, ORDER.c.patient_id == PATIENT.c.id)
    )
    columns = (
        TEST.c.id.label("order_test_id"), TEST.c.test, TEST.c.panel,
        SAMPLE.c.id.label("sample_pk"), SAMPLE.c.sample_id, SAMPLE.c.state.label("sample_state"),
        SAMPLE.c.specimen, SAMPLE.c.container, SAMPLE.c.collected_at, SAMPLE.c.received_at,
        ORDER.c.id.label("order_id"), ORDER.c.order_no,
        PATIENT.c.id.label("patient_id"), PATIENT.c.name.label("patient_name"), PATIENT.c.sex, PATIENT.c.birth_date,
    )  # fmt: skip
    none_open = ~select(RESULT.c.id).where(open_result).exists()
    return select(*columns).select_from(joined).where(TEST.c.state == "awaited", none_open)
