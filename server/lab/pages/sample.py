"""One tube: whose it is, where it is, every result it ever had and why, what the analyzer sent, who did what.

Turns buttons into actions of samples and results. Law: nothing is hidden: rejected and replaced results stay in view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware.actions import register as register_actions
from middleware.actions import results as result_actions
from middleware.actions import samples as sample_actions
from middleware.actions.samples import REJECT_REASONS
from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.store import analyzers_view, downloads, sample_view
from middleware.store.downloads import TubeDownload
from middleware.store.sample_view import AuditLine, ResultLine, TestLine, TrayLine, Tube
from middleware.tube_pictures import picture, pictures_of
from server.charts import curve_svg, sparkline_svg
from server.lab.show import TestShown, tests_shown, titles
from server.lab.web import FormDep, LabDep, language_of, page, redirect, require

router = APIRouter()
See = Annotated[Actor, Depends(require(Right.SEE_RESULTS))]
MayCollect = Annotated[Actor, Depends(require(Right.COLLECT))]
MayReject = Annotated[Actor, Depends(require(Right.REJECT_SAMPLE))]
MayRelease = Annotated[Actor, Depends(require(Right.RELEASE))]
MayAmend = Annotated[Actor, Depends(require(Right.AMEND))]
MayRegister = Annotated[Actor, Depends(require(Right.REGISTER))]

NAMES = {0x02: "STX", 0x03: "ETX", 0x04: "EOT", 0x05: "ENQ", 0x06: "ACK", 0x0A: "LF", 0x0B: "VT", 0x0D: "CR",
         0x15: "NAK", 0x17: "ETB", 0x1C: "FS"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as the analyzer sent it, control characters written out."""

    id: str
    analyzer: str
    received_at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of the analyzer: `url` of a picture, `curve` as drawn, or the name of a `file` that stayed there."""

    label: str
    analyzer: str
    received_at: datetime
    url: str
    curve: Markup
    file: str


@dataclass(frozen=True, slots=True)
class SamplePage:
    """The page of one tube."""

    now: datetime
    tube: Tube
    results: tuple[ResultLine, ...]
    without: tuple[TestLine, ...]
    charts: Mapping[str, Markup]
    tray: tuple[TrayLine, ...]
    audit: tuple[AuditLine, ...]
    messages: tuple[RawMessage, ...]
    pictures: tuple[Shown, ...]
    tests: Mapping[str, TestShown]
    analyzers: Mapping[str, str]
    reasons: tuple[str, ...]
    may: Mapping[str, bool]
    told: tuple[TubeDownload, ...] = ()  # what analyzers were sent unasked of this tube
    connected: frozenset[str] = frozenset()  # analyzers whose line is up

    @property
    def drawn(self) -> tuple[Shown, ...]:
        """The pictures that can be seen here."""
        return tuple(p for p in self.pictures if p.url or p.curve)

    @property
    def not_drawn(self) -> tuple[Shown, ...]:
        """Those that stayed on the analyzer, and data that cannot be drawn."""
        return tuple(p for p in self.pictures if not (p.url or p.curve))


def _read(lab: Lab, actor: Actor, pk: int, request: Request) -> SamplePage:
    with lab.read() as conn:
        tube = sample_view.tube(conn, pk)
        if tube is None:
            raise HTTPException(404)
        results = sample_view.results(conn, pk)
        without = sample_view.tests_without_result(conn, pk)
        earlier = sample_view.earlier(conn, tube.patient_id, {r.test for r in results})
        tray = sample_view.tray(conn, pk, tube.sample_id)
        audit = sample_view.audit_of(conn, pk, tube.order_id, [r.id for r in results])
        told = downloads.of_tube(conn, pk, [a.name for a in lab.settings.analyzers if a.orders == "push"])
        lamps = analyzers_view.lamps(conn) if told else {}
    tests = tests_shown(lab.settings, {r.test for r in results} | {t.test for t in without})
    return SamplePage(
        lab.now(), tube, _by_catalogue(results, tests), without, _charts(request, results, earlier, tests), tray,
        audit, _messages(lab, results), _shown(lab, pk, request), tests, titles(lab.settings), REJECT_REASONS,
        {right.name.lower(): actor.may(right) for right in Right},
        told, frozenset(name for name, line in lamps.items() if line.connected),
    )  # fmt: skip


def _by_catalogue(results: tuple[ResultLine, ...], tests: Mapping[str, TestShown]) -> tuple[ResultLine, ...]:
    return tuple(sorted(results, key=lambda r: (tests[r.test].sort, r.test, -r.id)))


def _charts(
    request: Request,
    results: tuple[ResultLine, ...],
    earlier: Mapping[str, tuple[sample_view.Earlier, ...]],
    tests: Mapping[str, TestShown],
) -> dict[str, Markup]:
    """A small chart for every test with at least two released numbers."""
    strings, lang = request.app.state.strings, language_of(request)
    zone = request.app.state.lab.settings.lab.timezone
    limits = {r.test: (r.ref_low, r.ref_high) for r in results}
    return {
        test: sparkline_svg(
            [v.value for v in values], tests[test].display_unit, *limits[test], lang, strings,
            [v.at.astimezone(zone).strftime("%d-%m-%Y") for v in values],
        )
        for test, values in earlier.items()
        if len(values) > 1
    }  # fmt: skip


def _messages(lab: Lab, results: tuple[ResultLine, ...]) -> tuple[RawMessage, ...]:
    reader = JournalReader(lab.settings.journal)
    ids = dict.fromkeys(r.message_id for r in results if r.message_id)
    found = [reader.message(message_id) for message_id in list(ids)[:5]]
    return tuple(RawMessage(m.id, m.analyzer, m.received_at, visible(m.body)) for m in found if m is not None)


def _shown(lab: Lab, pk: int, request: Request) -> tuple[Shown, ...]:
    """The pictures of this tube, as its messages have them."""
    strings, lang = request.app.state.strings, language_of(request)
    return tuple(
        Shown(
            p.label, m.analyzer, m.received_at,
            f"/samples/{pk}/pictures/{m.message_id}/{p.ordinal}" if p.media else "",
            curve_svg(p.points, p.label, lang, strings), p.file,
        )
        for m in pictures_of(lab, pk)
        for p in m.pictures
    )  # fmt: skip


def visible(body: bytes) -> str:
    """A message to be read: control characters as <CR>, a line break after each record, bytes that are no UTF-8 as
    Latin-1."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    named = "".join(f"<{NAMES.get(ord(c), f'{ord(c):02X}')}>" if ord(c) < 32 or ord(c) == 127 else c for c in text)
    return named.replace("<CR><LF>", "<CR><LF>\n").replace("<CR>", "<CR>\n").replace("<CR>\n<LF>", "<CR><LF>")


