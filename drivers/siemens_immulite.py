"""Siemens (DPC) Immulite 1000 and 2000, immunoassay. LIS2-A2 (E1394-91) over RS-232.

Manual  Siemens/DPC, Immulite LIS interface (ASTM E1394-91)
Proof   capture: the vendor's own upload of two patients, re-written; not yet run beside a lab's own analyzer

Where things sit: sample O-3 · code R-3 component 4 · value R-4, sometimes ending with its point (`173.`) · unit R-5 ·
range R-6, `normal low\\reportable low^normal high\\reportable high` · flags R-7 · status R-9 · time R-13 · control O-12
Q.
Quirks: H names no escape delimiter and a password in H-4. A message holds several patients, and several orders of each.
TESTS is the vendor's naming.
Cannot: answer a query (`Q|1|^id||ALL`): the password that the answer must carry is set on the analyzer; tell controls
that the analyzer does not mark (give them ids that begin QC).
"""

from dataclasses import replace

from drivers.driver import ASTM, Grade, known
from drivers.engine.immuno import assays

TESTS = assays(
    {
        "TSH": "TSH RTH", "T3": "TT3 T3", "T4": "TT4 T4", "FT3": "FT3 F3", "FT4": "FT4 F4", "FERR": "FER",
        "B12": "VB B12",
    }
) | dict.fromkeys(("TU", "HCG", "FSH", "LH", "PRL", "CEA", "AFP", "PSA"), known())  # fmt: skip

DRIVER = replace(
    ASTM,
    name="siemens_immulite",
    title="Siemens Immulite",
    grade=Grade.CAPTURE,
    control_id=r"QC",
    tests=TESTS,
)
