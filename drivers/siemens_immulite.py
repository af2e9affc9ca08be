"""Siemens (DPC) Immulite 1000 and 2000, immunoassay. LIS2-A2 (E1394-91) over RS-232.

Manual  Siemens/DPC, Immulite LIS interface (ASTM E1394-91)
Proof   capture: the vendor's own upload of two patients, re-written; not yet run beside a lab's own analyzer

Where things sit: sample O-3 · code R-3 component 4 · value R-4, sometimes ending with its point (`173.`) · unit R-5 ·
range R-6, `normal low\\reportable low^normal high\\reportable high` · flags R-7 · status R-9 · time R-13 · control O-12
Q. H names no escape delimiter and a password in H-4. A message holds several patients, and several orders of each.
TESTS is the vendor's naming. Cannot: answer a query (`Q|1|^id||ALL`): the password that the answer must carry is set on
the analyzer; tell controls that the analyzer does not mark (give them ids that begin QC).
"""

from dataclasses import replace

from drivers.driver import ASTM, Grade, known, measurement

TESTS = {
    **dict.fromkeys(("TSH", "RTH"), measurement("TSH", "m[IU]/L")),
    "TT3": measurement("T3", "ng/dL", {"nmol/L": "65.1"}),
    "T3": measurement("T3", "ng/dL", {"nmol/L": "65.1"}),
    "TT4": measurement("T4", "ug/dL", {"nmol/L": "0.0777"}),
    "T4": measurement("T4", "ug/dL", {"nmol/L": "0.0777"}),
    **dict.fromkeys(("FT3", "F3"), measurement("FT3", "pg/mL", {"pmol/L": "0.651"})),
    **dict.fromkeys(("FT4", "F4"), measurement("FT4", "ng/dL", {"pmol/L": "0.0777"})),
    "FER": measurement("FERR", "ng/mL"),
    **dict.fromkeys(("VB", "B12"), measurement("B12", "pg/mL", {"pmol/L": "1.355"})),
    **dict.fromkeys(("TU", "HCG", "FSH", "LH", "PRL", "CEA", "AFP", "PSA"), known()),
}

DRIVER = replace(
    ASTM,
    name="siemens_immulite",
    title="Siemens Immulite",
    grade=Grade.CAPTURE,
    control_id=r"QC",
    tests=TESTS,
)
