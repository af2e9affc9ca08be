"""Horiba ABX Pentra 60, ES60, 80, XL80, XLR, haematology. LIS2-A2 over RS-232 (9600 or 19200).

Manual  Horiba ABX, Pentra output format (E1394-97), as working interfaces read it
Proof   capture: a Pentra 60's message with damaged units; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 of `id^rack^position`; O-4 is the run's number · code R-3 component 4
(component 5 an old LOINC) · value R-4, `-----` when there is none · unit R-5, its name, or the number of a unit system
· range R-6 · flags R-7 (H HH L LL) · status R-9 (F, W to be checked, X, N) · time R-13, where it is sent; H-14 is when
the message was sent and no row's time · control O-12 or H-12 Q, or O-16 CTRL.
Quirks: Alarms are C records: above the first R they are said of all rows, below an R of that one. A query is Q-3 in the
shape of O-3. Unit system 1 is the usual one (10*3/mm3, 10*6/mm3, g/dL, %, um3, pg), 2 to 4 are others: their results
are held. On a line of 7 bits `10³/mm³` arrives as `10)/mm)`, `10⁶/mm³` as `102/mm)`, `µm³` as `5m)`: read as that for
counts and volumes only, where every other unit damages differently; set the line to 8 bits. No unit at all
(differentials of the Pentra 60) means the usual one; PDW, which comes in fL or %, is then held.
Cannot: answer queries; draw curves; tell a control but by O-12 Q, H-12 Q or O-16 CTRL.
"""

from dataclasses import replace

from drivers.driver import Grade
from drivers.engine import abx
from drivers.engine.haematology import ABSOLUTE, counts, unreported

DAMAGED = {
    **{test: {"": "1", "10)/mm)": "1"} for test in ("WBC", "PLT", *ABSOLUTE)},
    "RBC": {"": "1", "102/mm)": "1"},
    **{test: {"": "1", "5m)": "1"} for test in ("MCV", "MPV")},
}

DRIVER = replace(
    abx.FORM,
    name="horiba_pentra",
    title="Horiba ABX Pentra",
    grade=Grade.CAPTURE,
    sender=r"ABX|PENTRA",
    tests=counts(abx.CODES, {**abx.UNSENT, **DAMAGED}) | unreported(abx.RESEARCH),
    retells=abx.in_the_usual_units,
)
