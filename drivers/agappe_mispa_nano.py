"""Agappe Mispa Nano and Nano Plus, clinical chemistry. Mindray's dialect of ASTM 1394-97 over RS-232.

Manual  Agappe, host interface of the Mispa Nano; it is Mindray's (engine/mindray_astm); vendor text is not public
Proof   capture: a panel with blank codes; not yet run beside a lab's own analyzer

Where things sit: as in Mindray's dialect (engine/mindray_astm): sample O-4 · code R-3 component 1 · value R-4 component
1 · unit R-5 · flag R-7 · range R-6, `^` for none · status R-9 · time R-12 · control H-12 QR.
Quirks: Labs often leave the code blank and type a name only (component 2): then the name is the code. Where both are
blank the row has no code: it is shown as unmatched, never guessed. TESTS is the naming of the captured analyzer, as
typed there (TOTAL PROTIEN); config/analyzers.toml overrides it.
Cannot: name a test that the lab gave no name.
"""

from dataclasses import replace

from drivers.driver import Grade
from drivers.engine.chemistry import ANY_GLUCOSE, USUAL_NAMES, chemistry
from drivers.engine.mindray_astm import FORM

NAMES = {
    "ALB": ("ALBUMIN",),
    "DBIL": ("BILIRUBIN DIRECT",),
    "TBIL": ("BILIRUBIN TOTAL",),
    "CA": ("Calcium A", "CALCIUM"),
    "CHOL": ("CHOLESTEROL",),
    "CREAT": ("ENZYMATIC CREATININE", "CREATININE"),
    "HDL": ("HDL DIRECT",),
    "LDL": ("LDL DIRECT",),
    "TG": ("TRIGLYCERIDES",),
    "TP": ("TOTAL PROTIEN", "TOTAL PROTEIN"),
    "URIC": ("URIC ACID",),
    ANY_GLUCOSE: ("GLUCOSE",),
}

DRIVER = replace(
    FORM,
    name="agappe_mispa_nano",
    title="Agappe Mispa Nano",
    grade=Grade.CAPTURE,
    tests=chemistry(USUAL_NAMES) | chemistry(NAMES),
)
