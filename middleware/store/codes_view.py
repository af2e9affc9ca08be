"""What the codes page reads: rows of the tray by code, for codes that nobody has given a meaning yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from middleware.schema import UnmatchedRow
from middleware.store.core import table

_u = table(UnmatchedRow)
STUCK = (_u.c.state == "open") & (_u.c.rule == "unknown_code")
EXAMPLES = 3  # values that are shown of one code


@dataclass(frozen=True, slots=True)
class SeenCode:
    """One code of one analyzer as it came: how often, how many rows wait in the tray, and how many of those because
    the code had no meaning when they came."""

    analyzer: str
    code: str
    name: str
    unit: str
    count: int
    waiting: int
    stuck: int
    last: datetime


def seen_codes(conn: Connection, since: datetime) -> tuple[SeenCode, ...]:
    """Every code of the tray's rows since then, those that wait included whatever their age; the latest first.

    Whether a code has a meaning by now is for the reader to say: it stands in the configuration.
    """
    waits, stuck = (func.sum(case((when, 1), else_=0)) for when in (_u.c.state == "open", STUCK))
    rows = conn.execute(
        select(
            _u.c.analyzer, _u.c.code, func.max(_u.c.name).label("name"), func.max(_u.c.unit).label("unit"),
            func.count().label("seen"), waits.label("waiting"), stuck.label("stuck"),
            func.max(_u.c.created_at).label("last"),
        )
        .where(_u.c.code.is_not(None), _u.c.code != "", (_u.c.created_at >= since) | (_u.c.state == "open"))
        .group_by(_u.c.analyzer, _u.c.code)
        .order_by(func.max(_u.c.created_at).desc(), _u.c.analyzer, _u.c.code)
    )  # fmt: skip
    return tuple(
        SeenCode(r.analyzer, r.code, r.name or "", r.unit or "", r.seen, int(r.waiting), int(r.stuck), r.last)
        for r in rows
    )


def examples(conn: Connection, analyzer: str, code: str) -> tuple[str, ...]:
    """The last values of this code, as sent, each once."""
    rows = conn.execute(
        select(_u.c.value, _u.c.unit)
        .where(_u.c.analyzer == analyzer, _u.c.code == code, _u.c.value.is_not(None), _u.c.value != "")
        .order_by(_u.c.id.desc())
        .limit(20)
    )
    said = (f"{row.value[:40]} {row.unit or ''}".strip() for row in rows)
    return tuple(dict.fromkeys(said))[:EXAMPLES]


def waiting_messages(conn: Connection, codes: Collection[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The messages with stuck rows of these (analyzer, code), the oldest first, by analyzer."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for analyzer, message_id in _stuck(conn, codes):
        found[analyzer][message_id] = None
    return {analyzer: tuple(ids) for analyzer, ids in found.items()}


def rows_stuck(conn: Connection, codes: Collection[tuple[str, str]]) -> int:
    """How many stuck rows of these (analyzer, code) there are."""
    return sum(1 for _ in _stuck(conn, codes))


def _stuck(conn: Connection, codes: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    wanted = set(codes)
    rows = conn.execute(select(_u.c.analyzer, _u.c.code, _u.c.message_id).where(STUCK).order_by(_u.c.id))
    return ((row.analyzer, row.message_id) for row in rows if (row.analyzer, row.code) in wanted)
