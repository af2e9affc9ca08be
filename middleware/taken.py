"""One observation's value, taken as a value of one catalogue test.

Turns verbatim text into Decimal or a coded answer, with a flag, or into no value and the reason why. Law: pure; no
value is better than a guessed one; the verbatim text is always kept beside it.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from drivers.driver import Observation, TestCode
from middleware.model import CatalogueTest, Reason
from middleware.sentences import BLOCK, HOLD, NOTE, reason
from middleware.values import Limits, converted, factor, flag, number

LONGEST = 400  # of the verbatim text that is kept with the result; the message keeps all of it


class Taken(NamedTuple):
    """What a row's value is for a test. No value and no coded answer: `notes` say why."""

    value: Decimal | None = None
    comparator: str = ""
    coded: str | None = None
    display: str = ""
    flag: str = ""
    notes: tuple[Reason, ...] = ()


def verbatim(row: Observation) -> str:
    """The value as sent: the whole field where it says more than the value."""
    return (row.raw if row.raw is not None else row.value or "")[:LONGEST]


def take(row: Observation, test: CatalogueTest, meaning: TestCode | None, limits: Limits | None) -> Taken:
    """The row's value as a value of this test."""
    if row.masked or not (row.value or row.coded or "").strip():
        return _nothing(row, test, "masked", HOLD)
    if test.coded:
        return _coded(row, test, meaning)
    return _interpreted(_numeric(row, test, meaning, limits), row, test, meaning)


def _numeric(row: Observation, test: CatalogueTest, meaning: TestCode | None, limits: Limits | None) -> Taken:
    found = number(row.value or "", test.decimals)
    if found is None:
        return _nothing(row, test, "not_a_number", HOLD)
    if found.doubtful:
        return _nothing(row, test, "comma", BLOCK)
    times = factor(test, meaning, row.unit)
    if times is None:
        return _nothing(row, test, "unit_unknown" if (row.unit or "").strip() else "unit_missing", BLOCK)
    value, display = _printed(row.value or "", times, test.decimals)
    return Taken(value, found.comparator, None, display, flag(value, found.comparator, limits))


@lru_cache(maxsize=8192)  # most numbers of an analyzer come again; by their text, for 7.1 and 7.10 are equal
def _printed(text: str, times: Decimal, decimals: int) -> tuple[Decimal, str]:
    """A text that is a number: its value in the catalogue's unit, and how it is shown."""
    found = number(text, decimals)
    if found is None:
        raise AssertionError("a number is read before it is converted")
    value = converted(found, times, decimals)
    return value, f"{found.comparator}{value:f}"


def _interpreted(taken: Taken, row: Observation, test: CatalogueTest, meaning: TestCode | None) -> Taken:
    """The analyzer's own word beside its number: told to the technician, it decides nothing."""
    word = (row.coded or "").strip()
    if not word:
        return taken
    said = meaning.coded.get(word, word) if meaning else word
    told = {"test": test.name_en, "test_hi": test.name_hi, "value": taken.display or row.value or "", "said": said}
    return taken._replace(notes=(*taken.notes, reason("interpretation", "interpretation", NOTE, **told)))


def _coded(row: Observation, test: CatalogueTest, meaning: TestCode | None) -> Taken:
    """The driver's word for it, else one of the allowed answers whatever its capitals; nothing else is an answer."""
    said = [text.strip() for text in (row.coded, row.value) if text is not None]
    words = {text.casefold(): answer for text, answer in meaning.coded.items()} if meaning else {}
    allowed = {answer.casefold(): answer for answer in test.allowed}
    answer = next((a for text in said if (a := words.get(text.casefold()) or allowed.get(text.casefold()))), None)
    if answer is None or answer not in test.allowed:
        return _nothing(row, test, "not_allowed", HOLD)
    judged = "" if not test.normal else "N" if answer in test.normal else "A"
    return Taken(coded=answer, display=answer, flag="A" if answer in test.critical else judged)


def _nothing(row: Observation, test: CatalogueTest, sentence: str, severity: str) -> Taken:
    told = {
        "test": test.name_en, "test_hi": test.name_hi, "value": verbatim(row) or "–", "unit": row.unit or "",
        "expected": test.display_unit or test.unit, "allowed": ", ".join(test.allowed),
    }  # fmt: skip
    return Taken(notes=(reason("value" if "unit" not in sentence else "unit", sentence, severity, **told),))
