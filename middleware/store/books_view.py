"""Counts what became of everything: the books of the lab, by analyzer and in all.

Law: counts rows as they stand, never estimates; reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, select, true

from middleware.schema import (
    AnalyzerMessage,
    ControlRow,
    DeliveryState,
    HandoverRow,
    OrderTest,
    ReasonRow,
    ResultRow,
    UnmatchedRow,
)
from middleware.store.core import among, count, table

COUNTED = (
    "observations", "measurements", "results", "controls", "unmatched", "duplicates", "not_reportable", "suspects",
    "images", "details", "difference",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Books:
    """Sums over the messages of one analyzer, as each message's row counted when it was processed."""

    analyzer: str
    messages: int
    failed: int
    sums: dict[str, int]

    @property
    def balanced(self) -> bool:
        """Every measurement is in exactly one place, and was when its message was recorded."""
        s = self.sums
        if s["difference"]:
            return False
        places = s["results"] + s["controls"] + s["unmatched"] + s["duplicates"] + s["not_reportable"]
        return s["measurements"] == places


def message_books(conn: Connection) -> list[Books]:
    """The books of each analyzer."""
    return _books(conn, true())


def _books(conn: Connection, where: ColumnElement[bool]) -> list[Books]:
    m = table(AnalyzerMessage)
    columns = [func.coalesce(func.sum(m.c[name]), 0).label(name) for name in COUNTED]
    failed = func.coalesce(func.sum(case((m.c.state == "failed", 1), else_=0)), 0).label("failed")
    summed = select(m.c.analyzer, func.count().label("messages"), failed, *columns).where(where)
    rows = conn.execute(summed.group_by(m.c.analyzer))
    return [
        Books(r["analyzer"], r["messages"], int(r["failed"]), {name: int(r[name]) for name in COUNTED})
        for r in rows.mappings()
    ]


def unbalanced(conn: Connection) -> dict[str, int]:
    """How many messages of each analyzer have a difference in their books: none, or something was lost."""
    m = table(AnalyzerMessage)
    # The number stands in the statement: with a parameter SQLite would not look into the small index of differences.
    astray = select(m.c.analyzer, func.count()).where(m.c.difference != literal_column("0"))
    return {row[0]: row[1] for row in conn.execute(astray.group_by(m.c.analyzer))}


def session_books(conn: Connection, message_ids: Sequence[str]) -> Books | None:
    """The books of one conversation: sums over its messages; None when none of them was processed yet."""
    m = table(AnalyzerMessage)
    found = _books(conn, among(conn, m.c.id, message_ids)) if message_ids else []
    return found[0] if found else None


def states(conn: Connection) -> dict[str, int]:
    """How many results are in each state."""
    r = table(ResultRow)
    return {row[0]: row[1] for row in conn.execute(select(r.c.state, func.count()).group_by(r.c.state))}


def held_reasons(conn: Connection) -> dict[str, int]:
    """How many results each rule held (or noted), by rule."""
    r = table(ReasonRow)
    counted = select(r.c.rule, func.count()).where(r.c.severity != "note").group_by(r.c.rule)
    return {row[0]: row[1] for row in conn.execute(counted.order_by(r.c.rule))}


def tray(conn: Connection) -> dict[str, int]:
    """Unmatched rows by state and reason."""
    u = table(UnmatchedRow)
    rows = conn.execute(select(u.c.state, u.c.rule, func.count()).group_by(u.c.state, u.c.rule).order_by(u.c.rule))
    return {f"{row[0]}: {row[1]}": row[2] for row in rows}


def twice(conn: Connection) -> int:
    """Result rows of analyzers that say the same of the same test twice: always 0."""
    r = table(ResultRow)
    same = (
        select(func.count())
        .where(r.c.analyzer != "")
        .group_by(r.c.order_test_id, r.c.analyzer, r.c.verbatim, r.c.observed_at, r.c.code, r.c.ordinal)
        .having(func.count() > 1)
    )
    return len(conn.execute(same).all())


def handed_over(conn: Connection) -> dict[str, int]:
    """Hand-overs by state."""
    h = table(HandoverRow)
    return {row[0]: row[1] for row in conn.execute(select(h.c.state, func.count()).group_by(h.c.state))}


def deliveries(conn: Connection) -> dict[str, int]:
    """Reports by delivery status."""
    d = table(DeliveryState)
    return {row[0]: row[1] for row in conn.execute(select(d.c.status, func.count()).group_by(d.c.status))}


def opened(conn: Connection) -> int:
    """Reports that were opened at least once."""
    return count(conn, DeliveryState, table(DeliveryState).c.opened > 0)


def controls(conn: Connection) -> int:
    """Control points stored."""
    return count(conn, ControlRow)


def tests_awaited(conn: Connection) -> int:
    """Ordered tests that wait for a result."""
    return count(conn, OrderTest, table(OrderTest).c.state == "awaited")


def deliveries_pending(conn: Connection) -> int:
    """Reports whose SMS is still on its way."""
    d = table(DeliveryState)
    return count(conn, DeliveryState, d.c.status.in_(("queued", "sent", "accepted")))
