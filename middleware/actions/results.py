"""Releases, rejects, types, amends results; records who was told of a critical one.

Law: the state table in `model.RESULT_MOVES`; a critical result is released only after a call is recorded; what a rule
blocks needs the pathologist; a released result is never altered, a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, select

from drivers.driver import Decoded, MessageType, Observation, load_driver
from middleware import store
from middleware.actions import SYSTEM
from middleware.actions.issue import issue_when_complete
from middleware.consider import TYPED, Considered, Heard, consider
from middleware.lab import Lab
from middleware.model import RESULT_MOVES, Actor, Refused, ResultState, Right, TestState
from middleware.schema import CriticalCall, OrderTest, ReasonRow, ResultRow, Sample, User
from middleware.store.result_rows import hold_twins, put_reasons, result_columns

OPEN = (ResultState.HELD.value, ResultState.AUTOVERIFIED.value)
CORRECTED = "The analyzer sent another result"
BATCH = 100  # results released in one transaction


@dataclass(frozen=True, slots=True)
class Released:
    """Ids released, reports issued by it, and (id, sentence) of each that was refused."""

    released: tuple[int, ...]
    reports: tuple[str, ...]
    refused: tuple[tuple[int, str], ...]


def release(lab: Lab, actor: Actor, result_ids: Iterable[int], reason: str = "") -> Released:
    """Release results; each refusal says why. Orders that become complete get their report in the same transaction."""
    actor.must(Right.RELEASE)
    with lab.write() as conn:
        return release_in(lab, conn, actor, tuple(result_ids), reason)


def release_green(lab: Lab, actor: Actor, result_ids: Iterable[int] | None = None) -> Released:
    """Release everything no rule holds (or those of `result_ids` that are still so).

    In several transactions, so that a morning's thousand results do not keep every other writer waiting.
    """
    actor.must(Right.RELEASE)
    with lab.read() as conn:
        wanted = tuple(result_ids) if result_ids is not None else _green(conn)
    done = Released((), (), ())
    for at in range(0, len(wanted), BATCH):
        with lab.write() as conn:
            part = release_in(lab, conn, actor, _green(conn, wanted[at : at + BATCH]))
        done = Released(done.released + part.released, done.reports + part.reports, done.refused + part.refused)
    return done


def _green(conn: Connection, among: Sequence[int] | None = None) -> tuple[int, ...]:
    r = store.table(ResultRow)
    green = select(r.c.id).where(r.c.state == ResultState.AUTOVERIFIED.value, r.c.green).order_by(r.c.id)
    return tuple(conn.execute(green if among is None else green.where(r.c.id.in_(among))).scalars())


def release_in(lab: Lab, conn: Connection, actor: Actor, result_ids: Sequence[int], reason: str = "") -> Released:
    """The same in the caller's transaction (used by the pipeline for rules-released results)."""
    done: list[int] = []
    refused: list[tuple[int, str]] = []
    orders: dict[int, str] = {}
    for result_id in result_ids:
        try:
            order_id, amended = _release_one(lab, conn, actor, result_id, reason)
        except Refused as why:
            refused.append((result_id, str(why)))
            continue
        done.append(result_id)
        orders[order_id] = orders.get(order_id, "") or amended
    reports = [issue_when_complete(lab, conn, actor, order_id, why) for order_id, why in orders.items()]
    if done:
        store.touch(conn, "results", "orders")
    return Released(tuple(done), tuple(r for r in reports if r), tuple(refused))


def _release_one(lab: Lab, conn: Connection, actor: Actor, result_id: int, reason: str) -> tuple[int, str]:
    """Release one result; (order id, reason of the amendment or "")."""
    row = _open_result(conn, result_id)
    _may_release(conn, actor, row)
    test = store.one(conn, OrderTest, row["order_test_id"]) or {}
    old = _released_before(conn, row["order_test_id"])
    if old is not None:
        if not actor.may(Right.AMEND):  # the program itself: rules release, they never amend
            raise Refused("This test was released before: only a person who may amend replaces its result.")
        _move(conn, old["id"], ResultState(old["state"]), ResultState.AMENDED)
    elif test["state"] != TestState.AWAITED.value:
        raise Refused("This test was cancelled or closed meanwhile.")
    by = _signature(conn, actor)
    _move(conn, result_id, ResultState(row["state"]), ResultState.RELEASED, released_at=lab.now(), released_by=by,
          amends_id=old["id"] if old else None)  # fmt: skip
    store.change(conn, OrderTest, row["order_test_id"], state=TestState.RELEASED.value)
    _reject_siblings(lab, conn, actor, row)
    detail = {"test": row["test"], "value": row["display"], "amends": old["display"] if old else None}
    store.audit(conn, lab.now(), actor, "amend" if old else "release", "result", result_id, detail)
    return test["order_id"], (reason or _why(row)) if old else ""


def _why(row: Mapping[str, Any]) -> str:
    """Why this result takes the place of a released one: what the person who typed it wrote, else the analyzer."""
    return next((c for c in row["comments"] if c and row["typed_by"]), CORRECTED)


