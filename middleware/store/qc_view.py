"""Turns control measurements into the points of a Levey-Jennings chart.

Law: reads only. A point is judged by the target that was in force when it was measured (domain 3.4); an excluded point
stays visible, with its reason, and is left out of mean and SD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection, RowMapping, func, select

from middleware.schema import ControlRow, ControlTarget
from middleware.store.core import table

CONTROL, TARGET = table(ControlRow), table(ControlTarget)


@dataclass(frozen=True, slots=True)
class Target:
    """What a control should give: mean and SD, in force from `valid_from`."""

    id: int
    level: str
    mean: Decimal
    sd: Decimal
    provisional: bool
    expires: date | None
    valid_from: datetime
    set_by: str
    note: str


@dataclass(frozen=True, slots=True)
class Point:
    """One control measurement; `z` is None without a target, an SD of nothing, or a value that is no number."""

    id: int
    at: datetime
    observed_at: str | None
    verbatim: str
    value: Decimal | None
    unit: str | None
    z: Decimal | None
    excluded: bool
    excluded_note: str
    message_id: str
    mean: Decimal | None
    sd: Decimal | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Count, mean, SD (n-1) and CV % of the points that were not excluded; None when too few."""

    n: int
    mean: Decimal | None
    sd: Decimal | None
    cv: Decimal | None


@dataclass(frozen=True, slots=True)
class Control:
    """One control of one analyzer and test, with its newest point."""

    analyzer: str
    lot: str
    test: str | None
    code: str
    points: int
    last: Point
    target: Target | None


@dataclass(frozen=True, slots=True)
class Run:
    """Everything the page of one control shows, points oldest first."""

    points: tuple[Point, ...]
    target: Target | None
    targets: tuple[Target, ...]
    figures: Figures


def controls(conn: Connection) -> tuple[Control, ...]:
    """Every control that was ever measured, one line per analyzer, lot and test, with its newest point."""
    counted = (
        select(func.max(CONTROL.c.id).label("last"), func.count().label("points"))
        .group_by(CONTROL.c.analyzer, CONTROL.c.lot, CONTROL.c.test, CONTROL.c.code)
        .subquery()
    )
    query = (
        select(CONTROL, counted.c.points)
        .join_from(CONTROL, counted, CONTROL.c.id == counted.c.last)
        .order_by(CONTROL.c.analyzer, CONTROL.c.lot, CONTROL.c.id)
    )
    targets = _all_targets(conn)
    return tuple(_control(row, targets) for row in conn.execute(query).mappings())


def run(conn: Connection, analyzer: str, lot: str, test: str, limit: int = 60) -> Run | None:
    """The latest points of one control, oldest first; None when nothing was ever measured and no target is set."""
    mine = (TARGET.c.analyzer == analyzer) & (TARGET.c.lot == lot) & (TARGET.c.test == test)
    kept = conn.execute(select(TARGET).where(mine).order_by(TARGET.c.valid_from.desc(), TARGET.c.id.desc()))
    targets = tuple(_target(row) for row in kept.mappings())
    measured = (CONTROL.c.analyzer == analyzer) & (CONTROL.c.lot == lot) & (CONTROL.c.test == test)
    rows = conn.execute(select(CONTROL).where(measured).order_by(CONTROL.c.id.desc()).limit(limit)).mappings().all()
    if not rows and not targets:
        return None
    points = tuple(_point(row, {t.id: t for t in targets}, targets[0] if targets else None) for row in reversed(rows))
    return Run(points, targets[0] if targets else None, targets, figures(points))


def figures(points: Sequence[Point]) -> Figures:
    """The statistics of the points that count."""
    values = [p.value for p in points if p.value is not None and not p.excluded]
    n = len(values)
    if n < 2:
        return Figures(n, values[0] if values else None, None, None)
    mean = sum(values, Decimal(0)) / n
    sd = (sum(((v - mean) ** 2 for v in values), Decimal(0)) / (n - 1)).sqrt()
    return Figures(n, mean, sd, sd / mean * 100 if mean else None)


def control(conn: Connection, control_id: int) -> tuple[str, str, str] | None:
    """Analyzer, lot and test of one control measurement; None when unknown."""
    columns = (CONTROL.c.analyzer, CONTROL.c.lot, CONTROL.c.test)
    row = conn.execute(select(*columns).where(CONTROL.c.id == control_id)).first()
    return (row[0], row[1], row[2] or "") if row else None


def _control(row: RowMapping, targets: dict[tuple[str, str, str], Target]) -> Control:
    target = targets.get((row["analyzer"], row["lot"], row["test"] or ""))
    return Control(
        analyzer=row["analyzer"],
        lot=row["lot"],
        test=row["test"],
        code=row["code"],
        points=row["points"],
        last=_point(row, {target.id: target} if target else {}, target),
        target=target,
    )


def _all_targets(conn: Connection) -> dict[tuple[str, str, str], Target]:
    """The target in force now, by analyzer, lot and test."""
    rows = conn.execute(select(TARGET).order_by(TARGET.c.valid_from, TARGET.c.id)).mappings()
    return {(row["analyzer"], row["lot"], row["test"]): _target(row) for row in rows}


def _point(row: RowMapping, by_id: dict[int, Target], now: Target | None) -> Point:
    """A point keeps the target it was measured under; one measured before any target is shown against today's."""
    target = by_id.get(row["target_id"], now) if row["target_id"] is not None else now
    usable = target is not None and row["value"] is not None and target.sd > 0
    return Point(
        id=row["id"],
        at=row["received_at"],
        observed_at=row["observed_at"],
        verbatim=row["verbatim"],
        value=row["value"],
        unit=row["unit"],
        z=(row["value"] - target.mean) / target.sd if usable and target is not None else None,
        excluded=row["excluded"],
        excluded_note=row["excluded_note"],
        message_id=row["message_id"],
        mean=target.mean if target else None,
        sd=target.sd if target else None,
    )


def _target(row: RowMapping) -> Target:
    return Target(**{n: row[n] for n in Target.__slots__})
