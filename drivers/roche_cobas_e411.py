"""Roche cobas e 411 (Elecsys), immunoassay. LIS2-A2 over RS-232, here often behind a TCP converter.

Manual  Roche, cobas e 411 host interface manual (ASTM; RSUPL, TSREQ, TSDWN)
Proof   capture: quantitative and qualitative results, queries; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 (`@192` and the like stand for an unread barcode) · O-4
`sequence^rack^position^^S1^SC` · code the first part of R-3 component 4 (`117/1/not`: application, dilution,
pre-dilution) · value R-4; qualitative tests send `-1^0.282`, interpretation then cut-off index: the index is the value,
the interpretation is kept beside it (`coded`: -1 non-reactive, 0 borderline, 1 reactive) · unit R-5 · flags R-7 · range
R-6 · status R-9 · time O-23 (R-13 is empty) · a C record carries the number of a data alarm in C-4 · control O-12 Q, or
QC in O-4 component 5.
Quirks: Frames hold 240 characters and are cut anywhere, even inside ids and inside L. TSREQ^REAL asks with Q-3
`^^id^sequence^rack^position^^S1^SC`; Q-13 is O or A and both ask: A does not cancel here. The answer TSDWN^REPLY is the
one that Roche's analyzers share (engine/roche). Application codes are assigned by the site, no message says what they
mean: config/analyzers.toml has to. TESTS is, by the catalogue's own codes, how units and interpretations are read.
Borderline has no catalogue value: it is held.
Cannot: say which assay a site gave a code; report a borderline answer; tell the time of the measurement, only that of
the report.
"""

from dataclasses import replace

from drivers.driver import Grade
from drivers.engine.immuno import assays, markers
from drivers.engine.roche import FORM, pushes

INTERPRETATION = {"-1": "Non-reactive", "1": "Reactive"}

TESTS = assays({test: test for test in ("B12", "FERR", "T3", "T4", "TSH", "FT4", "FT3", "VITD")}) | markers(
    INTERPRETATION, {test: test for test in ("HCV", "HBSAG", "HIV")}
)


DRIVER = replace(
    FORM,
    name="roche_cobas_e411",
    title="Roche cobas e 411",
    grade=Grade.CAPTURE,
    sender=r"cobas[- ]?e ?411",
    value=("R.4.2", "R.4"),
    coded="R.4.1",
    observed_at=("R.13", "O.23"),
    codes_are_the_sites=True,
    tests=TESTS,
    pushes=pushes,
)
