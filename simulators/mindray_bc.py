"""Pretends to be a Mindray BC-5150, haematology: HL7 2.3.1 ORU^R01 over MLLP; the analyzer listens, the lab dials.

Turns a task into one message. What it does like the real one: MSH-3 to MSH-6 empty, MSH-18 UNICODE meaning UTF-8,
MSH-11 Q for controls, the word Female in PID-8, settings as IS rows first, research rows marked with a star, gate
coordinates, flags `H~N`; fourteen 0x02 bytes before each block to keep the line alive (line.py sends those).
The message is built by the `hl7` package, so that the receiver meets code that is not its own.
Source: shape of the public BC-5150 message in tests/captures/mindray_bc.
"""

from __future__ import annotations

from collections.abc import Iterator

from drivers.driver import Kind
from simulators import astm, hl7_text, values
from simulators.step import Analyzer, Item, Note, Row, Said, Task

NAME = "mindray_bc"
KEEP_ALIVE = b"\x02" * 14

MENU = {
    "WBC": Item("6690-2", "10*9/L", "WBC"), "BASOA": Item("704-7", "10*9/L", "BAS#"),
    "BASOP": Item("706-2", "%", "BAS%"),
    "NEUTA": Item("751-8", "10*9/L", "NEU#"), "NEUTP": Item("770-8", "%", "NEU%"),
    "EOSA": Item("711-2", "10*9/L", "EOS#"), "EOSP": Item("713-8", "%", "EOS%"),
    "LYMPHA": Item("731-0", "10*9/L", "LYM#"), "LYMPHP": Item("736-9", "%", "LYM%"),
    "MONOA": Item("742-7", "10*9/L", "MON#"), "MONOP": Item("5905-5", "%", "MON%"),
    "RBC": Item("789-8", "10*12/L", "RBC"), "HB": Item("718-7", "g/dL", "HGB"), "MCV": Item("787-2", "fL", "MCV"),
    "MCH": Item("785-6", "pg", "MCH"), "MCHC": Item("786-4", "g/dL", "MCHC"), "RDWCV": Item("788-0", "%", "RDW-CV"),
    "RDWSD": Item("21000-5", "fL", "RDW-SD"), "HCT": Item("4544-3", "%", "HCT"), "PLT": Item("777-3", "10*9/L", "PLT"),
    "MPV": Item("32623-1", "fL", "MPV"), "PDW": Item("32207-3", "", "PDW"), "PCT": Item("10002", "%", "PCT"),
    "PLCR": Item("10014", "%", "PLCR"),
}  # fmt: skip

OWN = frozenset({"10002", "10014"})  # codes of the maker's own table 99MRC; the others are LOINC
SETTINGS = (("08001", "Take Mode", "O"), ("08002", "Blood Mode", "W"), ("08003", "Test Mode", "CBC+DIFF"))
RESEARCH = (("26477-0", "*ALY#", "LN", "0.03", "10*9/L"), ("10000", "*LIC#", "99MRC", "0.02", "10*9/L"))
GATES = (
    ("10069", "Neu-X", "357.2"),
    ("10070", "Neu-Y", "397.3"),
    ("10072", "Lym-X", "97.8"),
    ("10073", "Lym-Y", "86.9"),
)
RESEARCH_CODES = frozenset(code for code, *_ in RESEARCH)
# OBX-2, OBX-3 as components, value, unit, range, flags, status, kind
Line = tuple[str, tuple[str, str, str], str, str, str, str, str, Kind]


def say(task: Task) -> Said:
    """One ORU^R01: MSH PID PV1 OBR OBX…"""
    lines = list(_lines(task))
    control_id = str(task.number)
    segments: list[hl7_text.Fields] = [_header(task, control_id), _patient(task), ["PV1", "1"], _request(task)]
    for number, (kind, test, value, unit, limits, flags, status, _) in enumerate(lines, 1):
        flag = flags.split("~") if flags else ""
        segments.append(["OBX", str(number), kind, list(test), "", value, unit, limits, flag, "", "", status])
    body = hl7_text.text(segments).encode("utf-8")
    rows = tuple(
        Row(task.sample_id, line[1][0], line[2], line[7], "research" if line[1][0] in RESEARCH_CODES else "")
        for line in lines
    )
    return Said(body, rows, control_id=control_id)


