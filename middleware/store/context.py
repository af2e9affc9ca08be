"""One read: everything match and rules need to think about the observations of one message.

Turns sample ids into a Context: samples, their ordered tests, earlier results, the analyzer. Law: reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, func, select

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
    states = {state.value: state for state in TestState}
    for order_test_id, sample_pk, test, state in conn.execute(wanted.order_by(t.c.id)).all():
        had = results.get(order_test_id)
        known = OrderedTest(order_test_id, test, states[state])
        found[sample_pk][test] = _with_results(known, had) if had else known
    return found


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
    found: dict[int, dict[str, Previous]] = defaultdict(dict)
    if not patients:
        return found
    place = func.row_number().over(
        partition_by=(r.c.patient_id, r.c.test), order_by=(r.c.released_at.desc(), r.c.id.desc())
    )
    # The state is wrapped: of a million released results a planner without statistics would read every one by it.
    released = func.coalesce(r.c.state, "") == ResultState.RELEASED.value
    ranked = (
        select(r.c.patient_id, r.c.test, r.c.value, r.c.coded, r.c.unit, r.c.released_at, place.label("place"))
        .where(among(conn, r.c.patient_id, patients), released, r.c.released_at >= now - PREVIOUS_SPAN)
        .subquery()
    )
    for patient, test, value, coded, unit, at, _ in conn.execute(select(ranked).where(ranked.c.place == 1)).all():
        found[patient][test] = Previous(value, coded, unit, at)
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
