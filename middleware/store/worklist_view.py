"""What the worklist reads: open results by sample, with their reasons and the value before. SQL stands only here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, case, exists, func, select

from middleware.model import ResultState, TestState
from middleware.schema import CriticalCall, Order, OrderTest, Patient, ReasonRow, ResultRow, Sample
from middleware.store.core import table

OPEN = (ResultState.HELD.value, ResultState.AUTOVERIFIED.value)
_r, _s, _o, _p = table(ResultRow), table(Sample), table(Order), table(Patient)
_ot, _reason, _call = table(OrderTest), table(ReasonRow), table(CriticalCall)
FACTS = ("name", "sex", "birth_date", "birth_precision", "uhid")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person wants to see; "" is everything. `show` is all, held, green or critical."""

    show: str = "all"
    analyzer: str = ""
    facility: str = ""
    text: str = ""  # part of a name, of a UHID or of a sample id


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """Why a rule holds the result, in both languages."""

    rule: str
    severity: str
    text_en: str
    text_hi: str


@dataclass(frozen=True, slots=True)
class Before:
    """The latest released value of this patient and test."""

    display: str
    unit: str
    flag: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OpenResult:
    """One result that waits for a person."""

    id: int
    test: str
    display: str
    verbatim: str
    unit: str
    flag: str
    ref_low: Decimal | None
    ref_high: Decimal | None
    state: str
    green: bool
    critical: bool
    called: bool
    analyzer: str
    typed_by: str
    analyzer_flags: tuple[str, ...]
    comments: tuple[str, ...]
    created_at: datetime
    reasons: tuple[ReasonLine, ...] = ()
    before: Before | None = None


@dataclass(frozen=True, slots=True)
class OpenSample:
    """One tube with its open results, held ones first."""

    pk: int
    sample_id: str
    state: str
    name: str
    sex: str
    birth_date: date
    birth_precision: str
    uhid: str
    department: str
    doctor: str
    registered_at: datetime
    collected_at: datetime | None
    since: datetime  # its oldest open result
    awaited: int  # tests of this tube with no open result yet
    results: tuple[OpenResult, ...]

    @property
    def green_ids(self) -> tuple[int, ...]:
        """Results no rule holds."""
        return tuple(r.id for r in self.results if r.green)


@dataclass(frozen=True, slots=True)
class Worklist:
    """One page of samples, and the counts over all pages."""

    samples: tuple[OpenSample, ...]
    total: int  # samples
    counts: Mapping[str, int] = field(default_factory=dict)  # results by all, held, green, critical (other filters on)


def worklist(conn: Connection, wanted: Wanted, offset: int, limit: int) -> Worklist:
    """The samples from `offset`: critical first, then held, then green; the longest waiting first in each."""
    order = (func.max(_one(_r.c.critical)), func.max(_one(_r.c.state == ResultState.HELD.value)))
    pks = _joined(_r.c.sample_pk).where(*_where(wanted)).group_by(_r.c.sample_pk)
    total = conn.execute(select(func.count()).select_from(pks.subquery())).scalar_one()
    page = pks.order_by(order[0].desc(), order[1].desc(), func.min(_r.c.created_at), _r.c.sample_pk)
    found = conn.execute(page.offset(offset).limit(limit)).scalars().all()
    return Worklist(_samples(conn, found, wanted), total, _counts(conn, wanted))


def green(conn: Connection, wanted: Wanted) -> tuple[OpenSample, ...]:
    """Every result that no rule holds and that the filters leave, by sample: what "release all green" would take."""
    only = Wanted("green", wanted.analyzer, wanted.facility, wanted.text)
    pks = _joined(_r.c.sample_pk).where(*_where(only)).group_by(_r.c.sample_pk).order_by(func.min(_r.c.created_at))
    return _samples(conn, conn.execute(pks).scalars().all(), only)


def open_sample_of(conn: Connection, sample_id: str) -> tuple[int, bool] | None:
    """(pk, whether it has open results) of the newest sample with this number; None when there is none."""
    has = exists().where(_r.c.sample_pk == _s.c.id, _r.c.state.in_(OPEN))
    row = conn.execute(
        select(_s.c.id, has.label("has")).where(_s.c.sample_id == sample_id).order_by(_s.c.year.desc()).limit(1)
    ).first()
    return (row.id, bool(row.has)) if row else None


def _one(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)  # PostgreSQL has no max() of booleans


def _joined(*columns: ColumnElement[Any] | Table) -> Select[Any]:
    joined = (
        _r.join(_s, _s.c.id == _r.c.sample_pk).join(_o, _o.c.id == _s.c.order_id).join(_p, _p.c.id == _r.c.patient_id)
    )
    return select(*columns).select_from(joined)


def _where(wanted: Wanted) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [_r.c.state.in_(OPEN)]
    if wanted.show == "held":
        where.append(_r.c.state == ResultState.HELD.value)
    elif wanted.show == "green":
        where += [_r.c.green, _r.c.state == ResultState.AUTOVERIFIED.value]
    elif wanted.show == "critical":
        where.append(_r.c.critical)
    if wanted.analyzer:
        where.append(_r.c.analyzer == ("" if wanted.analyzer == "typed" else wanted.analyzer))
    if wanted.facility:
        where.append(_o.c.facility_code == wanted.facility)
    if wanted.text:
        where.append(_matches(wanted.text))
    return where


def _matches(text: str) -> ColumnElement[bool]:
    key, digits = text.casefold(), text.replace("-", "")
    like = _p.c.name_key.contains(key, autoescape=True) | _p.c.uhid.icontains(text, autoescape=True)
    return like | _s.c.sample_id.contains(digits, autoescape=True) if digits.isdigit() else like


