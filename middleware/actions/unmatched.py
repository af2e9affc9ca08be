"""Links a row of the tray to a sample by hand, with a reason, or dismisses it. Never automatic.

Law: a link passes the same matching and rules as any result, and is held until a person releases it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from drivers.driver import Decoded, DecodeError, Kind, MessageType, Observation, WireError, load_driver
from middleware import store
from middleware.consider import Considered, Heard, consider, driver_of, facts_of
from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.model import Actor, AnalyzerFacts, Reason, Refused, ResultState, Right, SampleState, Verdict
from middleware.pipeline import decode_stored
from middleware.schema import ResultRow, Sample, UnmatchedRow
from middleware.store.result_rows import hold_twins, put_reasons, result_columns


def link(lab: Lab, actor: Actor, unmatched_id: int, sample_pk: int, test: str, reason: str) -> int:
    """File this row as `test` of the sample in hand; the id of the new, held result."""
    actor.must(Right.LINK)
    if not reason.strip():
        raise Refused("Write how you know that this result belongs to this sample.")
    said = _said(lab, unmatched_id)
    with lab.write() as conn:
        row = _open_row(conn, unmatched_id)
        sample = store.one(conn, Sample, sample_pk)
        if sample is None or sample["state"] == SampleState.REJECTED.value:
            raise Refused("Choose a sample that is in the laboratory.")
        thought = _consider(lab, conn, row, said, sample["sample_id"], test)
        result_id = _file(lab, conn, actor, row, thought, reason)
        store.change(conn, UnmatchedRow, unmatched_id, state="linked", closed_at=lab.now(), closed_by=actor.name,
                     closed_note=reason, result_id=result_id)  # fmt: skip
        detail = {"said_id": row["sample_id"], "sample_id": sample["sample_id"], "test": test, "reason": reason}
        store.audit(conn, lab.now(), actor, "link", "unmatched", unmatched_id, detail)
        store.audit(conn, lab.now(), actor, "link", "result", result_id, detail)
        store.touch(conn, "unmatched", "results")
    return result_id


def dismiss(lab: Lab, actor: Actor, unmatched_id: int, reason: str) -> None:
    """Close a row of the tray without filing it; it stays stored with the reason."""
    actor.must(Right.LINK)
    if not reason.strip():
        raise Refused("Write why this result belongs to nobody.")
    with lab.write() as conn:
        row = _open_row(conn, unmatched_id)
        store.change(conn, UnmatchedRow, unmatched_id, state="dismissed", closed_at=lab.now(), closed_by=actor.name,
                     closed_note=reason)  # fmt: skip
        store.audit(conn, lab.now(), actor, "dismiss", "unmatched", unmatched_id,
                    {"said_id": row["sample_id"], "code": row["code"], "reason": reason})  # fmt: skip
        store.touch(conn, "unmatched")


def _open_row(conn: Connection, unmatched_id: int) -> Mapping[str, Any]:
    row = store.one(conn, UnmatchedRow, unmatched_id)
    if row is None or row["state"] != "open":
        raise Refused("This row is no longer in the tray.")
    return row


def _said(lab: Lab, unmatched_id: int) -> tuple[Observation, ...]:
    """The row as its message has it, and what the analyzer doubted about that tube; nothing when it cannot be read.

    The tray keeps what people read; an interpretation beside a number (`-1^0.28`) stands in the message alone.
    """
    with lab.read() as conn:
        row = store.one(conn, UnmatchedRow, unmatched_id)
    message = JournalReader(lab.settings.journal).message(row["message_id"]) if row else None
    if row is None or message is None:
        return ()
    try:
        rows = decode_stored(lab, message).observations
    except (DecodeError, WireError):
        return ()
    mine = tuple(o for o in rows if o.ordinal == row["ordinal"] and o.raw == row["raw"])
    return mine + tuple(o for o in rows if mine and o.kind is Kind.SUSPECT and o.sample_id == mine[0].sample_id)


def _consider(
    lab: Lab, conn: Connection, row: Mapping[str, Any], said: tuple[Observation, ...], sample_id: str, test: str
) -> Considered:
    """Match the row as its analyzer sent it, with the sample a person chose and the code read as `test`."""
    settings = next((a for a in lab.settings.analyzers if a.name == row["analyzer"]), None)
    driver = driver_of(settings) if settings else load_driver("generic_astm")
    facts = facts_of(settings, driver) if settings else AnalyzerFacts(row["analyzer"], driver.name, "manual", {})
    first, *doubts = said or (_kept(row),)
    code = first.code or test
    rows = (first._replace(sample_id=sample_id, code=code), *(d._replace(sample_id=sample_id) for d in doubts))
    chosen = replace(facts, codes={**facts.codes, code: test}, tests=frozenset())
    heard = Heard(Decoded(MessageType.RESULT, None, observations=rows), chosen, driver)
    thought = consider(lab, conn, [heard])[0]
    if not thought.matched.results:
        why = thought.matched.unmatched[0].reason.text if thought.matched.unmatched else "this row holds no result"
        raise Refused(f"It cannot be linked: {why}")
    return thought


def _kept(row: Mapping[str, Any]) -> Observation:
    return Observation(
        sample_id=None, code=row["code"], name=row["name"], value=row["value"], raw=row["raw"], unit=row["unit"],
        flags=tuple(row["flags"]), observed_at=row["observed_at"], ordinal=row["ordinal"],
    )  # fmt: skip


def _file(lab: Lab, conn: Connection, actor: Actor, row: Mapping[str, Any], thought: Considered, reason: str) -> int:
    result = thought.matched.results[0]
    by_hand = Reason(
        "linked_by_hand",
        f"Linked by hand by {actor.name}: {reason}",
        f"{actor.name} ने हाथ से जोड़ा: {reason}",
        {"said_id": row["sample_id"] or ""},
    )
    verdict = Verdict(result.identity, (*thought.verdicts[0].reasons, by_hand))
    result_id = store.put(
        conn, ResultRow, **result_columns(result, verdict), identity=row["identity"], message_id=row["message_id"],
        analyzer=row["analyzer"], patient_id=thought.samples[result.sample_pk].patient_id,
        state=ResultState.HELD.value, rule_set=lab.settings.rules.version, created_at=lab.now(),
    )  # fmt: skip
    put_reasons(conn, result_id, verdict)
    hold_twins(conn, result_id, result, row["analyzer"])
    return result_id
