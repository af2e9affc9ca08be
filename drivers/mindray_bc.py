"""Mindray BC-5000/5130/5150/5300/5380, BC-20s/30s and BC-6800, haematology. HL7 2.3.1 over MLLP; we dial the analyzer.

Manual  Mindray, HL7 communication protocol of the BC series (ORU^R01, ORM^O01/ORR^O02)
Proof   capture: BC-5150 with 51 rows, BC-5130 with keep-alive bytes; not yet run beside a lab's own analyzer

Where things sit: sample OBR-3 · code OBX-3 component 1, a LOINC or a number of table 99MRC, its name component 2 ·
value OBX-5 · unit OBX-6, as set on the analyzer (10*9/L, 10*3/uL) · range OBX-7 · flags OBX-8 as repeats (`H~N`: high,
and normal or A abnormal) · status OBX-11 · time OBR-7, the analysis · control MSH-11 Q. MSH-3 is empty. MSH-18 says
UNICODE and means UTF-8. PID-8 is a word ("Female").
Quirks: Rows that are no results: settings (IS: take mode, blood mode, reference group; Age), gates of the scattergrams
(`Neu-X`), histograms and scattergrams (ED), their lines (15xxx). IS rows 12xxx, and any of T or F, are the analyzer's
doubts. Names with * (`*ALY#`), Blast, Pltclump, Lip, NRBC, and MID and GRAN of three-part analyzers: known, never
reported; some firmware sends numbers as IS. PDW has no unit here (a geometric deviation, 9 to 17) and is taken as the
catalogue's PDW, whose interval says so. A query is an ORM^O01 with the sample in ORC-3 (`ORC|RF||id||IP`), answered by
one ORR^O02: MSA with MSH-10 of the query, PID, PV1, ORC AF with the sample in ORC-2, OBR 00001, and as OBX what to run:
whole blood (08002 W), CBC+DIFF when a cell of the differential is awaited, else CBC (08003). Nothing known: MSA AR and
no order. MSH-7 of the answer is the query's own. The BC-5800 marks controls by T or D in MSH-11: taken as training, not
filed.
Cannot: choose how the tube is taken (the operator does); draw the scattergrams (histograms are drawn).
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import Decoded, Grade, Message, WorkOrder, detail
from drivers.engine.bc_hl7 import AGE, FORM, LOINC
from drivers.engine.haematology import ABSOLUTE, PERCENT, counts, unreported
from drivers.engine.replies import HOST
from drivers.wire import hl7
from drivers.wire.hl7 import Value

RESEARCH = (
    "26477-0", "13046-8", "10000", "10001", "30376-8", "10049", "10094", "10095", "10096", "10097", "30392-5",
    "26461-4", "10013", "10027", "10028", "10029", "10030",
)  # fmt: skip
TESTS = counts(LOINC | {"10002": "PCT", "10014": "PLCR"}, {"PDW": {"": "1"}}) | unreported(RESEARCH) | {AGE: detail()}
DIFFERENTIAL = frozenset(code for code, test in LOINC.items() if test in ABSOLUTE + PERCENT)
SEXES = {"M": "Male", "F": "Female"}


def settled(decoded: Decoded, message: Message) -> Decoded:
    """A query keeps its own MSH-10: the answer must repeat it."""
    if not decoded.query_raw:
        return decoded
    return replace(decoded, query_raw=(hl7.parse(message.body)[0].raw("10") or "",) * len(decoded.query_raw))


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """ORR^O02 for each order, or the one that says there is none."""
    if not query.query_raw:
        return None
    return [_orr(query, work) for work in orders] or [_orr(query, None)]


def _orr(query: Decoded, work: WorkOrder | None) -> bytes:
    asked = query.query_raw[0]
    header: list[Value] = ["MSH", None, None, HOST, None, None, None, query.sent_at, None, ("ORR", "O02"), asked, "P"]
    header += ["2.3.1", *[None] * 5, "UNICODE"]
    if work is None:
        return hl7.build([header, ["MSA", "AR", asked]])
    mode = "CBC+DIFF" if DIFFERENTIAL & set(work.codes) else "CBC"
    patient: list[Value] = ["PID", "1", None, (work.patient_id, "", "", "", "MR") if work.patient_id else None]
    run: list[Value] = ["OBR", "1", work.sample_id, None, ("00001", "Automated Count", "99MRC"), *[None] * 19, "HM"]
    return hl7.build(
        [
            header,
            ["MSA", "AA", asked],
            [*patient, None, work.name, None, work.birth_date, SEXES.get(work.sex)],
            ["PV1", "1"],
            ["ORC", "AF", work.sample_id],
            run,
            ["OBX", "1", "IS", ("08002", "Blood Mode", "99MRC"), None, "W", *[None] * 5, "F"],
            ["OBX", "2", "IS", ("08003", "Test Mode", "99MRC"), None, mode, *[None] * 5, "F"],
        ]
    )


DRIVER = replace(
    FORM,
    name="mindray_bc",
    title="Mindray BC",
    grade=Grade.CAPTURE,
    tests=TESTS,
    settles=settled,
    answers=answer,
)
