"""The tray: results that are nobody's yet. A person links them to the tube in her hand or dismisses them.

Law: suggestions are only a list, none is ever chosen beforehand; a linked result passes the same rules as any other
and is held. Source: domain 8.6 (never dropped, never guessed; linking by hand needs the tube in hand and is logged).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware.actions import unmatched as actions
from middleware.lab import Lab
from middleware.meant import tests_meant
from middleware.model import Actor, Refused, Right
from middleware.sample_id import normalise, valid
from middleware.store import unmatched_view
from middleware.store.unmatched_view import Candidate, TrayGroup, TrayRow
from server.lab.session import Session
from server.lab.show import TestShown, tests_shown, titles
from server.lab.trouble import refused_text
from server.lab.web import FormDep, LabDep, SessionDep, page, redirect, require

router = APIRouter()
MayLink = Annotated[Actor, Depends(require(Right.LINK))]
DAY = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class TrayPage:
    """The tray by message, and what was taken out of it last."""

    groups: tuple[TrayGroup, ...]
    closed: tuple[TrayRow, ...]
    now: datetime
    analyzers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A tube and why it is suggested: a strings key after unmatched.why."""

    tube: Candidate
    why: str


@dataclass(frozen=True, slots=True)
class RowPage:
    """One message's rows, the tubes they might belong to, and every test of the catalogue for unknown codes."""

    group: TrayGroup
    meant: Mapping[int, tuple[str, ...]]
    suggestions: tuple[Suggestion, ...]
    query: str
    found_nothing: bool
    tests: Mapping[str, TestShown]
    choices: tuple[TestShown, ...]
    analyzers: Mapping[str, str]
    trouble: tuple[str, ...]
    reason: str


@router.get("/unmatched")
def show(request: Request, lab: LabDep, _actor: MayLink) -> Response:
    """The tray."""
    with lab.read() as conn:
        groups, closed = unmatched_view.groups(conn), unmatched_view.closed(conn)
    return page(request, "unmatched.html", TrayPage(groups, closed, lab.now(), titles(lab.settings)))


def near(said: str | None) -> dict[str, str]:
    """Sound numbers that could have become `said` by one slip of finger or reader: number → what slipped."""
    number = (said or "").strip()
    if not (number.isascii() and number.isdigit()) or not 11 <= len(number) <= 13:
        return {}
    made: dict[str, str] = {}
    for i in range(len(number)):
        made |= {number[:i] + d + number[i + 1 :]: "digit" for d in "0123456789"}
        made[number[:i] + number[i + 1 :]] = "extra"
    for i in range(len(number) + 1):
        made |= {number[:i] + d + number[i:]: "missing" for d in "0123456789"}
    for i in range(len(number) - 1):
        made[number[:i] + number[i + 1] + number[i] + number[i + 2 :]] = "swap"
    return {n: how for n, how in made.items() if n != number and len(n) == 12 and valid(n)}


def _suggest(lab: Lab, session: Session, group: TrayGroup, tests: set[str]) -> tuple[Suggestion, ...]:
    close, typed = near(group.first.sample_id), session.find.get(f"tray{group.first.id}", "")
    wanted = normalise(typed) if typed else None
    with lab.read() as conn:
        scanned = unmatched_view.by_number(conn, [wanted] if wanted else [])
        named = unmatched_view.by_number(conn, [group.first.sample_id or ""])
        similar = unmatched_view.by_number(conn, list(close))
        waiting = unmatched_view.waiting_for(conn, tests, lab.now() - DAY)
    listed = [Suggestion(c, "scanned") for c in scanned] + [Suggestion(c, "named") for c in named]
    listed += [Suggestion(c, close[c.sample_id]) for c in similar] + [Suggestion(c, "waits") for c in waiting]
    return tuple({s.tube.pk: s for s in reversed(listed)}[pk] for pk in dict.fromkeys(s.tube.pk for s in listed))


def _group_page(
    request: Request, lab: Lab, session: Session, row_id: int, trouble: tuple[str, ...] = (), reason: str = "",
    status: int = 200,
) -> Response:  # fmt: skip
    with lab.read() as conn:
        group = unmatched_view.group_of(conn, row_id)
    if group is None:
        raise HTTPException(404)
    meant = {r.id: tests_meant(lab.settings, r.analyzer, r.code) for r in group.rows}
    suggestions = _suggest(lab, session, group, {t for tests in meant.values() for t in tests})
    query = session.find.get(f"tray{group.first.id}", "")
    tests = tests_shown(lab.settings, lab.settings.catalogue)
    context = RowPage(
        group, meant, suggestions, query, bool(query) and not any(s.why == "scanned" for s in suggestions), tests,
        tuple(sorted(tests.values(), key=lambda t: t.name_en)), titles(lab.settings), trouble, reason,
    )  # fmt: skip
    return page(request, "unmatched_row.html", context, status)


@router.get("/unmatched/{row_id}")
def show_row(request: Request, lab: LabDep, session: SessionDep, _actor: MayLink, row_id: int) -> Response:
    """The rows of one message that name the same number."""
    return _group_page(request, lab, session, row_id)


@router.post("/unmatched/{row_id}/find")
def find(request: Request, session: SessionDep, form: FormDep, _actor: MayLink, row_id: int) -> Response:
    """Scan or type the number of the tube in hand: it is put on top of the list."""
    for old in [name for name in session.find if name.startswith("tray")]:
        session.remember(old, "")
    session.remember(f"tray{row_id}", form.text("q", limit=40))
    return redirect(request, f"/unmatched/{row_id}#tubes")


@router.post("/unmatched/{row_id}/link")
def link(request: Request, lab: LabDep, session: SessionDep, form: FormDep, actor: MayLink, row_id: int) -> Response:
    """File the ticked rows on the chosen tube; what cannot be filed stays, with the reason."""
    reason, rows = form.must("reason"), form.whole_numbers("row")
    if not form.has("sample"):
        raise Refused("unmatched.choose.tube")
    if not rows:
        raise Refused("unmatched.choose.row")
    sample, trouble, linked = form.whole("sample"), [], 0
    for row in rows:
        try:
            test = form.text(f"test{row}", limit=12)
            if not test:
                raise Refused("unmatched.choose.test")
            actions.link(lab, actor, row, sample, test, reason)
            linked += 1
        except Refused as refusal:
            trouble.append(refused_text(request, refusal))
    if trouble:
        return _left(request, lab, session, (row_id, *rows), tuple(dict.fromkeys(trouble)), reason)
    return redirect(request, "/unmatched", "unmatched.linked", n=linked)


def _left(
    request: Request, lab: Lab, session: Session, row_ids: tuple[int, ...], trouble: tuple[str, ...], reason: str
) -> Response:
    """The page again with the rows that could not be filed."""
    with lab.read() as conn:
        groups = [unmatched_view.group_of(conn, row_id) for row_id in row_ids]
    left = next((g for g in groups if g is not None and g.first.state == "open"), None)
    if left is None:
        raise Refused(trouble[0])
    return _group_page(request, lab, session, left.first.id, trouble, reason, 409)


@router.post("/unmatched/{row_id}/dismiss")
def dismiss(request: Request, lab: LabDep, form: FormDep, actor: MayLink, row_id: int) -> Response:  # noqa: ARG001
    """Take the ticked rows out of the tray without filing them; they stay stored with the reason."""
    reason, rows = form.must("reason"), form.whole_numbers("row")
    if not rows:
        raise Refused("unmatched.choose.row")
    for row in rows:
        actions.dismiss(lab, actor, row, reason)
    return redirect(request, "/unmatched", "unmatched.dismissed", "warn", n=len(rows))
