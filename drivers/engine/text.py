"""Helps a driver of a dialect of its own to say in our words what stands in its blocks.

Turns what such a driver cut out of a block into Observations and a Decoded. Law: verbatim: outer blanks are stripped
and nothing else; a row that is not listed is what the form's `unlisted` says; ordinals count from 1. Pure.
Source: design of the house, "A driver is a form"; each driver names where its columns stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drivers.engine.form import Form, Said
from drivers.engine.words import Decoded, Kind, MessageType, Observation
from drivers.wire import blocks


class Sheet:
    """The rows of one message, in order. `time` is the text of observed_at for rows that bring none."""

    def __init__(self, form: Form, sample_id: str | None, time: str | None = None) -> None:
        self.form, self.time = form, time
        self.sample_id = (sample_id or "").strip() or None
        self.rows: list[Observation] = []

    def add(
        self, code: str | None, value: str | None, unit: str | None = None, flags: Sequence[str] = (),
        *, name: str | None = None, range_: str | None = None, status: str | None = None, aspect: str | None = None,
        time: str | None = None, raw: str | None = None, comments: Sequence[str] = (), coded: str | None = None,
        kind: Kind | None = None,
    ) -> None:  # fmt: skip
        """One row as it was said; empty code, unit and name count as not sent. `kind` overrides the form's table."""
        code, said = (code or "").strip() or None, None if value is None else value.strip()
        listed = self.form.tests.get(code or "")
        decided = kind or (
            listed.kind if listed else self.form.unlisted(Said(code or "", name or "", said or "", tuple(flags), ""))
        )
        masked = bool(said) and re.fullmatch(self.form.masked, said or "") is not None
        self.rows.append(
            Observation(
                self.sample_id, code, (name or "").strip() or None, said, value if raw is None else raw,
                (unit or "").strip() or None, tuple(flags), range_, status, aspect, tuple(comments), masked,
                self.time if time is None else time, decided, len(self.rows) + 1, coded,
            )
        )  # fmt: skip

    def decoded(
        self, type_: MessageType | None = None, sender: str | None = None, problems: Sequence[str] = (),
        *, control: bool = False,
    ) -> Decoded:  # fmt: skip
        """The rows as a message; what is odd about them is added to `problems`. Without a type they are results, or a
        control's when the analyzer says so (`control`) or every tube has an id that only controls have."""
        if type_ is None:
            type_ = MessageType.QC if control or self._of_controls() else MessageType.RESULT
        odd = list(problems)
        if any(row.sample_id is None for row in self.rows):
            odd.append("rows without a sample id")
        if [row for row in self.rows if row.code is None and row.kind is Kind.MEASUREMENT]:
            odd.append("rows without a test code")
        return Decoded(type_, sender, self.time, tuple(self.rows), problems=tuple(odd))

    def _of_controls(self) -> bool:
        ids = {row.sample_id or "" for row in self.rows} or {self.sample_id or ""}
        return bool(self.form.control_id) and all(re.match(self.form.control_id, identity) for identity in ids)


def asks(sample_ids: Sequence[str], raw: Sequence[str], sender: str | None = None) -> Decoded:
    """A query about these tubes; `raw` is what an answer may have to echo, one for each."""
    named = tuple(identity.strip() for identity in sample_ids if identity.strip())
    return Decoded(MessageType.QUERY, sender, query_sample_ids=named, query_raw=tuple(raw))


def other(type_: MessageType = MessageType.OTHER, *problems: str, sender: str | None = None) -> Decoded:
    """A message that brings no rows."""
    return Decoded(type_, sender, problems=problems)


def texts_of(form: Form, body: bytes) -> list[str]:
    """The texts of a message's blocks, in the form's charset (ISO 8859-1 when it names none: no byte is lost)."""
    if form.framing is None:
        raise TypeError(f"{form.name} has no framing: it speaks {form.speaks}")
    return [text.decode(form.charset or "latin-1", "replace") for text in blocks.texts(form.framing, body)]


def cut(text: str, *widths: int) -> list[str]:
    """Columns of these widths from the left, as sent; what the text is too short for is ""."""
    found, at = [], 0
    for width in widths:
        found.append(text[at : at + width])
        at += width
    return found


def groups(text: str, width: int) -> list[str]:
    """The text in pieces of one width; a last piece of blanks, or of nothing, is left out."""
    return [piece for at in range(0, len(text), width) if (piece := text[at : at + width]).strip()]
