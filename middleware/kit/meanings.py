"""What the codes of a capture may mean in the catalogue: by LOINC, by what other drivers say, by likeness of names.

Turns codes and names into Meanings. Law: pure; only a LOINC that one test of the catalogue has is a meaning, all else
is a suggestion that the engineer confirms: a wrong mapping would file a right number under a wrong test.
Source: config/tests.csv (code, LOINC, name, unit); the tables of the drivers of this house.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache

from drivers.driver import driver_names, load_driver, units
from middleware.kit import words
from middleware.kit.places import Place, Row
from middleware.model import CatalogueTest

ALIKE = 0.8  # two names; below this a likeness is chance


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code of the capture: what it may be (None: nothing is like it), whether that is sure, and why."""

    code: str
    test: CatalogueTest | None
    sure: bool
    why: str
    unit_unknown: str = ""  # a unit that was sent and that the test does not understand


def meanings(
    rows: Sequence[Row], places: Mapping[str, Place], catalogue: Mapping[str, CatalogueTest]
) -> tuple[Meaning, ...]:
    """One for each code, in the order they came."""
    seen: dict[str, Row] = {}
    for row in rows:
        code = (row.at(places["code"].first) or "").strip()
        if code:
            seen.setdefault(code, row)
    return tuple(_meaning(code, row, places, catalogue) for code, row in seen.items())


def _meaning(
    code: str, row: Row, places: Mapping[str, Place], catalogue: Mapping[str, CatalogueTest]
) -> Meaning:
    record, field, *_ = places["code"].first.split(".")
    beside = [part.strip() for part in re.split(r"[\^!]", row.row.raw(field) or "") if part.strip()]
    name = (row.at(places["code_name"].first) or "").strip() if places["code_name"].first else ""
    if record == "OBX" and not name:
        name = (row.at("OBX.4") or "").strip()
    test, sure, why = _found(code, name, beside, catalogue)
    sent = (row.at(places["unit"].first) or "").strip()
    unknown = sent if test and not test.coded and sent and sent not in units(test.unit) else ""
    return Meaning(code, test, sure, why, unknown)


def _found(
    code: str, name: str, beside: Collection[str], catalogue: Mapping[str, CatalogueTest]
) -> tuple[CatalogueTest | None, bool, str]:
    for loinc in filter(words.LOINC.fullmatch, beside):
        tests = [test for test in catalogue.values() if test.loinc == loinc]
        if len(tests) == 1:
            return tests[0], True, f"by LOINC {loinc}"
        if tests:
            return tests[0], False, f"LOINC {loinc} is {', '.join(test.code for test in tests)}: which of them?"
    for text in filter(None, (code, name)):
        test_code, count = _elsewhere().get(text.lower(), ("", 0))
        if test_code in catalogue:
            return catalogue[test_code], False, f"{text!r} is that in {count} driver{'s' if count > 1 else ''}"
    likes = [(_alike(text, test), test, text) for text in (code, name) if len(text) > 1 for test in catalogue.values()]
    worth, test, text = max(likes, key=lambda one: one[0], default=(0.0, None, ""))
    if test is not None and worth >= ALIKE:
        return test, False, f"{text!r} is like {test.name_en}"
    return None, False, f"nothing of the catalogue is like it{f' ({name})' if name else ''}"


def _alike(text: str, test: CatalogueTest) -> float:
    return max(SequenceMatcher(None, text.lower(), other.lower()).ratio() for other in (test.code, test.name_en))


@cache
def _elsewhere() -> Mapping[str, tuple[str, int]]:
    """Code → the test that most drivers take it for, and how many do. Numbers that sites assign mean nothing."""
    told: dict[str, Counter[str]] = {}
    for name in driver_names():
        for code, known in load_driver(name).tests.items():
            if known.test and "|" not in known.test and len(code) > 1 and not code.isdigit():
                told.setdefault(code.lower(), Counter())[known.test] += 1
    return {code: count.most_common(1)[0] for code, count in told.items()}
