"""Types results by hand, twice: one test, or all tests of one tube (strips, microscopy).

Turns two equal entries into `actions.enter`. Law: the second entry is typed (or chosen) again, never copied; what is
typed is held and marked typed. Source: issue 2 (31 coded tests, and any test while its analyzer is down).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware.actions import results
from middleware.fleet import typed_by_hand
from middleware.lab import Lab
from middleware.model import Actor, CatalogueTest, Refused, Right, Sex, age_days
from middleware.report import interval_text
from middleware.store import enter_view
from middleware.store.enter_view import Awaited
from server.lab.choices import test_name
from server.lab.trouble import refused_text
from server.lab.web import Form, FormDep, LabDep, language_of, page, redirect, require, translator

router = APIRouter()

MAY = Annotated[Actor, Depends(require(Right.ENTER))]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One tube with the tests of it that wait to be typed."""

    sample: Awaited
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnterPage:
    """Tubes with tests to type, and which analyzers are down."""

    tubes: tuple[Waiting, ...]
    down: tuple[str, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One test to type: how it is typed, what is usual, what it was last time, what was typed and is wrong with it."""

    awaited: Awaited
    name: str
    unit: str
    allowed: tuple[str, ...]
    usual: str
    previous: str
    previous_at: datetime | None
    first: str = ""
    second: str = ""
    comment: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class SheetPage:
    """The form of one tube (or one test of it)."""

    sample: Awaited
    rows: tuple[Row, ...]
    action: str
    today: date
    others: int  # tests of this tube that an analyzer will bring


@dataclass(frozen=True, slots=True)
class Entry:
    """What was typed for one test, and what is wrong with it."""

    first: str = ""
    second: str = ""
    comment: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """What was typed, by ordered test."""

    by_test: Mapping[int, Entry] = field(default_factory=dict)


@router.get("/enter")
def show(request: Request, lab: LabDep, _actor: MAY) -> Response:
    """Every received tube with tests to type."""
    lang = language_of(request)
    with lab.read() as conn:
        up = enter_view.connected(conn)
        rows = enter_view.awaited(conn, typed_by_hand(lab.settings, up))
    tubes: dict[int, list[Awaited]] = {}
    for row in rows:
        tubes.setdefault(row.sample_pk, []).append(row)
    waiting = tuple(Waiting(g[0], tuple(_name(lab, a.test, lang) for a in g)) for g in tubes.values())
    down = tuple(a.title for a in lab.settings.analyzers if a.enabled and a.name not in up)
    return page(request, "enter.html", EnterPage(waiting, down, lab.now()))


@router.get("/enter/sample/{sample_pk}")
def sheet(request: Request, lab: LabDep, _actor: MAY, sample_pk: int) -> Response:
    """All tests of one tube that are typed by hand now."""
    rows, others = _of_sample(lab, sample_pk)
    return _page(request, lab, rows, f"/enter/sample/{sample_pk}", others)


@router.post("/enter/sample/{sample_pk}")
def save_sheet(request: Request, lab: LabDep, actor: MAY, form: FormDep, sample_pk: int) -> Response:
    """Keep every test that was typed twice alike; nothing at all when two entries differ."""
    rows, others = _of_sample(lab, sample_pk)
    return _save(request, lab, actor, form, rows, f"/enter/sample/{sample_pk}", others)


@router.get("/enter/{order_test_id}")
def one(request: Request, lab: LabDep, _actor: MAY, order_test_id: int) -> Response:
    """One awaited test, whatever usually measures it."""
    return _page(request, lab, (_one(lab, order_test_id),), f"/enter/{order_test_id}")


@router.post("/enter/{order_test_id}")
def save_one(request: Request, lab: LabDep, actor: MAY, form: FormDep, order_test_id: int) -> Response:
    """Keep one typed test."""
    return _save(request, lab, actor, form, (_one(lab, order_test_id),), f"/enter/{order_test_id}")


def _of_sample(lab: Lab, sample_pk: int) -> tuple[tuple[Awaited, ...], int]:
    with lab.read() as conn:
        every = enter_view.awaited_of_sample(conn, sample_pk)
        by_hand = typed_by_hand(lab.settings, enter_view.connected(conn))
    if not every:
        raise HTTPException(404)
    rows = tuple(a for a in every if a.test in by_hand)
    return rows or every, len(every) - len(rows) if rows else 0


def _one(lab: Lab, order_test_id: int) -> Awaited:
    with lab.read() as conn:
        found = enter_view.one(conn, order_test_id)
    if found is None:
        raise HTTPException(404)
    return found


def _save(
    request: Request, lab: Lab, actor: Actor, form: Form, rows: tuple[Awaited, ...], action: str, others: int = 0
) -> Response:
    entries = {a.order_test_id: _typed(request, form, a.order_test_id) for a in rows}
    filled = {pk: entry for pk, entry in entries.items() if entry.first or entry.second}
    if not filled:
        return redirect(request, action, "enter.nothing", "warn")
    if not any(entry.wrong for entry in filled.values()):
        refused = _keep(request, lab, actor, filled)
        if not refused:
            return redirect(request, "/enter", "enter.saved", n=len(filled))
        filled = {pk: Entry(e.first, e.second, e.comment, refused[pk]) for pk, e in filled.items() if pk in refused}
    left = tuple(a for a in rows if a.order_test_id in filled or a.order_test_id not in entries or _still(lab, a))
    return _page(request, lab, left, action, others, Entries(filled), 422)


def _keep(request: Request, lab: Lab, actor: Actor, entries: Mapping[int, Entry]) -> dict[int, str]:
    """Store each; what was refused, in words."""
    refused: dict[int, str] = {}
    for pk, entry in entries.items():
        try:
            results.enter(lab, actor, pk, entry.first, entry.second, entry.comment)
        except Refused as why:
            refused[pk] = refused_text(request, why)
    return refused


def _still(lab: Lab, awaited: Awaited) -> bool:
    with lab.read() as conn:
        return enter_view.one(conn, awaited.order_test_id) is not None


def _typed(request: Request, form: Form, pk: int) -> Entry:
    first, second = form.text(f"first-{pk}", limit=80), form.text(f"second-{pk}", limit=80)
    wrong = translator(request)("enter.differ") if first != second else ""
    return Entry(first, second, form.text(f"comment-{pk}"), wrong)


def _page(
    request: Request, lab: Lab, awaited: tuple[Awaited, ...], action: str, others: int = 0,
    entries: Entries | None = None, status: int = 200,
) -> Response:  # fmt: skip
    sample, lang, said = awaited[0], language_of(request), entries or Entries()
    with lab.read() as conn:
        before = enter_view.previous(conn, sample.patient_id, [a.test for a in awaited])
    rows = tuple(_row(lab, a, lang, before, said.by_test.get(a.order_test_id, Entry())) for a in awaited)
    today = lab.now().astimezone(lab.settings.lab.timezone).date()
    return page(request, "enter_sheet.html", SheetPage(sample, rows, action, today, others), status)


def _row(lab: Lab, awaited: Awaited, lang: str, before: Mapping[str, tuple[str, datetime]], entry: Entry) -> Row:
    test = lab.settings.catalogue[awaited.test]
    value, at = before.get(awaited.test, ("", None))
    return Row(
        awaited=awaited,
        name=test_name(test, lang),
        unit="" if test.coded else test.display_unit,
        allowed=test.allowed if test.coded else (),
        usual=_usual(lab, test, awaited),
        previous=value,
        previous_at=at,
        first=entry.first,
        second=entry.second,
        comment=entry.comment,
        wrong=entry.wrong,
    )


def _usual(lab: Lab, test: CatalogueTest, awaited: Awaited) -> str:
    if test.coded:
        return " / ".join(test.normal)
    on = (awaited.collected_at or lab.now()).astimezone(lab.settings.lab.timezone).date()
    row = test.interval_for(Sex(awaited.sex), age_days(awaited.birth_date, on))
    return interval_text(row.ref_low, row.ref_high) if row else ""


def _name(lab: Lab, code: str, lang: str) -> str:
    test = lab.settings.catalogue.get(code)
    return test_name(test, lang) if test else code
