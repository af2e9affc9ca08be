"""Judges a patient's results once more after sex or birth date were corrected, in the caller's transaction.

Turns stored values into new intervals, flags and reasons. Law: a value is never altered, a reason never taken away, the
issued versions stay as they are; what was green and is no more is held. Source: ISO 15189:2022 7.4.1.6 h (the interval
that belongs to this patient), 7.4.1.8 (the amended report carries it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from middleware import store
from middleware.consider import TYPED
from middleware.lab import Lab
from middleware.model import Context, Reason, Result, ResultState, SampleFacts, Verdict
from middleware.rules import verify
from middleware.schema import ReasonRow, ResultRow, Sample
from middleware.store.context import context_for
from middleware.store.result_rows import put_reasons
from middleware.values import flag, limits_for

OPEN = (ResultState.HELD.value, ResultState.AUTOVERIFIED.value)
OF_THE_PATIENT = frozenset({"identity", "absurd", "critical", "release_limits"})  # rules that look at sex or age


def rejudge(lab: Lab, conn: Connection, patient_id: int) -> dict[str, list[str]]:
    """The old and new flag of each result (by id) whose interval, flag or reasons changed, for the audit line."""
    rows = _results(conn, patient_id)
    now = lab.now().astimezone(lab.settings.lab.timezone)
    context = context_for(conn, {row["tube"] for row in rows}, TYPED, lab.settings.catalogue, now)
    samples = {sample.id: sample for sample in context.samples.values()}
    told = {}
    for row in rows:
        if row["sample_pk"] in samples and row["test"] in context.catalogue:
            result = _again(row, samples[row["sample_pk"]], context)
            if _write(lab, conn, row, result, context):
                told[str(row["id"])] = [row["flag"], result.flag]
    return told


def _results(conn: Connection, patient_id: int) -> list[dict[str, Any]]:
    r, s = store.table(ResultRow), store.table(Sample)
    wanted = (
        select(r, s.c.sample_id.label("tube"))
        .join(s, r.c.sample_pk == s.c.id)
        .where(r.c.patient_id == patient_id, r.c.state.in_((*OPEN, ResultState.RELEASED.value)))
        .order_by(r.c.id)
    )
    return [dict(row) for row in conn.execute(wanted).mappings()]


def _again(row: Mapping[str, Any], sample: SampleFacts, context: Context) -> Result:
    """The stored result with the interval and flag of the patient as known now."""
    kept = {name: row[name] for name in Result._fields if name in row}
    for name in ("analyzer_flags", "comments"):
        kept[name] = tuple(kept[name])
    test = context.catalogue[row["test"]]
    if test.coded or row["value"] is None:
        return Result(**kept, status=None)
    limits = limits_for(test, sample.patient.sex, sample.patient.age_days)
    kept |= {
        "flag": flag(row["value"], row["comparator"], limits),
        "ref_low": limits.ref_low if limits else None,
        "ref_high": limits.ref_high if limits else None,
    }
    return Result(**kept, status=None)


def _write(lab: Lab, conn: Connection, row: Mapping[str, Any], result: Result, context: Context) -> bool:
    """Keep what changed; True when something did."""
    values: dict[str, Any] = {
        name: getattr(result, name) for name in ("flag", "ref_low", "ref_high") if getattr(result, name) != row[name]
    }
    fresh = _fresh(lab, conn, row, result, context) if row["state"] in OPEN else ()
    verdict = Verdict(result.identity, fresh)
    put_reasons(conn, row["id"], verdict)
    if not verdict.green:
        values |= {"state": ResultState.HELD.value, "green": False}
        values["critical"] = row["critical"] or any(r.severity == "critical" for r in fresh)
    if values:
        store.change(conn, ResultRow, row["id"], **values)
    return bool(values)


def _fresh(lab: Lab, conn: Connection, row: Mapping[str, Any], result: Result, context: Context) -> tuple[Reason, ...]:
    """Reasons the result did not have before."""
    w = store.table(ReasonRow)
    known = {tuple(r) for r in conn.execute(select(w.c.rule, w.c.text).where(w.c.result_id == row["id"]))}
    (verdict,) = verify((result,), context, lab.settings.rules)
    return tuple(r for r in verdict.reasons if r.rule in OF_THE_PATIENT and (r.rule, r.text) not in known)
