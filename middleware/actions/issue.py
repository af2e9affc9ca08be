"""Turns a complete order into a stored report version and a row of the outbox, in the caller's transaction.

Law: the document is frozen here, once; what changes later is a new version or a new access serial.
Source: ISO 15189:2022 7.4.1.8 (amendments), design of the house: hand-overs are rows that can be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from middleware import store
from middleware.lab import Lab
from middleware.model import Access, Actor, Handover, LinkPolicy, Report, ReportStatus
from middleware.report import compose
from middleware.schema import HandoverRow, Order, ReportRow
from middleware.settings import Facility
from middleware.store.orders import awaited, latest_report, order_rows, slip_tokens

HANDOVER: TypeAdapter[Handover] = TypeAdapter(Handover)
REPORT: TypeAdapter[Report] = TypeAdapter(Report)


def facility_of(lab: Lab, code: str) -> Facility:
    """The facility an order came from; our own when the code is no longer listed."""
    return next((f for f in lab.settings.facilities if f.code == code), lab.settings.lab.facility)


def draft(lab: Lab, conn: Connection, order_id: int, status: ReportStatus, at: datetime, reason: str = "") -> Report:
    """Compose the report of an order as it stands, with its next version number; nothing is stored."""
    rows = order_rows(conn, order_id)
    version = rows.last["version"] + 1 if rows.last else 1
    facility = facility_of(lab, rows.order["facility_code"])
    settings = lab.settings
    titles = {a.name: a.title for a in settings.analyzers}
    return compose(rows, status, version, settings.lab, facility, settings.catalogue, at, reason, titles)


def issue_when_complete(lab: Lab, conn: Connection, actor: Actor, order_id: int, reason: str = "") -> str | None:
    """Issue the next version when no test of the order is awaited; the report number, or None when one still is."""
    if awaited(conn, order_id):
        return None
    at = lab.now()
    order = store.one(conn, Order, order_id) or {}
    again = order["completed_at"] is not None
    report = draft(lab, conn, order_id, ReportStatus.AMENDED if again else ReportStatus.FINAL, at, reason)
    store.change(conn, Order, order_id, completed_at=order["completed_at"] or at)
    _keep(conn, actor, order_id, report, reason)
    hand_over(conn, lab, order_id, report.report_no, report.version, REPORT.dump_python(report, mode="json"))
    store.audit(conn, at, actor, "issue report", "report", report.report_no,
                {"version": report.version, "status": report.status.value, "reason": reason})  # fmt: skip
    store.touch(conn, "reports")
    return report.report_no


def _keep(conn: Connection, actor: Actor, order_id: int, report: Report, reason: str) -> None:
    store.put(
        conn,
        ReportRow,
        report_no=report.report_no,
        version=report.version,
        order_id=order_id,
        status=report.status.value,
        document=REPORT.dump_python(report, mode="json"),
        issued_at=report.issued_at,
        issued_by=actor.name,
        reason=reason,
    )


def hand_over(
    conn: Connection,
    lab: Lab,
    order_id: int,
    report_no: str,
    version: int,
    document: Mapping[str, Any],
    resend: bool = False,
) -> None:
    """Queue one hand-over with the order's present access and a fresh serial."""
    order = store.one(conn, Order, order_id) or {}
    serial = order["access_serial"] + 1
    store.change(conn, Order, order_id, access_serial=serial)
    access = access_of(conn, {**order, "access_serial": serial}, LinkPolicy(document["link"]), resend)
    payload = {"document": dict(document), "access": TypeAdapter(Access).dump_python(access, mode="json")}
    store.put(conn, HandoverRow, report_no=report_no, version=version, serial=serial, payload=payload, state="queued",
              attempts=0, next_at=lab.now(), last_error="", created_at=lab.now())  # fmt: skip
    store.touch(conn, "reports")


def access_of(conn: Connection, order: Mapping[str, Any], link: LinkPolicy, resend: bool = False) -> Access:
    """How this report may be reached now. A test that may not go by link turns the SMS into "come in person"."""
    mode = order["sms_mode"] if order["sms_mobile"] else "none"
    if link is not LinkPolicy.YES and mode == "link":
        mode = "in_person"
    return Access(
        serial=order["access_serial"],
        mobile=order["sms_mobile"] if mode != "none" else None,
        language=order["language"],
        sms=mode,
        pin_hash=order["pin_hash"],
        slip_tokens=slip_tokens(conn, order["id"]),
        withdrawn=order["withdrawn_at"] is not None,
        withdrawn_reason="",
        resend=resend,
    )


def hand_over_again(lab: Lab, conn: Connection, order_id: int, report_no: str, resend: bool = False) -> bool:
    """Queue the newest version again with changed access; False when nothing was issued yet (nothing to do)."""
    last = latest_report(conn, report_no)
    if last is None:
        return False
    hand_over(conn, lab, order_id, report_no, last["version"], last["document"], resend)
    return True
