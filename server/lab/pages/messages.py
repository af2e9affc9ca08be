"""The flight recorder: every message of every line, what it says, what became of it; replay after something was mended.

Turns journal rows into what can be read: control characters have names, both directions stand with their times.
Law: reads the journal, never writes it; taking the raw bytes out of the house is an audit line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from middleware import pipeline, store
from middleware.journal import Chunk, JournalReader, StoredMessage
from middleware.lab import Lab
from middleware.model import Actor, Right
from middleware.reading import Reading, read
from middleware.settings import AnalyzerSettings
from middleware.spelled import Piece, visible
from middleware.store import books_view, messages_view
from middleware.store.analyzers_view import Recent
from middleware.store.books_view import Books as SessionBooks
from middleware.store.messages_view import Books, Filed
from server.lab.web import LabDep, page, redirect, require
from server.lab.wire_notes import Note, note

router = APIRouter()

MAY = Annotated[Actor, Depends(require(Right.MESSAGES))]
PER_PAGE = 50
SHOWS = ("all", "failed", "unmatched", "unbalanced")


@dataclass(frozen=True, slots=True)
class Said:
    """One piece of the conversation: who, when, what, and what was made of it."""

    at: datetime
    direction: str
    pieces: tuple[Piece, ...]
    note: Note


@dataclass(frozen=True, slots=True)
class Line:
    """One message in the list; `row` is None while it waits for the pipeline."""

    id: str
    analyzer: str
    received_at: datetime
    size: int | None
    incomplete: bool
    row: Recent | None


@dataclass(frozen=True, slots=True)
class MessagesPage:
    """The list and its filters; `older` is the id to go on from."""

    lines: tuple[Line, ...]
    analyzers: tuple[AnalyzerSettings, ...]
    analyzer: str
    day: str
    sample: str
    show: str
    older: str


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One message: the conversation, its rows decoded anew, its books."""

    id: str
    analyzer: str
    received_at: datetime
    incomplete: bool
    said: tuple[Said, ...]
    reading: Reading
    books: Books | None
    filed: tuple[Filed, ...]
    session: SessionBooks | None  # of its whole conversation, where that holds more than this message


@router.get("/messages")
def show(
    request: Request, lab: LabDep, _actor: MAY, analyzer: str = "", day: str = "", sample: str = "", show: str = "all",
    before: str = "",
) -> Response:  # fmt: skip
    """The newest first; filtered by analyzer, day and sample, or only those that failed or hold unmatched rows."""
    show = show if show in SHOWS else "all"
    since, until = _day(lab, day)
    digits = sample.replace("-", "").strip()[:80]
    if show == "all":
        lines = _from_journal(lab, analyzer, since, until, digits, before)
    else:
        with lab.read() as conn:
            rows = messages_view.find(conn, analyzer, since, until, digits, show, limit=PER_PAGE)
        lines = tuple(Line(r.id, r.analyzer, r.received_at, None, False, r) for r in rows)
    older = lines[-1].id if show == "all" and len(lines) == PER_PAGE else ""
    context = MessagesPage(lines, lab.settings.analyzers, analyzer, day if since else "", sample, show, older)
    return page(request, "messages.html", context)


@router.get("/messages/{message_id}")
def one(request: Request, lab: LabDep, _actor: MAY, message_id: str) -> Response:
    """One message."""
    journal = JournalReader(lab.settings.journal)
    message = journal.message(message_id)
    if message is None:
        raise HTTPException(404)
    with lab.read() as conn:
        books, filed = messages_view.books(conn, message_id), messages_view.filed(conn, message_id)
        whole = journal.same_session(message_id)
        session = books_view.session_books(conn, whole) if len(whole) > 1 else None
    context = MessagePage(
        id=message_id,
        analyzer=message.analyzer,
        received_at=message.received_at,
        incomplete=message.incomplete,
        said=tuple(map(_said, journal.chunks(message_id))),
        reading=read(lab, message),
        books=books,
        filed=filed,
        session=session,
    )
    return page(request, "message.html", context)


@router.get("/messages/{message_id}/raw")
def raw(lab: LabDep, actor: MAY, message_id: str) -> Response:
    """The bytes as the analyzer sent them; an audit line says who took them."""
    message = JournalReader(lab.settings.journal).message(message_id)
    if message is None:
        raise HTTPException(404)
    with lab.write() as conn:
        store.audit(conn, lab.now(), actor, "download message", "message", message_id, {"bytes": len(message.body)})
    headers = {"Content-Disposition": f'attachment; filename="{message.analyzer}-{message_id}.raw"'}
    return Response(message.body, media_type="application/octet-stream", headers=headers)


@router.post("/messages/{message_id}/replay")
def replay(request: Request, lab: LabDep, actor: MAY, message_id: str) -> Response:
    """Think anew about the message; nothing stored is altered, what now finds its sample leaves the tray."""
    outcome = pipeline.replay(lab, actor, message_id)
    failed = outcome.state == "failed"
    return redirect(request, f"/messages/{message_id}", "messages.replay.failed" if failed else "messages.replayed",
                    "bad" if failed else "good")  # fmt: skip


def _from_journal(
    lab: Lab, analyzer: str, since: datetime | None, until: datetime | None, text: str, before: str
) -> tuple[Line, ...]:
    stored: Sequence[StoredMessage] = JournalReader(lab.settings.journal).messages(
        analyzer or None, since, until, text or None, PER_PAGE, before or None
    )
    with lab.read() as conn:
        rows = messages_view.by_id(conn, [m.id for m in stored])
    return tuple(Line(m.id, m.analyzer, m.received_at, m.size, m.incomplete, rows.get(m.id)) for m in stored)


def _day(lab: Lab, text: str) -> tuple[datetime | None, datetime | None]:
    """The lab's own day as two moments; (None, None) when none is named."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None, None
    start = datetime.combine(day, time(), lab.settings.lab.timezone)
    return start, start + timedelta(days=1)


def _said(chunk: Chunk) -> Said:
    return Said(chunk.at, chunk.direction, visible(chunk.data), note(chunk.note))
