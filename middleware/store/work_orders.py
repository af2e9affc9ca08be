"""What is still to be measured on a tube, for analyzers that ask or are told unasked: one read of the lab database.

Turns sample ids into what is awaited there, with the patient an analyzer shows beside its result. Law: reads only;
a test that has a result waiting for release is not asked for again, a rejected result makes it awaited again.
Source: LIS02-A2 section 8 and 11 (orders answer requests), design of the house.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, select

from middleware.model import ResultState, SampleState, TestState
from middleware.schema import Order, OrderTest, Patient, ResultRow, Sample
from middleware.store.context import SAMPLE_LIFE
from middleware.store.core import table

OPEN = (ResultState.HELD.value, ResultState.AUTOVERIFIED.value, ResultState.RELEASED.value)


@dataclass(frozen=True, slots=True)
class AwaitedWork:
    """One tube: its catalogue tests that wait for a result, in the order they were asked for, and whose it is."""

    sample_id: str
    specimen: str
    container: str
    tests: tuple[str, ...]
    patient_id: str  # the hospital's number
    name: str
    sex: str
    birth_date: date
    collected_at: datetime | None


def awaited(conn: Connection, sample_ids: Iterable[str], now: datetime) -> dict[str, AwaitedWork]:
    """The awaited work of these tubes, by sample id; a rejected or unknown tube has none and is not in it."""
    ids = set(sample_ids)
    if not ids:
        return {}
    s = table(Sample)
    living = (s.c.registered_at >= now - SAMPLE_LIFE) & (s.c.state != SampleState.REJECTED.value)
    rows = _tubes(conn, s.c.sample_id.in_(ids) & living)
    tests = _tests(conn, [row["id"] for row in rows])
    return {row["sample_id"]: _work(dict(row), tests[row["id"]]) for row in rows}


def tubes(conn: Connection, sample_pks: Collection[int]) -> dict[int, AwaitedWork]:
    """These tubes with their patients, by primary key, rejected ones too; no tests are looked up."""
    rows = _tubes(conn, table(Sample).c.id.in_(sample_pks))
    return {row["id"]: _work(dict(row), ()) for row in rows}


def _tubes(conn: Connection, which: ColumnElement[bool]) -> Sequence[Mapping[str, Any]]:
    s, o, p = table(Sample), table(Order), table(Patient)
    return conn.execute(
        select(s.c.id, s.c.sample_id, s.c.specimen, s.c.container, s.c.collected_at, p.c.uhid, p.c.name, p.c.sex,
               p.c.birth_date)
        .join_from(s, o, s.c.order_id == o.c.id)
        .join(p, o.c.patient_id == p.c.id)
        .where(which)
        .order_by(s.c.registered_at)
    ).mappings().all()  # type: ignore[return-value]  # fmt: skip


def _tests(conn: Connection, sample_pks: list[int]) -> dict[int, tuple[str, ...]]:
    t, r = table(OrderTest), table(ResultRow)
    has_one = exists().where(r.c.order_test_id == t.c.id, r.c.state.in_(OPEN))
    found: dict[int, tuple[str, ...]] = defaultdict(tuple)
    for row in conn.execute(
        select(t.c.sample_pk, t.c.test)
        .where(t.c.sample_pk.in_(sample_pks), t.c.state == TestState.AWAITED.value, ~has_one)
        .order_by(t.c.id)
    ):
        found[row.sample_pk] += (row.test,)
    return found


def _work(row: dict[str, Any], tests: tuple[str, ...]) -> AwaitedWork:
    return AwaitedWork(
        sample_id=row["sample_id"], specimen=row["specimen"], container=row["container"], tests=tests,
        patient_id=row["uhid"], name=row["name"], sex=row["sex"], birth_date=row["birth_date"],
        collected_at=row["collected_at"],
    )  # fmt: skip
