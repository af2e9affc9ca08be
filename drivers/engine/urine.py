"""What every reader of urine strips says of its pads: grades as the vendors write them → the catalogue's grades.

Turns a catalogue code into the TestCode of a pad. Law: only words and plus signs are grades; a concentration without a
grade beside it ("250 mg/dL") is no answer of a graded test and is held, never graded from the size of the number.
Source: the strips' package inserts (negative, trace, 1+ to 4+); what Siemens, Sysmex, URIT and DIRUI write for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.engine.units import units
from drivers.engine.words import Kind, TestCode

_NEGATIVE = dict.fromkeys(("-", "neg", "neg.", "negative", "nil"), "Negative")
_TRACE = dict.fromkeys(("+-", "+/-", "-+", "±", "trace", "tr", "tr."), "Trace")
_PLUS = {text: f"{n}+" for n in range(1, 5) for text in ("+" * n, f"+{n}", f"{n}+")}
_SIZES = {"small": "1+", "moderate": "2+", "large": "3+", "trace-lysed": "Trace", "trace-intact": "Trace"}
_SIGNS = {"pos": "Positive", "pos.": "Positive", "positive": "Positive", "+": "Positive"}

GRADE = r"(?:\+[1-4]|[1-4]\+|\+{1,4}|\+/?-|-\+?|±|(?i:neg(?:ative)?|pos(?:itive)?|norm(?:al)?|trace|tr|nil)\.?)(?!\S)"
"""A grade as one whole word, for readers that have to tell it from a number beside it: +2 is no plus and a two."""

GRADED = _NEGATIVE | _TRACE | _PLUS | _SIZES
SIGNED = _NEGATIVE | _SIGNS
COLOURS = {
    "l yellow": "Pale yellow", "light yellow": "Pale yellow", "straw": "Pale yellow", "d yellow": "Dark yellow",
    **dict.fromkeys(("orange", "green", "blue"), "Other"),
}  # fmt: skip
CLARITY = {"slightly cloudy": "Slightly turbid", "sl cloudy": "Slightly turbid", "cloudy": "Turbid"}


def pad(test: str, words: Mapping[str, str] | None = None) -> TestCode:
    """A pad whose answer is a grade; `words` are those of its own: as sent → the catalogue's answer."""
    return TestCode(Kind.MEASUREMENT, test, coded=dict(GRADED if words is None else words))


def pads(**codes: str) -> dict[str, TestCode]:
    """The ten pads that every strip has, under the codes of one vendor: catalogue code=vendor's code.

    Nitrite is negative or positive, urobilinogen begins with normal, the others are graded; pH and specific gravity
    are numbers without a unit.
    """
    own = {
        "UNIT": pad("UNIT", SIGNED),
        "UURO": pad("UURO", _PLUS | {"norm": "Normal", "norm.": "Normal"}),
        "UPH": TestCode(Kind.MEASUREMENT, "UPH", units("[pH]", {"": "1"})),
        "USG": TestCode(Kind.MEASUREMENT, "USG", units("{SG}", {"": "1"})),
        "UCOL": pad("UCOL", COLOURS),
        "UAPP": pad("UAPP", CLARITY),
    }
    return {code: own.get(test) or pad(test) for test, code in codes.items()}
