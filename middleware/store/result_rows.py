"""A result's rows: its columns, its reasons, and what becomes of another open result of the same test.

Turns a Result and its Verdict into columns, whoever made them: an analyzer, a person who types or links. Law: called
inside the caller's transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from middleware.model import Reason, Result, ResultState, Verdict
from middleware.schema import ReasonRow, ResultRow
from middleware.sentences import reason
from middleware.store.core import fitted, put_all, table


def result_columns(result: Result, verdict: Verdict) -> dict[str, Any]:
    """The columns of the result table that a Result and its Verdict fill, whoever made them; made to fit, for `put`."""
    return fitted(ResultRow, columns_as_said(result, verdict))


_NONE: list[str] = []


def columns_as_said(result: Result, verdict: Verdict) -> dict[str, Any]:
    """The same for `put_all`, which makes them fit."""
    return {
        "ordinal": result.ordinal,
        "order_test_id": result.order_test_id,
        "sample_pk": result.sample_pk,
        "test": result.test,
        "code": result.code,
        "verbatim": result.verbatim,
        "value": result.value,
        "comparator": result.comparator,
        "coded": result.coded,
        "display": result.display,
        "unit": result.unit,
        "flag": result.flag,
        "ref_low": result.ref_low,
        "ref_high": result.ref_high,
        "analyzer_flags": list(result.analyzer_flags) if result.analyzer_flags else _NONE,
        "comments": list(result.comments) if result.comments else _NONE,
        "aspect": result.aspect,
        "observed_at": result.observed_at,
        "green": verdict.green,
        "critical": any(r.severity == "critical" for r in verdict.reasons) if verdict.reasons else False,
    }


def reason_rows(result_id: int, verdict: Verdict) -> list[dict[str, Any]]:
    """Every reason of a verdict as a row, with the values it used."""
    return [
        {
            "result_id": result_id, "rule": r.rule, "severity": r.severity, "text": r.text, "text_hi": r.text_hi,
            "rule_values": dict(r.values),
        }
        for r in verdict.reasons
    ]  # fmt: skip


def put_reasons(conn: Connection, result_id: int, verdict: Verdict) -> None:
    """Keep every reason of a verdict with the values it used."""
    put_all(conn, ReasonRow, reason_rows(result_id, verdict))


def twin_reason(result: Result, source: str) -> Reason:
    """What an open result is told when another one of its test comes from `source`."""
    return reason("second_result", "second_open", others=f"{result.display or result.verbatim} ({source})")


def hold_twins(conn: Connection, row_id: int, result: Result, source: str) -> None:
    """Two open results of one test: neither is green any more, a person chooses (and never by "release all green")."""
    r = table(ResultRow)
    twins = (r.c.order_test_id == result.order_test_id) & (r.c.id != row_id)
    waiting = conn.execute(select(r.c.id).where(twins, r.c.state == ResultState.AUTOVERIFIED.value)).scalars().all()
    for twin in waiting:
        conn.execute(r.update().where(r.c.id == twin).values(state=ResultState.HELD.value, green=False))
        put_reasons(conn, twin, Verdict(result.identity, (twin_reason(result, source),)))