def _signature(conn: Connection, actor: Actor) -> str:
    """Name and qualification as the report prints them; "auto" when approved rules released it, nobody else."""
    if actor == SYSTEM:
        return "auto"
    user = store.one(conn, User, actor.id) if actor.id is not None else None
    return f"{actor.name}, {user['qualification']}" if user and user["qualification"] else actor.name


def _open_result(conn: Connection, result_id: int) -> Mapping[str, Any]:
    row = store.one(conn, ResultRow, result_id)
    if row is None:
        raise Refused("There is no such result.")
    if row["state"] not in OPEN:
        raise Refused(f"This result is already {row['state']}.")
    return row


def _may_release(conn: Connection, actor: Actor, row: Mapping[str, Any]) -> None:
    if row["value"] is None and row["coded"] is None:
        raise Refused("There is no value to release: run the test again, or close it as not possible.")
    if row["critical"] and not _called(conn, row["id"]):
        raise Refused("Critical result: first record who was told (page Critical).")
    r = store.table(ReasonRow)
    blocks = conn.execute(select(r.c.text).where(r.c.result_id == row["id"], r.c.severity == "block")).scalars().all()
    if blocks and not actor.may(Right.RELEASE_BLOCKED):
        raise Refused(f"Only the pathologist may release this: {blocks[0]}")


def _called(conn: Connection, result_id: int) -> bool:
    c = store.table(CriticalCall)
    return store.count(conn, CriticalCall, c.c.result_id == result_id, c.c.reached, c.c.read_back) > 0


def _released_before(conn: Connection, order_test_id: int) -> Mapping[str, Any] | None:
    r = store.table(ResultRow)
    where = (r.c.order_test_id == order_test_id) & (r.c.state == ResultState.RELEASED.value)
    found = conn.execute(select(r).where(where)).mappings().first()
    return dict(found) if found is not None else None


def _move(conn: Connection, result_id: int, before: ResultState, after: ResultState, **values: Any) -> None:
    if after not in RESULT_MOVES[before]:
        raise Refused(f"A result that is {before.value} cannot become {after.value}.")
    store.change(conn, ResultRow, result_id, state=after.value, **values)


def _reject_siblings(lab: Lab, conn: Connection, actor: Actor, row: Mapping[str, Any]) -> None:
    """Other open results of the same test lose: a person chose this one."""
    r = store.table(ResultRow)
    others = select(r.c.id, r.c.display).where(
        r.c.order_test_id == row["order_test_id"], r.c.id != row["id"], r.c.state.in_(OPEN)
    )
    for other in conn.execute(others).all():
        note = f"another result of this test was released ({row['display']})"
        store.change(conn, ResultRow, other.id, state=ResultState.REJECTED.value, rejected_at=lab.now(),
                     rejected_by=actor.name, reject_note=note)  # fmt: skip
        store.audit(conn, lab.now(), actor, "reject", "result", other.id, {"value": other.display, "note": note})


def reject(lab: Lab, actor: Actor, result_id: int, note: str) -> None:
    """Reject an open result; its test stays awaited and is to be run again."""
    actor.must(Right.RELEASE)
    if not note.strip():
        raise Refused("Write why the result is rejected.")
    with lab.write() as conn:
        row = _open_result(conn, result_id)
        _move(conn, result_id, ResultState(row["state"]), ResultState.REJECTED, rejected_at=lab.now(),
              rejected_by=actor.name, reject_note=note)  # fmt: skip
        store.audit(conn, lab.now(), actor, "reject", "result", result_id,
                    {"test": row["test"], "value": row["display"], "note": note})  # fmt: skip
        store.touch(conn, "results")


def reject_open(lab: Lab, conn: Connection, actor: Actor, note: str, **where: int) -> dict[str, str]:
    """Reject the open results of a test or a sample that is given up; their values by id, for the audit line."""
    r = store.table(ResultRow)
    wanted = select(r.c.id, r.c.display).where(r.c.state.in_(OPEN), *(r.c[k] == v for k, v in where.items()))
    lost = {str(row.id): row.display for row in conn.execute(wanted.order_by(r.c.id))}
    for result_id in lost:
        store.change(conn, ResultRow, int(result_id), state=ResultState.REJECTED.value, rejected_at=lab.now(),
                     rejected_by=actor.name, reject_note=note[:200])  # fmt: skip
    return lost


def close_test(lab: Lab, actor: Actor, order_test_id: int, note: str) -> str | None:
    """The test cannot be done; the report says why. Its open results are rejected. The report's number if complete."""
    actor.must(Right.RELEASE)
    if not note.strip():
        raise Refused("Write why the test cannot be done.")
    with lab.write() as conn:
        row = store.one(conn, OrderTest, order_test_id)
        if row is None or row["state"] != TestState.AWAITED.value:
            raise Refused("Only a test that is still awaited can be closed.")
        lost = reject_open(lab, conn, actor, note, order_test_id=order_test_id)
        store.change(conn, OrderTest, order_test_id, state=TestState.REJECTED.value, note=note)
        detail = {"test": row["test"], "note": note, "results": lost}
        store.audit(conn, lab.now(), actor, "close test", "order", row["order_id"], detail)
        store.touch(conn, "results", "orders")
        return issue_when_complete(lab, conn, actor, row["order_id"])


