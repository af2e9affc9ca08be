"""Reports: how far each got (issued, handed over, SMS, opened), print, send again, withdraw, correct the number.

Law: printing needs nothing but this lab's own database; it works while the report service is down. A withdrawn report
is not printed any more. Source: domain 1.4 (states of a report), ISO 15189:2022 7.4.1.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware import store
from middleware.actions import register as register_actions
from middleware.actions import reports as actions
from middleware.actions.issue import REPORT
from middleware.actions.register import mobile_number
from middleware.lab import Lab
from middleware.model import Actor, MobileOwner, Refused, Report, Right
from middleware.store import order_view, reports_view
from middleware.store.order_view import OrderView
from middleware.store.reports_view import ReportLineView, ReportView
from server.lab.web import FormDep, LabDep, SessionDep, language_of, page, redirect, require, translator
from server.render import REPORT_CSS, report_html, report_pdf
from server.verify import verify_url

router = APIRouter()

SEES = Annotated[Actor, Depends(require(Right.REPORTS))]
SENDS = Annotated[Actor, Depends(require(Right.RESEND))]
WITHDRAWS = Annotated[Actor, Depends(require(Right.WITHDRAW))]
SHOWS = ("all", "problem", "queued", "unopened", "withdrawn")
SPANS = {"today": 1, "week": 7, "month": 31, "ever": 0}
STEPS = ("queued", "sent", "accepted", "delivered", "failed", "expired", "unknown", "in_person", "suppressed")


@dataclass(frozen=True, slots=True)
class ReportsPage:
    """The list, what it is filtered by, and how many wait for the report service."""

    lines: tuple[ReportLineView, ...]
    query: str
    show: str
    span: str
    queued: int
    problems: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One SMS as the report service tells it."""

    version: str
    to: str
    status: str
    at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class ReportPage:
    """One report: preview, versions, delivery, and what may be done with it."""

    report: ReportView
    order: OrderView
    preview: Markup | None
    preview_lang: str
    version: int
    sent: tuple[Sent, ...]
    opened: int
    not_mine: int
    trouble: str  # the handover's error in words, "" when there is none
    trouble_detail: str
    may_send: bool
    may_withdraw: bool
    may_slip: bool
    may_amend: bool
    wrong: Mapping[str, str]
    typed: Mapping[str, str]


@router.get("/reports")
def show(
    request: Request, lab: LabDep, session: SessionDep, _actor: SEES, show: str = "all", span: str = "week"
) -> Response:
    """Problems first, then the newest."""
    show, span = show if show in SHOWS else "all", span if span in SPANS else "week"
    since = _midnight(lab) - timedelta(days=SPANS[span] - 1) if SPANS[span] else None
    query = session.find.get("reports", "")
    with lab.read() as conn:
        lines = reports_view.reports(conn, query, show, None if query else since)
        every = reports_view.reports(conn, "", "all", since)
    queued = sum(line.handover == "queued" for line in every)
    return page(request, "reports.html", ReportsPage(lines, query, show, span, queued, sum(x.problem for x in every)))


@router.post("/reports")
def find(request: Request, session: SessionDep, form: FormDep, _actor: SEES) -> Response:
    """Filter by a name or a number; the text is kept in the session."""
    session.remember("reports", form.text("q", limit=80))
    return redirect(request, "/reports?show=all")


