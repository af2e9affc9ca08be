"""The worklist: every result that waits for a person, by tube, held first, each saying in words why it is held.

Law: a person releases what she saw: every button carries the ids of the results on her page. What was typed into the
search field stays in the session: names never stand in an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from middleware.actions import results as actions
from middleware.actions.results import Released
from middleware.lab import Lab
from middleware.model import Actor, Refused, Right
from middleware.sample_id import normalise
from middleware.settings import Facility
from middleware.store import worklist_view
from middleware.store.worklist_view import OpenSample, Wanted, Worklist
from server.lab.session import Session
from server.lab.show import TestShown, tests_shown, titles
from server.lab.trouble import refused_words
from server.lab.web import FormDep, LabDep, SessionDep, local_path, page, redirect, require

router = APIRouter()
See = Annotated[Actor, Depends(require(Right.SEE_RESULTS))]
MayRelease = Annotated[Actor, Depends(require(Right.RELEASE))]

SHOWS = ("all", "held", "green", "critical")
PAGE = 25  # tubes on a page


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """One page of tubes. `here` leads back to exactly this view; `trouble` says why a result was not released."""

    now: datetime
    wanted: Wanted
    list: Worklist
    page: int
    pages: int
    here: str
    pager: str
    tests: Mapping[str, TestShown]
    analyzers: Mapping[str, str]
    facilities: tuple[Facility, ...]
    trouble: Mapping[int, str]
    done: int
    may_release: bool


@dataclass(frozen=True, slots=True)
class GreenPage:
    """Everything that "release all green" would release, to be looked over first."""

    samples: tuple[OpenSample, ...]
    ids: tuple[int, ...]
    tests: Mapping[str, TestShown]
    now: datetime
    here: str


@dataclass(frozen=True, slots=True)
class View:
    """The filters of an address."""

    wanted: Wanted
    page: int

    @property
    def query(self) -> str:
        """The filters as an address has them, without the page and without what was typed."""
        held = {"show": self.wanted.show, "analyzer": self.wanted.analyzer, "facility": self.wanted.facility}
        return urlencode({k: v for k, v in held.items() if v and v != "all"})


def _view(query: Mapping[str, str], session: Session) -> View:
    show, number = query.get("show", "all"), query.get("page", "1")
    wanted = Wanted(
        show if show in SHOWS else "all", query.get("analyzer", "")[:40], query.get("facility", "")[:20],
        session.find.get("worklist", ""),
    )  # fmt: skip
    return View(wanted, int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1)


def _show(
    request: Request, lab: Lab, actor: Actor, view: View, released: Released | None = None, status: int = 200
) -> Response:
    with lab.read() as conn:
        listed = worklist_view.worklist(conn, view.wanted, (max(view.page, 1) - 1) * PAGE, PAGE)
    pages = max(1, -(-listed.total // PAGE))
    if view.page > pages:
        return _show(request, lab, actor, View(view.wanted, pages), released, status)
    codes = {r.test for s in listed.samples for r in s.results}
    trouble = {i: refused_words(request, why) for i, why in released.refused} if released else {}
    filters = f"/worklist?{view.query}" if view.query else "/worklist"
    joint = "&" if view.query else "?"
    context = WorklistPage(
        lab.now(), view.wanted, listed, view.page, pages, f"{filters}{joint}page={view.page}" if pages > 1 else filters,
        filters + joint, tests_shown(lab.settings, codes), titles(lab.settings), lab.settings.facilities, trouble,
        len(released.released) if released else 0, actor.may(Right.RELEASE),
    )  # fmt: skip
    return page(request, "worklist.html", context, status)


@router.get("/worklist")
def show(request: Request, lab: LabDep, session: SessionDep, actor: See) -> Response:
    """The list."""
    return _show(request, lab, actor, _view(request.query_params, session))


@router.post("/worklist/find")
def find(request: Request, lab: LabDep, session: SessionDep, form: FormDep, _actor: See) -> Response:
    """Look for a tube (scanned or typed), a name or a UHID. A scanned tube with nothing open leads to its own page."""
    text, back = form.text("q", limit=80), local_path(form.text("from", limit=500), "/worklist")
    session.remember("worklist", text)
    number = normalise(text)
    if number is None:
        return redirect(request, back)
    with lab.read() as conn:
        sample = worklist_view.open_sample_of(conn, number)
    if sample is not None and not sample[1]:
        session.remember("worklist", "")
        return redirect(request, f"/samples/{sample[0]}")
    session.remember("worklist", number)
    return redirect(request, "/worklist")


def _answer(
    request: Request, lab: Lab, session: Session, actor: Actor, released: Released, came: str, anchor: str = ""
) -> Response:
    """Back to the list; when something was refused, the list at once with the reason at its row."""
    came = local_path(came, "/worklist")
    if released.refused:
        return _show(request, lab, actor, _view(dict(parse_qsl(urlsplit(came).query)), session), released, 409)
    if released.reports:
        reports = ", ".join(released.reports)
        key = "work.released.reports"
        return redirect(request, came + anchor, key, n=len(released.released), reports=reports)
    return redirect(request, came + anchor, "work.released", n=len(released.released))


@router.post("/worklist/release")
def release(request: Request, lab: LabDep, session: SessionDep, form: FormDep, actor: MayRelease) -> Response:
    """Release one result, or all of a tube that stand on the page."""
    ids = form.whole_numbers("release")
    if not ids:
        raise Refused("work.nothing")
    done = actions.release(lab, actor, ids)
    pk = form.text("sample", limit=12)
    return _answer(request, lab, session, actor, done, form.text("from", limit=500), f"#s{pk}" if pk.isdigit() else "")


@router.post("/worklist/reject")
def reject(request: Request, lab: LabDep, form: FormDep, actor: MayRelease) -> Response:
    """Reject one result with a note; its test stays awaited."""
    actions.reject(lab, actor, form.whole("result"), form.must("note"))
    return redirect(request, local_path(form.text("from", limit=500), "/worklist"), "work.rejected")


@router.get("/worklist/green")
def look_over(request: Request, lab: LabDep, session: SessionDep, _actor: MayRelease) -> Response:
    """Everything green under the present filters, before it is released."""
    view = _view(request.query_params, session)
    with lab.read() as conn:
        samples = worklist_view.green(conn, view.wanted)
    ids = tuple(i for s in samples for i in s.green_ids)
    tests = tests_shown(lab.settings, {r.test for s in samples for r in s.results})
    here = f"/worklist?{view.query}" if view.query else "/worklist"
    return page(request, "green.html", GreenPage(samples, ids, tests, lab.now(), here))


@router.post("/worklist/green")
def release_green(request: Request, lab: LabDep, session: SessionDep, form: FormDep, actor: MayRelease) -> Response:
    """Release those of the shown green results that are still green."""
    done = actions.release_green(lab, actor, form.whole_numbers("release"))
    return _answer(request, lab, session, actor, done, form.text("from", limit=500))
