"""One order: its patient, tests and tubes; labels and slip to print; what the counter may still change.

Turns buttons into actions. Law: the slip's PIN exists in clear text only inside the answer to the POST that minted it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware import store
from middleware.actions import register as actions
from middleware.actions import reports as report_actions
from middleware.actions import samples
from middleware.lab import Lab
from middleware.model import Actor, LinkPolicy, Right
from middleware.report import age_text, link_policy
from middleware.sample_id import pretty
from middleware.store import order_view
from middleware.store.order_view import OrderView, Tube
from server.lab.choices import Choices, choices, names
from server.lab.web import FormDep, LabDep, language_of, page, redirect, require
from server.labels import Label, label_pdf, label_zpl
from server.render import Slip, report_pdf, slip_pdf
from server.verify import verify_url

router = APIRouter()

SEES = Annotated[Actor, Depends(require(Right.REGISTER, Right.SEARCH, Right.REPORTS))]
REGISTERS = Annotated[Actor, Depends(require(Right.REGISTER))]
PRINTS = Annotated[Actor, Depends(require(Right.PRINT_SLIP))]
COLLECTS = Annotated[Actor, Depends(require(Right.COLLECT))]
DOCTORS = Annotated[Actor, Depends(require(Right.SEE_RESULTS))]


@dataclass(frozen=True, slots=True)
class May:
    """What this person may do here."""

    register: bool
    slip: bool
    collect: bool
    results: bool
    reports: bool


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Everything the order page shows."""

    order: OrderView
    names: Mapping[str, str]
    facility: str
    link: LinkPolicy
    may: May
    choices: Choices
    today: date
    now: datetime

    @property
    def open(self) -> bool:
        """True while tests may still be added."""
        return self.order.completed_at is None


@router.get("/orders/{order_id}")
def show(request: Request, lab: LabDep, actor: SEES, order_id: int) -> Response:
    """The order."""
    order = _order(lab, order_id)
    lang = language_of(request)
    facility = next((f for f in lab.settings.facilities if f.code == order.facility_code), lab.settings.lab.facility)
    rights = (Right.REGISTER, Right.PRINT_SLIP, Right.COLLECT, Right.SEE_RESULTS, Right.REPORTS)
    context = OrderPage(
        order=order,
        names=names(lab.settings.catalogue, lang),
        facility=facility.name_hi if lang == "hi" else facility.name_en,
        link=link_policy([test.test for test in order.tests], lab.settings.catalogue),
        may=May(*(actor.may(right) for right in rights)),
        choices=choices(lab.settings, lang, request.app.state.strings),
        today=lab.now().astimezone(lab.settings.lab.timezone).date(),
        now=lab.now(),
    )
    return page(request, "order.html", context)


@router.post("/orders/{order_id}/slip")
def slip(request: Request, lab: LabDep, actor: PRINTS, order_id: int) -> Response:
    """A fresh PIN and QR, as a PDF at once; the PIN of an older slip ends."""
    order = _order(lab, order_id)
    minted = actions.mint_slip(lab, actor, order_id)
    never = link_policy([t.test for t in order.tests], lab.settings.catalogue) is LinkPolicy.NEVER
    settings = lab.settings.lab
    paper = Slip(
        facility_en=settings.facility.name_en,
        facility_hi=settings.facility.name_hi,
        patient_name=order.patient.name,
        age_text=_age(lab, order),
        sex=order.patient.sex,
        report_no=order.report_no,
        order_no=order.order_no,
        registered_at=order.registered_at.astimezone(settings.timezone),
        tests=_asked(lab, order),
        samples=tuple(pretty(tube.sample_id) for tube in order.tubes if tube.state != "rejected"),
        pin=minted.pin,
        url="" if never else minted.url,
        phone=settings.phone,
    )
    return _pdf(slip_pdf(paper, order.language, request.app.state.strings), f"slip-{order.order_no}.pdf")


@router.post("/orders/{order_id}/labels")
def labels(lab: LabDep, actor: PRINTS, form: FormDep, order_id: int) -> Response:
    """Tube labels: a PDF of 50×25 mm pages, or ZPL for a label printer; all tubes, or the one that was named."""
    order = _order(lab, order_id)
    wanted = form.whole_numbers("sample")
    tubes = [t for t in order.tubes if t.state != "rejected" and (not wanted or t.id in wanted)]
    if not tubes:
        raise HTTPException(404)
    zpl = form.text("format") == "zpl"
    made = tuple(_label(lab, order, tube) for tube in tubes)
    with lab.write() as conn:
        store.audit(conn, lab.now(), actor, "print labels", "order", order_id,
                    {"samples": [t.sample_id for t in tubes], "format": "zpl" if zpl else "pdf"})  # fmt: skip
    if not zpl:
        return _pdf(label_pdf(made), f"labels-{order.order_no}.pdf")
    headers = {"Content-Disposition": f'attachment; filename="labels-{order.order_no}.zpl"'}
    return Response(label_zpl(made), media_type="application/octet-stream", headers=headers)


