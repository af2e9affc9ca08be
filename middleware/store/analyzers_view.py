"""Turns what the middleware wrote about each line into four lamps, and counts its messages of today.

Law: reads only. An analyzer of the settings that never spoke has lamps too: all dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from middleware.schema import AnalyzerMessage, AnalyzerState
from middleware.store.core import table

LAMPS, MESSAGE = table(AnalyzerState), table(AnalyzerMessage)


@dataclass(frozen=True, slots=True)
class Lamps:
    """One line as the middleware last saw it: socket up, handshake seen, message parsed, result filed; its clock and
    rhythm."""

    analyzer: str
    connected: bool
    since: datetime | None
    handshake_at: datetime | None
    message_at: datetime | None
    parsed_at: datetime | None
    failed_at: datetime | None
    result_at: datetime | None
    unfiled_at: datetime | None
    drift_seconds: int | None
    rhythm: str
    rhythm_days: int
    usual_gap_seconds: int | None
    messages_today: int
    refused_today: int
    trouble: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Today:
    """What one analyzer sent since midnight, and what became of it."""

    messages: int
    results: int
    controls: int
    unmatched: int
    duplicates: int
    failed: int


@dataclass(frozen=True, slots=True)
class Recent:
    """One message in a line."""

    id: str
    analyzer: str
    received_at: datetime
    type: str
    state: str
    error: str
    sample_ids: str
    measurements: int
    results: int
    controls: int
    unmatched: int
    duplicates: int
    not_reportable: int
    difference: int


def lamps(conn: Connection) -> dict[str, Lamps]:
    """The lamps of every analyzer the middleware ever wrote about, by name."""
    columns = (LAMPS.c[n] for n in Lamps.__slots__)
    return {row["analyzer"]: Lamps(**row) for row in conn.execute(select(*columns)).mappings()}


def today(conn: Connection, since: datetime) -> dict[str, Today]:
    """Counts since then, by analyzer."""
    sums = [func.sum(MESSAGE.c[n]).label(n) for n in ("results", "controls", "unmatched", "duplicates")]
    failed = func.count().filter(MESSAGE.c.state == "failed").label("failed")
    query = (
        select(MESSAGE.c.analyzer, func.count().label("messages"), *sums, failed)
        .where(MESSAGE.c.received_at >= since)
        .group_by(MESSAGE.c.analyzer)
    )
    return {row["analyzer"]: Today(**{n: row[n] for n in Today.__slots__}) for row in conn.execute(query).mappings()}


def recent(conn: Connection, analyzer: str, limit: int = 25) -> tuple[Recent, ...]:
    """The newest messages of one analyzer."""
    columns = (MESSAGE.c[n] for n in Recent.__slots__)
    query = select(*columns).where(MESSAGE.c.analyzer == analyzer)
    rows = conn.execute(query.order_by(MESSAGE.c.received_at.desc(), MESSAGE.c.id.desc()).limit(limit)).mappings()
    return tuple(Recent(**row) for row in rows)
