"""Each analyzer's line: four lamps in words, what it sent today, what troubles it.

Law: reads only. A lamp that says connected says since when; a dark one says since when it is dark.
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
from middleware.store import analyzers_view, books_view
from middleware.store.analyzers_view import Lamps, Recent, Today
from server.lab.web import LabDep, page, require

router = APIRouter()

MAY = Annotated[Actor, Depends(require(Right.ANALYZERS_SEE))]
NOTHING = Today(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Unit:
    """One configured analyzer with its line's state."""

    settings: AnalyzerSettings
    driver: DriverFacts
    lamps: Lamps | None
    today: Today
    unbalanced: int = 0  # messages whose books differ, of all times

    @property
    def kind(self) -> str:
        """How urgent it is: good, warn (trouble, or messages that failed), bad (enabled and not connected,
        or its books differ)."""
        if not self.settings.enabled:
            return "plain"
        if self.unbalanced or self.lamps is None or not self.lamps.connected:
            return "bad"
        return "warn" if self.lamps.trouble or self.today.failed else "good"


@dataclass(frozen=True, slots=True)
class AnalyzersPage:
    """Every analyzer of config/analyzers.toml, in its order."""

    units: tuple[Unit, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class AnalyzerPage:
    """One analyzer with its latest messages."""

    unit: Unit
    recent: tuple[Recent, ...]
    may_open: bool
    now: datetime


@router.get("/analyzers")
def show(request: Request, lab: LabDep, _actor: MAY) -> Response:
    """All analyzers."""
    return page(request, "analyzers.html", AnalyzersPage(_units(lab), lab.now()))


@router.get("/analyzers/{name}")
def one(request: Request, lab: LabDep, actor: MAY, name: str) -> Response:
    """One analyzer."""
    unit = next((u for u in _units(lab) if u.settings.name == name), None)
    if unit is None:
        raise HTTPException(404)
    with lab.read() as conn:
        recent = analyzers_view.recent(conn, name)
    return page(request, "analyzer.html", AnalyzerPage(unit, recent, actor.may(Right.MESSAGES), lab.now()))


def _units(lab: Lab) -> tuple[Unit, ...]:
    midnight = lab.now().astimezone(lab.settings.lab.timezone).replace(hour=0, minute=0, second=0, microsecond=0)
    with lab.read() as conn:
        lamps, today = analyzers_view.lamps(conn), analyzers_view.today(conn, midnight)
        astray = books_view.unbalanced(conn)
    return tuple(
        Unit(a, driver_facts(a.driver), lamps.get(a.name), today.get(a.name, NOTHING), astray.get(a.name, 0))
        for a in lab.settings.analyzers
    )
