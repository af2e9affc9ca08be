"""One write: what messages came to. The same message twice gives the same rows.

Turns Filings (message, Matched, Verdicts) into rows, in the caller's transaction: a few statements for many messages.
Law: idempotent by message id and by each row's identity; no two messages of one call are about the same sample, so
that none of them needs to see what another wrote; counts what stands in the tables afterwards, so that the books of
every message can be checked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from drivers.driver import Message
from middleware.model import Control, Matched, Result, ResultState, Unmatched, Verdict
from middleware.schema import (
    ControlRow,
    ControlTarget,
    ReasonRow,
    ResultRow,
    UnmatchedRow,
)
from middleware.store.core import among, next_ids, put_all, table, touch
from middleware.store.message_rows import Filing, put_messages
from middleware.store.result_rows import columns_as_said, reason_rows, twin_reason

_GREEN, _HELD = ResultState.AUTOVERIFIED.value, ResultState.HELD.value


@dataclass(slots=True)
class _Plan:
    """The rows to write. `known`: by table, identities that are stored already, and under which message."""

    now: datetime
    rule_set: str
    known: Mapping[str, Mapping[str, str | None]]
    filed: Mapping[str, set[int]]
    waiting: dict[int, list[int]]  # by ordered test: results that nothing holds yet
    results: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    controls: list[dict[str, Any]] = field(default_factory=list)
    superseded: list[tuple[str, int]] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    duplicates: Counter[str] = field(default_factory=Counter)


class Recorded(NamedTuple):
    """What one message came to: ids of results that nothing holds, and how many rows are astray (always 0)."""

    green: tuple[int, ...]
    difference: int


def record(conn: Connection, filings: Sequence[Filing], rule_set: str, now: datetime) -> list[Recorded]:
    """Write results, controls, unmatched rows and each message's own row, and check its books.

    Rows already stored under another message are duplicates. A row of a message that is filed already is never filed
    again, though a mended driver reads it otherwise.
    """
    seen = [filing.message.id for filing in filings if filing.seen]
    plan = _Plan(now, rule_set, _known(conn, filings), _filed(conn, seen), _waiting(conn, filings))
    fresh = [[r for r in filing.matched.results if _is_fresh(plan, filing, r)] for filing in filings]
    ids = iter(next_ids(conn, ResultRow, sum(len(results) for results in fresh)))
    green = [_plan_results(plan, filing, results, ids) for filing, results in zip(filings, fresh, strict=True)]
    for filing in filings:
        _plan_unmatched(plan, filing)
        _plan_controls(conn, plan, filing)
    _write(conn, plan, [filing for filing in filings if filing.seen])
    differences = put_messages(conn, filings, plan.duplicates, plan.filed, now)
    _touch(conn, filings)
    return [Recorded(*pair) for pair in zip(green, differences, strict=True)]


def _write(conn: Connection, plan: _Plan, again: Sequence[Filing]) -> None:
    put_all(conn, ResultRow, plan.results)
    r = table(ResultRow)
    if plan.held:
        conn.execute(r.update().where(r.c.id.in_(plan.held)).values(state=_HELD, green=False))
    put_all(conn, ReasonRow, plan.reasons)
    for identity, result_id in plan.superseded:
        _supersede_unmatched(conn, identity, result_id, plan.now)
    for filing in again:
        _clear_tray(conn, filing.message.id, filing.matched, plan.now)
    for identity in plan.reopened:
        _reopen(conn, identity)
    put_all(conn, UnmatchedRow, plan.unmatched)
    put_all(conn, ControlRow, plan.controls)


def _touch(conn: Connection, filings: Sequence[Filing]) -> None:
    topics = Counter({"results": len(filings), "analyzers": len(filings)})
    topics["unmatched"] = sum(1 for filing in filings if filing.matched.unmatched)
    topics["controls"] = sum(1 for filing in filings if filing.matched.controls)
    touch(conn, *topics.elements())


def _known(conn: Connection, filings: Sequence[Filing]) -> dict[str, dict[str, str | None]]:
    """By table: the identities of these messages that are stored already, and under which message."""
    wanted = [identity for filing in filings for _, identity in filing.matched_rows()]
    found: dict[str, dict[str, str | None]] = {}
    for name, row in (("result", ResultRow), ("unmatched", UnmatchedRow), ("control", ControlRow)):
        t = table(row)
        same = select(t.c.identity, t.c.message_id).where(among(conn, t.c.identity, wanted))
        found[name] = {row[0]: row[1] for row in conn.execute(same)} if wanted else {}
    return found


def _filed(conn: Connection, message_ids: Sequence[str]) -> Mapping[str, set[int]]:
    """Rows of each message (by ordinal) that became a result or a control, or that a person dealt with."""
    found: dict[str, set[int]] = defaultdict(set)
    if not message_ids:
        return found
    r, c, u = table(ResultRow), table(ControlRow), table(UnmatchedRow)
    by_hand = u.c.message_id.in_(message_ids) & u.c.state.in_(("linked", "dismissed"))
    wanted = (
        select(r.c.message_id, r.c.ordinal).where(r.c.message_id.in_(message_ids)),
        select(c.c.message_id, c.c.ordinal).where(c.c.message_id.in_(message_ids)),
        select(u.c.message_id, u.c.ordinal).where(by_hand),
    )
    for statement in wanted:
        for message_id, ordinal in conn.execute(statement):
            found[message_id].add(ordinal)
    return found


def _waiting(conn: Connection, filings: Sequence[Filing]) -> dict[int, list[int]]:
    """Stored results that nothing holds, of the ordered tests that these messages bring another result of."""
    asked = {
        result.order_test_id
        for filing in filings
        for result in filing.matched.results
        if filing.samples[result.sample_pk].tests[result.test].has_open_result
    }
    found: dict[int, list[int]] = defaultdict(list)
    r = table(ResultRow)
    green = select(r.c.order_test_id, r.c.id).where(
        r.c.order_test_id.in_(asked), r.c.state == _GREEN
    )
    for order_test_id, row_id in conn.execute(green.order_by(r.c.id)) if asked else ():
        found[order_test_id].append(row_id)
    return found


def _clear_tray(conn: Connection, message_id: str, matched: Matched, now: datetime) -> None:
    """Thought about again, a row is read otherwise or not reported from here: its old row leaves the tray."""
    u = table(UnmatchedRow)
    still = [row.identity for row in matched.unmatched]
    conn.execute(
        u.update()
        .where(u.c.message_id == message_id, u.c.state == "open", u.c.identity.not_in(still))
        .values(state="superseded", closed_at=now, closed_by="system", closed_note="read again")
    )


def _elsewhere(plan: _Plan, kind: str, identity: str, message_id: str) -> bool:
    return identity in plan.known[kind] and plan.known[kind][identity] != message_id


# ---- results ----------------------------------------------------------------------------------------------------


def _is_fresh(plan: _Plan, filing: Filing, result: Result) -> bool:
    """True for a result that is to be written; one that another message brought before is counted."""
    if result.ordinal in plan.filed.get(filing.message.id, ()):
        return False
    if _elsewhere(plan, "result", result.identity, filing.message.id):
        plan.duplicates[filing.message.id] += 1
        return False
    return result.identity not in plan.known["result"]


def _plan_results(plan: _Plan, filing: Filing, fresh: Iterable[Result], ids: Iterable[int]) -> tuple[int, ...]:
    verdicts = {v.identity: v for v in filing.verdicts}
    green = []
    for result, row_id in zip(fresh, ids, strict=False):  # never more ids than results: see `record`
        verdict = verdicts[result.identity]
        _plan_result(plan, filing, result, verdict, row_id)
        if result.identity in plan.known["unmatched"]:
            plan.superseded.append((result.identity, row_id))
        if verdict.green:
            green.append(row_id)
    return tuple(green)


def _plan_result(plan: _Plan, filing: Filing, result: Result, verdict: Verdict, row_id: int) -> None:
    green = verdict.green
    row = columns_as_said(result, verdict)
    row |= {
        "id": row_id,
        "identity": result.identity,
        "message_id": filing.message.id,
        "analyzer": filing.message.analyzer,
        "patient_id": filing.samples[result.sample_pk].patient_id,
        "state": _GREEN if green else _HELD,
        "rule_set": plan.rule_set,
        "created_at": plan.now,
    }
    plan.results.append(row)
    if verdict.reasons:
        plan.reasons += reason_rows(row_id, verdict)
    _plan_twins(plan, result, filing.message.analyzer)
    if green:
        plan.waiting.setdefault(result.order_test_id, []).append(row_id)


def _plan_twins(plan: _Plan, result: Result, source: str) -> None:
    """As `result_rows.hold_twins`, for rows that are not written yet too."""
    twins = plan.waiting.pop(result.order_test_id, ())
    for twin in twins:
        plan.held.append(twin)  # after the rows are written, whether they are new or not
        plan.reasons += reason_rows(twin, Verdict(result.identity, (twin_reason(result, source),)))


def _supersede_unmatched(conn: Connection, identity: str, result_id: int, now: datetime) -> None:
    """The same row came again (or was replayed) and found its sample: the tray's row is closed with that reason."""
    u = table(UnmatchedRow)
    conn.execute(
        u.update()
        .where(u.c.identity == identity, u.c.state == "open")
        .values(
            state="superseded", closed_at=now, closed_by="system", closed_note="found its sample", result_id=result_id
        )
    )


