"""What the page of one tube reads: whose it is, its states, every result it ever had, what was done by whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, exists, or_, select

from middleware.model import ResultState, TestState
from middleware.schema import (
    AuditRow,
    CriticalCall,
    Order,
    OrderTest,
    Patient,
    ReportRow,
    ResultRow,
    Sample,
    UnmatchedRow,
)
from middleware.store.core import table
from middleware.store.worklist_view import OPEN, ReasonLine, reasons_of

_r, _s, _o, _p, _ot = table(ResultRow), table(Sample), table(Order), table(Patient), table(OrderTest)
_u, _a, _call, _rep = table(UnmatchedRow), table(AuditRow), table(CriticalCall), table(ReportRow)
TUBE = (
    "sample_id", "specimen", "container", "timing", "state", "collected_at", "collected_by", "received_at",
    "received_by", "rejected_at", "rejected_by", "reject_reason", "replaced_by_id",
)  # fmt: skip
ORDER = (
    "order_no",
    "report_no",
    "doctor",
    "department",
    "facility_code",
    "ordered_at",
    "registered_at",
    "registered_by",
)
PATIENT = ("name", "sex", "birth_date", "birth_precision", "uhid", "guardian", "mobile")


@dataclass(frozen=True, slots=True)
class Tube:
    """One tube with its order and patient."""

    pk: int
    sample_id: str
    specimen: str
    container: str
    timing: str
    state: str
    collected_at: datetime | None
    collected_by: str
    received_at: datetime | None
    received_by: str
    rejected_at: datetime | None
    rejected_by: str
    reject_reason: str
    replaced_by_id: int | None
    order_id: int
    patient_id: int
    order_no: str
    report_no: str
    doctor: str
    department: str
    facility_code: str
    ordered_at: datetime | None
    registered_at: datetime
    registered_by: str
    name: str
    sex: str
    birth_date: date
    birth_precision: str
    uhid: str
    guardian: str
    mobile: str | None
    new_sample_id: str | None  # of the tube that was asked for instead
    old_pk: int | None  # the rejected tube this one was asked for
    old_sample_id: str | None
    report_version: int | None  # newest issued


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One result of the tube, whatever became of it."""

    id: int
    order_test_id: int
    message_id: str | None
    test: str
    display: str
    verbatim: str
    unit: str
    flag: str
    ref_low: Decimal | None
    ref_high: Decimal | None
    analyzer: str
    typed_by: str
    state: str
    critical: bool
    analyzer_flags: list[str]
    comments: list[str]
    created_at: datetime
    released_at: datetime | None
    released_by: str
    rejected_at: datetime | None
    rejected_by: str
    reject_note: str
    amends_id: int | None
    reasons: tuple[ReasonLine, ...] = ()
    calls: tuple[CallLine, ...] = ()


@dataclass(frozen=True, slots=True)
class CallLine:
    """One call about a critical result."""

    told: str
    phone: str
    at: datetime
    read_back: bool
    reached: bool
    note: str
    called_by: str


@dataclass(frozen=True, slots=True)
class TestLine:
    """One ordered test of the tube without an open or released result."""

    id: int
    test: str
    panel: str
    state: str
    note: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A released value of this patient and test, for the small chart."""

    value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class TrayLine:
    """A row of the tray that names this tube."""

    id: int
    analyzer: str
    code: str | None
    name: str | None
    value: str | None
    unit: str | None
    text_en: str
    text_hi: str
    state: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the audit trail."""

    id: int
    at: datetime
    who: str
    role: str
    action: str
    subject: str
    subject_id: str
    detail: Mapping[str, Any]


def tube(conn: Connection, pk: int) -> Tube | None:
    """The tube with this primary key."""
    old, new = _s.alias("old"), _s.alias("new")
    newest = (
        select(_rep.c.version).where(_rep.c.order_id == _o.c.id).order_by(_rep.c.version.desc()).limit(1)
    ).scalar_subquery()
    row = conn.execute(
        select(
            _s.c.id.label("pk"), *(_s.c[c] for c in TUBE), _o.c.id.label("order_id"), _o.c.patient_id,
            *(_o.c[c] for c in ORDER), *(_p.c[c] for c in PATIENT), new.c.sample_id.label("new_sample_id"),
            old.c.id.label("old_pk"), old.c.sample_id.label("old_sample_id"), newest.label("report_version"),
        )
        .select_from(
            _s.join(_o, _o.c.id == _s.c.order_id).join(_p, _p.c.id == _o.c.patient_id)
            .outerjoin(new, new.c.id == _s.c.replaced_by_id).outerjoin(old, old.c.replaced_by_id == _s.c.id)
        )
        .where(_s.c.id == pk)
    ).mappings().first()  # fmt: skip
    return Tube(**row) if row else None


