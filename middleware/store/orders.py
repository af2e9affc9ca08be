"""Reads one order whole (for its report) and finds orders by the numbers people have.

Law: reads only; writes go through `core.put` and `core.change` inside an action's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from middleware.model import ResultState, TestState
from middleware.report import OrderRows
from middleware.schema import Order, OrderTest, Patient, ReportRow, ResultRow, Sample, SlipToken
from middleware.store.core import one, table


def order_rows(conn: Connection, order_id: int) -> OrderRows:
    """Everything the report of this order is made of. Raises LookupError when there is no such order."""
    order = one(conn, Order, order_id)
    if order is None:
        raise LookupError(f"no order {order_id}")
    tests = _all(conn, OrderTest, table(OrderTest).c.order_id == order_id)
    released = _released(conn, [t["id"] for t in tests])
    return OrderRows(
        order=order,
        patient=one(conn, Patient, order["patient_id"]) or {},
        samples=_all(conn, Sample, table(Sample).c.order_id == order_id),
        tests=tests,
        results=released,
        replaced=_replaced(conn, released),
        last=latest_report(conn, order["report_no"]),
    )


def _all(conn: Connection, row: type[Any], where: Any) -> list[Mapping[str, Any]]:
    rows = table(row)
    return [dict(r) for r in conn.execute(select(rows).where(where).order_by(rows.c.id)).mappings()]


def _released(conn: Connection, order_tests: list[int]) -> dict[int, Mapping[str, Any]]:
    r = table(ResultRow)
    where = r.c.order_test_id.in_(order_tests) & (r.c.state == ResultState.RELEASED.value)
    return {row["order_test_id"]: row for row in _all(conn, ResultRow, where)}


def _replaced(conn: Connection, released: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    by_old = {r["amends_id"]: r["id"] for r in released.values() if r["amends_id"] is not None}
    rows = _all(conn, ResultRow, table(ResultRow).c.id.in_(by_old)) if by_old else []
    return {by_old[row["id"]]: row for row in rows}


def latest_report(conn: Connection, report_no: str) -> Mapping[str, Any] | None:
    """The newest stored version of a report, None before the first."""
    r = table(ReportRow)
    found = conn.execute(select(r).where(r.c.report_no == report_no).order_by(r.c.version.desc()).limit(1)).mappings()
    row = found.first()
    return dict(row) if row is not None else None


def awaited(conn: Connection, order_id: int) -> int:
    """How many tests of an order are still awaited: none means the order is complete."""
    t = table(OrderTest)
    rows = conn.execute(select(t.c.id).where(t.c.order_id == order_id, t.c.state == TestState.AWAITED.value))
    return len(rows.all())


def slip_tokens(conn: Connection, order_id: int) -> tuple[str, ...]:
    """SHA-256 hex of every slip token minted for this order, oldest first."""
    t = table(SlipToken)
    return tuple(conn.execute(select(t.c.sha256).where(t.c.order_id == order_id).order_by(t.c.id)).scalars())


def order_by_report(conn: Connection, report_no: str) -> Mapping[str, Any] | None:
    """The order a report number belongs to."""
    o = table(Order)
    row = conn.execute(select(o).where(o.c.report_no == report_no)).mappings().first()
    return dict(row) if row is not None else None


def order_by_reference(conn: Connection, external_ref: str) -> Mapping[str, Any] | None:
    """The order a hospital system registered under its own number."""
    o = table(Order)
    row = conn.execute(select(o).where(o.c.external_ref == external_ref)).mappings().first()
    return dict(row) if row is not None else None
