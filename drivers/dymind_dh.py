"""Dymind DH36 and DH76, Agappe HX58, Edan H60 and their kin, haematology. HL7 2.3.1 over MLLP.

Manual  Dymind, LIS communication protocol of the DH series (ORU^R01), as working interfaces read it
Proof   capture: a DH3x's message with decimal commas; not yet run beside a lab's own analyzer

Where things sit: sample OBR-3 (Edan: OBR-2) · code OBX-3 component 1, a LOINC or a number of table 99MRC, its name
component 2; Edan puts the code in OBX-4, its flags in OBX-13, and leaves OBX-3 empty or writes 0 there, 1 where it
doubts the row: a comment then · value OBX-5, with a decimal comma by the language setting: it is read as a point,
OBX-5 as sent is kept; other analyzers of the family send noise of floats (30.600000381469727) · unit OBX-6 (10*9/L;
Edan `10\\S\\9/L`) · range OBX-7, with the same comma · flags OBX-8 as repeats (`H~A`, `~N`) · status OBX-11 · time
OBR-7, the analysis. MSH-3 is the model · control MSH-11 Q.
Quirks: Rows that are no results: settings (IS: take mode, blood mode, reference group, remark), age, pictures (ED, and
Edan's `…_BASE64`). GRAN and MID are no tests of the catalogue; PDW and P-LCC stand as in the Mindray BC family.
Cannot: answer its query (ORM^O01 with the sample in ORC-3; the answer was never seen); draw scattergrams.
"""

from dataclasses import replace

from drivers.driver import Grade, Kind, Observation, Said, detail
from drivers.engine.bc_hl7 import AGE, FORM, LOINC, unlisted
from drivers.engine.form import RowText
from drivers.engine.haematology import counts, unreported
from drivers.engine.points import pointed

NAMES = {
    "WBC": "WBC", "RBC": "RBC", "HGB": "HB", "HCT": "HCT", "MCV": "MCV", "MCH": "MCH", "MCHC": "MCHC", "PLT": "PLT",
    "RDW-CV": "RDWCV", "RDW-SD": "RDWSD", "MPV": "MPV", "PDW": "PDW", "PCT": "PCT", "P-LCR": "PLCR", "P_LCR": "PLCR",
    "RET%": "RETIC",
    "NEU#": "NEUTA", "LYM#": "LYMPHA", "MON#": "MONOA", "EOS#": "EOSA", "BAS#": "BASOA",
    "NEU%": "NEUTP", "LYM%": "LYMPHP", "MON%": "MONOP", "EOS%": "EOSP", "BAS%": "BASOP",
}  # fmt: skip


UNREPORTED = (
    "20482-6", "19023-1", "32155-4", "32154-7", "34167-7", "10013", "GRAN#", "GRAN%", "MID#", "MID%", "P_LCC", "P-LCC",
    "ALY#", "ALY%", "LIC#", "LIC%", "IMG#", "IMG%", "NRBC#", "NRBC%", "RET#", "NLR", "PLR",
)  # fmt: skip
TESTS = (
    counts(
        LOINC | NAMES | {"11003": "PCT", "10002": "PCT", "48386-7": "PLCR", "10014": "PLCR"}, {"PDW": {"": "1"}}
    )
    | unreported(UNREPORTED)
    | {AGE: detail()}
)  # fmt: skip
SUSPECT = "suspect (OBX-3 is 1)"


def _named(row: Observation, code: str, type_: str) -> Observation:
    """The row under the name that Edan gives it in OBX-4."""
    listed = TESTS.get(code)
    kind = listed.kind if listed else unlisted(Said("", code, row.value or "", row.flags, type_))
    comments = (*row.comments, SUSPECT) if row.code == "1" else row.comments
    return row._replace(code=code, kind=Kind.IMAGE if code.endswith("_BASE64") else kind, comments=comments)


def retold(row: Observation, sent: RowText) -> Observation:
    """Decimal points; code and flags from where Edan's analyzers put them."""
    if row.code in (None, "0", "1") and (code := (sent.get("OBX.4.1") or "").strip()):
        row = _named(row, code, sent.get("OBX.2") or "")
    if not row.flags and (flag := (sent.get("OBX.13") or "").strip()):
        row = row._replace(flags=(flag,))
    return pointed(row)


DRIVER = replace(
    FORM,
    name="dymind_dh",
    title="Dymind DH",
    grade=Grade.CAPTURE,
    sample_id=("OBR.3.1", "OBR.2.1"),
    tests=TESTS,
    retells=retold,
)
