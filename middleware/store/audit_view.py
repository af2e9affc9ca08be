"""What the audit page reads: the trail by person, subject and day, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from middleware.schema import AuditRow, ResultRow
from middleware.store.core import table
from middleware.store.sample_view import AuditLine

_a, _r = table(AuditRow), table(ResultRow)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person asks for; "" and None are everything."""

    who: str = ""
    subject: str = ""
    subject_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """One page of the trail and how many lines there are."""

    lines: tuple[AuditLine, ...]
    total: int
    who: tuple[str, ...]
    subjects: tuple[str, ...]


def trail(conn: Connection, asked: Asked, offset: int, limit: int) -> Trail:
    """The lines that fit, the newest first."""
    where = _where(asked)
    total = conn.execute(select(func.count()).select_from(_a).where(*where)).scalar_one()
    columns = (_a.c.id, _a.c.at, _a.c.who, _a.c.role, _a.c.action, _a.c.subject, _a.c.subject_id, _a.c.detail)
    rows = conn.execute(select(*columns).where(*where).order_by(_a.c.id.desc()).offset(offset).limit(limit))
    lines = tuple(AuditLine(*row) for row in rows)
    people = conn.execute(select(_a.c.who).distinct().order_by(_a.c.who)).scalars()
    subjects = conn.execute(select(_a.c.subject).distinct().order_by(_a.c.subject)).scalars()
    return Trail(lines, total, tuple(people), tuple(subjects))


def _where(asked: Asked) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if asked.who:
        where.append(_a.c.who == asked.who)
    if asked.subject:
        where.append(_a.c.subject == asked.subject)
    if asked.subject_id:
        where.append(_a.c.subject_id == asked.subject_id)
    if asked.since is not None:
        where.append(_a.c.at >= asked.since)
    if asked.until is not None:
        where.append(_a.c.at < asked.until)
    return where


def tubes_of(conn: Connection, lines: tuple[AuditLine, ...]) -> dict[int, int]:
    """For lines about results: result id → its tube's primary key, so that the page can lead there."""
    ids = [int(line.subject_id) for line in lines if line.subject == "result" and line.subject_id.isdigit()]
    rows = conn.execute(select(_r.c.id, _r.c.sample_pk).where(_r.c.id.in_(ids))) if ids else ()
    return {row.id: row.sample_pk for row in rows}