def _counts(conn: Connection, wanted: Wanted) -> dict[str, int]:
    everything = Wanted("all", wanted.analyzer, wanted.facility, wanted.text)
    held, greens = _r.c.state == ResultState.HELD.value, _r.c.state == ResultState.AUTOVERIFIED.value
    row = conn.execute(
        _joined(
            func.count().label("all"),
            func.sum(_one(held)).label("held"),
            func.sum(_one(greens & _r.c.green)).label("green"),
            func.sum(_one(_r.c.critical)).label("critical"),
        ).where(*_where(everything))
    ).one()
    return {key: int(value or 0) for key, value in row._mapping.items()}


def _samples(conn: Connection, pks: Iterable[int], wanted: Wanted) -> tuple[OpenSample, ...]:
    order = {pk: n for n, pk in enumerate(pks)}
    if not order:
        return ()
    results = _results(conn, order, wanted)
    awaited = _awaited(conn, order)
    columns = [_p.c[f] for f in FACTS]
    rows = conn.execute(
        select(
            _s.c.id.label("pk"), _s.c.sample_id, _s.c.state, _s.c.collected_at, _o.c.department, _o.c.doctor,
            _o.c.registered_at, *columns,
        )
        .join(_o, _o.c.id == _s.c.order_id)
        .join(_p, _p.c.id == _o.c.patient_id)
        .where(_s.c.id.in_(order))
    ).mappings()  # fmt: skip
    made = [
        OpenSample(
            **row, since=min(r.created_at for r in results[row["pk"]]), awaited=awaited.get(row["pk"], 0),
            results=tuple(sorted(results[row["pk"]], key=_rank)),
        )
        for row in rows
    ]  # fmt: skip
    return tuple(sorted(made, key=lambda s: order[s.pk]))


def _rank(result: OpenResult) -> tuple[bool, bool, int]:
    return not result.critical, result.state != ResultState.HELD.value, result.id


def _results(conn: Connection, pks: Iterable[int], wanted: Wanted) -> dict[int, list[OpenResult]]:
    rows = conn.execute(_joined(_r).where(_r.c.sample_pk.in_(tuple(pks)), *_where(wanted)).order_by(_r.c.id)).all()
    ids = [r.id for r in rows]
    reasons, called = reasons_of(conn, ids), called_of(conn, ids)
    before = _before(conn, {r.patient_id for r in rows}, {r.test for r in rows})
    by_sample: dict[int, list[OpenResult]] = defaultdict(list)
    for r in rows:
        by_sample[r.sample_pk].append(
            OpenResult(
                r.id, r.test, r.display, r.verbatim, r.unit, r.flag, r.ref_low, r.ref_high, r.state, r.green,
                r.critical, r.id in called, r.analyzer, r.typed_by, tuple(r.analyzer_flags), tuple(r.comments),
                r.created_at, reasons.get(r.id, ()), before.get((r.patient_id, r.test)),
            )
        )  # fmt: skip
    return by_sample


def reasons_of(conn: Connection, result_ids: Iterable[int]) -> dict[int, tuple[ReasonLine, ...]]:
    """The reasons of these results, the gravest first."""
    rank = case((_reason.c.severity == "block", 0), (_reason.c.severity == "critical", 1),
                (_reason.c.severity == "hold", 2), else_=3)  # fmt: skip
    rows = conn.execute(select(_reason).where(_reason.c.result_id.in_(tuple(result_ids))).order_by(rank, _reason.c.id))
    found: dict[int, list[ReasonLine]] = defaultdict(list)
    for row in rows:
        found[row.result_id].append(ReasonLine(row.rule, row.severity, row.text, row.text_hi))
    return {result_id: tuple(lines) for result_id, lines in found.items()}


def called_of(conn: Connection, result_ids: Iterable[int]) -> frozenset[int]:
    """Which of these results somebody was told of, and read back."""
    told = _call.c.reached & _call.c.read_back
    rows = conn.execute(select(_call.c.result_id).where(_call.c.result_id.in_(tuple(result_ids)), told))
    return frozenset(rows.scalars())


def _before(conn: Connection, patients: set[int], tests: set[str]) -> dict[tuple[int, str], Before]:
    """The latest released value per patient and test."""
    nth = func.row_number().over(partition_by=(_r.c.patient_id, _r.c.test), order_by=_r.c.released_at.desc())
    ranked = (
        select(_r.c.patient_id, _r.c.test, _r.c.display, _r.c.unit, _r.c.flag, _r.c.released_at, nth.label("nth"))
        .where(_r.c.patient_id.in_(patients), _r.c.test.in_(tests), _r.c.state == ResultState.RELEASED.value)
        .subquery()
    )
    rows = conn.execute(select(ranked).where(ranked.c.nth == 1))
    return {(r.patient_id, r.test): Before(r.display, r.unit, r.flag, r.released_at) for r in rows}


def _awaited(conn: Connection, pks: Iterable[int]) -> dict[int, int]:
    """Per sample: tests that are awaited and have no open result."""
    has = exists().where(_r.c.order_test_id == _ot.c.id, _r.c.state.in_(OPEN))
    rows = conn.execute(
        select(_ot.c.sample_pk, func.count().label("n"))
        .where(_ot.c.sample_pk.in_(tuple(pks)), _ot.c.state == TestState.AWAITED.value, ~has)
        .group_by(_ot.c.sample_pk)
    )
    return {r.sample_pk: r.n for r in rows}