RESULT = (
    "id", "order_test_id", "message_id", "test", "display", "verbatim", "unit", "flag", "ref_low", "ref_high",
    "analyzer", "typed_by", "state", "critical", "analyzer_flags", "comments", "created_at", "released_at",
    "released_by", "rejected_at", "rejected_by", "reject_note", "amends_id",
)  # fmt: skip


def results(conn: Connection, pk: int) -> tuple[ResultLine, ...]:
    """Every result of the tube, the newest of each test first."""
    rows = conn.execute(select(*(_r.c[c] for c in RESULT)).where(_r.c.sample_pk == pk).order_by(_r.c.id.desc())).all()
    ids = [r.id for r in rows]
    reasons, calls = reasons_of(conn, ids), calls_of(conn, ids)
    return tuple(
        ResultLine(**row._mapping, reasons=reasons.get(row.id, ()), calls=calls.get(row.id, ())) for row in rows
    )


def calls_of(conn: Connection, result_ids: Iterable[int]) -> dict[int, tuple[CallLine, ...]]:
    """The calls about each of these results, in order."""
    found: dict[int, list[CallLine]] = defaultdict(list)
    for c in conn.execute(select(_call).where(_call.c.result_id.in_(tuple(result_ids))).order_by(_call.c.id)):
        found[c.result_id].append(CallLine(c.told, c.phone, c.at, c.read_back, c.reached, c.note, c.called_by))
    return {result_id: tuple(lines) for result_id, lines in found.items()}


def tests_without_result(conn: Connection, pk: int) -> tuple[TestLine, ...]:
    """Tests of the tube that are awaited with nothing open, cancelled, or cannot be done."""
    has = exists().where(_r.c.order_test_id == _ot.c.id, _r.c.state.in_(OPEN))
    awaited = (_ot.c.state == TestState.AWAITED.value) & ~has
    ended = _ot.c.state.in_((TestState.REJECTED.value, TestState.CANCELLED.value))
    rows = conn.execute(
        select(_ot.c.id, _ot.c.test, _ot.c.panel, _ot.c.state, _ot.c.note)
        .where(_ot.c.sample_pk == pk, awaited | ended)
        .order_by(_ot.c.state, _ot.c.id)
    )
    return tuple(TestLine(*row) for row in rows)


def earlier(conn: Connection, patient_id: int, tests: Iterable[str], limit: int = 12) -> dict[str, tuple[Earlier, ...]]:
    """Released numbers of this patient per test, oldest first, at most the last `limit`."""
    rows = conn.execute(
        select(_r.c.test, _r.c.value, _r.c.released_at)
        .where(
            _r.c.patient_id == patient_id, _r.c.test.in_(tuple(tests)), _r.c.state == ResultState.RELEASED.value,
            _r.c.value.is_not(None), _r.c.comparator == "",
        )
        .order_by(_r.c.released_at)
    )  # fmt: skip
    found: dict[str, list[Earlier]] = defaultdict(list)
    for row in rows:
        found[row.test].append(Earlier(row.value, row.released_at))
    return {test: tuple(values[-limit:]) for test, values in found.items()}


def tray(conn: Connection, pk: int, sample_id: str) -> tuple[TrayLine, ...]:
    """Open rows of the tray that point to this tube (known tube, unknown code or test not asked for)."""
    rows = conn.execute(
        select(
            _u.c.id, _u.c.analyzer, _u.c.code, _u.c.name, _u.c.value, _u.c.unit,
            _u.c.text.label("text_en"), _u.c.text_hi, _u.c.state, _u.c.created_at,
        )
        .where(or_(_u.c.sample_pk == pk, _u.c.sample_id == sample_id), _u.c.state == "open")
        .order_by(_u.c.id)
    ).mappings()  # fmt: skip
    return tuple(TrayLine(**row) for row in rows)


def audit_of(
    conn: Connection, pk: int, order_id: int, result_ids: Iterable[int], limit: int = 200
) -> tuple[AuditLine, ...]:
    """What people did with this tube, its results and its order, the newest first."""
    ids = [str(i) for i in result_ids]
    mine = or_(
        (_a.c.subject == "sample") & (_a.c.subject_id == str(pk)),
        (_a.c.subject == "order") & (_a.c.subject_id == str(order_id)),
        (_a.c.subject == "result") & _a.c.subject_id.in_(ids),
    )
    columns = (_a.c.id, _a.c.at, _a.c.who, _a.c.role, _a.c.action, _a.c.subject, _a.c.subject_id, _a.c.detail)
    rows = conn.execute(select(*columns).where(mine).order_by(_a.c.id.desc()).limit(limit))
    return tuple(AuditLine(*row) for row in rows)
