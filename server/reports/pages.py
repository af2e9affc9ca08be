"""Turns a patient's taps into pages: the gate, the report, its PDF, and the page that proves a report genuine.

Law: a GET or HEAD shows no patient data and consumes nothing, unless a right PIN was given in the last 15 minutes;
unknown, expired and revoked links get the very same page. Source: domain 5.2.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from server import render, verify
from server.reports import gate, outbox, store
from server.reports.api import HubHere
from server.reports.gate import Answer, Said, Visitor
from server.reports.hub import INDIA, BusyError, Hub
from server.reports.schema import Outcome

router = APIRouter(include_in_schema=False)
COOKIE = "labmitra_open"
TEMPLATES = Path(__file__).parent / "templates"
Lang = Annotated[str | None, Query(max_length=5)]
_CODES = {Said.UNAVAILABLE: 404, Said.WRONG: 403, Said.LOCKED: 403, Said.REVOKED: 403, Said.BAD_PIN: 422}
_AGENTS = (("edg", "Edge"), ("samsungbrowser", "Samsung"), ("ucbrowser", "UC Browser"), ("opr", "Opera"),
           ("opera", "Opera"), ("firefox", "Firefox"), ("chrome", "Chrome"), ("safari", "Safari"))  # fmt: skip
_SYSTEMS = (("android", "Android"), ("iphone", "iPhone"), ("kaios", "KaiOS"), ("windows", "Windows"), ("mac", "Mac"),
            ("linux", "Linux"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class GatePage:
    """gate.html"""

    here: str
    facility: str
    trouble: str  # key of a sentence, "" when there is none
    left: int
    may_try: bool


@dataclass(frozen=True, slots=True)
class ReportPage:
    """report.html"""

    here: str
    body: Markup
    opened: int


@dataclass(frozen=True, slots=True)
class MessagePage:
    """message.html: a title and a few sentences, by their keys."""

    title: str
    texts: tuple[str, ...]
    facility: str = ""


@dataclass(frozen=True, slots=True)
class VerifyPage:
    """verify.html; `facts` is empty when nothing could be confirmed."""

    facts: tuple[tuple[str, str], ...]
    warning: str
    newest: int


class Shelf:
    """The templates, read once for a service."""

    def __init__(self) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self.css = (TEMPLATES / "style.css").read_text(encoding="utf-8") + render.REPORT_CSS

    def show(self, hub: Hub, name: str, lang: str, page: object, status: int = 200, switch: str = "") -> HTMLResponse:
        """One page from one context; `switch` is the address of the same page in the other language."""

        def t(key: str, **values: object) -> str:
            return hub.strings.t(key, lang, **values)

        other = "en" if lang == "hi" else "hi"
        html = self._jinja.get_template(name).render(page=page, t=t, lang=lang, other=other, switch=switch)
        return HTMLResponse(html, status)


def shelf_of(request: Request) -> Shelf:
    """The templates of the service this request belongs to."""
    shelf: Shelf = request.app.state.shelf
    return shelf


def visitor_of(request: Request) -> Visitor:
    """The address and the coarse kind of phone, as the opening log keeps them."""
    return Visitor(request.client.host if request.client else "", coarse(request.headers.get("user-agent", "")))


def coarse(agent: str) -> str:
    """ "Android Chrome": enough to recognise one's own phone, too little to recognise a person."""
    low = agent.lower()
    kinds = [next((name for mark, name in marks if mark in low), "") for marks in (_SYSTEMS, _AGENTS)]
    return " ".join(filter(None, kinds)) or "other"


ShelfHere = Annotated[Shelf, Depends(shelf_of)]
VisitorHere = Annotated[Visitor, Depends(visitor_of)]


