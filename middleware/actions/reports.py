"""Sends a report again, withdraws it, composes an interim one for the doctor, printed here only."""

from __future__ import annotations

from middleware import store
from middleware.actions.issue import REPORT, draft, hand_over_again
from middleware.lab import Lab
from middleware.model import Actor, Refused, Report, ReportStatus, Right
from middleware.schema import HandoverRow, Order
from middleware.store.orders import latest_report, order_by_report


def latest(lab: Lab, report_no: str) -> Report:
    """The newest stored version. Refused when none was issued yet."""
    with lab.read() as conn:
        row = latest_report(conn, report_no)
    if row is None:
        raise Refused("No report was issued yet: some results are awaited.")
    return REPORT.validate_python(row["document"])


def interim(lab: Lab, actor: Actor, order_id: int) -> Report:
    """The report as it stands, for the doctor: printed here only, marked interim, never handed over."""
    actor.must(Right.SEE_RESULTS)
    with lab.write() as conn:
        report = draft(lab, conn, order_id, ReportStatus.INTERIM, lab.now())
        store.audit(conn, lab.now(), actor, "print interim", "report", report.report_no, {})
    return report


def resend(lab: Lab, actor: Actor, report_no: str) -> None:
    """One more SMS with a fresh link to the number on record."""
    actor.must(Right.RESEND)
    with lab.write() as conn:
        order = order_by_report(conn, report_no)
        if order is None or not hand_over_again(lab, conn, order["id"], report_no, resend=True):
            raise Refused("There is no report to send yet.")
        if order["withdrawn_at"] is not None:
            raise Refused("This report was withdrawn.")
        store.audit(conn, lab.now(), actor, "resend", "report", report_no, {})


def withdraw(lab: Lab, actor: Actor, report_no: str, reason: str) -> None:
    """Take a report back at once (it went to the wrong patient): the link shows only that it was withdrawn."""
    actor.must(Right.WITHDRAW)
    if not reason.strip():
        raise Refused("Write why the report is withdrawn.")
    with lab.write() as conn:
        order = order_by_report(conn, report_no)
        if order is None or order["withdrawn_at"] is not None:
            raise Refused("There is no such report, or it was withdrawn before.")
        store.change(conn, Order, order["id"], withdrawn_at=lab.now())
        if not hand_over_again(lab, conn, order["id"], report_no):
            raise Refused("Nothing was issued yet: reject the results instead.")
        store.audit(conn, lab.now(), actor, "withdraw", "report", report_no, {"reason": reason})


def retry_now(lab: Lab, actor: Actor, report_no: str) -> int:
    """Try refused or waiting hand-overs of a report again at once; how many were put back in the queue."""
    actor.must(Right.RESEND)
    h = store.table(HandoverRow)
    with lab.write() as conn:
        done = conn.execute(
            h.update().where(h.c.report_no == report_no, h.c.state != "sent").values(state="queued", next_at=lab.now())
        )
        store.audit(conn, lab.now(), actor, "retry hand-over", "report", report_no, {"rows": done.rowcount})
        store.touch(conn, "reports")
    return done.rowcount
