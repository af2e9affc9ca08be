"""Radiometer ABL80 FLEX and ABL80 BASIC, blood gas and electrolytes. LIS2-A2 over TCP or RS-232.

Manual  Radiometer, ABL80 FLEX communication (ASTM E1394/E1381); the vendor's text is not public
Proof   capture: an ABL80 BASIC that measured electrolytes only; not yet run beside a lab's own analyzer

Where things sit: sample O-3, when the site fills it; else P-4, what the user typed as the patient's id, when it is
twelve digits, as our tubes have · code R-3 component 4, component 5 M measured or C calculated · value R-4, `.....`
when there is none · unit R-5 · flags R-7 · range R-6 · status R-9 · time R-13, only in the first R of a sample and
meant for all of them · control O-12 or H-12 Q, `QCLevel^lot` in O-16 (else the specimen), `QC #` in O-4 (these two as
public interfaces recorded them), or an id that begins QC.
Quirks: There is no accession number: O-3 is empty, O-4 `Sample #^259` counts the analyzer's own runs, and what else was
typed in P-4 names a patient, not a tube. Gases and calculated values are not the catalogue's tests.
Cannot: give controls a lot but by their id; answer queries.
"""

import re
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, Observation
from drivers.engine.form import RowText
from drivers.engine.gas import beyond, ions

TUBE = r"\d{12}"

TESTS = {
    **ions("Na+", "K+", "Cl-", "Ca++"),
    **beyond(
        "pH", "pH(T)", "pCO2", "pCO2(T)", "pO2", "pO2(T)", "Hct", "sO2", "RI", "pO2(A)", "AaDpO2", "a/ApO2",
        "AaDpO2,T", "a/ApO2,T", "RI,T", "pO2(A),T", "tHb", "SBE", "HCO3-", "tCO2(P)", "Ca(7.4)", "Anion gap",
        "Anion gap (K+)", "ABE", "cBase(Ecf,ox)", "SBC", "tCO2(B)", "cBase(B,ox)", "tO2",
    ),
}  # fmt: skip


def retells(row: Observation, sent: RowText) -> Observation:
    """The tube's number from where the user typed it, when it is one."""
    typed = (sent.get("P.4.1") or "").strip()
    return row._replace(sample_id=typed) if row.sample_id is None and re.fullmatch(TUBE, typed) else row


def settles(decoded: Decoded, _message: Message) -> Decoded:
    """The time of a sample's first row is the time of those that follow without one."""
    rows: list[Observation] = []
    for row in decoded.observations:
        same = rows and rows[-1].sample_id == row.sample_id and row.observed_at is None
        rows.append(row._replace(observed_at=rows[-1].observed_at) if same else row)
    return replace(decoded, observations=tuple(rows))


DRIVER = replace(
    ASTM,
    name="radiometer_abl80",
    title="Radiometer ABL80",
    grade=Grade.CAPTURE,
    sender=r"ABL80",
    aspect="R.3.5",
    aspects={"M": "measured", "C": "calculated"},
    observed_at=("R.13", "R.12"),
    control=(*ASTM.control, ("O.16.1", "QCLEVEL"), ("O.4.1", "QC #")),
    control_id=r"QC",
    pseudo=r"0+|(?:Sample|QC) #.*",
    tests=TESTS,
    retells=retells,
    settles=settles,
)
