"""What clinical chemistry analyzers share: the tests with the units that each analyte converts from, which of several
runs is reported, and the word for the material that an order names.

Turns an analyzer's codes into TestCodes of the catalogue. Law: a driver says which of its codes is which test; mass and
substance units convert only in that analyte's row (urea and urea nitrogen are two analytes); nothing is guessed.
Source: the lab's catalogue (config/tests.csv) for units; molar masses of the substances for the factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drivers.engine.choose import best_of_each_test
from drivers.engine.units import units
from drivers.engine.words import Kind, Observation, TestCode

Analytes = Mapping[str, tuple[str, Mapping[str, str]]]
"""Catalogue test → its unit there, and what else it converts from: text as sent → factor."""

Names = Mapping[str, str | tuple[str, ...]]
"""Catalogue test → its codes on an analyzer, blanks between them; a tuple where they hold blanks."""


def molar(factor: str, *spellings: str) -> dict[str, str]:
    """The spellings of a unit of substance, each with the factor that leads to the catalogue's unit."""
    return dict.fromkeys(spellings, factor)


_ENZYME: tuple[str, dict[str, str]] = ("U/L", {})
_MMOL = ("mmol/l", "mmol/L", "MMOL/L")
_UMOL = ("umol/l", "umol/L", "µmol/l", "µmol/L", "μmol/l", "μmol/L")
_ION = molar("1", "mEq/L", "mEq/l", "meq/l", "meq/L")
_GLUCOSE = ("mg/dL", molar("18.016", *_MMOL))
_LIPID = ("mg/dL", molar("38.67", *_MMOL))
_IRON = ("ug/dL", molar("5.5845", *_UMOL))

ANALYTES: Analytes = {
    "GLUF": _GLUCOSE,
    "GLUPP": _GLUCOSE,
    "GLUR|GLUF|GLUPP|OGTT2H": _GLUCOSE,
    "UREA": ("mg/dL", molar("6.006", *_MMOL)),
    "BUN": ("mg/dL", molar("2.8014", *_MMOL)),
    "CREAT": ("mg/dL", molar("0.011312", *_UMOL)),
    "URIC": ("mg/dL", molar("0.016811", *_UMOL)),
    "TBIL": ("mg/dL", molar("0.058467", *_UMOL)),
    "DBIL": ("mg/dL", molar("0.058467", *_UMOL)),
    **dict.fromkeys(("CHOL", "HDL", "LDL", "LDLC"), _LIPID),
    "TG": ("mg/dL", molar("88.57", *_MMOL)),
    "NA": ("mmol/L", _ION),
    "K": ("mmol/L", _ION),
    "CL": ("mmol/L", _ION),
    "CA": ("mg/dL", molar("4.008", *_MMOL)),
    "PHOS": ("mg/dL", molar("3.097", *_MMOL)),
    "MG": ("mg/dL", molar("2.431", *_MMOL) | molar("1.2155", *_ION)),
    "IRON": _IRON,
    "TIBC": _IRON,
    "TP": ("g/dL", {}),
    "ALB": ("g/dL", {}),
    "CRP": ("mg/L", {}),
    "HBA1C": ("%", {}),
    "UMALB": ("mg/dL", molar("0.1", "mg/L", "mg/l")),
    "UCREAT": ("mg/dL", molar("11.312", *_MMOL)),  # 113.12 g/mol
    "ACR": ("mg/g{creat}", {"mg/g": "1", "mg/mmol": "8.840"}),
    **dict.fromkeys(("ALT", "AST", "ALP", "GGT", "AMY", "LIP", "LDH", "CK", "CKMB"), _ENZYME),
}
ANY_GLUCOSE = "GLUR|GLUF|GLUPP|OGTT2H"  # one method serves all glucose tubes: the test is the one that is ordered

# How Indian labs name their tests on analyzers whose names the lab types itself.
USUAL_NAMES: Mapping[str, str] = {
    ANY_GLUCOSE: "GLU GLUC GLCC GLUR RBS GLC",
    "GLUF": "GLUF FBS",
    "GLUPP": "GLUPP PPBS",
    "UREA": "UREA Urea URE",
    "BUN": "BUN",
    "CREAT": "CR CREA CREAT CRE",
    "URIC": "UA URIC URCA",
    "TBIL": "TBIL BILT BIT",
    "DBIL": "DBIL BILD BID",
    "ALT": "ALT SGPT GPT",
    "AST": "AST SGOT GOT",
    "ALP": "ALP ALKP",
    "GGT": "GGT",
    "TP": "TP PROT TPR",
    "ALB": "ALB",
    "CHOL": "CHOL CHO",
    "TG": "TG TRIG TGL",
    "HDL": "HDL HDLC HDL-C",
    "LDL": "LDL LDLD LDL-C",
    "NA": "Na NA",
    "K": "K",
    "CL": "Cl CL",
    "CA": "CA CAL CALA Ca",
    "PHOS": "PHOS PHO",
    "MG": "MG MAG Mg",
    "AMY": "AMY AMYL",
    "LIP": "LIP LIPA",
    "LDH": "LDH",
    "CK": "CK",
    "CKMB": "CKMB CK-MB",
    "CRP": "CRP",
    "IRON": "IRON",
    "TIBC": "TIBC",
    "HBA1C": "A1C HBA1C HbA1c",
}


def chemistry(names: Names, also: Mapping[str, str] | None = None) -> dict[str, TestCode]:
    """The table of a form: code → what it means. `also` adds spellings of the catalogue's own unit that only this
    analyzer has: text as sent → factor. KeyError for a test that is not in ANALYTES."""
    return meanings(ANALYTES, names, also)


def meanings(analytes: Analytes, names: Names, also: Mapping[str, str] | None = None) -> dict[str, TestCode]:
    """Code → what it means, by the units of these analytes; KeyError for a test that is none of them."""
    table = {}
    for test, codes in names.items():
        ucum, more = analytes[test]
        meaning = TestCode(Kind.MEASUREMENT, test, units(ucum, {**more, **(also or {})}))
        table.update(dict.fromkeys(codes.split() if isinstance(codes, str) else codes, meaning))
    return table


def latest_with_a_value(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """Of the runs of a test on a sample, the latest that has a value, a number before an interpretation; when none has
    a value, the latest of all."""
    return best_of_each_test(observations, _rank)


def _rank(row: Observation) -> int:
    return 2 * (bool(row.value) and not row.masked) + (row.aspect != "interpretation")


_MATERIALS = (("urin", "urine"), ("csf", "csf"), ("cerebro", "csf"), ("plasma", "plasma"), ("blood", "blood"))


def material(specimen: str) -> str:
    """The catalogue's words for a specimen ("Fluoride plasma", "Urine (24 h)") as the one word analyzers know:
    serum, plasma, urine, csf or blood. What it does not know, and nothing, is serum: the tests ordered decide."""
    said = specimen.lower()
    return next((word for part, word in _MATERIALS if part in said), "serum")
