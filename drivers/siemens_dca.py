"""Siemens DCA Vantage, point of care: HbA1c, urine albumin and creatinine. LIS2-A2 over RS-232 or USB, one frame.

Manual  Siemens, DCA Vantage Host Computer Communications Link, 17306 rev. E (2012), as working interfaces read it
Proof   capture: albumin, creatinine and their ratio; not yet run beside a lab's own analyzer

Where things sit: sample P-3, the id typed or scanned as the patient's (O-3 is empty; O-4 `sequence^cartridge lot`) ·
code R-3 component 4 · value R-4 · unit R-5 · range R-6 · flag R-7 (`<` `>` outside what it can measure, L, H) · status
R-9 (F, C corrects an earlier one) · time R-12, the start · control O-12 Q. H-12 is P, or D in service mode.
Quirks: A comment under a result is its `slope^offset unit`, under HbA1c also the primary unit and eAG: corrections that
the user has set change the result, so the technician sees them.
Cannot: tell a patient's number from a tube's: the tube's number has to be scanned as the patient's id. Give the GFR
comment under O (it is of the order, not of a result). Convert HbA1c in mmol/mol (IFCC): held. Take orders.
"""

from dataclasses import replace

from drivers.driver import ASTM, Grade
from drivers.engine.chemistry import chemistry

TESTS = chemistry({"HBA1C": "HbA1c", "UMALB": "Alb", "UCREAT": "Crt", "ACR": "Ratio"})

DRIVER = replace(
    ASTM,
    name="siemens_dca",
    title="Siemens DCA Vantage",
    grade=Grade.CAPTURE,
    sender=r"DCA V(ANTAGE|antage)",
    sample_id="P.3.1",
    observed_at=("R.12", "R.13"),
    tests=TESTS,
)
