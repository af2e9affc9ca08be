"""Collects, receives and rejects samples. A rejected sample asks for a new one; its awaited tests move there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from middleware import store
from middleware.actions.issue import issue_when_complete
from middleware.actions.register import new_sample
from middleware.actions.results import reject_open
from middleware.lab import Lab
from middleware.model import Actor, Refused, Right, SampleState, TestState
from middleware.schema import OrderTest, Sample

REJECT_REASONS = ("hemolysed", "clotted", "qns", "label", "tube")


def _sample(conn: Connection, sample_pk: int) -> Mapping[str, Any]:
    row = store.one(conn, Sample, sample_pk)
    if row is None:
        raise Refused("There is no such sample.")
    if row["state"] == SampleState.REJECTED.value:
        raise Refused("This sample was rejected: use the new one.")
    return row


def collect(lab: Lab, actor: Actor, sample_pk: int) -> None:
    """The tube was filled, now. A time already recorded is kept."""
    actor.must(Right.COLLECT)
    with lab.write() as conn:
        row = _sample(conn, sample_pk)
        if row["collected_at"] is not None:
            raise Refused("The collection time is already recorded.")
        state = SampleState.COLLECTED if row["received_at"] is None else SampleState.RECEIVED
        store.change(conn, Sample, sample_pk, state=state.value, collected_at=lab.now(), collected_by=actor.name)
        store.audit(conn, lab.now(), actor, "collect", "sample", sample_pk, {"sample_id": row["sample_id"]})
        store.touch(conn, "orders")


def receive(lab: Lab, actor: Actor, sample_pk: int) -> bool:
    """The tube reached the laboratory; False when that was recorded before."""
    actor.must(Right.COLLECT)
    with lab.write() as conn:
        row = _sample(conn, sample_pk)
        if row["received_at"] is not None:
            return False
        store.change(conn, Sample, sample_pk, state=SampleState.RECEIVED.value, received_at=lab.now(),
                     received_by=actor.name)  # fmt: skip
        store.audit(conn, lab.now(), actor, "receive", "sample", sample_pk, {"sample_id": row["sample_id"]})
        store.touch(conn, "orders")
    return True


def reject_sample(lab: Lab, actor: Actor, sample_pk: int, reason: str, ask_new: bool) -> int | None:
    """Reject a tube with a reason of REJECT_REASONS; its open results are rejected with it.

    With `ask_new` its awaited tests wait for a new tube (its primary key is returned); without, they are closed as
    rejected and the report says why.
    """
    actor.must(Right.REJECT_SAMPLE)
    if reason not in REJECT_REASONS:
        raise Refused("Choose one of the listed reasons.")
    with lab.write() as conn:
        row = _sample(conn, sample_pk)
        tests = store.table(OrderTest)
        mine = (tests.c.sample_pk == sample_pk) & (tests.c.state == TestState.AWAITED.value)
        if not store.count(conn, OrderTest, mine):
            raise Refused("Nothing of this sample is awaited any more. Amend or withdraw the report instead.")
        lost = reject_open(lab, conn, actor, f"sample rejected: {reason}", sample_pk=sample_pk)
        new_pk = None
        if ask_new:
            new_pk = new_sample(lab, conn, actor, row["order_id"], row["specimen"], row["container"], row["timing"],
                                collected=False)  # fmt: skip
            conn.execute(tests.update().where(mine).values(sample_pk=new_pk))
        else:
            conn.execute(tests.update().where(mine).values(state=TestState.REJECTED.value, note=f"reject.{reason}"))
        store.change(conn, Sample, sample_pk, state=SampleState.REJECTED.value, rejected_at=lab.now(),
                     rejected_by=actor.name, reject_reason=reason, replaced_by_id=new_pk)  # fmt: skip
        detail = {"sample_id": row["sample_id"], "reason": reason, "new_sample": new_pk, "results": lost}
        store.audit(conn, lab.now(), actor, "reject sample", "sample", sample_pk, detail)
        store.touch(conn, "orders", "results")
        issue_when_complete(lab, conn, actor, row["order_id"])
    return new_pk
