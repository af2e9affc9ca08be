"""What the home page and the counters read: numbers of today, and what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, func, literal, select

from middleware.model import ResultState
from middleware.schema import (
    AnalyzerMessage,
    AnalyzerState,
    CriticalCall,
    HandoverRow,
    Order,
    ReportRow,
    ResultRow,
    Sample,
    UnmatchedRow,
)
from middleware.store.alarms import count_lasting
from middleware.store.core import count, table

_result, _call = table(ResultRow), table(CriticalCall)
OPEN = (ResultState.HELD.value, ResultState.AUTOVERIFIED.value)


@dataclass(frozen=True, slots=True)
class Today:
    """What happened since the lab's midnight."""

    orders: int
    samples: int
    messages: int
    results: int
    released: int
    reports: int


def answer(conn: Connection) -> None:
    """Make the database say something."""
    conn.execute(select(literal(1))).scalar_one()


def waiting(conn: Connection) -> dict[str, int]:
    """What waits, by kind: held, green, critical, unmatched, down (analyzers), alarms (that last), handover."""
    per_state = (
        select(_result.c.state, func.count().label("n")).where(_result.c.state.in_(OPEN)).group_by(_result.c.state)
    )
    states = {row.state: row.n for row in conn.execute(per_state)}
    return {
        "held": states.get(ResultState.HELD.value, 0),
        "green": states.get(ResultState.AUTOVERIFIED.value, 0),
        "critical": critical_open(conn),
        "unmatched": count(conn, UnmatchedRow, table(UnmatchedRow).c.state == "open"),
        "down": count(conn, AnalyzerState, ~table(AnalyzerState).c.connected),
        "alarms": count_lasting(conn),
        "handover": count(conn, HandoverRow, table(HandoverRow).c.state != "sent"),
    }


def critical_open(conn: Connection) -> int:
    """Critical results that nobody has been told of yet."""
    told = exists().where(_call.c.result_id == _result.c.id, _call.c.reached, _call.c.read_back)
    return count(conn, ResultRow, _result.c.critical, _result.c.state.in_(OPEN), ~told)


def today(conn: Connection, since: datetime) -> Today:
    """The numbers since `since` (the lab's midnight)."""
    orders, samples, messages = table(Order), table(Sample), table(AnalyzerMessage)
    return Today(
        orders=count(conn, Order, orders.c.registered_at >= since),
        samples=count(conn, Sample, samples.c.received_at >= since),
        messages=count(conn, AnalyzerMessage, messages.c.received_at >= since),
        results=count(conn, ResultRow, _result.c.created_at >= since),
        released=count(conn, ResultRow, _result.c.released_at >= since),
        reports=count(conn, ReportRow, table(ReportRow).c.issued_at >= since),
    )
