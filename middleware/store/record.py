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
from typing import Any

from sqlalchemy import Connection, func, select

from drivers.driver import Decoded, Kind, Message
from middleware.model import Control, Matched, Result, ResultState, SampleFacts, Unmatched, Verdict
from middleware.schema import (
    AnalyzerMessage,
    ControlRow,
    ControlTarget,
    ReasonRow,
    ResultRow,
    UnmatchedRow,
)
from middleware.store.core import among, fitted, insert_into, next_ids, put_all, table, touch
from middleware.store.result_rows import reason_rows, result_columns, twin_reason


@dataclass(frozen=True, slots=True)
class Filing:
    """One message, thought about. `samples` by primary key gives each result its patient; `seen`: it was recorded
    before, so rows of it may be filed, lie in the tray or have been dealt with by hand."""

    message: Message
    decoded: Decoded
    matched: Matched
    verdicts: Sequence[Verdict]
    samples: Mapping[int, SampleFacts]
    seen: bool


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


def processed(conn: Connection, message_ids: Sequence[str]) -> set[str]:
    """Those of these messages that were already recorded (state processed)."""
    m = table(AnalyzerMessage)
    return set(conn.execute(select(m.c.id).where(among(conn, m.c.id, message_ids), m.c.state == "processed")).scalars())


def record(conn: Connection, filings: Sequence[Filing], rule_set: str, now: datetime) -> list[tuple[int, ...]]:
    """Write results, controls, unmatched rows and each message's own row; for each, ids of results nothing holds.

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
    _put_messages(conn, filings, plan)
    _touch(conn, filings)
    return green


def _write(conn: Connection, plan: _Plan, again: Sequence[Filing]) -> None:
    put_all(conn, ResultRow, plan.results)
    r, u = table(ResultRow), table(UnmatchedRow)
    if plan.held:
        conn.execute(r.update().where(r.c.id.in_(plan.held)).values(state=ResultState.HELD.value, green=False))
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


def record_failure(conn: Connection, message: Message, error: str, now: datetime) -> None:
    """Keep a message that could not be decoded: state failed, with the reason, for the messages page and replay.

    One that was processed before stays as it was.
    """
    if processed(conn, [message.id]):
        return  # thought about again with a driver or a configuration that cannot read it: what is stored stays
    values = {
        "id": message.id, "analyzer": message.analyzer, "received_at": message.received_at, "type": "other",
        "state": "failed", "error": error, "processed_at": now,
    }  # fmt: skip
    _upsert_messages(conn, [{**_NO_COUNTS, **values}])
    touch(conn, "analyzers")


_COUNTED = (
    "observations", "measurements", "results", "controls", "unmatched", "duplicates", "not_reportable", "suspects",
    "images", "details",
)  # fmt: skip
_NO_COUNTS: dict[str, Any] = {**dict.fromkeys(_COUNTED, 0), "sender": None, "problems": [], "sample_ids": ""}


def _known(conn: Connection, filings: Sequence[Filing]) -> dict[str, dict[str, str | None]]:
    """By table: the identities of these messages that are stored already, and under which message."""
    said = [filing.matched for filing in filings]
    wanted = [row.identity for one in said for row in (*one.results, *one.unmatched, *one.controls)]
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
        r.c.order_test_id.in_(asked), r.c.state == ResultState.AUTOVERIFIED.value
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
    if _elsewhere(plan, "result", result.identity, filing.message.id):
        plan.duplicates[filing.message.id] += 1
        return False
    return result.identity not in plan.known["result"] and result.ordinal not in plan.filed.get(filing.message.id, ())


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
    row = {
        "id": row_id,
        "identity": result.identity,
        "message_id": filing.message.id,
        "analyzer": filing.message.analyzer,
        "patient_id": filing.samples[result.sample_pk].patient_id,
        "state": (ResultState.AUTOVERIFIED if green else ResultState.HELD).value,
        "rule_set": plan.rule_set,
        "created_at": plan.now,
        **result_columns(result, verdict),
    }
    plan.results.append(row)
    plan.reasons += reason_rows(row_id, verdict)
    _plan_twins(plan, result, row_id, filing.message.analyzer)
    if green:
        plan.waiting.setdefault(result.order_test_id, []).append(row_id)


def _plan_twins(plan: _Plan, result: Result, row_id: int, source: str) -> None:
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
    said = {
        "identity": row.identity, "message_id": message.id, "ordinal": row.ordinal, "analyzer": message.analyzer,
        "sample_id": row.sample_id, "sample_pk": row.sample_pk, "code": row.code, "name": row.name,
        "value": row.value, "raw": row.raw, "unit": row.unit, "flags": list(row.flags),
        "observed_at": row.observed_at, "rule": row.reason.rule, "text": row.reason.text,
        "text_hi": row.reason.text_hi, "state": "open", "created_at": now,
    }  # fmt: skip
    return fitted(UnmatchedRow, said)


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
    said = {
        "identity": control.identity, "message_id": message.id, "ordinal": control.ordinal,
        "analyzer": message.analyzer, "lot": control.lot, "code": control.code, "test": control.test,
        "verbatim": control.verbatim, "value": control.value, "unit": control.unit,
        "observed_at": control.observed_at, "received_at": message.received_at,
        "target_id": _target(conn, message, control), "excluded": False, "excluded_note": "",
    }  # fmt: skip
    return fitted(ControlRow, said)


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


# ---- the message's own row --------------------------------------------------------------------------------------


def _put_messages(conn: Connection, filings: Sequence[Filing], plan: _Plan) -> None:
    """Each message's own row, with what stands in the tables of it now."""
    ids = [filing.message.id for filing in filings]
    u = table(UnmatchedRow)
    stored = {
        "results": _stored(conn, ResultRow, ids),
        "controls": _stored(conn, ControlRow, ids),
        "unmatched": _stored(conn, UnmatchedRow, ids, u.c.state.in_(("open", "dismissed"))),
        "duplicates": plan.duplicates,
    }
    rows = []
    for filing in filings:
        found = {name: counted.get(filing.message.id, 0) for name, counted in stored.items()}
        found["duplicates"] += filing.matched.duplicates
        rows.append({**_said(filing), **found, "processed_at": plan.now})
    _upsert_messages(conn, rows)


