"""Codes that analyzers sent and nobody has given a meaning yet; a person says what each means.

Turns a choice into one line of config/analyzers.toml. Law: a suggestion is never applied by itself; what waits is read
again only when a person asks for it, by the same matching and rules as any message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from middleware import pipeline
from middleware.actions import analyzers as actions
from middleware.analyzers_file import File, read, why_not_writable
from middleware.lab import Lab
from middleware.meant import tests_meant
from middleware.model import Actor, Refused, Right
from middleware.store import codes_view
from middleware.store.codes_view import SeenCode
from middleware.suggest import Suggestion, search, suggest
from server.lab.show import TestShown, tests_shown, titles
from server.lab.trouble import refused_text
from server.lab.web import Form, FormDep, LabDep, know_analyzers, page, redirect, require

router = APIRouter()
MAY = Annotated[Actor, Depends(require(Right.SET_UP))]
MAY_REPLAY = Annotated[Actor, Depends(require(Right.MESSAGES))]
DAYS = 90  # codes seen since then are shown, and those that wait in the tray whatever their age
SHOWN = 100
AT_ONCE = 50  # messages read again with one press: a person waits for it


@dataclass(frozen=True, slots=True)
class CodeCard:
    """One unknown code, what it might be, and whether its analyzer can still be changed."""

    seen: SeenCode
    examples: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    there: bool


@dataclass(frozen=True, slots=True)
class Again:
    """Messages of one analyzer whose codes have a meaning by now."""

    analyzer: str
    messages: int


@dataclass(frozen=True, slots=True)
class CodesPage:
    """Unknown codes and messages that can be read again. `at`, `typed`, `trouble`: a choice that was refused."""

    cards: tuple[CodeCard, ...]
    more: int
    again: tuple[Again, ...]
    may_replay: bool
    stamp: str
    locked: str
    days: int
    tests: Mapping[str, TestShown]
    analyzers: Mapping[str, str]
    at: tuple[str, str] = ("", "")
    typed: str = ""
    trouble: str = ""
    own: str = ""  # the lines to be copied where nothing may be written


@router.get("/codes")
def show(request: Request, lab: LabDep, actor: MAY) -> Response:
    """The page."""
    return page(request, "codes.html", _context(lab, actor))


@router.post("/codes")
def give(request: Request, lab: LabDep, actor: MAY, form: FormDep) -> Response:
    """Give a code its meaning."""
    analyzer, code = form.must("analyzer", limit=60), form.must("code")
    test = _chosen(lab, form)
    try:
        _must_be_tests(lab, test)
        if why_not_writable(lab.settings.config):
            return _to_copy(request, lab, actor, analyzer, code, test)
        kept = actions.map_code(lab, actor, analyzer, code, test, form.must("stamp"))
    except Refused as refusal:
        context = _searched(lab, _context(lab, actor), (analyzer, code), test)
        return page(request, "codes.html", replace(context, trouble=refused_text(request, refusal)), 409)
    know_analyzers(request, actions.analyzers_now(lab))
    title = titles(lab.settings).get(analyzer, analyzer)
    return redirect(request, "/codes", "codes.mapped", "warn", code=code, analyzer=title, test=test, kept=kept)


@router.post("/codes/replay")
def replay(request: Request, lab: LabDep, actor: MAY_REPLAY, form: FormDep) -> Response:
    """Read the waiting messages of an analyzer again, the oldest first."""
    analyzer = form.must("analyzer", limit=60)
    codes = [(s.analyzer, s.code) for s in _seen(lab) if s.analyzer == analyzer and _meant(lab, s)]
    with lab.read() as conn:
        waiting = codes_view.waiting_messages(conn, codes).get(analyzer, ())
    done = 0
    for message_id in waiting[:AT_ONCE]:
        done += pipeline.replay(lab, actor, message_id).state == "processed"
    with lab.read() as conn:
        left = codes_view.rows_stuck(conn, codes)
    return redirect(request, "/codes", "codes.replayed", "warn" if left else "good", n=done, left=left)


def _searched(lab: Lab, context: CodesPage, at: tuple[str, str], typed: str) -> CodesPage:
    """The page with what was typed at this code; words that are no catalogue code are looked up there."""
    cards = tuple(
        replace(card, suggestions=search(typed, card.seen.unit, lab.settings.catalogue) or card.suggestions)
        if typed and (card.seen.analyzer, card.seen.code) == at
        else card
        for card in context.cards
    )
    return replace(context, cards=cards, at=at, typed=typed)


def _chosen(lab: Lab, form: Form) -> str:
    """The suggestion that was picked, or the code that was typed; "" when two different ones were."""
    typed, picked = form.text("other"), form.text("pick")
    typed = typed.replace(" ", "") if "|" in typed else typed
    if picked and typed != picked and _are_tests(lab, typed):
        return ""
    return picked or typed


def _are_tests(lab: Lab, test: str) -> bool:
    return all(one in lab.settings.catalogue for one in test.split("|"))


def _must_be_tests(lab: Lab, test: str) -> None:
    if not test:
        raise Refused("codes.choose")
    if not _are_tests(lab, test):
        raise Refused("setup.wrong.test")


def _to_copy(request: Request, lab: Lab, actor: Actor, analyzer: str, code: str, test: str) -> Response:
    """Nothing may be written here: the lines to be copied."""
    entry = _file(lab).entry(analyzer)
    if entry is None:
        raise Refused("setup.refused.changed")
    own = actions.propose(lab, replace(entry, codes={**entry.codes, code: test})).own
    return page(request, "codes.html", replace(_context(lab, actor), at=(analyzer, code), typed=test, own=own), 409)


def _seen(lab: Lab) -> tuple[SeenCode, ...]:
    with lab.read() as conn:
        return codes_view.seen_codes(conn, lab.now() - timedelta(days=DAYS))


def _meant(lab: Lab, seen: SeenCode) -> bool:
    return bool(tests_meant(lab.settings, seen.analyzer, seen.code))


def _context(lab: Lab, actor: Actor) -> CodesPage:
    seen, file = _seen(lab), _file(lab)
    there, catalogue = {entry.name for entry in file.entries}, lab.settings.catalogue
    unknown = [s for s in seen if not _meant(lab, s) and (s.analyzer in there or s.stuck)]
    known = [(s.analyzer, s.code) for s in seen if s.stuck and _meant(lab, s)]
    with lab.read() as conn:
        waiting = codes_view.waiting_messages(conn, known)
        said = {(s.analyzer, s.code): codes_view.examples(conn, s.analyzer, s.code) for s in unknown[:SHOWN]}
    cards = tuple(
        CodeCard(s, said[s.analyzer, s.code], suggest(s.code, s.name, s.unit, catalogue), s.analyzer in there)
        for s in unknown[:SHOWN]
    )
    return CodesPage(
        cards, len(unknown) - len(cards), tuple(Again(name, len(ids)) for name, ids in waiting.items()),
        actor.may(Right.MESSAGES), file.stamp, why_not_writable(lab.settings.config), DAYS,
        tests_shown(lab.settings, catalogue), titles(lab.settings),
    )  # fmt: skip


def _file(lab: Lab) -> File:
    try:
        return read(lab.settings.config)
    except (OSError, UnicodeDecodeError):
        raise Refused("setup.refused.file") from None
