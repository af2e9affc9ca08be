"""Controls: the runs of each lot on each analyzer, a Levey-Jennings chart, the target in force, points left out.

Law: a point is judged by the target of its own day; an excluded point stays visible with its cause. Source: domain 3.3
(even spacing by run, lines at 1, 2, 3 SD) and 3.4 (insert values are provisional; n, mean, SD, CV, bias).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware.actions import qc as actions
from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.store import qc_view
from middleware.store.qc_view import Control, Figures, Point, Run, Target
from server import charts
from server.lab.choices import names, test_name
from server.lab.web import Form, FormDep, LabDep, language_of, page, redirect, require, translator

router = APIRouter()

SEES = Annotated[Actor, Depends(require(Right.QC_SEE))]
EDITS = Annotated[Actor, Depends(require(Right.QC_EDIT))]
SOON = 30  # days before a lot's expiry that it is said (domain 3.4)
OWN = 20  # points from which an own mean and SD may replace the insert's
FIELDS = ("level", "mean", "sd", "expires", "note")


@dataclass(frozen=True, slots=True)
class Lot:
    """One control lot on one analyzer, with its tests."""

    analyzer: str
    title: str
    lot: str
    level: str
    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True)
class QcPage:
    """Every control lot that was measured."""

    lots: tuple[Lot, ...]
    names: Mapping[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class ControlPage:
    """One control of one test: chart, figures, points newest first, target."""

    analyzer: str
    title: str
    lot: str
    test: str
    name: str
    unit: str
    run: Run
    points: tuple[Point, ...]
    chart: Markup | None
    bias: Decimal | None
    days_left: int | None
    may_edit: bool
    typed: Mapping[str, str]
    provisional: bool
    wrong: Mapping[str, str]
    address: str
    now: datetime
    soon: int
    own: int


@router.get("/qc")
def show(request: Request, lab: LabDep, _actor: SEES) -> Response:
    """All controls, by analyzer and lot."""
    with lab.read() as conn:
        every = qc_view.controls(conn)
    lots: dict[tuple[str, str], list[Control]] = {}
    for control in every:
        lots.setdefault((control.analyzer, control.lot), []).append(control)
    found = tuple(
        Lot(analyzer, _title(lab, analyzer), lot, next((c.target.level for c in cs if c.target), ""), tuple(cs))
        for (analyzer, lot), cs in lots.items()
    )
    return page(request, "qc.html", QcPage(found, names(lab.settings.catalogue, language_of(request)), lab.now()))


@router.get("/qc/{analyzer}/{lot:path}/{test}")
def one(request: Request, lab: LabDep, actor: SEES, analyzer: str, lot: str, test: str) -> Response:
    """One control with its chart."""
    return _page(request, lab, actor, analyzer, lot, test)


@router.post("/qc/exclude/{control_id}")
def exclude(request: Request, lab: LabDep, actor: EDITS, form: FormDep, control_id: int) -> Response:
    """Leave one point out, with its documented cause."""
    with lab.read() as conn:
        where = qc_view.control(conn, control_id)
    if where is None:
        raise HTTPException(404)
    actions.exclude_point(lab, actor, control_id, form.must("note"))
    return redirect(request, address(*where), "qc.excluded")


@router.post("/qc/{analyzer}/{lot:path}/{test}/target")
def target(request: Request, lab: LabDep, actor: EDITS, form: FormDep, analyzer: str, lot: str, test: str) -> Response:
    """Set mean and SD from now on; earlier points keep theirs."""
    if test not in lab.settings.catalogue or _title(lab, analyzer) == analyzer:
        raise HTTPException(404)
    typed, wrong = {name: form.text(name) for name in FIELDS}, dict[str, str]()
    mean, sd = _number(request, typed, "mean", wrong), _number(request, typed, "sd", wrong)
    expires = _day(request, typed["expires"], wrong)
    if sd is not None and sd <= 0:
        wrong["sd"] = translator(request)("qc.wrong.sd")
    if not typed["note"]:
        wrong["note"] = translator(request)("qc.wrong.note")
    if wrong or mean is None or sd is None:
        return _page(request, lab, actor, analyzer, lot, test, form, typed, wrong)
    actions.set_target(lab, actor, analyzer, lot, typed["level"][:20], test, mean, sd, form.flag("provisional"),
                       expires, typed["note"])  # fmt: skip
    return redirect(request, address(analyzer, lot, test), "qc.target.set")


def address(analyzer: str, lot: str, test: str) -> str:
    """The page of one control."""
    return f"/qc/{quote(analyzer, safe='')}/{quote(lot, safe='')}/{quote(test, safe='')}"


def _page(
    request: Request, lab: Lab, actor: Actor, analyzer: str, lot: str, test: str, form: Form | None = None,
    typed: Mapping[str, str] | None = None, wrong: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    with lab.read() as conn:
        run = qc_view.run(conn, analyzer, lot, test)
    known = lab.settings.catalogue.get(test)
    if run is None or known is None:
        raise HTTPException(404)
    today = lab.now().astimezone(lab.settings.lab.timezone).date()
    now_in_force = run.target
    context = ControlPage(
        analyzer=analyzer, title=_title(lab, analyzer), lot=lot, test=test, name=test_name(known, language_of(request)),
        unit=known.display_unit, run=run, points=tuple(reversed(run.points)),
        chart=_chart(request, lab, run, test, lot), bias=_bias(run.figures, now_in_force),
        days_left=(now_in_force.expires - today).days if now_in_force and now_in_force.expires else None,
        may_edit=actor.may(Right.QC_EDIT), typed=typed or _filled(now_in_force),
        provisional=form.flag("provisional") if form else now_in_force is None or now_in_force.provisional,
        wrong=wrong or {}, address=address(analyzer, lot, test), now=lab.now(), soon=SOON, own=OWN,
    )  # fmt: skip
    return page(request, "control.html", context, 422 if wrong else 200)


def _chart(request: Request, lab: Lab, run: Run, test: str, lot: str) -> Markup | None:
    """The chart of points that have a z, on the scale of the target in force now; None without a target."""
    if run.target is None:
        return None
    lang, zone, known = language_of(request), lab.settings.lab.timezone, lab.settings.catalogue[test]
    points = [
        charts.Point(p.at.astimezone(zone).strftime("%d-%m"), p.z, p.verbatim, p.excluded, p.excluded_note)
        for p in run.points
        if p.z is not None
    ]
    title = f"{test_name(known, lang)} · {lot} {run.target.level}".strip()
    strings = request.app.state.strings
    return charts.levey_jennings_svg(points, run.target.mean, run.target.sd, known.display_unit, title, lang, strings)


def _filled(target: Target | None) -> dict[str, str]:
    """The form with the target in force; where it comes from is always written anew."""
    if target is None:
        return {}
    return {
        "level": target.level,
        "mean": str(target.mean),
        "sd": str(target.sd),
        "expires": target.expires.isoformat() if target.expires else "",
    }


def _bias(figures: Figures, target: Target | None) -> Decimal | None:
    """How far the own mean lies from the target mean, in percent of it."""
    if figures.mean is None or target is None or not target.mean:
        return None
    return (figures.mean - target.mean) / target.mean * 100


def _number(request: Request, typed: Mapping[str, str], name: str, wrong: dict[str, str]) -> Decimal | None:
    try:
        number = Decimal(typed[name])
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        wrong[name] = translator(request)("qc.wrong.number")
        return None
    return number


def _day(request: Request, text: str, wrong: dict[str, str]) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        wrong["expires"] = translator(request)("qc.wrong.day")
        return None


def _title(lab: Lab, analyzer: str) -> str:
    return next((a.title for a in lab.settings.analyzers if a.name == analyzer), analyzer)
