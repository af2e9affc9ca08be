"""Finds patients by name, phone, UHID, sample or report number; corrects what was written down wrongly.

Law: what is searched for never stands in an address (names would be in logs and histories); a correction needs a reason
and gives every issued report of the patient an amended version. Source: domain 5.5 (a correction is not a silent edit).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import RowMapping
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware.actions import register as actions
from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.store import patients_view
from middleware.store.patients_view import Hit
from server.lab.intake import Typed, Wrong, check_person
from server.lab.web import FormDep, LabDep, SessionDep, page, redirect, require, translator

router = APIRouter()

SEES = Annotated[Actor, Depends(require(Right.SEARCH))]
CORRECTS = Annotated[Actor, Depends(require(Right.REGISTER))]
FIELDS = ("name", "sex", "age", "age_unit", "birth_date", "guardian", "uhid", "abha")


@dataclass(frozen=True, slots=True)
class PatientsPage:
    """What was searched for and who was found."""

    query: str
    hits: tuple[Hit, ...]
    today: date


@dataclass(frozen=True, slots=True)
class PatientPage:
    """One patient with every visit, and the form to correct."""

    hit: Hit
    typed: Typed
    reason: str
    wrong: Mapping[str, tuple[str, ...]]
    history: tuple[RowMapping, ...]
    may_correct: bool
    today: date


@router.get("/patients")
def show(request: Request, lab: LabDep, session: SessionDep, _actor: SEES, q: str = "") -> Response:
    """The search box with what it found; `q` is for links that carry a number of ours, never a name."""
    query = q.strip()[:80] or session.find.get("patients", "")
    with lab.read() as conn:
        hits = patients_view.search(conn, query)
    return page(request, "patients.html", PatientsPage(query, hits, _today(lab)))


@router.post("/patients")
def find(request: Request, session: SessionDep, form: FormDep, _actor: SEES) -> Response:
    """Search; the text is kept in the session."""
    session.remember("patients", form.text("q", limit=80))
    return redirect(request, "/patients")


@router.get("/patients/{patient_id}")
def one(request: Request, lab: LabDep, actor: SEES, patient_id: int) -> Response:
    """The patient's visits and the form to correct what is wrong."""
    hit = _hit(lab, patient_id)
    p = hit.patient
    typed = Typed(name=p.name, sex=p.sex, birth_date=p.birth_date.isoformat() if p.birth_precision == "day" else "",
                  guardian=p.guardian, uhid=p.uhid, abha=p.abha or "")  # fmt: skip
    return _page(request, lab, actor, hit, typed)


@router.post("/patients/{patient_id}")
def correct(request: Request, lab: LabDep, actor: CORRECTS, form: FormDep, patient_id: int) -> Response:
    """Correct name, sex, age, guardian or numbers, with a reason; issued reports are amended."""
    hit = _hit(lab, patient_id)
    texts: dict[str, Any] = {name: form.text(name) for name in FIELDS}
    typed = Typed(**texts)
    changes, wrong = _changes(lab, hit, typed)
    reason = form.text("reason")
    if not reason:
        wrong.append(Wrong("reason", "patients.reason.missing"))
    if wrong:
        return _page(request, lab, actor, hit, typed, reason, wrong)
    reports = actions.correct_patient(lab, actor, patient_id, changes, reason)
    said = "patients.corrected.reports" if reports else "patients.corrected"
    return redirect(request, f"/patients/{patient_id}", said, reports=", ".join(reports))


def _changes(lab: Lab, hit: Hit, typed: Typed) -> tuple[dict[str, Any], list[Wrong]]:
    """What differs from the record. An empty age leaves the birth date as it is."""
    p = hit.patient
    birth, wrong = check_person(typed, _today(lab), (p.birth_date, p.birth_precision))
    new = {
        "name": " ".join(typed.name.split()),
        "sex": typed.sex,
        "birth_date": birth[0],
        "birth_precision": birth[1],
        "guardian": " ".join(typed.guardian.split()),
        "uhid": typed.uhid or p.uhid,
        "abha": typed.abha or None,
    }
    changes = {name: value for name, value in new.items() if value != getattr(p, name)}
    if not changes and not wrong:
        wrong.append(Wrong("name", "patients.nothing"))
    return changes, wrong


def _page(
    request: Request, lab: Lab, actor: Actor, hit: Hit, typed: Typed, reason: str = "", wrong: list[Wrong] | None = None
) -> Response:
    t = translator(request)
    beside: dict[str, tuple[str, ...]] = {}
    for w in wrong or ():
        beside[w.where] = (*beside.get(w.where, ()), t(w.key, **w.values))
    with lab.read() as conn:
        history = patients_view.history(conn, hit.patient.id)
    context = PatientPage(hit, typed, reason, beside, history, actor.may(Right.REGISTER), _today(lab))
    return page(request, "patient.html", context, 422 if wrong else 200)


def _hit(lab: Lab, patient_id: int) -> Hit:
    with lab.read() as conn:
        hit = patients_view.patient(conn, patient_id)
    if hit is None:
        raise HTTPException(404)
    return hit


def _today(lab: Lab) -> date:
    return lab.now().astimezone(lab.settings.lab.timezone).date()