@router.get("/samples/{pk}")
def show(request: Request, lab: LabDep, actor: See, pk: int) -> Response:
    """The page."""
    return page(request, "sample.html", _read(lab, actor, pk, request))


@router.get("/samples/{pk}/pictures/{message_id}/{ordinal}")
def one_picture(lab: LabDep, _actor: See, pk: int, message_id: str, ordinal: int) -> Response:
    """A picture as the analyzer sent it. Its kind is what its first bytes say; nothing in it can run."""
    found = picture(lab, pk, message_id, ordinal)
    if found is None:
        raise HTTPException(404)
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox", "Content-Disposition": "inline"}
    return Response(found.data, media_type=found.media, headers=headers)


@router.post("/samples/{pk}/collect")
def collect(request: Request, lab: LabDep, actor: MayCollect, pk: int) -> Response:
    """The tube was filled now."""
    sample_actions.collect(lab, actor, pk)
    return redirect(request, f"/samples/{pk}", "tube.collected")


@router.post("/samples/{pk}/receive")
def receive(request: Request, lab: LabDep, actor: MayCollect, pk: int) -> Response:
    """The tube is in the laboratory."""
    new = sample_actions.receive(lab, actor, pk)
    return redirect(request, f"/samples/{pk}", "tube.received" if new else "tube.received.before")


@router.post("/samples/{pk}/reject")
def reject(request: Request, lab: LabDep, actor: MayReject, form: FormDep, pk: int) -> Response:
    """The tube cannot be used; a new one may be asked for."""
    new_pk = sample_actions.reject_sample(lab, actor, pk, form.must("reason"), form.flag("ask_new"))
    return redirect(request, f"/samples/{pk}", "tube.rejected.new" if new_pk else "tube.rejected", "warn")


@router.post("/samples/{pk}/close")
def close(request: Request, lab: LabDep, actor: MayRelease, form: FormDep, pk: int) -> Response:
    """A test cannot be done; the report says why."""
    result_actions.close_test(lab, actor, form.whole("test"), form.must("note"))
    return redirect(request, f"/samples/{pk}", "tube.closed")


@router.post("/samples/{pk}/cancel")
def cancel(request: Request, lab: LabDep, actor: MayRegister, form: FormDep, pk: int) -> Response:
    """A test is not wanted any more."""
    register_actions.cancel_test(lab, actor, form.whole("test"), form.must("note"))
    return redirect(request, f"/samples/{pk}", "tube.cancelled")


@router.post("/samples/{pk}/amend")
def amend(request: Request, lab: LabDep, actor: MayAmend, form: FormDep, pk: int) -> Response:
    """Correct a released result: typed twice, with a reason; the report gets a new version."""
    first, second = form.must("first", limit=80), form.must("second", limit=80)
    report = result_actions.amend(lab, actor, form.whole("result"), first, second, form.must("reason"))
    if report is None:
        return redirect(request, f"/samples/{pk}", "tube.amend.held", "warn")
    return redirect(request, f"/samples/{pk}", "tube.amended", report=report)
