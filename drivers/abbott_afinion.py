"""Abbott Afinion 2 (and AS100), point of care: HbA1c, CRP, ACR, lipids. LIS2-A2 over USB or RS-232, one frame.

Manual  Abbott, Afinion 2 data connectivity guide (ASTM); H-5, P-4, R-7 as working interfaces read them
Proof   capture: an HbA1c of an Afinion 2; not yet run beside a lab's own analyzer

Where things sit: sample P-4, the id typed or scanned as the patient's (O-3 is empty, O-4 the run number) · code R-3
component 4 · value R-4: `<5.6` and `>15.0` where the range ends (R-7 `<` or `>`), `---` where nothing could be measured
· unit R-5 · flag R-7, also `!` ambiguous · range R-6 · status R-9, always F · operator R-11 · time R-13 · control H-12
Q. O-16 is where the blood was taken, O-25 the cartridge's lot.
Quirks: Albumin and creatinine come with ACR and are of urine; its LDL is calculated.
Cannot: tell a patient's number from a tube's: the tube's number has to be scanned as the patient's id. Convert HbA1c in
mmol/mol (IFCC, not a factor): held. Take orders.
"""

from dataclasses import replace

from drivers.driver import ASTM, Grade
from drivers.engine.chemistry import chemistry

TESTS = chemistry(
    {
        "HBA1C": "HbA1c", "CRP": "CRP", "ACR": "ACR", "UMALB": "Alb", "UCREAT": "Creat", "CHOL": "Chol", "HDL": "HDL",
        "LDLC": "LDL", "TG": "Trig",
    }
)  # fmt: skip

DRIVER = replace(
    ASTM,
    name="abbott_afinion",
    title="Abbott Afinion",
    grade=Grade.CAPTURE,
    sender=r"Afinion",
    sample_id="P.4.1",
    tests=TESTS,
)
