"""One write: what a message came to. The same message twice gives the same rows.

Turns (message, Matched, Verdicts) into rows, in the caller's transaction. Law: idempotent by message id and by each
row's identity; counts what it wrote, so that the books of every message balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

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
from middleware.sentences import reason
from middleware.store.core import count, fitted, insert_into, put, table, touch


def is_processed(conn: Connection, message_id: str) -> bool:
    """True when this message was already recorded (state processed)."""
    m = table(AnalyzerMessage)
    state = conn.execute(select(m.c.state).where(m.c.id == message_id)).scalar()
    return state == "processed"


def record(
    conn: Connection,
    message: Message,
    decoded: Decoded,
    matched: Matched,
    verdicts: Sequence[Verdict],
    samples: Mapping[int, SampleFacts],
    rule_set: str,
    now: datetime,
) -> tuple[int, ...]:
    """Write results, controls, unmatched rows and the message's own row; ids of results nothing holds are returned.

    `samples` by primary key gives each result its patient. Rows already stored under another message are duplicates.
    A row of this message that is filed already is never filed again, though a mended driver reads it otherwise.
    """
    known, filed = _known(conn, matched), _filed(conn, message.id)
    by_identity = {v.identity: v for v in verdicts}
    green: list[int] = []
    duplicates = matched.duplicates
    for result in matched.results:
        if _elsewhere(known, "result", result.identity, message.id):
            duplicates += 1
        elif result.identity not in known["result"] and result.ordinal not in filed:
            verdict = by_identity[result.identity]
            row_id = _put_result(conn, message, result, verdict, samples[result.sample_pk].patient_id, rule_set, now)
            _supersede_unmatched(conn, result.identity, row_id, now)
            if verdict.green:
                green.append(row_id)
    _clear_tray(conn, message.id, matched, now)
    for row in matched.unmatched:
        if row.ordinal not in filed:
            duplicates += _put_unmatched(conn, message, row, known, now)
    for control in matched.controls:
        if control.ordinal not in filed:
            duplicates += _put_control(conn, message, control, known)
    _put_message(conn, message, decoded, matched, duplicates, now)
    touch(conn, "results", "analyzers", *(["unmatched"] if matched.unmatched else []))
    if matched.controls:
        touch(conn, "controls")
    return tuple(green)


def record_failure(conn: Connection, message: Message, error: str, now: datetime) -> None:
    """Keep a message that could not be decoded: state failed, with the reason, for the messages page and replay.

    One that was processed before stays as it was.
    """
    if is_processed(conn, message.id):
        return  # thought about again with a driver or a configuration that cannot read it: what is stored stays
    values = {
        "analyzer": message.analyzer, "received_at": message.received_at, "type": "other", "state": "failed",
        "error": error, "processed_at": now,
    }  # fmt: skip
    _upsert_message(conn, message.id, {**_NO_COUNTS, **values})
    touch(conn, "analyzers")


_COUNTED = (
    "observations", "measurements", "results", "controls", "unmatched", "duplicates", "not_reportable", "suspects",
    "images", "details",
)  # fmt: skip
_NO_COUNTS: dict[str, Any] = {**dict.fromkeys(_COUNTED, 0), "sender": None, "problems": [], "sample_ids": ""}


def _known(conn: Connection, matched: Matched) -> dict[str, dict[str, str | None]]:
    """By table: the identities of this message that are stored already, and under which message."""
    wanted = [r.identity for r in matched.results]
    wanted += [r.identity for r in matched.unmatched] + [r.identity for r in matched.controls]
    found: dict[str, dict[str, str | None]] = {}
    for name, row in (("result", ResultRow), ("unmatched", UnmatchedRow), ("control", ControlRow)):
        t = table(row)
        pairs = conn.execute(select(t.c.identity, t.c.message_id).where(t.c.identity.in_(wanted))) if wanted else ()
        found[name] = {row[0]: row[1] for row in pairs}
    return found


def _filed(conn: Connection, message_id: str) -> set[int]:
    """Rows of this message (by ordinal) that became a result or a control, or that a person dealt with."""
    r, c, u = table(ResultRow), table(ControlRow), table(UnmatchedRow)
    by_hand = (u.c.message_id == message_id) & u.c.state.in_(("linked", "dismissed"))
    wanted = (
        select(r.c.ordinal).where(r.c.message_id == message_id),
        select(c.c.ordinal).where(c.c.message_id == message_id),
        select(u.c.ordinal).where(by_hand),
    )
    return {ordinal for statement in wanted for ordinal in conn.execute(statement).scalars()}


def _clear_tray(conn: Connection, message_id: str, matched: Matched, now: datetime) -> None:
    """Thought about again, a row is read otherwise or not reported from here: its old row leaves the tray."""
    u = table(UnmatchedRow)
    still = [row.identity for row in matched.unmatched]
    conn.execute(
        u.update()
        .where(u.c.message_id == message_id, u.c.state == "open", u.c.identity.not_in(still))
        .values(state="superseded", closed_at=now, closed_by="system", closed_note="read again")
    )


def _elsewhere(known: Mapping[str, Mapping[str, str | None]], kind: str, identity: str, message_id: str) -> bool:
    return identity in known[kind] and known[kind][identity] != message_id


def _put_result(
    conn: Connection, message: Message, result: Result, verdict: Verdict, patient_id: int, rule_set: str, now: datetime
) -> int:
    row_id = put(
        conn,
        ResultRow,
        identity=result.identity,
        message_id=message.id,
        analyzer=message.analyzer,
        patient_id=patient_id,
        state=(ResultState.AUTOVERIFIED if verdict.green else ResultState.HELD).value,
        rule_set=rule_set,
        created_at=now,
        **result_columns(result, verdict),
    )
    put_reasons(conn, row_id, verdict)
    hold_twins(conn, row_id, result, message.analyzer)
    return row_id


def hold_twins(conn: Connection, row_id: int, result: Result, source: str) -> None:
    """Two open results of one test: neither is green any more, a person chooses (and never by "release all green")."""
    r = table(ResultRow)
    twins = (r.c.order_test_id == result.order_test_id) & (r.c.id != row_id)
    waiting = conn.execute(select(r.c.id).where(twins, r.c.state == ResultState.AUTOVERIFIED.value)).scalars().all()
    why = reason("second_result", "second_open", others=f"{result.display or result.verbatim} ({source})")
    for twin in waiting:
        conn.execute(r.update().where(r.c.id == twin).values(state=ResultState.HELD.value, green=False))
        put_reasons(conn, twin, Verdict(result.identity, (why,)))


def result_columns(result: Result, verdict: Verdict) -> dict[str, Any]:
    """The columns of the result table that a Result and its Verdict fill, whoever made them."""
    columns = {
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
        "analyzer_flags": list(result.analyzer_flags),
        "comments": list(result.comments),
        "aspect": result.aspect,
        "observed_at": result.observed_at,
        "green": verdict.green,
        "critical": any(r.severity == "critical" for r in verdict.reasons),
    }
    return fitted(ResultRow, columns)


def put_reasons(conn: Connection, result_id: int, verdict: Verdict) -> None:
    """Keep every reason of a verdict with the values it used."""
    rows = [
        {
            "result_id": result_id, "rule": r.rule, "severity": r.severity, "text": r.text, "text_hi": r.text_hi,
            "rule_values": dict(r.values),
        }
        for r in verdict.reasons
    ]  # fmt: skip
    if rows:
        conn.execute(insert_into(conn, ReasonRow), [fitted(ReasonRow, row) for row in rows])


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


def _put_unmatched(
    conn: Connection, message: Message, row: Unmatched, known: Mapping[str, Mapping[str, str | None]], now: datetime
) -> int:
    """Insert one tray row; 1 when it is a duplicate of something stored under another message."""
    if any(_elsewhere(known, kind, row.identity, message.id) for kind in ("result", "unmatched")):
        return 1
    if row.identity in known["result"]:
        return 0
    if row.identity in known["unmatched"]:
        _reopen(conn, row.identity)
        return 0
    said = {
        "identity": row.identity, "message_id": message.id, "ordinal": row.ordinal, "analyzer": message.analyzer,
        "sample_id": row.sample_id, "sample_pk": row.sample_pk, "code": row.code, "name": row.name,
        "value": row.value, "raw": row.raw, "unit": row.unit, "flags": list(row.flags),
        "observed_at": row.observed_at, "rule": row.reason.rule, "text": row.reason.text,
        "text_hi": row.reason.text_hi, "state": "open", "created_at": now,
    }  # fmt: skip
    put(conn, UnmatchedRow, **fitted(UnmatchedRow, said))
    return 0


def _reopen(conn: Connection, identity: str) -> None:
    """Back into the tray when it left it without becoming a result."""
    u = table(UnmatchedRow)
    gone = (u.c.identity == identity) & (u.c.state == "superseded") & u.c.result_id.is_(None)
    conn.execute(u.update().where(gone).values(state="open", closed_at=None, closed_by="", closed_note=""))


def _put_control(
    conn: Connection, message: Message, control: Control, known: Mapping[str, Mapping[str, str | None]]
) -> int:
    if _elsewhere(known, "control", control.identity, message.id):
        return 1
    if control.identity in known["control"]:
        return 0
    said = {
        "identity": control.identity, "message_id": message.id, "ordinal": control.ordinal,
        "analyzer": message.analyzer, "lot": control.lot, "code": control.code, "test": control.test,
        "verbatim": control.verbatim, "value": control.value, "unit": control.unit,
        "observed_at": control.observed_at, "received_at": message.received_at,
        "target_id": _target(conn, message, control), "excluded": False, "excluded_note": "",
    }  # fmt: skip
    put(conn, ControlRow, **fitted(ControlRow, said))
    return 0


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


def _put_message(
    conn: Connection, message: Message, decoded: Decoded, matched: Matched, duplicates: int, now: datetime
) -> None:
    measured = [o for o in decoded.observations if o.kind is Kind.MEASUREMENT]
    values = {
        "analyzer": message.analyzer,
        "received_at": message.received_at,
        "type": decoded.type.value,
        "state": "processed",
        "error": "",
        "sender": decoded.sender,
        "problems": list(decoded.problems),
        "sample_ids": " ".join(sorted(_sample_ids(decoded))),
        "observations": len(decoded.observations),
        "measurements": len(measured),
        "results": count(conn, ResultRow, table(ResultRow).c.message_id == message.id),
        "controls": count(conn, ControlRow, table(ControlRow).c.message_id == message.id),
        "unmatched": count(
            conn,
            UnmatchedRow,
            table(UnmatchedRow).c.message_id == message.id,
            table(UnmatchedRow).c.state.in_(("open", "dismissed")),
        ),
        "duplicates": duplicates,
        "not_reportable": matched.not_reportable,
        "suspects": matched.suspects,
        "images": matched.images,
        "details": matched.details,
        "processed_at": now,
    }
    _upsert_message(conn, message.id, values)


def _sample_ids(decoded: Decoded) -> set[str]:
    own = {o.sample_id for o in decoded.observations if o.sample_id}
    return own | set(decoded.query_sample_ids)


def _upsert_message(conn: Connection, message_id: str, values: Mapping[str, Any]) -> None:
    kept = fitted(AnalyzerMessage, values)
    statement = insert_into(conn, AnalyzerMessage).values(id=message_id, **kept)
    conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=kept))
