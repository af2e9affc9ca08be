"""What the page of critical results reads: who is to be told of what, and who was told when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, select

from middleware.schema import CriticalCall, Order, Patient, ResultRow, Sample
from middleware.store.core import table
from middleware.store.sample_view import CallLine, calls_of
from middleware.store.worklist_view import OPEN

_r, _s, _o, _p, _call = table(ResultRow), table(Sample), table(Order), table(Patient), table(CriticalCall)


@dataclass(frozen=True, slots=True)
class CriticalResult:
    """One critical result that waits, with the tries to reach somebody so far."""

    id: int
    test: str
    display: str
    unit: str
    flag: str
    created_at: datetime
    calls: tuple[CallLine, ...]

    @property
    def told(self) -> bool:
        """Somebody was told and read it back: it may be released."""
        return any(c.reached and c.read_back for c in self.calls)


@dataclass(frozen=True, slots=True)
class CriticalSample:
    """The critical results of one tube: one call tells of all of them."""

    pk: int
    sample_id: str
    name: str
    sex: str
    birth_date: date
    birth_precision: str
    uhid: str
    mobile: str | None
    doctor: str
    department: str
    facility_code: str
    registered_at: datetime
    since: datetime
    results: tuple[CriticalResult, ...]

    @property
    def told(self) -> bool:
        """Everything of this tube has been told."""
        return all(r.told for r in self.results)


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the history."""

    at: datetime
    told: str
    phone: str
    reached: bool
    read_back: bool
    note: str
    called_by: str
    name: str
    sample_pk: int
    sample_id: str
    test: str
    display: str
    unit: str


def waiting(conn: Connection) -> tuple[CriticalSample, ...]:
    """Critical results not yet released, by tube: untold ones first, the longest waiting first."""
    rows = conn.execute(
        select(_r.c.id, _r.c.sample_pk, _r.c.test, _r.c.display, _r.c.unit, _r.c.flag, _r.c.created_at)
        .where(_r.c.critical, _r.c.state.in_(OPEN))
        .order_by(_r.c.id)
    ).all()
    calls = calls_of(conn, [r.id for r in rows])
    by_sample: dict[int, list[CriticalResult]] = {}
    for r in rows:
        made = CriticalResult(r.id, r.test, r.display, r.unit, r.flag, r.created_at, calls.get(r.id, ()))
        by_sample.setdefault(r.sample_pk, []).append(made)
    samples = [_sample(row, by_sample[row["pk"]]) for row in _heads(conn, by_sample)]
    return tuple(sorted(samples, key=lambda s: (s.told, s.since, s.pk)))


def _heads(conn: Connection, pks: Iterable[int]) -> Iterable[RowMapping]:
    return conn.execute(
        select(
            _s.c.id.label("pk"), _s.c.sample_id, _p.c.name, _p.c.sex, _p.c.birth_date, _p.c.birth_precision, _p.c.uhid,
            _p.c.mobile, _o.c.doctor, _o.c.department, _o.c.facility_code, _o.c.registered_at,
        )
        .select_from(_s.join(_o, _o.c.id == _s.c.order_id).join(_p, _p.c.id == _o.c.patient_id))
        .where(_s.c.id.in_(tuple(pks)))
    ).mappings()  # fmt: skip


def _sample(row: RowMapping, results: list[CriticalResult]) -> CriticalSample:
    return CriticalSample(**row, since=min(r.created_at for r in results), results=tuple(results))


def history(conn: Connection, limit: int = 50) -> tuple[Told, ...]:
    """The latest calls."""
    rows = conn.execute(
        select(
            _call.c.at, _call.c.told, _call.c.phone, _call.c.reached, _call.c.read_back, _call.c.note,
            _call.c.called_by, _p.c.name, _s.c.id.label("sample_pk"), _s.c.sample_id, _r.c.test, _r.c.display,
            _r.c.unit,
        )
        .select_from(
            _call.join(_r, _r.c.id == _call.c.result_id).join(_s, _s.c.id == _r.c.sample_pk)
            .join(_p, _p.c.id == _r.c.patient_id)
        )
        .order_by(_call.c.id.desc())
        .limit(limit)
    ).mappings()  # fmt: skip
    return tuple(Told(**row) for row in rows)
