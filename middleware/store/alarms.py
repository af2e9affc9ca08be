"""The alarms of the lines as rows: begun once, ended once, told once.

Law: called inside the caller's transaction; one alarm of a kind lasts at a time on a line, whoever raises it again.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, literal_column, or_, select

from middleware.schema import AnalyzerMessage, LineAlarm
from middleware.store.core import change, count, put, table, touch

ALARM, MESSAGE = table(LineAlarm), table(AnalyzerMessage)
LASTING = ALARM.c.ended_at.is_(None)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm as pages show it; `ended_at` None: it lasts."""

    id: int
    analyzer: str
    kind: str
    began_at: datetime
    ended_at: datetime | None
    args: Mapping[str, Any]
    notice_state: str
    notice_error: str
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notice:
    """One alarm that the engineer is to be told of."""

    id: int
    analyzer: str
    kind: str
    began_at: datetime
    ended_at: datetime | None
    args: Mapping[str, Any]
    notice_id: str
    notice_attempts: int


def begin(conn: Connection, analyzer: str, kind: str, at: datetime, args: Mapping[str, Any], tell: bool) -> bool:
    """The alarm lasts from now on; True when it began by this call. One that lasts gets the newer words."""
    lasting = conn.execute(
        select(ALARM.c.id, ALARM.c.args).where(ALARM.c.analyzer == analyzer, ALARM.c.kind == kind, LASTING)
    ).first()
    if lasting is not None:
        if lasting.args != args:
            change(conn, LineAlarm, lasting.id, args=dict(args))
            touch(conn, "analyzers")
        return False
    put(conn, LineAlarm, analyzer=analyzer, kind=kind, began_at=at, ended_at=None, args=dict(args),
        notice_id=secrets.token_hex(16), notice_state="queued" if tell else "none", notice_attempts=0,
        notice_next_at=at, notice_error="", told_at=None)  # fmt: skip
    touch(conn, "analyzers")
    return True


def end(conn: Connection, analyzer: str, kind: str, at: datetime) -> bool:
    """The alarm is over; True when it lasted until now. Whoever was not told of it yet is not told any more."""
    which = and_(ALARM.c.analyzer == analyzer, ALARM.c.kind == kind, LASTING)
    ended = conn.execute(ALARM.update().where(which).values(ended_at=at).returning(ALARM.c.id)).scalars().all()
    if not ended:
        return False
    untold = and_(ALARM.c.id.in_(ended), ALARM.c.notice_state == "queued")
    conn.execute(ALARM.update().where(untold).values(notice_state="over"))
    touch(conn, "analyzers")
    return True


def _alarms(conn: Connection, *where: Any, limit: int) -> tuple[Alarm, ...]:
    columns = (ALARM.c[n] for n in Alarm.__slots__)
    query = select(*columns).where(*where).order_by(ALARM.c.began_at.desc(), ALARM.c.id.desc()).limit(limit)
    return tuple(Alarm(**row) for row in conn.execute(query).mappings())


def lasting(conn: Connection) -> tuple[Alarm, ...]:
    """Every alarm that lasts, newest first."""
    return _alarms(conn, LASTING, limit=1000)


def history(conn: Connection, analyzer: str, limit: int = 25) -> tuple[Alarm, ...]:
    """The latest alarms of one analyzer and of every line together, newest first, lasting ones among them."""
    return _alarms(conn, ALARM.c.analyzer.in_((analyzer, "")), limit=limit)


def count_lasting(conn: Connection) -> int:
    """How many alarms last."""
    return count(conn, LineAlarm, LASTING)


# ---- telling the engineer ---------------------------------------------------------------------------------------


def due_notices(conn: Connection, now: datetime, longest: timedelta) -> tuple[Notice, ...]:
    """Alarms whose notice is due, oldest first. One that would rest longer than `longest` was put off by a clock that
    was ahead: it is due."""
    columns = (ALARM.c[n] for n in Notice.__slots__)
    next_at = ALARM.c.notice_next_at
    due = select(*columns).where(ALARM.c.notice_state == "queued", or_(next_at <= now, next_at > now + longest))
    return tuple(Notice(**row) for row in conn.execute(due.order_by(ALARM.c.id)).mappings())


def told_between(conn: Connection, since: datetime, until: datetime) -> int:
    """How many alarms were told between these moments."""
    return count(conn, LineAlarm, ALARM.c.told_at.between(since, until))


def give_up(conn: Connection, before: datetime) -> int:
    """Alarms that began before this and were not told are not told any more; how many."""
    which = and_(ALARM.c.notice_state == "queued", ALARM.c.began_at < before)
    given_up = int(conn.execute(ALARM.update().where(which).values(notice_state="late")).rowcount)
    if given_up:
        touch(conn, "analyzers")
    return given_up


def settle_notice(conn: Connection, alarm_id: int, **values: Any) -> None:
    """What came of one try to tell; an alarm that ended meanwhile stays "over" unless it was told."""
    which = [ALARM.c.id == alarm_id]
    if values.get("notice_state") != "sent":
        which.append(ALARM.c.notice_state == "queued")
    conn.execute(ALARM.update().where(*which).values(**values))
    touch(conn, "analyzers")


# ---- what alarms are found by -----------------------------------------------------------------------------------


def unbalanced(conn: Connection, since: datetime) -> dict[str, int]:
    """How many messages of each analyzer were processed since then and have a difference in their books."""
    # The number stands in the statement: with a parameter SQLite would not look into the small index of differences.
    astray = MESSAGE.c.difference != literal_column("0")
    query = select(MESSAGE.c.analyzer, func.count()).where(astray, MESSAGE.c.processed_at >= since)
    return {row[0]: row[1] for row in conn.execute(query.group_by(MESSAGE.c.analyzer))}


# ---- what an analyzer's rhythm is learned from ------------------------------------------------------------------


def message_times(conn: Connection, analyzer: str, since: datetime, until: datetime) -> list[datetime]:
    """When each message of an analyzer came, between these moments."""
    came = MESSAGE.c.received_at.between(since, until)
    return list(conn.execute(select(MESSAGE.c.received_at).where(MESSAGE.c.analyzer == analyzer, came)).scalars())


def last_message(conn: Connection, analyzer: str, until: datetime) -> datetime | None:
    """When its newest message came, up to a moment."""
    newest: datetime | None = conn.execute(
        select(func.max(MESSAGE.c.received_at)).where(MESSAGE.c.analyzer == analyzer, MESSAGE.c.received_at <= until)
    ).scalar()
    return newest