def _stored(conn: Connection, kind: Any, message_ids: Sequence[str], *where: Any) -> dict[str, int]:
    """How many rows of a table came of each message."""
    t = table(kind)
    counted = select(t.c.message_id, func.count()).where(among(conn, t.c.message_id, message_ids), *where)
    return {row[0]: row[1] for row in conn.execute(counted.group_by(t.c.message_id))}


def _said(filing: Filing) -> dict[str, Any]:
    message, decoded, matched = filing.message, filing.decoded, filing.matched
    return {
        "id": message.id,
        "analyzer": message.analyzer,
        "received_at": message.received_at,
        "type": decoded.type.value,
        "state": "processed",
        "error": "",
        "sender": decoded.sender,
        "problems": list(decoded.problems),
        "sample_ids": " ".join(sorted(_sample_ids(decoded))),
        "observations": len(decoded.observations),
        "measurements": sum(1 for o in decoded.observations if o.kind is Kind.MEASUREMENT),
        "not_reportable": matched.not_reportable,
        "suspects": matched.suspects,
        "images": matched.images,
        "details": matched.details,
    }


def _sample_ids(decoded: Decoded) -> set[str]:
    own = {o.sample_id for o in decoded.observations if o.sample_id}
    return own | set(decoded.query_sample_ids)


def _upsert_messages(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = insert_into(conn, AnalyzerMessage)
    anew = {name: statement.excluded[name] for name in rows[0] if name != "id"}
    statement = statement.on_conflict_do_update(index_elements=["id"], set_=anew)
    conn.execute(statement, [fitted(AnalyzerMessage, row) for row in rows])
