"""Sysmex XN-L series (XN-330/350/450/550) and XN-1000/2000, haematology. LIS2-A2 over TCP or RS-232.

Manual  Sysmex, ASTM Host Interface Specifications (XN series)
Proof   capture: XN-550 patient and control runs, XN-350 messages; not yet run beside a lab's own analyzer

Where things sit: sample O-4 component 3 of `rack^position^id^how it was read` (O-3 stays empty), right-justified in 22
characters · code R-3 component 5 · value R-4 · unit R-5 · flags R-7 (N L H, > < outside linearity, W and A doubt) ·
range R-6 · status R-9 · time R-13; H-14 is empty · control O-12 Q and an id that begins QC-. Frames hold one record or
all.
Quirks: Rows that are no numbers: `Left_Shift?` and its like are suspects from 0 to 300, raised from 100 on (the limit
is general knowledge, to be confirmed on site); messages such as `Anemia` come without a value and with flag A; rows
`SCAT_…` and `DIST_…` name picture files (&R& in them is part of the text as sent). A query is Q-3 of O-4's shape, Q-13
N. The answer puts Q-3 into O-3 as it was asked, the parameters as `^^^^WBC`, O-12 N and O-26 Q; no order: O-26 Y and no
parameters. P-5 is the patient's id, P-6 the name.
Cannot: fetch the pictures; tell which control lot it is but by its id.
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import (
    Decoded,
    Grade,
    Kind,
    Said,
    TestCode,
    WorkOrder,
    detail,
    image,
    known,
    measurement,
    suspect,
)
from drivers.engine import sysmex
from drivers.engine.replies import header
from drivers.wire import lis2a
from drivers.wire.lis2a import Value

COUNTS = ("WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "PLT")
CELLS = ("NEUT", "LYMPH", "MONO", "EO", "BASO")
DIFFERENTIAL = tuple(cell + sign for cell in CELLS for sign in "#%")
PLATELETS = ("PLT", "PDW", "MPV", "P-LCR", "PCT")
RED = ("RBC", "HCT", "MCV", "MCH", "MCHC", "RDW-SD", "RDW-CV")
LIMIT = "100"


def unlisted(row: Said) -> Kind:
    """A name ending in ? or a row without a value is a message; a PNG is a picture; the rest are numbers."""
    if row.code.startswith(("SCAT_", "DIST_")) or row.value.startswith(("PNG&", "BMP&", "JPG&")):
        return Kind.IMAGE
    if row.code.endswith("?") or (not row.value and "A" in row.flags):
        return Kind.SUSPECT
    return Kind.MEASUREMENT


def _doubt(*codes: str) -> TestCode:
    return suspect(*codes, raised_from=LIMIT)


TESTS = {
    "WBC": measurement("WBC", "10*3/uL"),
    "RBC": measurement("RBC", "10*6/uL"),
    "HGB": measurement("HB", "g/dL"),
    "HCT": measurement("HCT", "%", {"L/L": "100"}),
    "MCV": measurement("MCV", "fL"),
    "MCH": measurement("MCH", "pg"),
    "MCHC": measurement("MCHC", "g/dL"),
    "PLT": measurement("PLT", "10*3/uL"),
    "RDW-SD": measurement("RDWSD", "fL"),
    "RDW-CV": measurement("RDWCV", "%"),
    "PDW": measurement("PDW", "fL"),
    "MPV": measurement("MPV", "fL"),
    "P-LCR": measurement("PLCR", "%"),
    "PCT": measurement("PCT", "%"),
    "NEUT#": measurement("NEUTA", "10*3/uL"),
    "LYMPH#": measurement("LYMPHA", "10*3/uL"),
    "MONO#": measurement("MONOA", "10*3/uL"),
    "EO#": measurement("EOSA", "10*3/uL"),
    "BASO#": measurement("BASOA", "10*3/uL"),
    "NEUT%": measurement("NEUTP", "%"),
    "LYMPH%": measurement("LYMPHP", "%"),
    "MONO%": measurement("MONOP", "%"),
    "EO%": measurement("EOSP", "%"),
    "BASO%": measurement("BASOP", "%"),
    "RET%": measurement("RETIC", "%"),
    **dict.fromkeys(
        ("IG#", "IG%", "NRBC#", "NRBC%", "MICROR", "MACROR", "RET#", "IRF", "LFR", "MFR", "HFR", "RET-He", "IPF"),
        known(),
    ),
    "HGB_WDF": detail(),
    "Blasts/Abn_Lympho?": _doubt("WBC", *DIFFERENTIAL),
    "Blasts?": _doubt("WBC", *DIFFERENTIAL),
    **dict.fromkeys(("Abn_Lympho/Blasts?", "Abn_Lympho/L-Blasts?"), _doubt("WBC", *DIFFERENTIAL)),
    "Abn_Lympho?": _doubt(*DIFFERENTIAL),
    **dict.fromkeys(("Left_Shift?", "Immature_Gran?"), _doubt("NEUT#", "NEUT%")),
    "Atypical_Lympho?": _doubt("LYMPH#", "LYMPH%", "MONO#", "MONO%"),
    "NRBC?": _doubt("WBC", "LYMPH#", "LYMPH%"),
    "RBC_Lyse_Resistance?": _doubt("WBC", *DIFFERENTIAL),
    "RBC_Agglutination?": _doubt(*RED),
    "Turbidity/HGB_Interference?": _doubt("HGB", "MCH", "MCHC"),
    "Turbidity/HGB_Interf?": _doubt("HGB", "MCH", "MCHC"),
    "Iron_Deficiency?": _doubt("HGB", "MCV", "MCH"),
    "HGB_Defect?": _doubt("HGB", "MCV", "MCH"),
    "Fragments?": _doubt("RBC", *PLATELETS),
    **dict.fromkeys(("PLT_Clumps?", "PLT_Clumps(S)?"), _doubt("WBC", *PLATELETS)),
    "WBC_Abn_Scattergram": suspect("WBC", *DIFFERENTIAL),
    "RBC_Abn_Distribution": suspect(*RED),
    "PLT_Abn_Distribution": suspect(*PLATELETS),
    "PLT_Abn_Scattergram": suspect(*PLATELETS),
    **dict.fromkeys(("RET_Abn_Scattergram", "Reticulocytosis"), suspect("RET%")),
    "Dimorphic_Population": suspect(*RED),
    "Leukocytosis": suspect("WBC"),
    "Leukocytopenia": suspect("WBC"),
    "Neutrophilia": suspect("NEUT#", "NEUT%"),
    "Neutropenia": suspect("NEUT#", "NEUT%"),
    "Lymphocytosis": suspect("LYMPH#", "LYMPH%"),
    "Lymphopenia": suspect("LYMPH#", "LYMPH%"),
    "Monocytosis": suspect("MONO#", "MONO%"),
    "Eosinophilia": suspect("EO#", "EO%"),
    "Basophilia": suspect("BASO#", "BASO%"),
    "IG_Present": suspect("NEUT#", "NEUT%"),
    "NRBC_Present": suspect("WBC", "LYMPH#", "LYMPH%"),
    "Anemia": suspect("HGB", "RBC"),
    "Erythrocytosis": suspect("RBC"),
    "Hypochromia": suspect("MCHC"),
    "Anisocytosis": suspect("RDW-SD", "RDW-CV"),
    "Microcytosis": suspect("MCV"),
    "Macrocytosis": suspect("MCV"),
    "Pancytopenia": suspect("WBC", "RBC", "PLT"),
    "Thrombocytopenia": suspect("PLT"),
    "Thrombocytosis": suspect("PLT"),
    "Positive_Diff": suspect("WBC", *DIFFERENTIAL),
    "Positive_Count": suspect(*COUNTS),
    "Positive_Morph": suspect(),
    **dict.fromkeys(("SCAT_WDF", "SCAT_WDF-CBC", "SCAT_RET", "DIST_RBC", "DIST_PLT", "DIST_WBC"), image()),
}


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """One message: an order for each known tube (O-26 Q), "no order" for each other one that was asked (O-26 Y)."""
    records: list[Sequence[Value]] = [[*header(lis2a.STANDARD, query.sender)[:12], "E1394-97"]]
    tubes = {work.sample_id: work for work in orders}
    for number, asked in enumerate(query.query_raw, 1):
        tube = tuple(lis2a.decode(part) for part in asked.split("^"))  # rack, position, id, how it was read
        work = tubes.get("".join(tube[2:3]).strip())
        tests = [("", "", "", "", code) for code in work.codes] if work else None
        sent: list[Value] = ["O", "1", tube, None, tests, "S" if work and work.stat else "R"]
        records += [_patient(number, work), [*sent, *[None] * 5, "N", *[None] * 13, "Q" if work else "Y"]]
    records.append(["L", "1", "N"])
    return [lis2a.build(records, charset="utf-8")]


def _patient(number: int, work: WorkOrder | None) -> list[Value]:
    who: list[Value] = ["P", str(number)]
    if work is None:
        return who
    return [*who, None, None, work.patient_id, ("", work.name), None, work.birth_date, work.sex]


DRIVER = replace(
    sysmex.FORM,
    name="sysmex_xn",
    title="Sysmex XN",
    grade=Grade.CAPTURE,
    sender=r"XN[- ]?(L|\d+)",
    masked=r"[-.*]{2,}|[+.]{2,}|NA",
    unlisted=unlisted,
    raised_from=LIMIT,
    tests=TESTS,
    answers=answer,
)
