"""What the texts of a field look like: a number, a time, a unit, a flag, an id, a code. Nothing is decided here.

Turns texts into shares between 0 and 1. Law: pure; a share is evidence for an engineer, never a fact.
Source: LIS02-A2 9.5 to 9.13 (what a result record may hold), engine/units (unit spellings), the drivers' own codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from drivers.driver import driver_names, load_driver
from drivers.engine.units import UNITS
from middleware import sample_id

NUMBER = re.compile(r"[<>]?=?\s*[-+]?\d+([.,]\d*)?")
DATE = r"(19|20)\d\d[-/.]?(0[1-9]|1[0-2])[-/.]?(0[1-9]|[12]\d|3[01])"
TIME = re.compile(DATE + r"([ T]?\d\d:?\d\d([:.]?\d\d)?)?([+-]\d{4})?")
RANGE = re.compile(r".*\d\s*(-|–|to|\^|\\)\s*-?\d.*|[<>-]\s*\d[\d.,]*|\^?DEFAULT|[-^\\]+", re.IGNORECASE)
FLAGS = frozenset({"N", "H", "L", "HH", "LL", "A", "AA", ">", "<", "W", "U", "D", "B", "E"})
STATES = frozenset({"F", "P", "C", "R", "V", "X", "I"})
LOINC = re.compile(r"\d{1,5}-\d")
UNIT = re.compile(r"%|(10\S+|[a-zA-Zµμ]{1,8})\s?/\s?[a-zA-Zµμ]\S{0,6}|/[a-zµμ]\S*")

Test = Callable[[str], bool]


def share(texts: Iterable[str | None], test: Test) -> float:
    """The share of the texts that were sent for which the test holds; 0.0 when none was sent."""
    sent = [text.strip() for text in texts if text and text.strip()]
    return sum(map(test, sent)) / len(sent) if sent else 0.0


def sent_share(texts: Sequence[str | None]) -> float:
    """The share of rows in which anything was sent."""
    return sum(1 for text in texts if text and text.strip()) / len(texts) if texts else 0.0


def distinct(texts: Sequence[str | None]) -> float:
    """How many different texts there are for each that was sent."""
    sent = [text.strip() for text in texts if text and text.strip()]
    return len(set(sent)) / len(sent) if sent else 0.0


def is_number(text: str) -> bool:
    """A number, with or without comparator; a decimal comma too."""
    return NUMBER.fullmatch(text) is not None


def is_time(text: str) -> bool:
    """A date of this or the last century, with or without a time of day."""
    return TIME.fullmatch(text) is not None


def is_moment(text: str) -> bool:
    """A date with a time of day."""
    return is_time(text) and len(re.sub(r"\D", "", text)) >= 12


def is_unit(text: str) -> bool:
    """A unit that some driver knows, or one of the usual build."""
    return text in _units() or UNIT.fullmatch(text) is not None


def is_range(text: str) -> bool:
    """A reference range."""
    return RANGE.fullmatch(text) is not None and not is_time(text)


def is_flag(text: str) -> bool:
    """A flag of LIS02-A2 9.8 or HL7 table 0078."""
    return text.upper() in FLAGS or all(part.upper() in FLAGS for part in re.split(r"[~\\]", text))


def is_state(text: str) -> bool:
    """A result's status (LIS02-A2 9.9, HL7 table 0085)."""
    return text in STATES


def known_code(text: str) -> bool:
    """A code that some driver lists, or one that is written like a LOINC."""
    return (len(text) > 1 and text.lower() in _codes()) or LOINC.fullmatch(text) is not None


def id_like(text: str) -> float:
    """How much a text looks like the number on a tube; 1 and more: it is one of this software's own numbers."""
    sent = text.strip()
    number = sample_id.normalise(sent)
    if number is not None and sample_id.valid(number):
        return 1.5
    plain = re.sub(r"[^0-9A-Za-z]", "", sent)
    digits = sum(map(str.isdigit, plain))
    if not plain.strip("0") or is_moment(sent) or not digits:
        return 0.05 if plain.strip("0") else 0.0
    worth = min(len(plain), 12) / 12 * (0.3 + 0.7 * digits / len(plain))
    return worth * (0.4 if is_time(sent) or len(plain) < 4 or "@" in sent else 1.0)


@cache
def _units() -> frozenset[str]:
    return frozenset(spelling for spellings in UNITS.values() for spelling in spellings) | frozenset(UNITS)


@cache
def _codes() -> frozenset[str]:
    return frozenset(code.lower() for name in driver_names() for code in load_driver(name).tests)
