"""Reads a stored message again for people: its rows as the driver sees them, or why the driver cannot read it.

Turns bytes of the journal into plain rows for the messages page. Law: changes nothing; a message that cannot be read
is a sentence, not an exception.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.driver import DecodeError, Message, Observation, WireError
from middleware.lab import Lab
from middleware.pipeline import decode_stored


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row of a message, all text as the analyzer sent it."""

    ordinal: int
    kind: str
    sample_id: str
    code: str
    name: str
    value: str
    raw: str
    unit: str
    flags: str
    status: str
    aspect: str
    observed_at: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says; `error` when nothing could be read."""

    type: str = ""
    sender: str = ""
    sent_at: str = ""
    asked: tuple[str, ...] = ()
    rows: tuple[ReadRow, ...] = ()
    problems: tuple[str, ...] = ()
    error: str = ""


def read(lab: Lab, message: Message) -> Reading:
    """Decode a stored message anew, with the driver as it is now."""
    try:
        decoded = decode_stored(lab, message)
    except (DecodeError, WireError, KeyError) as broken:
        return Reading(error=str(broken))
    return Reading(
        type=decoded.type.value,
        sender=decoded.sender or "",
        sent_at=decoded.sent_at or "",
        asked=decoded.query_sample_ids,
        rows=tuple(map(_row, decoded.observations)),
        problems=decoded.problems,
    )


def _row(said: Observation) -> ReadRow:
    return ReadRow(
        ordinal=said.ordinal,
        kind=said.kind.value,
        sample_id=said.sample_id or "",
        code=said.code or "",
        name=said.name or "",
        value="" if said.value is None else said.value,
        raw="" if said.raw is None else said.raw,
        unit=said.unit or "",
        flags=" ".join(said.flags),
        status=said.status or "",
        aspect=said.aspect or "",
        observed_at=said.observed_at or "",
    )
