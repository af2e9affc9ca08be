"""What all Snibe Maglumi drivers share: the assays' names, whatever language the analyzer speaks.

Turns a name into a test of the catalogue. Law: an assay's name is the vendor's with the reagent's generation behind it
(`TSH`, `TSH II`, `Vit B12 III`); all generations of one assay are one test; units convert in that test alone.
Source: the channels of MAGLUMI X3 and X6 analyzers as their messages name them.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.engine.immuno import assays
from drivers.engine.words import TestCode

GENERATIONS = ("", " II", " III", " IV")
CONTROL_ID = r"QC|CTRL|CONTROL|\$"  # how the vendor's host chapter has controls named, as working interfaces know it


NAMES = {
    "TSH": ("TSH",), "T3": ("TT3", "T3"), "T4": ("TT4", "T4"), "FT3": ("FT3",), "FT4": ("FT4",), "FERR": ("Ferritin",),
    "B12": ("Vit B12", "VB12"), "VITD": ("25-OH VD",),
}  # fmt: skip
UNREPORTED = (
    "FSH", "LH", "PRL", "PROG", "TEST", "E2", "AMH", "T-B HCG", "CA125", "CEA", "AFP", "PSA", "tPSA", "HBcAb IgG",
    "Anti-TPO", "Cortisol", "GH", "IgE", "CCP", "ANA", "HAV IgM",
)  # fmt: skip


def _generations(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name + generation for name in names for generation in GENERATIONS)


TESTS: Mapping[str, TestCode] = {
    **assays({test: _generations(names) for test, names in NAMES.items()}),
    **dict.fromkeys(_generations(UNREPORTED), TestCode()),
}