# ---- the tray and controls --------------------------------------------------------------------------------------


def _plan_unmatched(plan: _Plan, filing: Filing) -> None:
    """A tray row each; one that is stored under another message is a duplicate."""
    message = filing.message
    for row in filing.matched.unmatched:
        if row.ordinal in plan.filed.get(message.id, ()):
            continue
        if any(_elsewhere(plan, kind, row.identity, message.id) for kind in ("result", "unmatched")):
            plan.duplicates[message.id] += 1
        elif row.identity in plan.known["result"]:
            continue
        elif row.identity in plan.known["unmatched"]:
            plan.reopened.append(row.identity)
        else:
            plan.unmatched.append(_tray_row(message, row, plan.now))


def _tray_row(message: Message, row: Unmatched, now: datetime) -> dict[str, Any]:
    return {
        "identity": row.identity, "message_id": message.id, "ordinal": row.ordinal, "analyzer": message.analyzer,
        "sample_id": row.sample_id, "sample_pk": row.sample_pk, "code": row.code, "name": row.name,
        "value": row.value, "raw": row.raw, "unit": row.unit, "flags": list(row.flags),
        "observed_at": row.observed_at, "rule": row.reason.rule, "text": row.reason.text,
        "text_hi": row.reason.text_hi, "state": "open", "created_at": now,
    }  # fmt: skip


