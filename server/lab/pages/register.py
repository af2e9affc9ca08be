"""Registers a patient and what was asked, on one page: find or type the patient, tick the tests, Enter.

Turns the form into `actions.register`. Law: nothing typed is lost when something is wrong; doubts are asked about once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from middleware.actions import register as actions
from middleware.actions.register import Registration
from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.settings import Facility
from middleware.store import patients_view, register_view
from middleware.store.patients_view import Hit, PatientCard
from server.lab.choices import Choices, choices
from server.lab.intake import Known, Typed, Wrong, check
from server.lab.web import Form, FormDep, LabDep, SessionDep, language_of, page, redirect, require, translator

router = APIRouter()

MAY = Annotated[Actor, Depends(require(Right.REGISTER))]
SHARED = 8  # patients on one number in 30 days before the counter is asked (domain 5.4)
SHARED_DAYS = timedelta(days=30)
REPEAT_HOURS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """The form as typed, what is wrong beside which field, and what to ask before going on."""

    typed: Typed
    wrong: Mapping[str, tuple[str, ...]]
    doubts: tuple[str, ...]
    known: PatientCard | None
    query: str
    hits: tuple[Hit, ...]
    choices: Choices
    facilities: tuple[Facility, ...]
    doctors: tuple[str, ...]
    departments: tuple[str, ...]
    today: date

    @property
    def more(self) -> bool:
        """True when something in the folded part is wrong or was typed."""
        typed = self.typed.uhid or self.typed.abha or self.typed.ordered_at
        return bool(typed) or any(name in self.wrong for name in ("uhid", "abha", "ordered_at", "facility"))


@router.get("/register")
def show(request: Request, lab: LabDep, session: SessionDep, _actor: MAY, patient: int | None = None) -> Response:
    """The empty form, or one for a patient who is already known."""
    return _page(request, lab, _fresh(lab, patient), query=session.find.get("register", ""))


@router.post("/register/find")
def find(request: Request, session: SessionDep, form: FormDep, _actor: MAY) -> Response:
    """Look for a patient who was here before; what was typed stays in the session, never in the address."""
    session.remember("register", form.text("q", limit=80))
    return redirect(request, "/register")


@router.post("/register")
def save(request: Request, lab: LabDep, session: SessionDep, form: FormDep, actor: MAY) -> Response:
    """Register, or show the form again with what is wrong; doubts are asked about before anything is written."""
    typed = _typed(form)
    card = _card(lab, typed)
    born = (card.birth_date, card.birth_precision) if card else None
    registration, wrong = check(typed, _known(lab), born)
    if card is None and typed.patient_id:
        wrong = [*wrong, Wrong("patient_id", "intake.patient")]
    if registration is None or wrong:
        return _page(request, lab, typed, wrong=wrong, status=422)
    doubts = () if form.flag("sure") else _doubts(request, lab, registration)
    if doubts:
        return _page(request, lab, typed, doubts=doubts)
    done = actions.register(lab, actor, registration)
    session.remember("register", "")
    return redirect(request, f"/orders/{done.order_id}", "register.done", order=done.order_no)


def _fresh(lab: Lab, patient_id: int | None) -> Typed:
    """An empty form; a known patient brings phone and language along."""
    typed = Typed(facility=lab.settings.lab.facility.code)
    card = _card(lab, replace(typed, patient_id=str(patient_id))) if patient_id is not None else None
    if card is None:
        return typed
    return replace(
        typed,
        patient_id=str(card.id),
        mobile=(card.mobile or "").removeprefix("+91"),
        mobile_owner=card.mobile_owner if card.mobile else "",
        sms_consent=card.sms_consent,
        language=card.language,
    )


def _typed(form: Form) -> Typed:
    texts = ("patient_id", "name", "sex", "age", "age_unit", "birth_date", "guardian", "mobile", "mobile_owner",
             "language", "uhid", "abha", "doctor", "department", "facility", "ordered_at")  # fmt: skip
    written: dict[str, Any] = {name: form.text(name) for name in texts}
    return Typed(
        **written,
        sms_consent=form.flag("sms_consent"),
        collected_now=form.flag("collected_now"),
        tests=form.many("tests"),
    )


def _known(lab: Lab) -> Known:
    settings = lab.settings
    return Known(
        codes=frozenset(settings.catalogue) | frozenset(code for code, tests in settings.panels.items() if tests),
        facilities=frozenset(f.code for f in settings.facilities) | {settings.lab.facility.code},
        now=lab.now(),
        zone=settings.lab.timezone,
    )


def _card(lab: Lab, typed: Typed) -> PatientCard | None:
    if not (typed.patient_id.isascii() and typed.patient_id.isdigit() and len(typed.patient_id) < 12):
        return None
    with lab.read() as conn:
        hit = patients_view.patient(conn, int(typed.patient_id))
    return hit.patient if hit else None


def _doubts(request: Request, lab: Lab, registration: Registration) -> tuple[str, ...]:
    """What a careful clerk would ask: the same person twice, one number for many, the same test twice in a day."""
    t, now, form = translator(request), lab.now(), registration
    said: list[str] = []
    with lab.read() as conn:
        if form.patient_id is None:
            twins = register_view.twins(conn, form.name, form.sex.value, form.mobile, form.uhid)
            said += [t("register.twin", name=twin.name, uhid=twin.uhid) for twin in twins]
        else:
            tests = actions.expand(form.tests, lab)
            again = register_view.repeats(conn, form.patient_id, tests, now - REPEAT_HOURS)
            said += [t("register.repeat", tests=", ".join(sorted({r.test for r in again})))] if again else []
        others = register_view.patients_on_number(conn, form.mobile, now - SHARED_DAYS) if form.mobile else 0
    if others > SHARED:
        said.append(t("register.shared", n=others))
    return tuple(said)


def _page(
    request: Request, lab: Lab, typed: Typed, *, wrong: list[Wrong] | None = None, doubts: tuple[str, ...] = (),
    query: str = "", status: int = 200,
) -> Response:  # fmt: skip
    t = translator(request)
    beside: dict[str, tuple[str, ...]] = {}
    for w in wrong or ():
        beside[w.where] = (*beside.get(w.where, ()), t(w.key, **w.values))
    with lab.read() as conn:
        hits = patients_view.search(conn, query, 8)
        doctors, departments = register_view.known_words(conn)
    context = RegisterPage(
        typed=typed,
        wrong=beside,
        doubts=doubts,
        known=_card(lab, typed),
        query=query,
        hits=hits,
        choices=choices(lab.settings, language_of(request), request.app.state.strings),
        facilities=lab.settings.facilities,
        doctors=doctors,
        departments=departments,
        today=lab.now().astimezone(lab.settings.lab.timezone).date(),
    )
    return page(request, "register.html", context, status)
