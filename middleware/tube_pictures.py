"""The pictures of one tube: which messages have some, and what is in them.

Turns a tube's primary key into its pictures, read from the journal. Law: a picture belongs to the tube under whose
number its message filed a result, and to no other; nothing is stored twice and nothing is fetched from an analyzer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drivers.driver import DecodeError, WireError
from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.pictures import Picture, pictures
from middleware.pipeline import decode_stored
from middleware.store import pictures_view

MESSAGES = 5  # the newest of a tube's messages, as the page shows them


@dataclass(frozen=True, slots=True)
class Pictured:
    """One message with the pictures it has of the tube."""

    message_id: str
    analyzer: str
    received_at: datetime
    pictures: tuple[Picture, ...]


def pictures_of(lab: Lab, sample_pk: int) -> tuple[Pictured, ...]:
    """The messages with pictures of this tube, the newest first. What cannot be read (any more) is passed over: the
    message page says why."""
    with lab.read() as conn:
        filed = pictures_view.messages_with_pictures(conn, sample_pk, MESSAGES)
    found = (Pictured(m.id, m.analyzer, m.received_at, _pictures(lab, m.id, m.ordinals)) for m in filed)
    return tuple(one for one in found if one.pictures)


def picture(lab: Lab, sample_pk: int, message_id: str, ordinal: int) -> Picture | None:
    """One picture of this tube; None when the message has none there that is the tube's."""
    with lab.read() as conn:
        filed = pictures_view.messages_with_pictures(conn, sample_pk, MESSAGES)
    ordinals = next((m.ordinals for m in filed if m.id == message_id), frozenset())
    return next((p for p in _pictures(lab, message_id, ordinals) if p.ordinal == ordinal and p.media), None)


def _pictures(lab: Lab, message_id: str, ordinals: frozenset[int]) -> tuple[Picture, ...]:
    """Those of the tubes that these rows are of: the number as sent, whatever tube a person linked it to."""
    message = JournalReader(lab.settings.journal).message(message_id) if ordinals else None
    if message is None:
        return ()
    try:
        rows = decode_stored(lab, message).observations
    except (DecodeError, WireError):
        return ()
    return pictures(rows, frozenset(row.sample_id for row in rows if row.ordinal in ordinals))
