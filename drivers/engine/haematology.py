"""The blood count in the catalogue's words, for every analyzer that counts cells.

Turns {code as sent: catalogue test} into a form's table. Law: a unit that is not listed holds the result; where a
family sends none, its driver says in which unit it counts. Source: config/tests.csv for tests and units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drivers.engine.units import units
from drivers.engine.words import Kind, TestCode

CELLS = ("NEUT", "LYMPH", "MONO", "EOS", "BASO")
ABSOLUTE = tuple(f"{cell}A" for cell in CELLS)
PERCENT = tuple(f"{cell}P" for cell in CELLS)

UNIT_OF = {
    **dict.fromkeys(("WBC", "PLT", *ABSOLUTE), "10*3/uL"),
    "RBC": "10*6/uL",
    **dict.fromkeys(("HB", "MCHC"), "g/dL"),
    **dict.fromkeys(("HCT", "RDWCV", "PLCR", "PCT", "RETIC", *PERCENT), "%"),
    **dict.fromkeys(("MCV", "RDWSD", "PDW", "MPV"), "fL"),
    "MCH": "pg",
}
OF_ONE_TEST = {"HCT": {"L/L": "100", "l/l": "100"}, "PCT": {"mL/L": "0.1", "ml/L": "0.1"}}


def counts(codes: Mapping[str, str], also: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, TestCode]:
    """The measurements of a form: its code → catalogue test, in the catalogue's unit with every spelling known.

    `also` adds units of this family: catalogue test, or "" for every test → {text as sent, "" for none: factor}.
    """
    more = also or {}
    return {
        code: TestCode(
            Kind.MEASUREMENT,
            test,
            units(UNIT_OF[test], {**OF_ONE_TEST.get(test, {}), **more.get("", {}), **more.get(test, {})}),
        )
        for code, test in codes.items()
    }


def unreported(codes: Iterable[str]) -> dict[str, TestCode]:
    """Numbers that are known and not in the catalogue: stored and shown, never reported."""
    return dict.fromkeys(codes, TestCode(Kind.MEASUREMENT))
