"""The orders that analyzers are sent unasked: what is wanted, how each download stands, what became of it.

Turns awaited tests into rows of order_download and back. Law: called inside the caller's transaction; the awaited
tests are found by their own index, so that a look costs as much as there is still to do.
Source: LIS02-A2 section 8; design of the house.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select, text

from middleware.model import SampleState, TestState
from middleware.order_plan import DONE, LAPSED, PENDING, REFUSED, SENT, Standing
from middleware.schema import OrderDownload, OrderTest, ResultRow, Sample
from middleware.store.core import among, change, put, table
from middleware.store.work_orders import OPEN

TUBE_LIFE = timedelta(days=14)  # project: an older tube is not run any more, whatever is still awaited of it
PAUSES = (30, 60, 120, 300, 600)  # seconds before the next try, after the first, second … that failed
LONGEST = timedelta(seconds=PAUSES[-1])  # what is to be tried later than that: the clock was set back
_LIVING = (PENDING, SENT, REFUSED)

D, S, T, R = table(OrderDownload), table(Sample), table(OrderTest), table(ResultRow)


class Wanted(NamedTuple):
    """One awaited test of one tube; `again` is the last result, a rejected one, that it is measured again for."""

    sample_pk: int
    test: str
    again: int


@dataclass(frozen=True, slots=True)
class DownloadRow:
    """One download as it is stored."""

    id: int
    analyzer: str
    sample_pk: int
    state: str
    wanted: dict[str, list[Any]]
    told: dict[str, list[Any]]
    tries: int

    @property
    def standing(self) -> Standing:
        """Of it what the plan looks at."""
        return Standing(self.state, self.wanted, self.told)


def wanted(conn: Connection, tests: Collection[str], now: datetime) -> list[Wanted]:
    """What is to be measured of these tests on all tubes that may still be run, in the order it was asked for."""
    has_one = exists().where(R.c.order_test_id == T.c.id, R.c.state.in_(OPEN))
    last = select(func.max(R.c.id)).where(R.c.order_test_id == T.c.id).scalar_subquery()
    rows = conn.execute(
        select(T.c.id, T.c.sample_pk, T.c.test, func.coalesce(last, 0).label("again"))
        .join_from(T, S, T.c.sample_pk == S.c.id)
        .where(text("order_test.state = 'awaited'"), among(conn, T.c.test, tests), ~has_one, _living_tube(now))
    )
    return [Wanted(*row[1:]) for row in sorted(rows, key=lambda row: row.id)]  # ORDER BY would walk the whole table


def _living_tube(now: datetime) -> ColumnElement[bool]:
    return (S.c.state != SampleState.REJECTED.value) & (S.c.registered_at >= now - TUBE_LIFE)


def standing_tests(conn: Connection, sample_pks: Collection[int]) -> dict[int, set[str]]:
    """The tests of these tubes that are not cancelled: awaited or released, on a tube that was not rejected."""
    states = (TestState.AWAITED.value, TestState.RELEASED.value)
    found: dict[int, set[str]] = {}
    for row in conn.execute(
        select(T.c.sample_pk, T.c.test)
        .join_from(T, S, T.c.sample_pk == S.c.id)
        .where(among(conn, T.c.sample_pk, sample_pks), T.c.state.in_(states), S.c.state != SampleState.REJECTED.value)
    ):
        found.setdefault(row.sample_pk, set()).add(row.test)
    return found


def downloads(conn: Connection, analyzer: str, sample_pks: Collection[int], now: datetime) -> dict[int, DownloadRow]:
    """The downloads of one analyzer that may change: those of these tubes and all that are not at their end."""
    columns = tuple(D.c[name] for name in DownloadRow.__slots__)
    young = select(*columns).join_from(D, S, D.c.sample_pk == S.c.id).where(S.c.registered_at >= now - TUBE_LIFE)
    found: dict[int, DownloadRow] = {}
    for which in (D.c.state.in_(_LIVING), among(conn, D.c.sample_pk, sample_pks)):  # an OR would read all of the past
        for row in conn.execute(young.where(D.c.analyzer == analyzer, which)).mappings():
            found[row["sample_pk"]] = DownloadRow(**row)
    return found


def lapse(conn: Connection, now: datetime) -> None:
    """Downloads of tubes that are too old to be run come to their end."""
    old = select(S.c.id).where(S.c.id == D.c.sample_pk, S.c.registered_at < now - TUBE_LIFE)
    ended = {"state": LAPSED, "since": now, "why": ""}
    conn.execute(D.update().where(D.c.state.in_(_LIVING), exists(old)).values(**ended))


def stand(conn: Connection, analyzer: str, pk: int, row: DownloadRow | None, new: Standing, at: datetime) -> None:
    """Write how one tube's download stands from now on; what it should know has changed, so it is tried at once."""
    values: dict[str, Any] = {"state": new.state, "wanted": dict(new.wanted), "told": dict(new.told)}
    again: dict[str, Any] = {"tries": 0, "next_at": at, "why": ""}
    if row is None:
        put(conn, OrderDownload, analyzer=analyzer, sample_pk=pk, since=at, **values, **again)
        return
    if row.state != new.state:
        values["since"] = at
    if new.state == PENDING:
        values |= again
    change(conn, OrderDownload, row.id, **values)


