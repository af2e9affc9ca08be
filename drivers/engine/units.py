"""Units as analyzers spell them → the catalogue's UCUM unit and the factor, as decimal text, that leads there.

Turns a sent unit into (UCUM, factor). Law: a spelling that is not here holds the result; nothing is guessed from the
size of a number. Mass and substance units of one analyte convert only in that analyte's row.
Source: UCUM; spellings seen in captures and vendor manuals (analyzers of this house); molar masses of the substances.
"""

from __future__ import annotations

from collections.abc import Mapping

_POWERS = ("10*", "10^", "10E", "10e", "10**", "x10^", "x10*", "x10E", "x10e")
_RAISED = str.maketrans("012369", "⁰¹²³⁶⁹")
_VOLUMES = ("/uL", "/ul", "/µL", "/μL", "/mm3", "/mm^3", "/mm³", "/cumm")


def _power(exponent: str) -> list[str]:
    """Ways to write ten to a power; 1E03 as a Yumizen prints it."""
    raised = exponent.translate(_RAISED)
    return [*(power + exponent for power in _POWERS), f"1E{exponent:0>2}", f"10{raised}", f"x10{raised}"]


def _counts(thousands: str, per_litre: str) -> tuple[str, ...]:
    """10*3/uL and 10*9/L are the same number: every way to write the power, the litre and the cubic millimetre."""
    small = [power + volume for power in _power(thousands) for volume in _VOLUMES]
    return (*small, *(power + litre for power in _power(per_litre) for litre in ("/L", "/l")))


_PER_NANOLITRE = (*_counts("3", "9"), "K/uL")
_PER_PICOLITRE = (*_counts("6", "12"), "M/uL", "million/cumm")
_G_DL = ("g/dL", "g/dl", "G/DL", "gm/dL", "gm/dl", "gm%", "g%")
_MG_DL = ("mg/dL", "mg/dl", "MG/DL", "mg%")
_MMOL_L = ("mmol/L", "mmol/l", "MMOL/L")


def _same(*spellings: str) -> dict[str, str]:
    return dict.fromkeys(spellings, "1")


# UCUM unit of the catalogue → {spelling: factor}
UNITS: Mapping[str, Mapping[str, str]] = {
    "10*3/uL": _same(*_PER_NANOLITRE)
    | {"/uL": "0.001", "/cumm": "0.001", "10*2/uL": "0.1", "10*4/uL": "10", "lakh/cumm": "100"},
    "10*6/uL": _same(*_PER_PICOLITRE) | {"10*4/uL": "0.01"},
    "g/dL": _same(*_G_DL) | {"g/L": "0.1", "g/l": "0.1"},
    "%": _same("%"),
    "fL": _same("fL", "fl", "um3", "um^3", "µm3", "μm3", "µm^3", "µm³", "μm³"),
    "pg": _same("pg", "PG"),
    "mg/dL": _same(*_MG_DL),
    "U/L": _same("U/L", "U/l", "u/l", "IU/L", "IU/l"),
    "mmol/L": _same(*_MMOL_L),
    "mg/L": _same("mg/L", "mg/l") | {"mg/dL": "10", "mg/dl": "10"},
    "ug/dL": _same("ug/dL", "ug/dl", "µg/dL", "µg/dl", "μg/dL", "μg/dl"),
    "ng/dL": _same("ng/dL", "ng/dl") | {"ng/mL": "100", "ng/ml": "100"},
    "pg/mL": _same("pg/mL", "pg/ml"),
    "ng/mL": _same("ng/mL", "ng/ml", "ug/L", "ug/l", "µg/L", "µg/l", "μg/L", "μg/l"),
    "m[IU]/L": _same("uIU/mL", "uIU/ml", "µIU/mL", "µIU/ml", "μIU/mL", "μIU/ml", "mIU/L", "mIU/l", "mU/L", "uU/mL"),
    "[IU]/mL": _same("IU/mL", "IU/ml"),
    "{index}": _same("COI", "S/CO", "Index"),
}


def units(ucum: str, also: Mapping[str, str] | None = None) -> dict[str, tuple[str, str]]:
    """Spelling as sent → (UCUM, factor) for a test whose catalogue unit is `ucum`; `also` adds those of its own."""
    return {spelling: (ucum, factor) for spelling, factor in {**UNITS.get(ucum, {}), **(also or {})}.items()}
