"""Which messages have pictures of a tube: those that filed a result on it and hold rows of that kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from middleware.schema import AnalyzerMessage, ResultRow
from middleware.store.core import table

_m, _r = table(AnalyzerMessage), table(ResultRow)


@dataclass(frozen=True, slots=True)
class PicturedMessage:
    """One message and its rows (by ordinal) that became results of the tube."""

    id: str
    analyzer: str
    received_at: datetime
    ordinals: frozenset[int]


def messages_with_pictures(conn: Connection, sample_pk: int, limit: int) -> tuple[PicturedMessage, ...]:
    """The newest first, at most `limit`."""
    rows = conn.execute(
        select(_m.c.id, _m.c.analyzer, _m.c.received_at, _r.c.ordinal)
        .join_from(_r, _m, _m.c.id == _r.c.message_id)
        .where(_r.c.sample_pk == sample_pk, _m.c.images > 0)
        .order_by(_m.c.received_at.desc(), _m.c.id)
    )
    found: dict[str, tuple[str, datetime, set[int]]] = {}
    for row in rows:
        found.setdefault(row.id, (row.analyzer, row.received_at, set()))[2].add(row.ordinal)
    listed = list(found.items())[:limit]
    return tuple(PicturedMessage(id, name, at, frozenset(ordinals)) for id, (name, at, ordinals) in listed)
