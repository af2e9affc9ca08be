"""The audit trail: who did what to which thing, when, with old and new values; and whether the chain holds.

Law: read only; lines are chained by hash, the check reads them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from middleware.model import Actor, Right
from middleware.store import audit_broken_at, audit_view
from middleware.store.audit_view import Asked, Trail
from server.lab.web import LabDep, page, redirect, require

router = APIRouter()
MayRead = Annotated[Actor, Depends(require(Right.AUDIT))]
PAGE = 100


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of the trail under its filters."""

    trail: Trail
    asked: Asked
    since: str
    until: str
    page: int
    pages: int
    pager: str
    links: Mapping[int, str]  # line id → the page of what it speaks of


def _day(text: str, zone: ZoneInfo, add: int = 0) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=add), time(), zone)
    except (ValueError, OverflowError):
        return None


@router.get("/audit")
def show(
    request: Request, lab: LabDep, actor: MayRead, who: str = "", subject: str = "", subject_id: str = "",
    since: str = "", until: str = "",
) -> Response:  # fmt: skip
    """The trail, the newest first."""
    zone = lab.settings.lab.timezone
    asked = Asked(who[:120], subject[:20], subject_id[:60].strip(), _day(since, zone), _day(until, zone, 1))
    at = max(_whole(request.query_params.get("page", "1")), 1)
    with lab.read() as conn:
        trail = audit_view.trail(conn, asked, (at - 1) * PAGE, PAGE)
        tubes = audit_view.tubes_of(conn, trail.lines)
    query = {"who": asked.who, "subject": asked.subject, "subject_id": asked.subject_id, "since": since, "until": until}
    pager = "/audit?" + "".join(f"{urlencode({k: v})}&" for k, v in query.items() if v)
    pages = max(1, -(-trail.total // PAGE))
    links = {line.id: _link(line.subject, line.subject_id, tubes, actor) for line in trail.lines}
    return page(request, "audit.html", AuditPage(trail, asked, since, until, at, pages, pager, links))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _link(subject: str, subject_id: str, tubes: Mapping[int, int], actor: Actor) -> str:
    """The page of what a line speaks of, "" when there is none or this person may not see it."""
    if subject == "result" and actor.may(Right.SEE_RESULTS) and subject_id.isdigit() and int(subject_id) in tubes:
        return f"/samples/{tubes[int(subject_id)]}#r{subject_id}"
    pages = {
        "sample": ("/samples/", Right.SEE_RESULTS), "order": ("/orders/", Right.SEARCH),
        "report": ("/reports/", Right.REPORTS), "patient": ("/patients/", Right.SEARCH),
        "unmatched": ("/unmatched/", Right.LINK),
    }  # fmt: skip
    path, right = pages.get(subject, ("", Right.AUDIT))
    return f"{path}{subject_id}" if path and actor.may(right) else ""


@router.post("/audit/check")
def check(request: Request, lab: LabDep, _actor: MayRead) -> Response:
    """Read the whole trail and check its chain."""
    with lab.read() as conn:
        broken = audit_broken_at(conn)
    if broken is None:
        return redirect(request, "/audit", "audit.sound")
    return redirect(request, "/audit", "audit.broken", "bad", id=broken)