@router.get("/reports/report.css")
def css(_actor: SEES) -> Response:
    """The look of a report, the same that the patient sees."""
    return Response(REPORT_CSS, media_type="text/css", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/reports/{report_no}")
def one(
    request: Request, lab: LabDep, actor: SEES, report_no: str, version: int | None = None, lang: str = ""
) -> Response:
    """The report as the patient sees it, with everything that became of it."""
    return _page(request, lab, actor, report_no, version, lang)


@router.get("/reports/{report_no}/print.pdf")
def print_pdf(
    request: Request, lab: LabDep, actor: SEES, report_no: str, lang: str = "en", version: int | None = None
) -> Response:
    """The report as PDF, in Hindi or English; an audit line says who printed it."""
    view, report = _report(lab, report_no, version)
    if view.line.withdrawn_at is not None:
        raise Refused("reports.print.withdrawn")
    spoken = lang if lang in ("en", "hi") else language_of(request)
    url = report.verify_url or verify_url(lab.settings.hub.public_url, report)
    made = report_pdf(report, spoken, url, request.app.state.strings, printed_at=lab.now())
    with lab.write() as conn:
        store.audit(conn, lab.now(), actor, "print report", "report", report_no,
                    {"version": report.version, "language": spoken})  # fmt: skip
    headers = {"Content-Disposition": f'inline; filename="{report_no}-v{report.version}-{spoken}.pdf"'}
    return Response(made, media_type="application/pdf", headers=headers)


@router.post("/reports/{report_no}/resend")
def resend(request: Request, lab: LabDep, actor: SENDS, report_no: str) -> Response:
    """One more SMS with a fresh link."""
    actions.resend(lab, actor, report_no)
    return redirect(request, f"/reports/{report_no}", "reports.resent")


@router.post("/reports/{report_no}/retry")
def retry(request: Request, lab: LabDep, actor: SENDS, report_no: str) -> Response:
    """Hand over again now what waits or was refused."""
    actions.retry_now(lab, actor, report_no)
    return redirect(request, f"/reports/{report_no}", "reports.retried")


@router.post("/reports/{report_no}/mobile")
def mobile(request: Request, lab: LabDep, actor: SENDS, form: FormDep, report_no: str) -> Response:
    """Correct the phone number; the report goes to the new one."""
    view, _ = _report(lab, report_no, None)
    t, typed = translator(request), {n: form.text(n) for n in ("mobile", "mobile_owner", "mobile_reason")}
    wrong = {name: t("intake.owner") for name in ("mobile_owner",) if typed[name] not in ("self", "family", "asha")}
    try:
        number = mobile_number(typed["mobile"])
    except Refused:
        number = None
    if number is None:
        wrong["mobile"] = t("intake.mobile")
    if not typed["mobile_reason"]:
        wrong["mobile_reason"] = t("reports.reason.missing")
    if wrong:
        return _page(request, lab, actor, report_no, wrong=wrong, typed=typed)
    register_actions.correct_mobile(lab, actor, view.line.order_id, number, MobileOwner(typed["mobile_owner"]),
                                    form.flag("sms_consent"), typed["mobile_reason"])  # fmt: skip
    return redirect(request, f"/reports/{report_no}", "reports.mobile.done")


@router.post("/reports/{report_no}/withdraw")
def withdraw(request: Request, lab: LabDep, actor: WITHDRAWS, form: FormDep, report_no: str) -> Response:
    """Take the report back; the number is typed once more, so that it is not done by a slip of the hand."""
    t, typed = translator(request), {n: form.text(n) for n in ("withdraw_reason", "withdraw_no")}
    wrong = {} if typed["withdraw_reason"] else {"withdraw_reason": t("reports.reason.missing")}
    if typed["withdraw_no"].upper() != report_no.upper():
        wrong["withdraw_no"] = t("reports.withdraw.differs")
    if wrong:
        return _page(request, lab, actor, report_no, wrong=wrong, typed=typed)
    actions.withdraw(lab, actor, report_no, typed["withdraw_reason"])
    return redirect(request, f"/reports/{report_no}", "reports.withdrawn", "warn")


def _report(lab: Lab, report_no: str, version: int | None) -> tuple[ReportView, Report]:
    with lab.read() as conn:
        view = reports_view.report(conn, report_no)
        document = reports_view.document(conn, report_no, version)
    if view is None or document is None:
        raise HTTPException(404)
    return view, REPORT.validate_python(document)


def _page(
    request: Request, lab: Lab, actor: Actor, report_no: str, version: int | None = None, lang: str = "",
    wrong: Mapping[str, str] | None = None, typed: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    view, report = _report(lab, report_no, version)
    with lab.read() as conn:
        order = order_view.order(conn, view.line.order_id)
    assert order is not None  # a report has its order, the database says so
    spoken = lang if lang in ("en", "hi") else language_of(request)
    withdrawn = view.line.withdrawn_at is not None
    hidden = withdrawn and not actor.may(Right.WITHDRAW)
    preview = None if hidden else report_html(report, spoken, request.app.state.strings)
    trouble, detail = _trouble(view.line, request)
    context = ReportPage(
        report=view, order=order, preview=preview, preview_lang=spoken, version=report.version,
        sent=_sent(view), opened=view.line.opened, not_mine=len(view.delivery.get("not_mine", ())),
        trouble=trouble, trouble_detail=detail,
        may_send=actor.may(Right.RESEND) and not withdrawn, may_withdraw=actor.may(Right.WITHDRAW) and not withdrawn,
        may_slip=actor.may(Right.PRINT_SLIP) and not withdrawn, may_amend=actor.may(Right.AMEND) and not withdrawn,
        wrong=wrong or {}, typed=typed or {},
    )  # fmt: skip
    return page(request, "report.html", context, 422 if wrong else 200)


def _trouble(line: ReportLineView, request: Request) -> tuple[str, str]:
    """The handover's error in words, and as the report service said it."""
    t = translator(request)
    if not line.last_error:
        return "", ""
    if line.handover == "refused":
        return t("reports.trouble.refused"), line.last_error
    key = "reports.trouble.away" if "not reached" in line.last_error else "reports.trouble.error"
    return t(key, n=line.attempts), line.last_error


def _sent(view: ReportView) -> tuple[Sent, ...]:
    return tuple(
        Sent(
            version=str(row.get("version", "")),
            to=str(row.get("to", "")),
            status=str(row.get("status", "")),
            at=_moment(row.get("changed_at")),
            error=str(row.get("error") or ""),
        )
        for row in view.delivery.get("sms", ())
        if isinstance(row, Mapping)
    )


def _moment(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None


def _midnight(lab: Lab) -> datetime:
    return lab.now().astimezone(lab.settings.lab.timezone).replace(hour=0, minute=0, second=0, microsecond=0)
