"""Erba XL-200/300/640/1000 and Transasia EM-200/EM-360, clinical chemistry. LIS2-A2 over RS-232 or TCP.

Manual  Erba/Transasia, host interface of the XL series (E 1394-97); vendor text is not public
Proof   capture: results, reruns and queries of XL-640/XL-1000 and EM-200; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 (EM-200: `id^03^tray^position`, 03 the tube type) · code R-3 component 4 ·
value R-4, `NA` when there is none · unit R-5 · range R-6 (`^DEFAULT`) · R-7 is the instrument's flag (A, N, H, `R1?`) ·
status R-9 · time R-13 · a comment under each result repeats the flags ("Instrument Flag A,H").
The repeat delimiter is the backtick; frames hold 1024 characters and are cut anywhere. There is no sender name.
A query may ask for many samples: `^id1`id2`id3`. Orders need the tube type or the sample is refused.
Reruns come as further rows of the same test. The one to report is the latest by R-13 that has a value (the later row
where times are equal); when no run has a value it is the latest of them.
Test names are set by the lab: TESTS is the usual naming, config/analyzers.toml overrides it. One glucose method serves
all glucose tubes: the order says which glucose it is. Cannot: tell serum from urine but by the ordered test.
"""

from collections.abc import Sequence

from drivers.driver import Decoded, Driver, Grade, Kind, Observation, WorkOrder, measurement
from drivers.engine.replies import header, order
from drivers.wire import lis2a
from drivers.wire.lis2a import Delimiters, Value

MARKS = Delimiters("|", "`", "^", "&")
TUBE = "03"
GLUCOSE = {"mmol/l": "18.016", "mmol/L": "18.016"}
UREA = {"mmol/l": "6.006", "mmol/L": "6.006"}
CREATININE = {"umol/l": "0.011312", "umol/L": "0.011312"}
BILIRUBIN = {"umol/l": "0.058467", "umol/L": "0.058467"}
LIPID = {"mmol/l": "38.67", "mmol/L": "38.67"}
TRIGLYCERIDE = {"mmol/l": "88.57", "mmol/L": "88.57"}
ION = {"mEq/L": "1", "mEq/l": "1", "meq/l": "1"}
URATE = {"umol/l": "0.016811", "umol/L": "0.016811"}

ANY_GLUCOSE = measurement("GLUR|GLUF|GLUPP|OGTT2H", "mg/dL", GLUCOSE)  # the one that is ordered on the tube

TESTS = {
    **dict.fromkeys(("GLU", "GLUC", "GLCC", "GLUR", "RBS", "GLC"), ANY_GLUCOSE),
    **dict.fromkeys(("GLUF", "FBS"), measurement("GLUF", "mg/dL", GLUCOSE)),
    **dict.fromkeys(("GLUPP", "PPBS"), measurement("GLUPP", "mg/dL", GLUCOSE)),
    **dict.fromkeys(("UREA", "Urea", "URE"), measurement("UREA", "mg/dL", UREA)),
    "BUN": measurement("BUN", "mg/dL"),
    **dict.fromkeys(("CR", "CREA", "CREAT", "CRE"), measurement("CREAT", "mg/dL", CREATININE)),
    **dict.fromkeys(("UA", "URIC", "URCA"), measurement("URIC", "mg/dL", URATE)),
    **dict.fromkeys(("TBIL", "BILT", "BIT"), measurement("TBIL", "mg/dL", BILIRUBIN)),
    **dict.fromkeys(("DBIL", "BILD", "BID"), measurement("DBIL", "mg/dL", BILIRUBIN)),
    **dict.fromkeys(("ALT", "SGPT", "GPT"), measurement("ALT", "U/L")),
    **dict.fromkeys(("AST", "SGOT", "GOT"), measurement("AST", "U/L")),
    **dict.fromkeys(("ALP", "ALKP"), measurement("ALP", "U/L")),
    "GGT": measurement("GGT", "U/L"),
    **dict.fromkeys(("TP", "PROT", "TPR"), measurement("TP", "g/dL")),
    "ALB": measurement("ALB", "g/dL"),
    **dict.fromkeys(("CHOL", "CHO"), measurement("CHOL", "mg/dL", LIPID)),
    **dict.fromkeys(("TG", "TRIG", "TGL"), measurement("TG", "mg/dL", TRIGLYCERIDE)),
    **dict.fromkeys(("HDL", "HDLC"), measurement("HDL", "mg/dL", LIPID)),
    **dict.fromkeys(("LDL", "LDLD"), measurement("LDL", "mg/dL", LIPID)),
    "Na": measurement("NA", "mmol/L", ION),
    "K": measurement("K", "mmol/L", ION),
    "Cl": measurement("CL", "mmol/L", ION),
    **dict.fromkeys(("CA", "CAL", "CALA"), measurement("CA", "mg/dL", {"mmol/l": "4.008", "mmol/L": "4.008"})),
    **dict.fromkeys(("PHOS", "PHO"), measurement("PHOS", "mg/dL", {"mmol/l": "3.097", "mmol/L": "3.097"})),
    **dict.fromkeys(("MG", "MAG"), measurement("MG", "mg/dL", {"mmol/l": "2.431", "mmol/L": "2.431"})),
    **dict.fromkeys(("AMY", "AMYL"), measurement("AMY", "U/L")),
    **dict.fromkeys(("LIP", "LIPA"), measurement("LIP", "U/L")),
    "LDH": measurement("LDH", "U/L"),
    "CK": measurement("CK", "U/L"),
    "CKMB": measurement("CKMB", "U/L"),
    "CRP": measurement("CRP", "mg/L"),
    "IRON": measurement("IRON", "ug/dL"),
    "TIBC": measurement("TIBC", "ug/dL"),
    **dict.fromkeys(("A1C", "HBA1C", "HbA1c"), measurement("HBA1C", "%")),
}


def latest_with_a_value(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """Of the runs of a test on a sample, the latest that has a value; when none has, the latest of all."""
    best: dict[tuple[str | None, str | None], Observation] = {}
    for row in observations:
        if row.kind is Kind.MEASUREMENT:
            key = (row.sample_id, row.code)
            best[key] = max(best.get(key, row), row, key=_rank)
    chosen = {id(row) for row in best.values()}
    return tuple(id(row) in chosen for row in observations)


def _rank(row: Observation) -> tuple[bool, str, int]:
    return (bool(row.value) and not row.masked, row.observed_at or "", row.ordinal)


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """One message: for each order P and O with its tube type; nothing known: L-3 I."""
    records: list[Sequence[Value]] = [header(MARKS, query.sender)]
    for number, work in enumerate(orders, 1):
        sent = order(1, work, action="A")
        sent[2] = (work.sample_id, TUBE)
        sent[15] = work.specimen or "SERUM"
        records += [["P", str(number)], sent]
    records.append(["L", "1", "F" if orders else "I"])
    return [lis2a.build(records, MARKS, "utf-8")]


DRIVER = Driver(
    name="erba_xl",
    title="Erba XL / Transasia EM",
    grade=Grade.CAPTURE,
    speaks="LIS2-A2",
    sample_id="O.3.1",
    code="R.3.4",
    value="R.4",
    unit="R.5",
    flag="R.7",
    range="R.6",
    status="R.9",
    observed_at="R.13",
    control=(("O.12", "Q"), ("H.12", "Q")),
    pseudo=r"0+",
    query_id="Q.3.2",
    query_cancel=("Q.13", "A"),
    frame_size=1024,
    tests=TESTS,
    reports=latest_with_a_value,
    answers=answer,
)
