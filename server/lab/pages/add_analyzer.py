"""Add an analyzer, or change one: model, line, codes; try line and message, see what would be written, write it.

Turns a form into one table of config/analyzers.toml. Law: nothing is written that was not looked at first, that
`labmitra check` would refuse, or over somebody else's change; the middleware is told nothing, it reads when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware.actions import analyzers as actions
from middleware.actions.analyzers import Proposal
from middleware.analyzers_file import File, read, why_not_writable
from middleware.fleet import DriverCard, driver_card, driver_cards
from middleware.journal import JournalReader, StoredMessage
from middleware.lab import Lab
from middleware.line_parts import KINDS
from middleware.model import Actor, Refused, Right
from middleware.try_line import Tried, try_line
from middleware.try_message import TriedMessage, from_page, read_bytes, read_stored
from server.lab import setup_form
from server.lab.setup_form import SHOWS, Typed, choices
from server.lab.show import TestShown, tests_shown
from server.lab.web import Form, FormDep, LabDep, know_analyzers, page, redirect, require

router = APIRouter()
MAY = Annotated[Actor, Depends(require(Right.SET_UP))]
LONGEST = 200_000  # characters of a pasted message
STORED = 25  # messages of the journal that are offered


@dataclass(frozen=True, slots=True)
class ModelsPage:
    """Every driver there is, or those in which the searched words stand."""

    cards: tuple[DriverCard, ...]
    query: str
    total: int


@dataclass(frozen=True, slots=True)
class SetupPage:
    """The form. `new`: the analyzer is not in the file yet; the last four say what the pressed button brought."""

    card: DriverCard
    typed: Typed
    new: bool
    stamp: str
    locked: str
    tests: Mapping[str, TestShown]
    stored: tuple[StoredMessage, ...]
    may_read: bool
    line: Tried | None = None
    message: TriedMessage | None = None
    proposal: Proposal | None = None
    trouble: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of lines there are."""
        return KINDS

    def shows(self, kind: str) -> tuple[str, ...]:
        """The fields of one kind of line."""
        return SHOWS[kind]

    def choices(self, name: str, now: str) -> tuple[str, ...]:
        """What a field of the line offers; () where it is typed."""
        return choices(name, now)


@router.get("/add-analyzer")
def models(request: Request, lab: LabDep, actor: MAY, driver: str = "", q: str = "") -> Response:
    """Which model; then the empty form."""
    cards = driver_cards()
    if not driver:
        words = q[:80].lower().split()
        found = tuple(c for c in cards if all(w in f"{c.name} {c.facts.title} {c.about}".lower() for w in words))
        return page(request, "add_analyzer_models.html", ModelsPage(found, q[:80], len(cards)))
    return _show(request, lab, actor, setup_form.blank(_card(driver)), True, _file(lab).stamp)


@router.get("/add-analyzer/{name}")
def change(request: Request, lab: LabDep, actor: MAY, name: str) -> Response:
    """The form of an analyzer that is in the file."""
    file = _file(lab)
    entry = file.entry(name)
    if entry is None:
        raise HTTPException(404)
    return _show(request, lab, actor, setup_form.from_entry(entry), False, file.stamp)


@router.post("/add-analyzer")
def new(request: Request, lab: LabDep, actor: MAY, form: FormDep) -> Response:
    """A button of the form of a new analyzer."""
    typed = setup_form.from_form(form, _card(form.must("driver")), "", lab.settings.catalogue)
    taken = {entry.name for entry in _file(lab).entries}
    return _pressed(request, lab, actor, form, setup_form.checked(typed, lab.settings.catalogue, taken), True)


@router.post("/add-analyzer/{name}")
def changed(request: Request, lab: LabDep, actor: MAY, form: FormDep, name: str) -> Response:
    """A button of the form of an analyzer that is in the file."""
    entry = _file(lab).entry(name)
    if entry is None:
        raise HTTPException(404)
    typed = setup_form.from_form(form, _card(entry.driver), name, lab.settings.catalogue)
    return _pressed(request, lab, actor, form, setup_form.checked(typed, lab.settings.catalogue, ()), False)


def _pressed(request: Request, lab: Lab, actor: Actor, form: Form, typed: Typed, is_new: bool) -> Response:
    what, stamp = form.must("do"), form.must("stamp")
    if what == "line":
        return _line(request, lab, actor, typed, is_new, stamp)
    if what == "read":
        return _read(request, lab, actor, form, typed, is_new, stamp)
    if typed.wrong:
        return _show(request, lab, actor, typed, is_new, stamp, status=422)
    if what == "save":
        return _save(request, lab, actor, typed, is_new, stamp)
    return _show(request, lab, actor, typed, is_new, stamp, proposal=actions.propose(lab, typed.entry))


def _line(request: Request, lab: Lab, actor: Actor, typed: Typed, is_new: bool, stamp: str) -> Response:
    if any(key.startswith(f"{typed.kind}.") for key in typed.wrong):
        return _show(request, lab, actor, typed, is_new, stamp, status=422)
    return _show(request, lab, actor, setup_form.unchecked(typed), is_new, stamp, line=try_line(lab, typed.parts.url()))


def _read(request: Request, lab: Lab, actor: Actor, form: Form, typed: Typed, is_new: bool, stamp: str) -> Response:
    """What the driver reads there; codes that it does not know become rows of the form."""
    draft, stored = typed.entry.draft(), form.text("stored")
    if stored:
        actor.must(Right.MESSAGES)
        found = read_stored(lab, draft, stored)
        if found is None:
            raise Refused("This message is no longer in the journal.")
    else:
        data = form.file("file") or from_page(form.text("paste", limit=LONGEST))
        found = read_bytes(draft, data, lab.settings.catalogue, lab.now())
    rows = [(row.code, row.name, row.unit) for row in found.unknown]
    typed = setup_form.with_codes(typed, rows, lab.settings.catalogue)
    return _show(request, lab, actor, setup_form.unchecked(typed), is_new, stamp, message=found)


def _save(request: Request, lab: Lab, actor: Actor, typed: Typed, is_new: bool, stamp: str) -> Response:
    try:
        kept = actions.set_up(lab, actor, typed.entry, stamp, is_new)
    except Refused as refusal:
        proposal = actions.propose(lab, typed.entry)
        return _show(request, lab, actor, typed, is_new, stamp, 409, proposal=proposal, trouble=str(refusal))
    know_analyzers(request, actions.analyzers_now(lab))
    return redirect(request, f"/analyzers/{typed.name}", "setup.saved", "warn", name=typed.title, kept=kept)


def _show(
    request: Request, lab: Lab, actor: Actor, typed: Typed, is_new: bool, stamp: str, status: int = 200,
    line: Tried | None = None, message: TriedMessage | None = None, proposal: Proposal | None = None,
    trouble: str = "",
) -> Response:  # fmt: skip
    may_read = actor.may(Right.MESSAGES)
    stored = tuple(JournalReader(lab.settings.journal).messages(limit=STORED)) if may_read else ()
    context = SetupPage(
        _card(typed.driver), typed, is_new, stamp, why_not_writable(lab.settings.config),
        tests_shown(lab.settings, lab.settings.catalogue), stored, may_read, line=line, message=message,
        proposal=proposal, trouble=trouble,
    )  # fmt: skip
    return page(request, "add_analyzer.html", context, status)


def _card(name: str) -> DriverCard:
    try:
        return driver_card(name)
    except KeyError:
        raise HTTPException(404) from None


def _file(lab: Lab) -> File:
    try:
        return read(lab.settings.config)
    except (OSError, UnicodeDecodeError):
        raise Refused("setup.refused.file") from None
