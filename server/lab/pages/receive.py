"""Receives tubes in the laboratory: scan, see what it was, scan the next.

Turns a scanned number into `actions.receive`. Law: a number that is not ours, or damaged, changes nothing and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from middleware.actions import samples
from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.sample_id import normalise, pretty, valid
from middleware.store import receive_view
from middleware.store.receive_view import Waiting
from server.lab.web import FormDep, LabDep, page, redirect, require

router = APIRouter()

MAY = Annotated[Actor, Depends(require(Right.COLLECT))]
RECENT = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class ReceivePage:
    """The tube just scanned, the last scans, and what is still on its way."""

    last: Waiting | None
    waiting: tuple[Waiting, ...]
    recent: tuple[Waiting, ...]
    now: datetime


@router.get("/receive")
def show(request: Request, lab: LabDep, _actor: MAY, last: str = "") -> Response:
    """The scan field, ready for the next tube."""
    now = lab.now()
    with lab.read() as conn:
        context = ReceivePage(
            last=receive_view.tube(conn, last) if valid(last) else None,
            waiting=receive_view.waiting(conn),
            recent=receive_view.received_since(conn, now - RECENT),
            now=now,
        )
    return page(request, "receive.html", context)


@router.post("/receive")
def receive(request: Request, lab: LabDep, actor: MAY, form: FormDep) -> Response:
    """Mark the scanned tube received."""
    typed = form.text("code", limit=80)
    sample_id = normalise(typed.replace("-", "").replace(" ", ""))
    if sample_id is None or not valid(sample_id):
        return redirect(request, "/receive", "receive.damaged", "bad", code=typed[:20] or "–")
    tube = _tube(lab, sample_id)
    if tube is None:
        return redirect(request, "/receive", "receive.unknown", "bad", code=pretty(sample_id))
    where = f"/receive?last={sample_id}"
    if tube.state == "rejected":
        return redirect(request, where, "receive.rejected", "bad", code=pretty(sample_id))
    if not samples.receive(lab, actor, tube.sample_pk):
        return redirect(request, where, "receive.again", "warn", code=pretty(sample_id))
    return redirect(request, where, "receive.done", code=pretty(sample_id))


def _tube(lab: Lab, sample_id: str) -> Waiting | None:
    with lab.read() as conn:
        return receive_view.tube(conn, sample_id)