@router.api_route("/robots.txt", methods=["GET", "HEAD"])
def robots() -> PlainTextResponse:
    """Nothing here is for search engines."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


@router.api_route("/style.css", methods=["GET", "HEAD"])
def style(shelf: ShelfHere) -> Response:
    """The one style sheet; it may be kept, it is the same for everybody."""
    return Response(shelf.css, media_type="text/css", headers={"Cache-Control": "public, max-age=86400"})


@router.api_route("/", methods=["GET", "HEAD"])
def nothing(hub: HubHere, shelf: ShelfHere, lang: Lang = None) -> Response:
    """No link, no report."""
    return _unavailable(hub, shelf, lang or "hi", "/")


@router.api_route("/verify/{report_no}", methods=["GET", "HEAD"])
def prove(
    report_no: str,
    hub: HubHere,
    shelf: ShelfHere,
    v: Annotated[str, Query(max_length=10)] = "",
    h: Annotated[str, Query(max_length=64)] = "",
    lang: Lang = None,
) -> Response:
    """Is this report genuine? Number, version, laboratory, date; nothing of the patient."""
    chosen = _language(lang)
    page = _proof(hub, report_no, int(v) if v.isdecimal() else 0, h.lower(), chosen)
    here = f"?v={v}&h={h}&lang=" if v.isalnum() and h.isalnum() else "?lang="
    return shelf.show(hub, "verify.html", chosen, page, 200 if page.facts else 404, here)


def _proof(hub: Hub, report_no: str, number: int, short: str, lang: str) -> VerifyPage:
    with hub.db.read() as conn:
        row = store.find_version(conn, report_no, number)
        newest, access = store.find_newest(conn, report_no), store.find_access(conn, report_no)
    expected = row.sha256[: verify.SHORT] if row is not None else "-" * verify.SHORT
    if not hmac.compare_digest(expected.encode(), short.encode()) or row is None or newest is None or access is None:
        return VerifyPage((), "", 0)
    facts = (
        ("hub.verify.no_", row.report_no),
        ("hub.verify.version", str(row.version)),
        ("hub.verify.facility", _facility(row, lang)),
        ("hub.verify.issued", _when(row.issued_at)),
    )
    warning = "hub.verify.withdrawn" if outbox.is_withdrawn(newest, access) else ""
    return VerifyPage(facts, warning or ("hub.verify.old" if newest.version > number else ""), newest.version)


@router.api_route("/{token}", methods=["GET", "HEAD"])
def look(
    token: str, request: Request, hub: HubHere, shelf: ShelfHere, visitor: VisitorHere, lang: Lang = None
) -> Response:
    """The gate; within 15 minutes of a right PIN the report, in the language asked for."""
    if hub.limiter.spent("unknown", visitor.ip):
        return _busy(hub, shelf, lang)
    if request.method == "HEAD":  # a link scanner: nothing is opened, nothing is logged
        answer = gate.look(hub, token)
    else:
        answer = gate.again(hub, token, request.cookies.get(COOKIE), Outcome.AGAIN, visitor)
    if answer.said is Said.UNAVAILABLE:
        hub.limiter.hit("unknown", visitor.ip)
    return _show(hub, shelf, token, answer, lang)


@router.post("/{token}")
def enter(
    token: str,
    hub: HubHere,
    shelf: ShelfHere,
    visitor: VisitorHere,
    pin: Annotated[str, Form(max_length=100)] = "",
    lang: Lang = None,
) -> Response:
    """One try with the PIN; the right one shows the report at once."""
    if not _let_in(hub, token, visitor):
        return _busy(hub, shelf, lang)
    try:
        answer = gate.enter(hub, token, pin, visitor)
    except BusyError:
        return _busy(hub, shelf, lang)
    response = _show(hub, shelf, token, answer, lang)
    if answer.said is Said.OPEN and answer.found is not None:
        _set_cookie(hub, response, token, gate.ticket(hub, answer.found))
    return response


@router.api_route("/{token}/pdf", methods=["GET", "HEAD"])
def download(
    token: str, request: Request, hub: HubHere, shelf: ShelfHere, visitor: VisitorHere, lang: Lang = None
) -> Response:
    """The report as PDF; without a right PIN in the last 15 minutes the gate, with 403."""
    answer = gate.again(hub, token, request.cookies.get(COOKIE), Outcome.PDF, visitor)
    if answer.report is None:
        response = _show(hub, shelf, token, answer, lang)
        response.status_code = 403 if response.status_code == 200 else response.status_code
        return response
    report, chosen = answer.report, _language(lang, answer)
    address = verify.verify_url(hub.settings.public_url, report)
    pdf = render.report_pdf(report, chosen, address, hub.strings, hub.now())
    name = "".join(c for c in report.report_no if (c.isalnum() and c.isascii()) or c == "-")
    head = {"Content-Disposition": f'attachment; filename="report-{name}-v{report.version}-{chosen}.pdf"'}
    return Response(pdf, media_type="application/pdf", headers=head)


@router.post("/{token}/not-mine")
def not_mine(token: str, hub: HubHere, shelf: ShelfHere, visitor: VisitorHere, lang: Lang = None) -> Response:
    """ "Not your report? Tell us": the lab sees it beside the report."""
    return _noted(hub, shelf, token, visitor, lang, gate.complain, "not_mine")


@router.post("/{token}/stop-sms")
def stop_sms(token: str, hub: HubHere, shelf: ShelfHere, visitor: VisitorHere, lang: Lang = None) -> Response:
    """ "Do not send me SMS": nothing more goes to this phone unless the counter is asked."""
    return _noted(hub, shelf, token, visitor, lang, gate.stop_sms, "stop")


def _noted(
    hub: Hub, shelf: Shelf, token: str, visitor: Visitor, lang: str | None, note: Callable[[Hub, str], bool], what: str
) -> Response:
    if not _let_in(hub, token, visitor):
        return _busy(hub, shelf, lang)
    chosen = _language(lang)
    if not note(hub, token):
        return _unavailable(hub, shelf, chosen, "")
    return shelf.show(hub, "message.html", chosen, MessagePage(f"hub.{what}.title", (f"hub.{what}.text",)))


def _let_in(hub: Hub, token: str, visitor: Visitor) -> bool:
    asked = (("all", ""), ("address", visitor.ip), ("token", token.upper()[:40]))
    return all(hub.limiter.hit(rate, key) for rate, key in asked)


def _show(hub: Hub, shelf: Shelf, token: str, answer: Answer, lang: str | None) -> Response:
    chosen, switch = _language(lang, answer), f"/{_safe(token)}?lang="
    if answer.found is None or answer.said is Said.UNAVAILABLE:
        return _unavailable(hub, shelf, chosen, switch)
    facility, code = _facility(answer.found.version, chosen), _CODES.get(answer.said, 200)
    if answer.report is not None:
        body = render.report_html(answer.report, chosen, hub.strings)
        return shelf.show(hub, "report.html", chosen, ReportPage(_safe(token), body, answer.opened), switch=switch)
    if answer.said in (Said.WITHDRAWN, Said.IN_PERSON):
        key = f"hub.{answer.said}"
        page = MessagePage(f"{key}.title", (f"{key}.text",), facility)
        return shelf.show(hub, "message.html", chosen, page, code, switch)
    trouble = "" if answer.said is Said.GATE else f"hub.gate.{answer.said}"
    may_try = answer.said in (Said.GATE, Said.WRONG, Said.BAD_PIN)
    made = GatePage(_safe(token), facility, trouble, answer.left, may_try)
    return shelf.show(hub, "gate.html", chosen, made, code, switch)


def _unavailable(hub: Hub, shelf: Shelf, lang: str, switch: str) -> HTMLResponse:
    page = MessagePage("hub.gone.title", ("hub.gone.text", "hub.gone.help"))
    return shelf.show(hub, "message.html", _language(lang), page, 404, switch)


def _busy(hub: Hub, shelf: Shelf, lang: str | None) -> HTMLResponse:
    page = MessagePage("hub.busy.title", ("hub.busy.text",))
    response = shelf.show(hub, "message.html", _language(lang), page, 429)
    response.headers["Retry-After"] = "600"
    return response


def _safe(token: str) -> str:
    """The token as it may stand in an address: what was asked for, if it looks like one at all."""
    return token if token.isascii() and token.replace("-", "").isalnum() and len(token) <= 40 else ""


def _language(asked: str | None, answer: Answer | None = None) -> str:
    """The language asked for, else the one chosen at registration, else Hindi."""
    if asked in ("en", "hi"):
        return asked
    found = answer.found if answer is not None else None
    return "en" if found is not None and found.access.language == "en" else "hi"


def _facility(row: Any, lang: str) -> str:
    return str(row.facility_hi if lang == "hi" and row.facility_hi else row.facility_en)


def _when(at: datetime) -> str:
    return f"{at.astimezone(INDIA):%d-%m-%Y %H:%M}"


def _set_cookie(hub: Hub, response: Response, token: str, ticket: str) -> None:
    response.set_cookie(
        COOKIE, ticket, max_age=int(gate.OPEN.total_seconds()), path=f"/{_safe(token)}", secure=hub.https,
        httponly=True, samesite="strict",
    )  # fmt: skip


def not_found(request: Request) -> HTMLResponse:
    """An address that is none of ours looks like a link that is none of ours."""
    return _unavailable(request.app.state.hub, shelf_of(request), _language(request.query_params.get("lang")), "")


def sorry(request: Request) -> HTMLResponse:
    """Our own failure."""
    page = MessagePage("hub.sorry.title", ("hub.sorry.text",))
    lang = _language(request.query_params.get("lang"))
    return shelf_of(request).show(request.app.state.hub, "message.html", lang, page, 500)
