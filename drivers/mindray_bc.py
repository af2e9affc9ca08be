"""Mindray BC-5000/5130/5150/5300/5380, BC-20s/30s and BC-6800, haematology. HL7 2.3.1 over MLLP; we dial the analyzer.

Manual  Mindray, HL7 communication protocol of the BC series (ORU^R01, ORM^O01/ORR^O02)
Proof   capture: BC-5150 with 51 rows, BC-5130 with keep-alive bytes; not yet run beside a lab's own analyzer

Where things sit: sample OBR-3 · code OBX-3 component 1, a LOINC or a number of table 99MRC, its name component 2 ·
value OBX-5 · unit OBX-6, as set on the analyzer (10*9/L, 10*3/uL) · range OBX-7 · flags OBX-8 as repeats (`H~N`:
high, and normal or A abnormal) · status OBX-11 · time OBR-7, the analysis. MSH-3 is empty; MSH-11 Q is a control.
MSH-18 says UNICODE and means UTF-8. PID-8 is a word ("Female").
Rows that are no results: settings (IS: take mode, blood mode, reference group; Age), gates of the scattergrams
(`Neu-X`), histograms and scattergrams (ED), their lines (15xxx). IS rows 12xxx are the analyzer's doubts, T or F.
Names with * (`*ALY#`), Blast, Pltclump, Lip, NRBC: research numbers, known and never reported.
PDW has no unit here (a geometric deviation, 9 to 17) and is taken as the catalogue's PDW, whose interval says so.
A query is an ORM^O01 with the sample in ORC-3. Cannot: answer it yet (ORR^O02); draw the histograms.
"""

import re

from drivers.driver import Driver, Grade, Kind, Said, detail, known, measurement


def unlisted(row: Said) -> Kind:
    """Settings, gates and curves by their kind and number; pictures by ED; anything else is a number."""
    if row.type == "ED":
        return Kind.IMAGE
    if row.type == "IS":
        return Kind.SUSPECT if re.fullmatch(r"12\d{3}", row.code) else Kind.DETAIL
    if re.search(r"-[XYZ]$", row.name) or re.fullmatch(r"(0[18]|15)\d{3}", row.code):
        return Kind.DETAIL
    return Kind.MEASUREMENT


TESTS = {
    "6690-2": measurement("WBC", "10*3/uL"),
    "789-8": measurement("RBC", "10*6/uL"),
    "718-7": measurement("HB", "g/dL"),
    "4544-3": measurement("HCT", "%", {"L/L": "100"}),
    "787-2": measurement("MCV", "fL"),
    "785-6": measurement("MCH", "pg"),
    "786-4": measurement("MCHC", "g/dL"),
    "788-0": measurement("RDWCV", "%"),
    "21000-5": measurement("RDWSD", "fL"),
    "777-3": measurement("PLT", "10*3/uL"),
    "32623-1": measurement("MPV", "fL"),
    "32207-3": measurement("PDW", "fL", {"": "1"}),
    "10002": measurement("PCT", "%", {"mL/L": "0.1", "ml/L": "0.1"}),
    "10014": measurement("PLCR", "%"),
    "751-8": measurement("NEUTA", "10*3/uL"),
    "731-0": measurement("LYMPHA", "10*3/uL"),
    "742-7": measurement("MONOA", "10*3/uL"),
    "711-2": measurement("EOSA", "10*3/uL"),
    "704-7": measurement("BASOA", "10*3/uL"),
    "770-8": measurement("NEUTP", "%"),
    "736-9": measurement("LYMPHP", "%"),
    "5905-5": measurement("MONOP", "%"),
    "713-8": measurement("EOSP", "%"),
    "706-2": measurement("BASOP", "%"),
    "30525-0": detail(),  # age, as typed on the analyzer
    **dict.fromkeys(
        (
            "26477-0", "13046-8", "10000", "10001", "30376-8", "10049", "10094", "10095", "10096", "10097",
            "30392-5", "26461-4", "10013",
        ),
        known(),
    ),
}  # fmt: skip

DRIVER = Driver(
    name="mindray_bc",
    title="Mindray BC",
    grade=Grade.CAPTURE,
    speaks="HL7",
    sample_id="OBR.3.1",
    code="OBX.3.1",
    code_name="OBX.3.2",
    value="OBX.5",
    unit="OBX.6",
    flag="OBX.8",
    range="OBX.7",
    status="OBX.11",
    observed_at="OBR.7",
    control=(("MSH.11", "Q"),),
    pseudo=r"0+|Invalid",
    query_id="ORC.3",
    unlisted=unlisted,
    tests=TESTS,
)