def _header(task: Task, control_id: str) -> hl7_text.Fields:
    processing = "Q" if task.control else "P"
    kind = ["ORU", "R01"]
    moment = astm.stamp(task.at)
    return hl7_text.header(r"^~\&", {7: moment, 9: kind, 10: control_id, 11: processing, 12: "2.3.1", 18: "UNICODE"})


def _patient(task: Task) -> hl7_text.Fields:
    sample = task.sample
    if task.control or sample is None:
        return ["PID", "1"]
    name = sample.name if task.note is Note.NAME else ""
    if name.isascii() and name:
        name = astm.accented(name)
    sex = {"F": "Female", "M": "Male"}.get(sample.sex, "Unknown")
    return ["PID", "1", "", [f"A{task.number}", "", "", "", "MR"], "", ["", name] if name else "", "", "", sex]


def _request(task: Task) -> hl7_text.Fields:
    time = "00000000000000" if task.note is Note.ZERO_DATE else astm.stamp(task.at)
    service = ["00001", "Automated Count", "99MRC"]
    return ["OBR", "1", "", task.sample_id, service, "", "", time, *[""] * 16, "HM", *[""] * 7, "Administrator"]


def _lines(task: Task) -> Iterator[Line]:
    status = "C" if task.note is Note.AMENDED else "F"
    if status == "F":
        yield from _settings(task)
    for test, value in task.values.items():
        yield _measured(task, test, value, status)
    if task.note is Note.UNKNOWN_CODE:
        yield "NM", ("10998", "HFC#", "99MRC"), "0.11", "10*9/L", "0.00-0.00", "H~N", status, Kind.MEASUREMENT
    if status == "F":
        for code, name, system, value, unit in RESEARCH if not task.control else ():
            yield "NM", (code, name, system), value, unit, "0.00-0.00", "N", "F", Kind.MEASUREMENT
        for code, name, value in GATES:
            yield "NM", (code, name, "99MRC"), value, "", "0.0-0.0", "N", "F", Kind.DETAIL


def _settings(task: Task) -> Iterator[Line]:
    for code, name, value in SETTINGS:
        yield "IS", (code, name, "99MRC"), value, "", "", "", "F", Kind.DETAIL
    if task.sample is not None:
        group = "Adult female" if task.sample.sex == "F" else "Adult male"
        yield "IS", ("01002", "Ref Group", "99MRC"), group, "", "", "", "F", Kind.DETAIL
        years = str(task.sample.age_days // 365)
        yield "NM", ("30525-0", "Age", "LN"), years, "yr", "", "", "F", Kind.DETAIL


def _measured(task: Task, test: str, value: str, status: str) -> Line:
    item = MENU[test]
    low, high = values.window(task.sample, test)
    mark = "N" if task.control else values.flag(task.sample, test, value)
    flags = "N" if mark == "N" else f"{mark}~N"
    if task.note is Note.MASKED and test in ("PLT", "MPV", "PDW", "PCT", "PLCR"):
        value, flags = "***.**", "N~A"
    system = "99MRC" if item.code in OWN else "LN"
    limits = f"{values.printed(low, values.decimals_of(test))}-{values.printed(high, values.decimals_of(test))}"
    return "NM", (item.code, item.name, system), value, item.unit, limits, flags, status, Kind.MEASUREMENT


ANALYZER = Analyzer(
    name=NAME,
    speaks="HL7",
    containers="E",
    menu=MENU,
    say=say,
    stories=(Note.CRITICAL, Note.ABNORMAL, Note.DELTA, Note.UNKNOWN_CODE, Note.NAME),
    extras=(Note.DUPLICATE, Note.SECOND_ANALYZER, Note.AMENDED),
    controls={
        "WBC": ("3.05", "7.40"), "RBC": ("2.30", "4.45"), "HB": ("6.0", "13.2"), "MCV": ("75.2", "84.1"),
        "PLT": ("65", "241"),
    },
    lot="QC-0715{level}",
    share=(3, 4),
    rival="sysmex_xn",
)  # fmt: skip
