"""What the journal noted about bytes of a line, as sentences people read in their language.

Turns a note into a tone and a string's key with its values. Law: pure; a note that is not known here is shown as it
stands, never hidden. Source: the notes that middleware's connections, recorder and folder write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Note:
    """`tone` of the tag ("" for none); `key` of the sentence, "" when `text` is shown as it stands."""

    tone: str = ""
    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    why: str = ""  # key of the reason inside the sentence, "" when values["why"] is verbatim


SILENT = frozenset({"", "ENQ", "EOT", "block", "reply", "answered", "message", "flush"})
KNOWN = (
    ("bad", "refused", r"refused: (?P<why>.+)"),
    ("warn", "again", r"frame (?P<n>\d) again"),
    ("warn", "odd", r"frame (?P<n>\d): (?P<why>.+)"),
    ("", "frame", r"frame (?P<n>\d)"),
    ("warn", "ignored", r"ignored"),
    ("warn", "flood", r"what follows is not kept.*"),
    ("warn", "timeout", r"TIMEOUT"),
    ("warn", "closed", r"closed"),
    ("warn", "restart", r"restart"),
    ("warn", "cut", r"block (?:without|cut|over).*"),
    ("bad", "not_stored", r"answered: not stored|not stored"),
    ("", "file", r"file"),
    ("bad", "file_bad", r"file: (?P<why>.+)"),
    ("good", "answer_sent", r"answer sent"),
    ("bad", "answer_failed", r"answer failed"),
    ("warn", "answer_yielded", r"(?:answer|order) yielded"),
    ("good", "order_sent", r"order sent"),
    ("bad", "order_failed", r"order failed"),
    ("", "order", r"order"),
)
REASONS = (
    ("checksum", r"wrong checksum"),
    ("order", r"frame number (?P<got>\d), expected (?P<expected>\d)"),
    ("number", r"no frame number"),
    ("long", r"over \d+ characters"),
)


def note(text: str) -> Note:
    """The words for a note; one that says no more than the bytes do is silent."""
    if text in SILENT:
        return Note()
    for tone, key, pattern in KNOWN:
        if found := re.fullmatch(pattern, text, re.DOTALL):
            values = found.groupdict()
            why, more = _reason(values.get("why") or "")
            return Note(tone, f"messages.note.{key}", {**values, **more}, why=why)
    return Note(text=text)


def _reason(why: str) -> tuple[str, dict[str, str]]:
    for key, pattern in REASONS:
        if found := re.fullmatch(pattern, why):
            return f"messages.why.{key}", found.groupdict()
    return "", {}
