"""What blood gas and electrolyte analyzers share: ions as tests of the catalogue, and parameters that it does not have.

Turns names of parameters into TestCodes. Law: an ion in milliequivalents is the same number only where its charge is
one; gases, calculated parameters and what a gas analyzer says of haemoglobin are not the catalogue's tests.
Source: the lab's catalogue (config/tests.csv); molar charges of the ions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from drivers.engine.units import units
from drivers.engine.words import Kind, TestCode

SINGLE = dict.fromkeys(("mEq/L", "mEq/l", "meq/L", "meq/l"), "1")
NONE: Mapping[str, str] = {}
DOUBLE = dict.fromkeys(SINGLE, "0.5")


def ions(
    sodium: str = "", potassium: str = "", chloride: str = "", ionised_calcium: str = "", also: Mapping[str, str] = NONE
) -> dict[str, TestCode]:
    """The ions under this analyzer's own names; a name left empty is not measured by it. `also` adds spellings of
    mmol/L that only this analyzer has: text as sent → factor."""
    named = (
        ("NA", sodium, SINGLE),
        ("K", potassium, SINGLE),
        ("CL", chloride, SINGLE),
        ("ICA", ionised_calcium, DOUBLE),
    )
    return {
        name: TestCode(Kind.MEASUREMENT, test, units("mmol/L", {**more, **also})) for test, name, more in named if name
    }


def says_control(kind: str) -> bool:
    """Does an analyzer's word for the kind of sample name quality control? Not seen yet: general knowledge."""
    return re.search(r"QC|quality|control", kind, re.IGNORECASE) is not None


def beyond(*names: str) -> dict[str, TestCode]:
    """Parameters that the catalogue does not have: stored and shown, never reported."""
    return dict.fromkeys(names, TestCode(Kind.MEASUREMENT))
