"""One read: everything match and rules need to think about the observations of one message.

Turns sample ids into a Context: samples, their ordered tests, earlier results, the analyzer. Law: reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, String, func, select, type_coerce
from sqlalchemy.types import NullType

from middleware.model import (
    AnalyzerFacts,
    CatalogueTest,
    Context,
    OrderedTest,
    PatientFacts,
    Previous,
    ResultState,
    SampleFacts,
    SampleState,
    Sex,
    TestState,
    age_days,
)
from middleware.schema import Order, OrderTest, Patient, ResultRow, Sample
from middleware.store.core import among, table

# A 12-digit id comes again after ten years (one year digit): only tubes of this span are looked at.
SAMPLE_LIFE = timedelta(days=370)
PREVIOUS_SPAN = timedelta(days=730)
OPEN = (ResultState.HELD.value, ResultState.AUTOVERIFIED.value)


def context_for(
    conn: Connection,
    sample_ids: Iterable[str],
    analyzer: AnalyzerFacts,
    catalogue: Mapping[str, CatalogueTest],
    now: datetime,
) -> Context:
    """Read once: the registered samples among `sample_ids` (normalised), with all that is known of them.

    `now` is in the lab's own zone: ages are counted by its days.
    """
    return Context(analyzer=analyzer, samples=samples_for(conn, sample_ids, now), catalogue=catalogue, now=now)


def samples_for(conn: Connection, sample_ids: Iterable[str], now: datetime) -> dict[str, SampleFacts]:
    """The registered samples among `sample_ids`, each with its ordered tests and its patient's earlier values."""
    rows = _samples(conn, set(sample_ids), now)
    tests = _ordered(conn, [row["id"] for row in rows])
    earlier = _previous(conn, {row["patient_id"] for row in rows}, now)
    return {
        row["sample_id"]: _facts(row, tests[row["id"]], earlier.get(row["patient_id"], {}), now.tzinfo) for row in rows
    }


def _samples(conn: Connection, ids: set[str], now: datetime) -> list[Mapping[str, Any]]:
    if not ids:
        return []
    s, o, p = table(Sample), table(Order), table(Patient)
    statement = (
        select(
            s.c.id, s.c.sample_id, s.c.state, s.c.specimen, s.c.container, s.c.collected_at, s.c.registered_at,
            o.c.patient_id, p.c.sex, p.c.birth_date, p.c.birth_precision,
        )
        .join_from(s, o, s.c.order_id == o.c.id)
        .join(p, o.c.patient_id == p.c.id)
        .where(among(conn, s.c.sample_id, ids), s.c.registered_at >= now - SAMPLE_LIFE)
        .order_by(s.c.registered_at)
    )  # fmt: skip
    return [dict(row) for row in conn.execute(statement).mappings()]


def _ordered(conn: Connection, sample_pks: list[int]) -> dict[int, dict[str, OrderedTest]]:
    t, r = table(OrderTest), table(ResultRow)
    found: dict[int, dict[str, OrderedTest]] = defaultdict(dict)
    if not sample_pks:
        return found
    results: dict[int, list[Any]] = defaultdict(list)
    for row in conn.execute(
        select(r.c.order_test_id, r.c.state, r.c.display, r.c.verbatim, r.c.analyzer)
        .where(among(conn, r.c.sample_pk, sample_pks))
        .order_by(r.c.id)
    ).all():
        results[row.order_test_id].append(row)
    wanted = select(t.c.id, t.c.sample_pk, t.c.test, t.c.state).where(among(conn, t.c.sample_pk, sample_pks))
    for order_test_id, sample_pk, test, state in conn.execute(wanted.order_by(t.c.sample_pk, t.c.id)).all():
        known = OrderedTest(order_test_id, test, _STATES[state])
        found[sample_pk][test] = _with_results(known, results[order_test_id]) if order_test_id in results else known
    return found


_STATES = {state.value: state for state in TestState}


def _with_results(test: OrderedTest, results: Sequence[Any]) -> OrderedTest:
    waiting = [r for r in results if r.state in OPEN]
    released = [r.display for r in results if r.state == ResultState.RELEASED.value]
    return test._replace(
        has_open_result=bool(waiting),
        open_values=tuple(f"{r.display or r.verbatim} ({r.analyzer or 'typed'})" for r in waiting),
        open_analyzers=tuple(r.analyzer for r in waiting),
        released_value=released[-1] if released else None,
    )


def _previous(conn: Connection, patients: set[int], now: datetime) -> dict[int, dict[str, Previous]]:
    """Each patient's last released value of each test."""
    r = table(ResultRow)
    if not patients:
        return {}
    # The state is wrapped: of a million released results a planner without statistics would read every one by it.
    released = func.coalesce(r.c.state, "") == ResultState.RELEASED.value
    as_stored = type_coerce(r.c.value, String), r.c.coded, r.c.unit, type_coerce(r.c.released_at, NullType)
    rising = (
        select(r.c.patient_id, r.c.test, *as_stored)
        .where(among(conn, r.c.patient_id, patients), released, r.c.released_at >= now - PREVIOUS_SPAN)
        .order_by(r.c.patient_id, r.c.released_at, r.c.id)  # as the index has them: nothing is sorted
    )
    last = {(patient, test): said for patient, test, *said in conn.execute(rising).all()}
    instant: Any = r.c.released_at.type.dialect_impl(conn.dialect).result_processor(conn.dialect, None)
    when = {at: instant(at) for *_, at in last.values()}
    found: dict[int, dict[str, Previous]] = defaultdict(dict)
    for (patient, test), (value, coded, unit, at) in last.items():  # few of those read are the last of their test
        found[patient][test] = Previous(None if value is None else Decimal(value), coded, unit, when[at])
    return found


def _facts(
    row: Mapping[str, Any], tests: Mapping[str, OrderedTest], previous: Mapping[str, Previous], zone: tzinfo | None
) -> SampleFacts:
    on = (row["collected_at"] or row["registered_at"]).astimezone(zone).date()
    return SampleFacts(
        id=row["id"],
        sample_id=row["sample_id"],
        state=SampleState(row["state"]),
        specimen=row["specimen"],
        container=row["container"],
        patient_id=row["patient_id"],
        patient=PatientFacts(
            sex=Sex(row["sex"]),
            age_days=max(0, age_days(row["birth_date"], on)),
            approximate_age=row["birth_precision"] != "day",
        ),
        tests=tests,
        previous=previous,
    )