@router.post("/orders/{order_id}/collect")
def collect(request: Request, lab: LabDep, actor: COLLECTS, form: FormDep, order_id: int) -> Response:
    """The named tubes of this order were filled, now."""
    for pk in _own(_order(lab, order_id), form.whole_numbers("sample")):
        samples.collect(lab, actor, pk)
    return redirect(request, f"/orders/{order_id}", "order.collected")


@router.post("/orders/{order_id}/receive")
def receive(request: Request, lab: LabDep, actor: COLLECTS, form: FormDep, order_id: int) -> Response:
    """The named tubes of this order reached the laboratory."""
    for pk in _own(_order(lab, order_id), form.whole_numbers("sample")):
        samples.receive(lab, actor, pk)
    return redirect(request, f"/orders/{order_id}", "order.received")


@router.post("/orders/{order_id}/tests")
def add(request: Request, lab: LabDep, actor: REGISTERS, form: FormDep, order_id: int) -> Response:
    """Ask for more tests; those already asked for are left as they are."""
    count = actions.add_tests(lab, actor, order_id, form.many("tests"))
    return redirect(request, f"/orders/{order_id}", "order.added" if count else "order.added.none", n=count)


@router.post("/orders/{order_id}/tests/{order_test_id}/cancel")
def cancel(
    request: Request, lab: LabDep, actor: REGISTERS, form: FormDep, order_id: int, order_test_id: int
) -> Response:
    """Cancel one awaited test, with a reason; the report says so."""
    if order_test_id not in {t.id for t in _order(lab, order_id).tests}:
        raise HTTPException(404)
    actions.cancel_test(lab, actor, order_test_id, form.must("reason"))
    return redirect(request, f"/orders/{order_id}", "order.cancelled")


@router.get("/orders/{order_id}/interim.pdf")
def interim(request: Request, lab: LabDep, actor: DOCTORS, order_id: int, lang: str = "") -> Response:
    """What is released so far, for the doctor; printed here only, marked as not complete."""
    order = _order(lab, order_id)
    report = report_actions.interim(lab, actor, order_id)
    url = verify_url(lab.settings.hub.public_url, report) if order.versions else ""
    spoken = lang if lang in ("en", "hi") else language_of(request)
    made = report_pdf(report, spoken, url, request.app.state.strings, printed_at=lab.now())
    return _pdf(made, f"{order.report_no}-interim.pdf")


def _order(lab: Lab, order_id: int) -> OrderView:
    with lab.read() as conn:
        order = order_view.order(conn, order_id)
    if order is None:
        raise HTTPException(404)
    return order


def _own(order: OrderView, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The named tubes; 404 when one is another order's."""
    if not wanted or not set(wanted) <= {tube.id for tube in order.tubes}:
        raise HTTPException(404)
    return wanted


def _age(lab: Lab, order: OrderView) -> str:
    on = order.registered_at.astimezone(lab.settings.lab.timezone).date()
    return age_text(order.patient.birth_date, on, order.patient.birth_precision)


def _asked(lab: Lab, order: OrderView) -> tuple[tuple[str, str], ...]:
    """What was asked for as people say it: a panel once, single tests by name; (English, Hindi)."""
    said: dict[str, tuple[str, str]] = {}
    for test in order.tests:
        if test.state == "cancelled":
            continue
        known = lab.settings.catalogue.get(test.test)
        alone = (known.name_en, known.name_hi or known.name_en) if known else (test.test, test.test)
        said[test.panel or test.test] = lab.settings.panel_names.get(test.panel, alone)
    return tuple(said.values())


def _label(lab: Lab, order: OrderView, tube: Tube) -> Label:
    tests = order.tests_of(tube.id)
    panels = list(dict.fromkeys(t.panel or t.test for t in tests if t.state != "cancelled"))
    age = _age(lab, order).replace(" y", "")
    return Label(
        sample_id=tube.sample_id,
        name=order.patient.name,
        age_sex=f"{age} {order.patient.sex}",
        container=tube.container,
        group=f"{' '.join(panels)} {tube.timing}".strip(),
        at=tube.collected_at or tube.registered_at,
        site=lab.settings.lab.facility.name_en,
        serial=str(int(tube.sample_id[7:11])),
    )


def _pdf(data: bytes, name: str) -> Response:
    """A PDF that opens in the browser and is kept by nobody on the way."""
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, media_type="application/pdf", headers=headers)
