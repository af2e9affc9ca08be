"""The home page: today in numbers, what waits for whom, and the big buttons of this person's work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from fastapi import APIRouter, Request
from starlette.responses import Response

from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.store import home_view
from middleware.store.home_view import Today
from server.lab.web import ActorDep, LabDep, page

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Waits:
    """One thing that waits: its words are the strings key home.wait.<what>; `kind` is its colour when not zero."""

    what: str
    count: int
    href: str
    kind: str


@dataclass(frozen=True, slots=True)
class Button:
    """One big button."""

    href: str
    key: str


@dataclass(frozen=True, slots=True)
class HomePage:
    """The page. `auto_release` names the analyzers that may release by themselves; empty is the kill switch."""

    now: datetime
    today: Today
    waits: tuple[Waits, ...]
    buttons: tuple[Button, ...]
    auto_release: tuple[str, ...]


WAITS = (
    ("critical", "/critical", "bad", Right.CALL),
    ("held", "/worklist?show=held", "warn", Right.SEE_RESULTS),
    ("green", "/worklist?show=green", "good", Right.SEE_RESULTS),
    ("unmatched", "/unmatched", "warn", Right.LINK),
    ("down", "/analyzers", "bad", Right.ANALYZERS_SEE),
    ("alarms", "/analyzers#alarms", "bad", Right.ANALYZERS_SEE),
    ("handover", "/reports", "plain", Right.REPORTS),
)
BUTTONS = (
    ("/worklist", "home.do.worklist", Right.RELEASE),
    ("/register", "home.do.register", Right.REGISTER),
    ("/patients", "home.do.patients", Right.SEARCH),
    ("/reports", "home.do.reports", Right.REPORTS),
    ("/analyzers", "home.do.analyzers", Right.ANALYZERS_SEE),
    ("/users", "home.do.users", Right.USERS),
)


def _read(lab: Lab, actor: Actor) -> HomePage:
    now = lab.now()
    zone = lab.settings.lab.timezone
    midnight = datetime.combine(now.astimezone(zone).date(), time(), zone)
    with lab.read() as conn:
        counts, today = home_view.waiting(conn), home_view.today(conn, midnight)
    return HomePage(
        now, today,
        tuple(Waits(what, counts[what], href, kind) for what, href, kind, right in WAITS if actor.may(right)),
        tuple(Button(href, key) for href, key, right in BUTTONS if actor.may(right)),
        tuple(a.title for a in lab.settings.analyzers if a.enabled and a.auto_release),
    )  # fmt: skip


@router.get("/")
def show(request: Request, lab: LabDep, actor: ActorDep) -> Response:
    """Everybody's first page."""
    return page(request, "home.html", _read(lab, actor))
