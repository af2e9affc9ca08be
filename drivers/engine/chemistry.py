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


def _molar(factor: str, *spellings: str) -> dict[str, str]:
    return dict.fromkeys(spellings, factor)


_MMOL = ("mmol/l", "mmol/L", "MMOL/L")
_UMOL = ("umol/l", "umol/L", "µmol/l", "µmol/L", "μmol/l", "μmol/L")
_ION = _molar("1", "mEq/L", "mEq/l", "meq/l", "meq/L")
_GLUCOSE = ("mg/dL", _molar("18.016", *_MMOL))
_LIPID = ("mg/dL", _molar("38.67", *_MMOL))
_ENZYME: tuple[str, dict[str, str]] = ("U/L", {})
_IRON = ("ug/dL", _molar("5.5845", *_UMOL))

ANALYTES: Mapping[str, tuple[str, dict[str, str]]] = {
    "GLUF": _GLUCOSE,
    "GLUPP": _GLUCOSE,
    "GLUR|GLUF|GLUPP|OGTT2H": _GLUCOSE,
    "UREA": ("mg/dL", _molar("6.006", *_MMOL)),
    "BUN": ("mg/dL", _molar("2.8014", *_MMOL)),
    "CREAT": ("mg/dL", _molar("0.011312", *_UMOL)),
    "URIC": ("mg/dL", _molar("0.016811", *_UMOL)),
    "TBIL": ("mg/dL", _molar("0.058467", *_UMOL)),
    "DBIL": ("mg/dL", _molar("0.058467", *_UMOL)),
    "CHOL": _LIPID,
    "HDL": _LIPID,
    "LDL": _LIPID,
    "TG": ("mg/dL", _molar("88.57", *_MMOL)),
    "NA": ("mmol/L", _ION),
    "K": ("mmol/L", _ION),
    "CL": ("mmol/L", _ION),
    "CA": ("mg/dL", _molar("4.008", *_MMOL)),
    "PHOS": ("mg/dL", _molar("3.097", *_MMOL)),
    "MG": ("mg/dL", _molar("2.431", *_MMOL)),
    "IRON": _IRON,
    "TIBC": _IRON,
    "TP": ("g/dL", {}),
    "ALB": ("g/dL", {}),
    "CRP": ("mg/L", {}),
    "HBA1C": ("%", {}),
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


def chemistry(names: Mapping[str, str | tuple[str, ...]], also: Mapping[str, str] | None = None) -> dict[str, TestCode]:
    """Catalogue test → its codes on this analyzer, blanks between them (a tuple where they hold blanks); gives
    code → what it means.

    `also` adds spellings of the catalogue's own unit that only this analyzer has: text as sent → factor. KeyError for
    a test that is not in ANALYTES.
    """
    table = {}
    for test, codes in names.items():
        ucum, molar = ANALYTES[test]
        meaning = TestCode(Kind.MEASUREMENT, test, units(ucum, {**molar, **(also or {})}))
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