def _reopen(conn: Connection, identity: str) -> None:
    """Back into the tray when it left it without becoming a result."""
    u = table(UnmatchedRow)
    gone = (u.c.identity == identity) & (u.c.state == "superseded") & u.c.result_id.is_(None)
    conn.execute(u.update().where(gone).values(state="open", closed_at=None, closed_by="", closed_note=""))


def _plan_controls(conn: Connection, plan: _Plan, filing: Filing) -> None:
    message = filing.message
    for control in filing.matched.controls:
        if control.ordinal in plan.filed.get(message.id, ()):
            continue
        if _elsewhere(plan, "control", control.identity, message.id):
            plan.duplicates[message.id] += 1
        elif control.identity not in plan.known["control"]:
            plan.controls.append(_control_row(conn, message, control))


def _control_row(conn: Connection, message: Message, control: Control) -> dict[str, Any]:
    return {
        "identity": control.identity, "message_id": message.id, "ordinal": control.ordinal,
        "analyzer": message.analyzer, "lot": control.lot, "code": control.code, "test": control.test,
        "verbatim": control.verbatim, "value": control.value, "unit": control.unit,
        "observed_at": control.observed_at, "received_at": message.received_at,
        "target_id": _target(conn, message, control), "excluded": False, "excluded_note": "",
    }  # fmt: skip


def _target(conn: Connection, message: Message, control: Control) -> int | None:
    """The target in force for this control when it was received (domain 3.4: a point keeps its target)."""
    t = table(ControlTarget)
    return conn.execute(
        select(t.c.id)
        .where(
            t.c.analyzer == message.analyzer,
            t.c.lot == control.lot,
            t.c.test == control.test,
            t.c.valid_from <= message.received_at,
        )
        .order_by(t.c.valid_from.desc())
        .limit(1)
    ).scalar()
