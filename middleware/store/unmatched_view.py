"""What the tray reads: rows that are nobody's, by message, and the tubes they might belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, Select, func, select

from middleware.model import SampleState, TestState
from middleware.schema import Order, OrderTest, Patient, Sample, UnmatchedRow
from middleware.store.core import table

_u, _s, _o, _p, _ot = table(UnmatchedRow), table(Sample), table(Order), table(Patient), table(OrderTest)


@dataclass(frozen=True, slots=True)
class TrayRow:
    """One row of the tray."""

    id: int
    message_id: str
    analyzer: str
    sample_id: str | None  # as the analyzer said it
    sample_pk: int | None  # the tube, when it is known and only the test is not
    code: str | None
    name: str | None
    value: str | None
    raw: str | None
    unit: str | None
    flags: list[str]
    rule: str
    text_en: str
    text_hi: str
    state: str
    created_at: datetime
    closed_at: datetime | None
    closed_by: str
    closed_note: str
    result_id: int | None


@dataclass(frozen=True, slots=True)
class TrayGroup:
    """The open rows of one message that name the same number."""

    rows: tuple[TrayRow, ...]

    @property
    def first(self) -> TrayRow:
        """Its first row speaks for all."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tube the rows might belong to."""

    pk: int
    sample_id: str
    state: str
    specimen: str
    name: str
    sex: str
    birth_date: date
    birth_precision: str
    uhid: str
    received_at: datetime | None
    registered_at: datetime
    awaited: tuple[str, ...]  # tests it still waits for


_ROW = (
    "id", "message_id", "analyzer", "sample_id", "sample_pk", "code", "name", "value", "raw", "unit", "flags", "rule",
    "text_hi", "state", "created_at", "closed_at", "closed_by", "closed_note", "result_id",
)  # fmt: skip


def _rows() -> Select[tuple[object, ...]]:
    return select(*(_u.c[c] for c in _ROW), _u.c.text.label("text_en"))


def groups(conn: Connection, limit: int = 1000) -> tuple[TrayGroup, ...]:
    """All open rows, the newest message first, rows in the message's order."""
    found: dict[tuple[str, str | None], list[TrayRow]] = {}
    order = (_u.c.created_at.desc(), _u.c.message_id, _u.c.ordinal)
    for row in conn.execute(_rows().where(_u.c.state == "open").order_by(*order).limit(limit)).mappings():
        found.setdefault((row["message_id"], row["sample_id"]), []).append(TrayRow(**row))
    return tuple(TrayGroup(tuple(rows)) for rows in found.values())


def group_of(conn: Connection, row_id: int) -> TrayGroup | None:
    """The group this row stands in: it comes first when it is closed already, else in the message's order."""
    row = conn.execute(_rows().where(_u.c.id == row_id)).mappings().first()
    if row is None:
        return None
    if row["state"] != "open":
        return TrayGroup((TrayRow(**row),))
    said = _u.c.sample_id.is_(None) if row["sample_id"] is None else _u.c.sample_id == row["sample_id"]
    same = _rows().where(_u.c.message_id == row["message_id"], said, _u.c.state == "open").order_by(_u.c.ordinal)
    return TrayGroup(tuple(TrayRow(**r) for r in conn.execute(same).mappings()))


def closed(conn: Connection, limit: int = 30) -> tuple[TrayRow, ...]:
    """The rows that people (or a later message) took out of the tray last."""
    rows = conn.execute(
        _rows().where(_u.c.state != "open").order_by(_u.c.closed_at.desc(), _u.c.id.desc()).limit(limit)
    )
    return tuple(TrayRow(**row) for row in rows.mappings())


def by_number(conn: Connection, sample_ids: Collection[str]) -> tuple[Candidate, ...]:
    """Tubes with one of these numbers that are not rejected, the newest first."""
    return _candidates(conn, _s.c.sample_id.in_(list(sample_ids))) if sample_ids else ()


def waiting_for(conn: Connection, tests: Collection[str], since: datetime, limit: int = 12) -> tuple[Candidate, ...]:
    """Tubes of the last day that still wait for at least one of these tests; most of them first."""
    if not tests:
        return ()
    fitting = (
        select(_ot.c.sample_pk, func.count().label("n"))
        .where(_ot.c.test.in_(list(tests)), _ot.c.state == TestState.AWAITED.value)
        .group_by(_ot.c.sample_pk)
    ).subquery()
    rows = conn.execute(
        select(_s.c.id)
        .join(fitting, fitting.c.sample_pk == _s.c.id)
        .where(_s.c.registered_at >= since, _s.c.state.in_((SampleState.RECEIVED.value, SampleState.COLLECTED.value)))
        .order_by(fitting.c.n.desc(), _s.c.registered_at.desc(), _s.c.id)
        .limit(limit)
    )
    order = {pk: n for n, pk in enumerate(rows.scalars())}
    found = _candidates(conn, _s.c.id.in_(order)) if order else ()
    return tuple(sorted(found, key=lambda c: order[c.pk]))


def _candidates(conn: Connection, where: ColumnElement[bool]) -> tuple[Candidate, ...]:
    rows = (
        conn.execute(
            select(
                _s.c.id.label("pk"), _s.c.sample_id, _s.c.state, _s.c.specimen, _s.c.received_at, _s.c.registered_at,
                _p.c.name, _p.c.sex, _p.c.birth_date, _p.c.birth_precision, _p.c.uhid,
            )
            .select_from(_s.join(_o, _o.c.id == _s.c.order_id).join(_p, _p.c.id == _o.c.patient_id))
            .where(where, _s.c.state != SampleState.REJECTED.value)
            .order_by(_s.c.id.desc())
        )
        .mappings()
        .all()
    )  # fmt: skip
    awaited = _awaited(conn, [row["pk"] for row in rows])
    return tuple(Candidate(**row, awaited=awaited.get(row["pk"], ())) for row in rows)


def _awaited(conn: Connection, pks: Iterable[int]) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    waits = _ot.c.state == TestState.AWAITED.value
    for row in conn.execute(select(_ot.c.sample_pk, _ot.c.test).where(_ot.c.sample_pk.in_(list(pks)), waits)):
        found.setdefault(row.sample_pk, []).append(row.test)
    return {pk: tuple(tests) for pk, tests in found.items()}
