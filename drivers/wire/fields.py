"""Addresses inside a record or a segment: turns "4.3" into a place, and a place into text.

Law: split first, decode escapes after. An address is written as the standards write it, counted from 1:
"4" the field, "4.3" its component, "5(2).4" a component of a repeat, "3.1.2" a subcomponent (HL7 only).
Not sent is None, sent empty is "". Source: LIS02-A2 5.4, HL7 v2 chapter 2.6.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_ADDRESS = re.compile(r"(\d+)(?:\((\d+)\))?(?:\.(\d+)(?:\.(\d+))?)?")


class Place(NamedTuple):
    """Field, repeat, component, subcomponent, counted from 1; 0 means the whole of what is above it."""

    field: int
    repeat: int = 0
    component: int = 0
    sub: int = 0


@lru_cache(maxsize=1024)
def place(address: str) -> Place:
    """The place an address names; ValueError when it is not an address (a mistake in a driver, never in a message)."""
    match = _ADDRESS.fullmatch(address)
    if match is None or match[1] == "0" or "0" in (match[2], match[3], match[4]):
        raise ValueError(f"{address!r} is no address: write 4, 4.3, 5(2).4 or 3.1.2, counted from 1")
    return Place(*(int(part or 0) for part in match.groups()))


def nth(text: str, delimiter: str, number: int) -> str | None:
    """Part `number` (from 1) of text; the whole text for 0; None when there are fewer parts."""
    if not number:
        return text
    if not delimiter or delimiter not in text:
        return text if number == 1 else None
    parts = text.split(delimiter)
    return parts[number - 1] if number <= len(parts) else None


def part(text: str, where: Place, repeat: str, component: str, sub: str = "") -> str | None:
    """The part of a field's text that a place names, escapes still as sent.

    A component asked for without a repeat is that of the first repeat.
    """
    number = where.repeat or (1 if where.component else 0)
    found = nth(text, repeat, number)
    if found is not None and where.component:
        found = nth(found, component, where.component)
    if found is not None and where.sub:
        found = nth(found, sub, where.sub)
    return found
