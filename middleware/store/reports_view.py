"""Turns report versions, the outbox and what the report service said into one line per report.

Law: reads only. A problem is something a person must act on: a refused handover, a failed SMS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, select

from middleware.schema import AuditRow, DeliveryState, HandoverRow, Order, Patient, ReportRow
from middleware.store.core import table

PATIENT, ORDER, REPORT = table(Patient), table(Order), table(ReportRow)
OUTBOX, DELIVERY = table(HandoverRow), table(DeliveryState)

FAILED = ("failed", "expired", "unknown", "undelivered", "rejected")


@dataclass(frozen=True, slots=True)
class ReportLineView:
    """The newest version of a report and how far it got: issued → handed over → SMS → opened."""

    report_no: str
    version: int
    status: str
    issued_at: datetime
    issued_by: str
    order_id: int
    order_no: str
    patient_name: str
    uhid: str
    sms_mobile: str | None
    sms_mode: str
    withdrawn_at: datetime | None
    handover: str  # "" (nothing to send) · queued · sent · refused
    attempts: int
    last_error: str
    sms: str  # the report service's own word, "" when it has said nothing yet
    opened: int

    @property
    def problem(self) -> bool:
        """True when a person must do something: refused by the report service, tried in vain, or the SMS failed."""
        return self.handover == "refused" or bool(self.last_error) or self.sms in FAILED


@dataclass(frozen=True, slots=True)
class Handed:
    """One row of the outbox."""

    version: int
    serial: int
    state: str
    attempts: int
    created_at: datetime
    next_at: datetime
    sent_at: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Version:
    """One frozen version as stored."""

    version: int
    status: str
    issued_at: datetime
    issued_by: str
    reason: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReportView:
    """A report with every version and everything that became of it."""

    line: ReportLineView
    versions: tuple[Version, ...]
    outbox: tuple[Handed, ...]
    delivery: Mapping[str, Any]
    checked_at: datetime | None
    mobile_owner: str
    consent: bool
    audit: tuple[RowMapping, ...]


def reports(
    conn: Connection, text: str = "", show: str = "all", since: datetime | None = None, limit: int = 200
) -> tuple[ReportLineView, ...]:
    """Reports by newest version, those with problems first, then the newest.

    `show` is all · problem · queued · unopened · withdrawn; `text` is part of a name or a report number.
    """
    query = _newest()
    if text:
        key = " ".join(text.split())
        by_name = PATIENT.c.name_key.contains(key.casefold(), autoescape=True)
        query = query.where(by_name | (func.upper(REPORT.c.report_no).contains(key.upper(), autoescape=True)))
    if since is not None:
        query = query.where(REPORT.c.issued_at >= since)
    rows = conn.execute(query.order_by(REPORT.c.issued_at.desc(), REPORT.c.id.desc()).limit(limit * 3)).mappings()
    lines = [line for line in map(_line, rows) if _shown(line, show)]
    return tuple(sorted(lines, key=lambda r: not r.problem)[:limit])


def report(conn: Connection, report_no: str) -> ReportView | None:
    """One report with its versions, newest first; None when it was never issued."""
    row = conn.execute(_newest().where(REPORT.c.report_no == report_no)).mappings().first()
    if row is None:
        return None
    said = conn.execute(select(DELIVERY).where(DELIVERY.c.report_no == report_no)).mappings().first()
    return ReportView(
        line=_line(row),
        versions=_versions(conn, report_no),
        outbox=_outbox(conn, report_no),
        delivery=said["detail"] if said else {},
        checked_at=said["checked_at"] if said else None,
        mobile_owner=row["mobile_owner"],
        consent=row["sms_consent"],
        audit=_audit(conn, report_no, row["order_id"]),
    )


def document(conn: Connection, report_no: str, version: int | None = None) -> Mapping[str, Any] | None:
    """The frozen document of a version, the newest when none is named; None when there is none."""
    query = select(REPORT.c.document).where(REPORT.c.report_no == report_no)
    if version is not None:
        query = query.where(REPORT.c.version == version)
    return conn.execute(query.order_by(REPORT.c.version.desc()).limit(1)).scalars().first()


def _newest() -> Select[tuple[Any, ...]]:
    last = select(REPORT.c.report_no, func.max(REPORT.c.version).label("version")).group_by(REPORT.c.report_no)
    newest = last.subquery("newest")
    sent = select(OUTBOX.c.report_no, func.max(OUTBOX.c.id).label("id")).group_by(OUTBOX.c.report_no).subquery("sent")
    joined = (
        REPORT.join(newest, and_(REPORT.c.report_no == newest.c.report_no, REPORT.c.version == newest.c.version))
        .join(ORDER, REPORT.c.order_id == ORDER.c.id)
        .join(PATIENT, ORDER.c.patient_id == PATIENT.c.id)
        .outerjoin(sent, sent.c.report_no == REPORT.c.report_no)
        .outerjoin(OUTBOX, OUTBOX.c.id == sent.c.id)
        .outerjoin(DELIVERY, DELIVERY.c.report_no == REPORT.c.report_no)
    )
    return select(
        REPORT.c.report_no, REPORT.c.version, REPORT.c.status, REPORT.c.issued_at, REPORT.c.issued_by,
        ORDER.c.id.label("order_id"), ORDER.c.order_no, ORDER.c.sms_mobile, ORDER.c.sms_mode, ORDER.c.withdrawn_at,
        PATIENT.c.name.label("patient_name"), PATIENT.c.uhid, PATIENT.c.mobile_owner, PATIENT.c.sms_consent,
        OUTBOX.c.state.label("handover"), OUTBOX.c.attempts, OUTBOX.c.last_error,
        DELIVERY.c.status.label("sms"), DELIVERY.c.opened,
    ).select_from(joined)  # fmt: skip


def _line(row: RowMapping) -> ReportLineView:
    unset: dict[str, Any] = {"handover": "", "attempts": 0, "last_error": "", "sms": "", "opened": 0}
    return ReportLineView(
        **{n: unset[n] if n in unset and row[n] is None else row[n] for n in ReportLineView.__slots__}
    )


def _shown(line: ReportLineView, show: str) -> bool:
    return {
        "problem": line.problem,
        "queued": line.handover == "queued",
        "unopened": line.opened == 0 and line.withdrawn_at is None,
        "withdrawn": line.withdrawn_at is not None,
    }.get(show, True)


def _versions(conn: Connection, report_no: str) -> tuple[Version, ...]:
    columns = (REPORT.c[n] for n in Version.__slots__)
    query = select(*columns).where(REPORT.c.report_no == report_no).order_by(REPORT.c.version.desc())
    return tuple(Version(**row) for row in conn.execute(query).mappings())


def _outbox(conn: Connection, report_no: str) -> tuple[Handed, ...]:
    columns = (OUTBOX.c[n] for n in Handed.__slots__)
    query = select(*columns).where(OUTBOX.c.report_no == report_no).order_by(OUTBOX.c.id.desc())
    return tuple(Handed(**row) for row in conn.execute(query).mappings())


def _audit(conn: Connection, report_no: str, order_id: int) -> tuple[RowMapping, ...]:
    rows = table(AuditRow)
    about = ((rows.c.subject == "report") & (rows.c.subject_id == report_no)) | (
        (rows.c.subject == "order") & (rows.c.subject_id == str(order_id))
    )
    query = select(rows.c.at, rows.c.who, rows.c.action, rows.c.detail).where(about).order_by(rows.c.id.desc())
    return tuple(conn.execute(query.limit(40)).mappings())
