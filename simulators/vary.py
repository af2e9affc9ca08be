"""Makes another number, and another time, of the same shape as one that an analyzer printed.

Turns text into text of the same length: decimals, comparator, leading zeros, blanks and signs stay where they are.
Law: what is no number stays as it is; the same generator gives the same numbers. A number moves by a tenth at most, so
that a value stays one that a body could have. Source: the messages of the captures.
"""

from __future__ import annotations

import re
from random import Random

NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_WHOLE = re.compile(r"\s*[<>]?=?\s*[+-]?\s*\d+(?:[.,]\d*)?\s*")


def is_number(text: str) -> bool:
    """True for a number as analyzers print one: `> 31000.00`, `-0.1`, `4,2`, `173.`."""
    return _WHOLE.fullmatch(text) is not None


def number(digits: str, rng: Random) -> str:
    """Another number with as many digits before and behind the point; digits with at most one point or comma."""
    bare = digits.replace(".", "").replace(",", "")
    value, width = int(bare), len(bare)
    moved = _moved(value, _floor(digits, width), 10**width - 1, rng)
    text = str(moved).zfill(width)
    at = next((place for place, letter in enumerate(digits) if letter in ".,"), None)
    return text if at is None else text[:at] + digits[at] + text[at:]


def _floor(digits: str, width: int) -> int:
    """The smallest number that needs no other shape: a first digit that is not 0 stays so, but alone before a point."""
    whole = re.split(r"[.,]", digits)[0]
    return 1 if len(whole) == 1 or whole.startswith("0") else int(10 ** (width - 1))


def _moved(value: int, low: int, high: int, rng: Random) -> int:
    step = max(1, round(value * rng.uniform(0.02, 0.1)))
    down, up = value - step, value + step
    choices = [each for each in (down, up) if low <= each <= high and each != value]
    return rng.choice(choices) if choices else (value - 1 if value >= high else value + 1)


def field(text: str, said: str | None, rng: Random) -> str:
    """A value's field with other numbers: all of it when it is a number, else those of it that `said`, the value as it
    is read, is made of; else, in a text of several numbers and units, every number."""
    if is_number(text):
        return NUMBER.sub(lambda found: number(found[0], rng), text, count=1)
    wanted = NUMBER.search(said or "")
    if wanted is None:
        return text
    if is_number(said or "") and wanted[0] in NUMBER.findall(text):
        at = next(found for found in NUMBER.finditer(text) if found[0] == wanted[0])
        return text[: at.start()] + number(at[0], rng) + text[at.end() :]
    return NUMBER.sub(lambda found: number(found[0], rng), text) if " " in text else text
