"""One write: what messages came to. The same message twice gives the same rows.

Turns Filings (message, Matched, Verdicts) into rows, in the caller's transaction: a few statements for many messages.
Law: idempotent by message id and by each row's identity; no two messages of one call are about the same sample, so
that none of them needs to see what another wrote; counts what stands in the tables afterwards, so that the books of
every message can be checked.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from drivers.driver import Message
from middleware.match import tube_of
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
from middleware.store.result_rows import ResultValues, reason_rows, result_values, twin_reason

_GREEN, _HELD = ResultState.AUTOVERIFIED.value, ResultState.HELD.value


@dataclass(slots=True)
class _Plan:
    """The rows to write. `known`: by table, identities that are stored already, and under which message."""

    now: datetime
    rule_set: str
    known: Mapping[str, Mapping[str, str | None]]
    filed: Mapping[str, set[int]]
    waiting: dict[int, list[int]]  # by ordered test: results that nothing holds yet
    results: list[ResultValues] = field(default_factory=list)
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
    fresh = [_fresh(plan, filing) for filing in filings]
    ids = iter(next_ids(conn, ResultRow, sum(len(results) for results in fresh)))
    green = [
        _plan_results(plan, filing, results, list(islice(ids, len(results))))
        for filing, results in zip(filings, fresh, strict=True)
    ]
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
    results = [row.identity for filing in filings for row in filing.matched.results]
    unmatched = [row.identity for filing in filings for row in filing.matched.unmatched]
    controls = [row.identity for filing in filings for row in filing.matched.controls]
    return {
        "result": _stored_as(conn, ResultRow, results, unmatched),
        "unmatched": _stored_as(conn, UnmatchedRow, results, unmatched),
        "control": _stored_as(conn, ControlRow, (), controls),
    }


def _stored_as(
    conn: Connection, kind: Any, of_tubes: Sequence[str], others: Sequence[str]
) -> dict[str, str | None]:
    """Those of these identities that a table has, and under which message. `of_tubes`: rows of registered tubes, each
    of which brought a few; all that a tube brought stands together in the index and is found at once."""
    t = table(kind)
    found: dict[str, str | None] = {}
    if of_tubes and conn.dialect.name == "sqlite":
        tubes = func.json_each(json.dumps(list({tube_of(i) for i in of_tubes}))).table_valued("value")
        same = t.c.identity.between(tubes.c.value, tubes.c.value.op("||")("g"))  # hexadecimal: every digit is below g
        for identity, message_id in conn.execute(select(t.c.identity, t.c.message_id).join_from(tubes, t, same)):
            found[identity] = message_id
    elif of_tubes:
        others = [*others, *of_tubes]
    if others:
        wanted = select(t.c.identity, t.c.message_id).where(among(conn, t.c.identity, others))
        for identity, message_id in conn.execute(wanted):
            found[identity] = message_id
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


_Judged = tuple[Result, Verdict]


def _fresh(plan: _Plan, filing: Filing) -> list[_Judged]:
    """The results that are to be written."""
    judged = list(zip(filing.matched.results, filing.verdicts, strict=True))
    if not plan.known["result"] and filing.message.id not in plan.filed:
        return judged
    return [pair for pair in judged if _is_fresh(plan, filing, pair[0])]


def _is_fresh(plan: _Plan, filing: Filing, result: Result) -> bool:
    """True for a result that is to be written; one that another message brought before is counted."""
    if result.ordinal in plan.filed.get(filing.message.id, ()):
        return False
    if _elsewhere(plan, "result", result.identity, filing.message.id):
        plan.duplicates[filing.message.id] += 1
        return False
    return result.identity not in plan.known["result"]


def _plan_results(plan: _Plan, filing: Filing, fresh: Sequence[_Judged], ids: Sequence[int]) -> tuple[int, ...]:
    if not fresh:
        return ()
    results, verdicts = zip(*fresh, strict=True)
    rows = _rows(plan, filing, results, verdicts, ids)
    plan.results += rows
    unmatched = plan.known["unmatched"]
    for result, verdict, row in zip(results, verdicts, rows, strict=True):
        if verdict.reasons:
            plan.reasons += reason_rows(row.id, verdict)
        _plan_twins(plan, result, row, filing.message.analyzer)
        if result.identity in unmatched:
            plan.superseded.append((result.identity, row.id))
    return tuple(row.id for row in rows if row.green)


def _rows(
    plan: _Plan, filing: Filing, results: Sequence[Result], verdicts: Sequence[Verdict], ids: Sequence[int]
) -> list[ResultValues]:
    message, count = filing.message, len(results)
    patients = {pk: sample.patient_id for pk, sample in filing.samples.items()}
    own = (
        ids, [result.identity for result in results], [message.id] * count, [message.analyzer] * count,
        [patients[result.sample_pk] for result in results],
        [_GREEN if verdict.green else _HELD for verdict in verdicts], [plan.rule_set] * count, [plan.now] * count,
    )  # fmt: skip
    return result_values(own, results, verdicts)


def _plan_twins(plan: _Plan, result: Result, row: ResultValues, source: str) -> None:
    """As `result_rows.hold_twins`, for rows that are not written yet too."""
    waiting = plan.waiting
    if result.order_test_id in waiting:
        for twin in waiting.pop(result.order_test_id):
            plan.held.append(twin)  # after the rows are written, whether they are new or not
            plan.reasons += reason_rows(twin, Verdict(result.identity, (twin_reason(result, source),)))
    if row.green:
        waiting[result.order_test_id] = [row.id]


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
