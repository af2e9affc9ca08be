"""Critical results: whom to call with which number, who was told, when, and that it was read back.

Law: a critical result is released only after somebody was told and read it back; one call tells of all critical
results of a tube. Source: ISO 15189:2022 7.4.1.3; domain 1.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from middleware.actions import results as actions
from middleware.model import Actor, Refused, Right
from middleware.settings import Facility
from middleware.store import critical_view
from middleware.store.critical_view import CriticalSample, Told
from server.lab.show import TestShown, tests_shown
from server.lab.trouble import refused_text
from server.lab.web import Form, FormDep, LabDep, page, redirect, require

router = APIRouter()
MayCall = Annotated[Actor, Depends(require(Right.CALL))]
SOON = timedelta(minutes=30)  # domain 1.5: told within half an hour


@dataclass(frozen=True, slots=True)
class CallForm:
    """What was typed, given back when it could not be saved."""

    sample: int
    told: str
    phone: str
    note: str
    trouble: str


@dataclass(frozen=True, slots=True)
class CriticalPage:
    """Who waits to be told, and the latest calls."""

    now: datetime
    samples: tuple[CriticalSample, ...]
    history: tuple[Told, ...]
    tests: Mapping[str, TestShown]
    facilities: Mapping[str, Facility]
    late: frozenset[int]  # tubes waiting longer than they should
    typed: CallForm | None


def _show(request: Request, lab: LabDep, typed: CallForm | None = None, status: int = 200) -> Response:
    with lab.read() as conn:
        samples, history = critical_view.waiting(conn), critical_view.history(conn)
    codes = {r.test for s in samples for r in s.results} | {h.test for h in history}
    late = frozenset(s.pk for s in samples if not s.told and lab.now() - s.since > SOON)
    tests = tests_shown(lab.settings, codes)
    facilities = {f.code: f for f in lab.settings.facilities}
    context = CriticalPage(lab.now(), samples, history, tests, facilities, late, typed)
    return page(request, "critical.html", context, status)


@router.get("/critical")
def show(request: Request, lab: LabDep, _actor: MayCall) -> Response:
    """The page."""
    return _show(request, lab)


@router.post("/critical")
def record(request: Request, lab: LabDep, actor: MayCall, form: FormDep) -> Response:
    """Record one call about all ticked results; what was typed comes back when it cannot be saved."""
    try:
        reached = _record(lab, actor, form)
    except Refused as refusal:
        typed = CallForm(
            form.whole("sample"),
            form.text("told"),
            form.text("phone"),
            form.text("note"),
            refused_text(request, refusal),
        )
        return _show(request, lab, typed, 409)
    return redirect(request, "/critical", "critical.saved" if reached else "critical.saved.not",
                    "good" if reached else "warn")  # fmt: skip


def _record(lab: LabDep, actor: Actor, form: Form) -> bool:
    results, reached = form.whole_numbers("result"), form.must("reached") == "yes"
    if not results:
        raise Refused("critical.none.chosen")
    told, phone, note = form.text("told", limit=120), form.text("phone", limit=20), form.text("note")
    for result_id in results:
        actions.record_call(lab, actor, result_id, told, phone, form.flag("read_back"), reached, note)
    return reached