def enter(lab: Lab, actor: Actor, order_test_id: int, first: str, second: str, comment: str = "") -> int:
    """Type a result by hand, twice; it is held like any other and marked typed. The id of the new result."""
    actor.must(Right.ENTER)
    with lab.write() as conn:
        test = store.one(conn, OrderTest, order_test_id)
        if test is None or test["state"] != TestState.AWAITED.value:
            raise Refused("Only a test that is still awaited can be typed. To change a released result, amend it.")
        return _put_typed(lab, conn, actor, test, first, second, comment)


def amend(lab: Lab, actor: Actor, result_id: int, first: str, second: str, reason: str) -> str | None:
    """Replace a released result by a typed value, with a reason; the amended report's number."""
    actor.must(Right.AMEND)
    if not reason.strip():
        raise Refused("Write why the result is amended.")
    with lab.write() as conn:
        old = store.one(conn, ResultRow, result_id)
        if old is None or old["state"] != ResultState.RELEASED.value:
            raise Refused("Only a released result can be amended.")
        test = store.one(conn, OrderTest, old["order_test_id"]) or {}
        new_id = _put_typed(lab, conn, actor, test, first, second, reason)
        outcome = release_in(lab, conn, actor, [new_id], reason)
        if outcome.refused:
            # A critical or blocked value stays held beside the released one; it is released from the worklist.
            return None
    return outcome.reports[0] if outcome.reports else None


def _put_typed(
    lab: Lab, conn: Connection, actor: Actor, test: Mapping[str, Any], first: str, second: str, comment: str
) -> int:
    if first.strip() != second.strip():
        raise Refused("The two entries differ. Read the value again and type it twice.")
    if not first.strip():
        raise Refused("Type the value twice.")
    sample = store.one(conn, Sample, test["sample_pk"]) or {}
    thought = _consider_typed(lab, conn, sample["sample_id"], test["test"], first.strip())
    result = thought.matched.results[0]
    if result.value is None and result.coded is None:
        raise Refused(f"{first.strip()!r} is not a value of this test.")
    verdict = thought.verdicts[0]
    patient = thought.samples[result.sample_pk].patient_id
    columns = result_columns(result._replace(comments=(comment,) if comment.strip() else ()), verdict)
    row_id = store.put(
        conn, ResultRow, **columns, identity=f"typed:{uuid4().hex}", message_id=None, analyzer="",
        typed_by=actor.name, patient_id=patient, state=ResultState.HELD.value, rule_set=lab.settings.rules.version,
        created_at=lab.now(),
    )  # fmt: skip
    put_reasons(conn, row_id, verdict)
    hold_twins(conn, row_id, result, "typed")
    detail = {"test": test["test"], "value": result.display}
    store.audit(conn, lab.now(), actor, "type result", "result", row_id, detail)
    store.touch(conn, "results")
    return row_id


def _consider_typed(lab: Lab, conn: Connection, sample_id: str, code: str, value: str) -> Considered:
    """The typed value as if a well-behaved analyzer had sent it in the catalogue's own unit."""
    unit = lab.settings.catalogue[code].unit
    said = Observation(sample_id=sample_id, code=code, name=None, value=value, raw=value, unit=unit, ordinal=1)
    driver = load_driver("generic_astm")
    heard = Heard(Decoded(MessageType.RESULT, None, observations=(said,)), TYPED, driver)
    thought = consider(lab, conn, [heard])[0]
    if not thought.matched.results:
        why = thought.matched.unmatched[0].reason.text if thought.matched.unmatched else "the sample is not usable"
        raise Refused(f"The value cannot be taken: {why}")
    return thought


def record_call(
    lab: Lab, actor: Actor, result_id: int, told: str, phone: str, read_back: bool, reached: bool, note: str
) -> int:
    """Record a call about a critical result: who, when, read back or not, or that nobody could be reached."""
    actor.must(Right.CALL)
    if not told.strip():
        raise Refused("Write who was told (or who was called).")
    if reached and not read_back:
        raise Refused("Ask the person to read the result back, then tick it.")
    with lab.write() as conn:
        row = store.one(conn, ResultRow, result_id)
        if row is None or not row["critical"]:
            raise Refused("This is not a critical result.")
        call_id = store.put(conn, CriticalCall, result_id=result_id, told=told, phone=phone, at=lab.now(),
                            read_back=read_back, reached=reached, note=note, called_by=actor.name)  # fmt: skip
        store.audit(conn, lab.now(), actor, "critical call", "result", result_id,
                    {"told": told, "read_back": read_back, "reached": reached})  # fmt: skip
        store.touch(conn, "results")
    return call_id
