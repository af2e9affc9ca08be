"""Roche cobas e 411 (Elecsys), immunoassay. LIS2-A2 over RS-232, here often behind a TCP converter.

Manual  Roche, cobas e 411 host interface manual (ASTM; RSUPL, TSREQ, TSDWN)
Proof   capture: quantitative and qualitative results, queries; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 (`@192` and the like stand for an unread barcode) · O-4
`sequence^rack^position^^S1^SC` · code the first part of R-3 component 4 (`117/1/not`: application, dilution,
pre-dilution) · value R-4; qualitative tests send `-1^0.282`, interpretation then cut-off index: the index is the value,
the interpretation is kept beside it (`coded`: -1 non-reactive, 0 borderline, 1 reactive) · unit R-5 · flags R-7 ·
status R-9 · time O-23 (R-13 is empty) · a C record carries the number of a data alarm in C-4 · control O-12 Q, or QC in
O-4 component 5.
Frames hold 240 characters and are cut anywhere, even inside ids and inside L.
TSREQ^REAL asks with Q-3 `^^id^sequence^rack^position^^S1^SC`; Q-13 is O or A and both ask: A does not cancel here.
The answer TSDWN^REPLY is the one that Roche's analyzers share (engine/roche).
Application codes are assigned by the site: TESTS is the list of the captured analyzer as far as its units tell it,
config/analyzers.toml overrides it. Borderline has no catalogue value: it is held.
"""

from drivers.driver import Driver, Grade, measurement
from drivers.engine.roche import CONTROL, PSEUDO, QUERY_ID, answer, pushes

INTERPRETATION = {"-1": "Non-reactive", "1": "Reactive"}
INDEX = "{index}"

TESTS = {
    "1": measurement("B12", "pg/mL"),
    "3": measurement("FERR", "ng/mL"),
    "4": measurement("HCV", INDEX, coded=INTERPRETATION),
    "5": measurement("HBSAG", INDEX, coded=INTERPRETATION),
    "6": measurement("T3", "ng/dL", {"nmol/l": "65.1", "nmol/L": "65.1"}),
    "7": measurement("T4", "ug/dL", {"nmol/l": "0.0777", "nmol/L": "0.0777"}),
    "8": measurement("TSH", "m[IU]/L"),
    "9": measurement("FT4", "ng/dL", {"pmol/l": "0.0777", "pmol/L": "0.0777"}),
    "10": measurement("FT3", "pg/mL", {"pmol/l": "0.651", "pmol/L": "0.651"}),
    "11": measurement("VITD", "ng/mL"),
    "12": measurement("HIV", INDEX, coded=INTERPRETATION),
}


DRIVER = Driver(
    name="roche_cobas_e411",
    title="Roche cobas e 411",
    grade=Grade.CAPTURE,
    speaks="LIS2-A2",
    sender=r"cobas[- ]?e ?411",
    sample_id="O.3.1",
    code="R.3.4",
    code_until="/",
    value=("R.4.2", "R.4"),
    coded="R.4.1",
    unit="R.5",
    flag="R.7",
    range="R.6",
    status="R.9",
    observed_at=("R.13", "O.23"),
    control=CONTROL,
    pseudo=PSEUDO,
    query_id=QUERY_ID,
    tests=TESTS,
    answers=answer,
    pushes=pushes,
)
