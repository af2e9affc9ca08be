"""Sets the target of a control, excludes a point with its cause. History stays: a point keeps the target of its day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, select

from middleware import store
from middleware.lab import Lab
from middleware.model import Actor, Refused, Right
from middleware.schema import ControlRow, ControlTarget


def set_target(
    lab: Lab,
    actor: Actor,
    analyzer: str,
    lot: str,
    level: str,
    test: str,
    mean: Decimal,
    sd: Decimal,
    provisional: bool,
    expires: date | None,
    note: str,
) -> int:
    """Mean and SD of one control lot from now on. Points that had no target yet get this one."""
    actor.must(Right.QC_EDIT)
    if not (mean.is_finite() and sd.is_finite() and sd > 0):
        raise Refused("The SD must be more than 0.")
    if test not in lab.settings.catalogue:
        raise Refused(f"{test!r} is not a test of this laboratory.")
    if not note.strip():
        raise Refused("Write where mean and SD come from (insert, own 20 points …).")
    with lab.write() as conn:
        old = _target_now(conn, analyzer, lot, test)
        target_id = store.put(
            conn, ControlTarget, analyzer=analyzer, lot=lot, level=level, test=test, mean=mean, sd=sd,
            provisional=provisional, expires=expires, valid_from=lab.now(), set_by=actor.name, note=note,
        )  # fmt: skip
        c = store.table(ControlRow)
        conn.execute(
            c.update()
            .where(c.c.analyzer == analyzer, c.c.lot == lot, c.c.test == test, c.c.target_id.is_(None))
            .values(target_id=target_id)
        )
        detail = {"mean": str(mean), "sd": str(sd), "note": note, "old": old}
        store.audit(conn, lab.now(), actor, "set target", "control", f"{analyzer}/{lot}/{test}"[:60], detail)
        store.touch(conn, "controls")
    return target_id


def _target_now(conn: Connection, analyzer: str, lot: str, test: str) -> list[str] | None:
    """Mean and SD that end with the new ones; None for the first."""
    t = store.table(ControlTarget)
    mine = (t.c.analyzer == analyzer) & (t.c.lot == lot) & (t.c.test == test)
    row = conn.execute(select(t.c.mean, t.c.sd).where(mine).order_by(t.c.valid_from.desc()).limit(1)).first()
    return [str(row.mean), str(row.sd)] if row else None


def exclude_point(lab: Lab, actor: Actor, control_id: int, note: str) -> None:
    """Exclude one control point from mean, SD and rules, with a documented cause; it stays visible."""
    actor.must(Right.QC_EDIT)
    if not note.strip():
        raise Refused("Write the documented cause.")
    with lab.write() as conn:
        if store.one(conn, ControlRow, control_id) is None:
            raise Refused("There is no such point.")
        store.change(conn, ControlRow, control_id, excluded=True, excluded_note=note)
        store.audit(conn, lab.now(), actor, "exclude point", "control", control_id, {"note": note})
        store.touch(conn, "controls")
