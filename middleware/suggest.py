"""Which catalogue test might an unknown code be? A list with reasons, for a person who decides.

Turns a code, its name and its unit into suggestions. Law: pure; none is ever applied by itself, and no reason is
weaker than it looks: the same LOINC first, then the same name, a name alike, and only then a unit that few tests have.
Source: catalogue (LOINC, units), the tables of codes in drivers/ (what other analyzers call a test).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache

from drivers.driver import driver_names, load_driver
from middleware.model import CatalogueTest
from middleware.values import factor

MOST = 5  # suggestions for one code: more is no help
ALIKE = 0.78  # of SequenceMatcher: "HAEMOGLOBIN" and "Hemoglobin" are, "T3" and "T4" are not
RARE = 4  # a unit that at most so many tests have says something by itself
SHORT = 4  # letters; shorter names are alike by chance
RANKS = ("loinc", "code", "name", "drivers", "alike", "unit")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A catalogue test and why: loinc · code · name · drivers (other analyzers call it so) · alike · unit.

    `unit`: fits · differs · "" when none was sent.
    """

    test: str
    why: str
    unit: str = ""


def search(words: str, unit: str, catalogue: Mapping[str, CatalogueTest]) -> tuple[Suggestion, ...]:
    """What somebody who typed these words instead of a catalogue code may have meant: a name, part of one, a LOINC."""
    return suggest(words, words, unit, catalogue)


def suggest(code: str, name: str, unit: str, catalogue: Mapping[str, CatalogueTest]) -> tuple[Suggestion, ...]:
    """At most five, the strongest reason first; () when nothing speaks for any test."""
    found: dict[str, Suggestion] = {}
    for test, why in _reasons(code, name, unit, catalogue):
        best = found.get(test.code)
        if best is None or RANKS.index(why) < RANKS.index(best.why):
            found[test.code] = Suggestion(test.code, why, _fits(test, unit))
    ranked = sorted(found.values(), key=lambda s: (RANKS.index(s.why), s.unit == "differs", catalogue[s.test].sort))
    return tuple(ranked[:MOST])


def _reasons(
    code: str, name: str, unit: str, catalogue: Mapping[str, CatalogueTest]
) -> Iterator[tuple[CatalogueTest, str]]:
    said = [text for text in (code, name) if text.strip()]
    plain = {_plain(text) for text in said} - {""}
    others = {test for text in plain for test in _other_drivers().get(text, ())}
    for test in catalogue.values():
        if test.loinc and any(test.loinc in re.split(r"[\^ ]", text) for text in said):
            yield test, "loinc"
        if _plain(test.code) in plain:
            yield test, "code"
        if _plain(test.name_en) in plain or test.name_hi in said:
            yield test, "name"
        if test.code in others:
            yield test, "drivers"
        if any(_alike(text, _plain(test.name_en)) or _alike(text, _plain(test.code)) for text in plain):
            yield test, "alike"
    fitting = [test for test in catalogue.values() if _fits(test, unit) == "fits"]
    yield from ((test, "unit") for test in fitting if len(fitting) <= RARE)


def _plain(text: str) -> str:
    """Letters and digits in capitals; a text of digits alone says nothing: the site numbered its tests."""
    kept = re.sub(r"[^A-Z0-9#%]", "", text.upper())
    return "" if kept.isdigit() else kept


def _alike(one: str, other: str) -> bool:
    if min(len(one), len(other)) < SHORT:
        return False
    return one in other or SequenceMatcher(None, one, other).ratio() >= ALIKE


def _fits(test: CatalogueTest, unit: str) -> str:
    if not unit.strip():
        return ""
    return "fits" if not test.coded and factor(test, None, unit) is not None else "differs"


@cache
def _other_drivers() -> Mapping[str, frozenset[str]]:
    """What all drivers call each test: their codes without signs → catalogue codes."""
    found: dict[str, set[str]] = {}
    for name in driver_names():
        for code, meaning in load_driver(name).tests.items():
            if meaning.test and _plain(code):
                found.setdefault(_plain(code), set()).update(meaning.test.split("|"))
    return {code: frozenset(tests) for code, tests in found.items()}
