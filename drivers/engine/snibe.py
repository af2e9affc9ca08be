"""What all Snibe Maglumi drivers share: the assays' names, whatever language the analyzer speaks.

Turns a name into a test of the catalogue. Law: an assay's name is the vendor's with the reagent's generation behind it
(`TSH`, `TSH II`, `Vit B12 III`); all generations of one assay are one test; units convert in that test alone.
Source: the channels of MAGLUMI X3 and X6 analyzers as their messages name them.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.engine.units import units
from drivers.engine.words import TestCode

GENERATIONS = ("", " II", " III", " IV")


def _assay(test: str | None, ucum: str, also: Mapping[str, str] | None, *names: str) -> dict[str, TestCode]:
    meaning = TestCode(test=test, units=units(ucum, also) if test else {})
    return {name + generation: meaning for name in names for generation in GENERATIONS}


TESTS: Mapping[str, TestCode] = {
    **_assay("TSH", "m[IU]/L", None, "TSH"),
    **_assay("T3", "ng/dL", {"nmol/L": "65.1"}, "TT3", "T3"),
    **_assay("T4", "ug/dL", {"nmol/L": "0.0777", "ng/mL": "0.1"}, "TT4", "T4"),
    **_assay("FT3", "pg/mL", {"pmol/L": "0.651"}, "FT3"),
    **_assay("FT4", "ng/dL", {"pmol/L": "0.0777", "pg/mL": "0.1", "ng/L": "0.1"}, "FT4"),
    **_assay("FERR", "ng/mL", None, "Ferritin"),
    **_assay("B12", "pg/mL", {"pmol/L": "1.355"}, "Vit B12", "VB12"),
    **_assay("VITD", "ng/mL", {"nmol/L": "0.4006"}, "25-OH VD"),
    **_assay(None, "", None, "FSH", "LH", "PRL", "PROG", "TEST", "E2", "AMH", "T-B HCG", "CA125", "CEA", "AFP", "PSA"),
    **_assay(None, "", None, "tPSA", "HBcAb IgG", "Anti-TPO", "Cortisol", "GH", "IgE", "CCP", "ANA", "HAV IgM"),
}