def due(conn: Connection, analyzer: str, now: datetime, limit: int) -> list[DownloadRow]:
    """The downloads that may be tried now: those that failed least first, then those that have waited longest."""
    columns = (D.c[name] for name in DownloadRow.__slots__)
    rows = conn.execute(
        select(*columns)
        .where(D.c.analyzer == analyzer, D.c.state == PENDING, or_(D.c.next_at <= now, D.c.next_at > now + LONGEST))
        .order_by(D.c.tries, D.c.since, D.c.id)
        .limit(limit)
    ).mappings()
    return [DownloadRow(**row) for row in rows]


def row_of(conn: Connection, key: int) -> DownloadRow | None:
    """One download by its number."""
    columns = (D.c[name] for name in DownloadRow.__slots__)
    found = conn.execute(select(*columns).where(D.c.id == key)).mappings().first()
    return DownloadRow(**found) if found is not None else None


def taken(conn: Connection, row: DownloadRow, content: Mapping[str, list[Any]], at: datetime, sent: bool) -> None:
    """The analyzer knows `content` now; when that is not all that is wanted by now, the rest is pending."""
    state = (SENT if content else DONE) if row.wanted == content else PENDING
    values: dict[str, Any] = {"state": state, "told": dict(content), "tries": 0, "why": "", "since": at, "next_at": at}
    change(conn, OrderDownload, row.id, **values | ({"sent_at": at} if sent else {}))


def refused(conn: Connection, row: DownloadRow, content: Mapping[str, list[Any]], why: str, at: datetime) -> None:
    """The analyzer does not want `content`: it is sent again only when something else is wanted."""
    state = REFUSED if row.wanted == content else PENDING
    change(conn, OrderDownload, row.id, state=state, why=_cut(why), since=at, next_at=at)


def failed(conn: Connection, row: DownloadRow, why: str, at: datetime) -> None:
    """It did not get there: the next try, after a pause that grows."""
    change(conn, OrderDownload, row.id, tries=row.tries + 1, why=_cut(why), next_at=at + pause_after(row.tries + 1))


def pause_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row."""
    return timedelta(seconds=PAUSES[min(failures, len(PAUSES)) - 1])


def hurry(conn: Connection, analyzer: str, at: datetime) -> None:
    """What failed before may be tried at once: the analyzer has shown that it is there."""
    conn.execute(
        D.update().where(D.c.analyzer == analyzer, D.c.state == PENDING, D.c.next_at > at).values(next_at=at, tries=0)
    )


def _cut(why: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in why)[:200]


# ---- what people see ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """The downloads of one analyzer that are not with it: pending (how many, since when the oldest), refused."""

    pending: int = 0
    oldest: datetime | None = None
    refused: int = 0
    last_refusal: str = ""
    refused_at: datetime | None = None


def waiting(conn: Connection) -> dict[str, Waiting]:
    """What waits, by analyzer."""
    found: dict[str, Waiting] = {}
    counted = select(D.c.analyzer, D.c.state, func.count().label("n"), func.min(D.c.since).label("oldest"))
    rows = conn.execute(counted.where(D.c.state.in_((PENDING, REFUSED))).group_by(D.c.analyzer, D.c.state)).all()
    for name in {row.analyzer for row in rows}:
        mine = {row.state: row for row in rows if row.analyzer == name}
        pending, no = mine.get(PENDING), mine.get(REFUSED)
        last = _last_refusal(conn, name) if no is not None else ("", None)
        found[name] = Waiting(
            pending.n if pending else 0, pending.oldest if pending else None, no.n if no else 0, last[0], last[1]
        )
    return found


def _last_refusal(conn: Connection, analyzer: str) -> tuple[str, datetime | None]:
    newest = select(D.c.why, D.c.since).where(D.c.analyzer == analyzer, D.c.state == REFUSED)
    row = conn.execute(newest.order_by(D.c.since.desc(), D.c.id.desc()).limit(1)).first()
    return (row.why, row.since) if row is not None else ("", None)


@dataclass(frozen=True, slots=True)
class TubeDownload:
    """What one analyzer was told of one tube: state pending, sent, refused, done or lapsed, since when, why not."""

    analyzer: str
    state: str
    why: str
    since: datetime
    sent_at: datetime | None


def of_tube(conn: Connection, sample_pk: int, analyzers: Iterable[str]) -> tuple[TubeDownload, ...]:
    """The downloads of one tube to these analyzers, in their order."""
    columns = (D.c[name] for name in TubeDownload.__slots__)
    rows = conn.execute(select(*columns).where(D.c.sample_pk == sample_pk)).mappings()
    told = {row["analyzer"]: TubeDownload(**row) for row in rows}
    return tuple(told[name] for name in analyzers if name in told)
