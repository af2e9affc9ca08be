"""Each analyzer's line: four lamps in words, its alarms and what to do, what it sent today, what it is to be told.

Law: reads only. A lamp says since when it is so; an alarm says what is wrong, since when, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware.fleet import DriverFacts, driver_facts
from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.settings import AnalyzerSettings
from middleware.store import alarms, analyzers_view, books_view, downloads
from middleware.store.analyzers_view import Lamps, Recent, Today
from middleware.store.downloads import Waiting
from server.lab.lamps import AlarmShown, Lamp, four, shown, worst
from server.lab.web import LabDep, page, require

router = APIRouter()

MAY = Annotated[Actor, Depends(require(Right.ANALYZERS_SEE))]
NOTHING = Today(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Unit:
    """One configured analyzer with its line's state and the alarms that last."""

    settings: AnalyzerSettings
    driver: DriverFacts
    lamps: Lamps | None
    today: Today
    alarms: tuple[AlarmShown, ...]
    unbalanced: int = 0  # messages whose books differ, of all times
    orders: Waiting | None = None  # that it is sent unasked and does not have; None: it is sent none

    @property
    def four(self) -> tuple[Lamp, ...]:
        """Socket up, handshake seen, message parsed, result filed."""
        return four(self.settings, self.lamps)

    @property
    def kind(self) -> str:
        """How urgent it is: good, warn (trouble, or messages that failed), bad (not connected, its books differ, or a
        serious alarm)."""
        if not self.settings.enabled:
            return "plain"
        well = self.lamps is not None and self.lamps.connected and not self.unbalanced
        kinds = ["good" if well else "bad", *(a.kind for a in self.alarms)]
        refused = self.orders is not None and self.orders.refused
        if refused or self.today.failed or (self.lamps is not None and self.lamps.trouble):
            kinds.append("warn")
        return worst(kinds)


@dataclass(frozen=True, slots=True)
class AnalyzersPage:
    """Every analyzer of config/analyzers.toml, in its order. `alarms`: those of every line together."""

    units: tuple[Unit, ...]
    alarms: tuple[AlarmShown, ...]
    now: datetime
    may_set_up: bool


@dataclass(frozen=True, slots=True)
class AnalyzerPage:
    """One analyzer with its latest messages and alarms."""

    unit: Unit
    alarms: tuple[AlarmShown, ...]
    history: tuple[AlarmShown, ...]
    recent: tuple[Recent, ...]
    may_open: bool
    may_set_up: bool
    now: datetime


@router.get("/analyzers")
def show(request: Request, lab: LabDep, actor: MAY) -> Response:
    """All analyzers."""
    units, common = _units(lab)
    return page(request, "analyzers.html", AnalyzersPage(units, common, lab.now(), actor.may(Right.SET_UP)))


@router.get("/analyzers/{name}")
def one(request: Request, lab: LabDep, actor: MAY, name: str) -> Response:
    """One analyzer."""
    units, common = _units(lab)
    unit = next((u for u in units if u.settings.name == name), None)
    if unit is None:
        raise HTTPException(404)
    with lab.read() as conn:
        recent, history = analyzers_view.recent(conn, name), alarms.history(conn, name)
    told = tuple(shown(a) for a in history if a.ended_at is not None)
    may = actor.may(Right.MESSAGES), actor.may(Right.SET_UP)
    return page(request, "analyzer.html", AnalyzerPage(unit, common, told, recent, *may, lab.now()))


def _units(lab: Lab) -> tuple[tuple[Unit, ...], tuple[AlarmShown, ...]]:
    """Every configured analyzer, and the alarms that are every line's."""
    midnight = lab.now().astimezone(lab.settings.lab.timezone).replace(hour=0, minute=0, second=0, microsecond=0)
    with lab.read() as conn:
        lamps, today = analyzers_view.lamps(conn), analyzers_view.today(conn, midnight)
        astray, waits = books_view.unbalanced(conn), downloads.waiting(conn)
        lasting = tuple(map(shown, alarms.lasting(conn)))
    units = tuple(
        Unit(
            a, driver_facts(a.driver), lamps.get(a.name), today.get(a.name, NOTHING),
            tuple(s for s in lasting if s.alarm.analyzer == a.name), astray.get(a.name, 0),
            waits.get(a.name, Waiting()) if a.enabled and a.orders == "push" else None,
        )
        for a in lab.settings.analyzers
    )  # fmt: skip
    return units, tuple(s for s in lasting if s.alarm.analyzer == "")
