"""Horiba ABX Micros 60, ES60 and CRP, haematology with a three-part differential. LIS2-A2 over RS-232 (9600).

Manual  Horiba ABX, Micros output format (ASTM), as working interfaces read it
Proof   capture: a message with decimal commas; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1, `AUTOSID…` when nobody gave one · code R-3 component 4 (component 5 an old
LOINC) · value R-4, with a decimal comma by the language setting: it is read as a point, R-4 as sent is kept · unit R-5,
the number of a unit system: 1 is the usual one (10*3/mm3, g/dL, %, um3, pg; of PDW nobody says it: held), results of
others are held · flags R-7 (H L) · range R-6 · status R-9 · time R-13. H is one field short: H-11 P, H-13 the time
sent. H-5 is SAT. Control O-12 or H-12 Q, or O-16 CTRL.
Quirks: C above the first R is an alarm, in C-3 (`alarm^^^G1`), said of all rows. C below an R are its curves, as hex
(`curve^PLT^0^63^…`), kept as images, and thresholds. THT is the plateletcrit. GRA are granulocytes: no test of the
catalogue, shown and never reported; MON are what the analyzer itself calls monocytes.
Cannot: be asked or told anything; tell a control but by O-12 Q, H-12 Q or O-16 CTRL. The older ABX format (one letter
and a value on each line) is another language: set the analyzer to ASTM.
"""

from dataclasses import replace

from drivers.driver import Grade, Observation
from drivers.engine import abx
from drivers.engine.form import RowText
from drivers.engine.haematology import counts, unreported
from drivers.engine.points import pointed


def retold(row: Observation, sent: RowText) -> Observation:
    """Decimal points, and no unit where R-5 names the usual unit system."""
    return abx.in_the_usual_units(pointed(row), sent)


DRIVER = replace(
    abx.FORM,
    name="horiba_micros",
    title="Horiba ABX Micros",
    grade=Grade.CAPTURE,
    sender=r"SAT|ABX|MICROS",
    tests=counts(abx.CODES | {"THT": "PCT"}, abx.UNSENT) | unreported(abx.RESEARCH),
    retells=retold,
)
