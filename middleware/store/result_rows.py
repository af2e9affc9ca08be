"""A result's rows: its columns, its reasons, and what becomes of another open result of the same test.

Turns a Result and its Verdict into columns, whoever made them: an analyzer, a person who types or links. Law: called
inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from middleware.model import Reason, Result, ResultState, Verdict
from middleware.schema import ReasonRow, ResultRow
from middleware.sentences import reason
from middleware.store.core import fitted, put_all, table


class ResultValues(NamedTuple):
    """The columns of the result table that are filled when a result is made; the others keep their defaults."""

    id: int
    identity: str
    message_id: str
    analyzer: str
    patient_id: int
    state: str
    rule_set: str
    created_at: datetime
    green: bool
    critical: bool
    ordinal: int
    order_test_id: int
    sample_pk: int
    test: str
    code: str
    verbatim: str
    value: Decimal | None
    comparator: str
    coded: str | None
    display: str
    unit: str
    flag: str
    ref_low: Decimal | None
    ref_high: Decimal | None
    analyzer_flags: tuple[str, ...]
    comments: tuple[str, ...]
    aspect: str | None
    observed_at: str | None


_SAID = tuple(name for name in ResultValues._fields if name in Result._fields and name != "identity")
_said = itemgetter(*(Result._fields.index(name) for name in _SAID))


def result_columns(result: Result, verdict: Verdict) -> dict[str, Any]:
    """The columns of the result table that a Result and its Verdict fill, whoever made them; made to fit, for `put`."""
    columns = dict(zip(_SAID, _said(result), strict=True))
    return fitted(ResultRow, {**columns, "green": verdict.green, "critical": _is_critical(verdict)})


def result_values(
    own: Sequence[Sequence[Any]], results: Sequence[Result], verdicts: Sequence[Verdict]
) -> list[ResultValues]:
    """The rows of several results for `put_all`, which makes them fit. `own`: for each column before `green` its
    values, result by result; column by column, for a blood count has 25 rows of 28."""
    green = [verdict.green for verdict in verdicts]
    critical = [_is_critical(verdict) for verdict in verdicts]
    said = _said(list(zip(*results, strict=True)))
    return list(map(ResultValues._make, zip(*own, green, critical, *said, strict=True)))


def _is_critical(verdict: Verdict) -> bool:
    return bool(verdict.reasons) and any(reason.severity == "critical" for reason in verdict.reasons)


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
