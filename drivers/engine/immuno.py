"""What immunoassay analyzers share: the assays with the units that each converts from, and infection markers.

Turns an analyzer's codes into TestCodes of the catalogue. Law: a driver says which of its codes is which test; a unit
of substance converts only in that assay's row; an index without its interpretation is never called reactive.
Source: the lab's catalogue (config/tests.csv) for units; molar masses of the substances for the factors.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.engine.chemistry import Analytes, Names, meanings, molar
from drivers.engine.units import units
from drivers.engine.words import Kind, TestCode

_NMOL, _PMOL = ("nmol/L", "nmol/l"), ("pmol/L", "pmol/l")
INDEX = "{index}"

ASSAYS: Analytes = {
    "TSH": ("m[IU]/L", {}),
    "T3": ("ng/dL", molar("65.1", *_NMOL)),
    "T4": ("ug/dL", molar("0.0777", *_NMOL) | {"ng/mL": "0.1"}),
    "FT3": ("pg/mL", molar("0.651", *_PMOL)),
    "FT4": ("ng/dL", molar("0.0777", *_PMOL) | {"pg/mL": "0.1", "ng/L": "0.1"}),
    "FERR": ("ng/mL", {}),
    "B12": ("pg/mL", molar("1.355", *_PMOL)),
    "VITD": ("ng/mL", molar("0.4006", *_NMOL)),
}


def assays(names: Names) -> dict[str, TestCode]:
    """Catalogue test → its codes on this analyzer, blanks between them; gives code → what it means."""
    return meanings(ASSAYS, names)


def markers(coded: Mapping[str, str], names: Mapping[str, str]) -> dict[str, TestCode]:
    """Infection markers: catalogue test → its codes, as in `assays`. `coded` says what the analyzer's interpretations
    are in the catalogue's words; the number beside them is an index."""
    meaning = {test: TestCode(Kind.MEASUREMENT, test, units(INDEX), coded=dict(coded)) for test in names}
    return {code: meaning[test] for test, codes in names.items() for code in codes.split()}
