"""Pretends to be a Sysmex XN-550 (XN-L series), haematology: ASTM E1394-97, TCP, the analyzer connects to us.

Turns a task into one message. What it does like the real one: sample number in O-4 component 3, right-justified in 22
characters; code in component 5; suspect rows with a score and no unit; IP messages with flag A and no value; picture
rows naming a PNG file; empty C records; the whole message in one frame the first time, one record a frame afterwards.
Source: shape of the public XN-550 messages in tests/captures/sysmex_xn.
"""

from __future__ import annotations

from collections.abc import Iterator

from drivers.driver import Kind
from simulators import astm, values
from simulators.step import Analyzer, Item, Note, Row, Said, Task

NAME = "sysmex_xn"
SENDER = "    XN-550^00-24^22723^^^^BD634545"  # four leading blanks, as seen
ONE_FRAME = 63993  # LIS01-A2 6.3.1: the most text of a frame

MENU = {
    "WBC": Item("WBC", "10*3/uL"), "RBC": Item("RBC", "10*6/uL"), "HB": Item("HGB", "g/dL"), "HCT": Item("HCT", "%"),
    "MCV": Item("MCV", "fL"), "MCH": Item("MCH", "pg"), "MCHC": Item("MCHC", "g/dL"), "PLT": Item("PLT", "10*3/uL"),
    "NEUTP": Item("NEUT%", "%"), "LYMPHP": Item("LYMPH%", "%"), "MONOP": Item("MONO%", "%"), "EOSP": Item("EO%", "%"),
    "BASOP": Item("BASO%", "%"), "NEUTA": Item("NEUT#", "10*3/uL"), "LYMPHA": Item("LYMPH#", "10*3/uL"),
    "MONOA": Item("MONO#", "10*3/uL"), "EOSA": Item("EO#", "10*3/uL"), "BASOA": Item("BASO#", "10*3/uL"),
    "RDWSD": Item("RDW-SD", "fL"), "RDWCV": Item("RDW-CV", "%"), "PDW": Item("PDW", "fL"), "MPV": Item("MPV", "fL"),
    "PLCR": Item("P-LCR", "%"), "PCT": Item("PCT", "%"),
}  # fmt: skip

QUIET = ("Left_Shift?", "Atypical_Lympho?", "NRBC?", "RBC_Agglutination?", "Fragments?", "PLT_Clumps?")
LOUD = {"PLT_Clumps?": "240", "Left_Shift?": "160"}
MASKED = ("PLT", "MPV", "PDW", "PLCR", "PCT")  # what clumps take away
# a count outside its interval makes the analyzer say a word (IP message)
MESSAGES = (
    ("HB", "L", "Anemia"), ("WBC", "H", "Leukocytosis"), ("WBC", "L", "Leukocytopenia"),
    ("PLT", "L", "Thrombocytopenia"), ("PLT", "H", "Thrombocytosis"),
)  # fmt: skip
IMAGES = ("SCAT_WDF", "SCAT_WDF-CBC", "DIST_RBC", "DIST_PLT")

# code, value field, unit, flag, status, kind
Line = tuple[str, str, str, str, str, Kind]


def say(task: Task) -> Said:
    """One message: H P C O C R… C L."""
    lines = list(_lines(task))
    time = astm.stamp(task.at)
    records = [astm.record("H", r"\^&", "", "", SENDER, *[""] * 7, "E1394-97"), _patient(task), "C|1||", _order(task)]
    records.append("C|1||")
    records += [_result(number, line, time) for number, line in enumerate(lines, 1)]
    records += ["C|1||", "L|1|N"]
    rows = tuple(Row(task.sample_id, line[0], line[1], line[5]) for line in lines)
    frame = ONE_FRAME if not task.control and task.number % 4 == 1 else 0
    return Said(astm.message(records), rows, frame)


def _result(number: int, line: Line, time: str) -> str:
    code, value, unit, flag, status, kind = line
    test = f"^^^^{code}^1" if kind is Kind.MEASUREMENT else f"^^^^{code}"
    return astm.record("R", str(number), test, value, unit, "", flag, "", status, "", "", "", time)


def _patient(task: Task) -> str:
    if task.control:
        return "P|1||||^^|||U|||||^||||||||||||^^^"
    name = ""
    if task.sample is not None and task.note is Note.NAME:
        name = astm.escaped(astm.accented(task.sample.name))
    sex = task.sample.sex if task.sample else "U"
    return f"P|1||||^{name}^|||{sex}|||||^||||||||||||^^^"


def _order(task: Task) -> str:
    tests = "\\".join(f"^^^^{MENU[test].code}" for test in task.values)
    position = f"{task.number // 10 + 1}^{task.number % 10 + 1}"
    action = "Q" if task.control else "N"
    return astm.at({1: "O", 2: "1", 4: f"{position}^{task.sample_id:>22}^B", 5: tests, 12: action, 26: "F"})


def _lines(task: Task) -> Iterator[Line]:
    status = "C" if task.note is Note.AMENDED else "F"
    for test, value in task.values.items():
        item = MENU[test]
        flag = "N" if task.control else values.flag(task.sample, test, value)
        if task.note is Note.MASKED and test in MASKED:
            value, flag = "---.-", "A"
        elif task.note is Note.SUSPECT and test in MASKED:
            flag = "W"
        yield item.code, value, item.unit, flag, status, Kind.MEASUREMENT
    if task.note is Note.UNKNOWN_CODE:
        yield "HYPO-He", "1.2", "%", "N", status, Kind.MEASUREMENT
    if status == "F":
        yield from _doubts(task)
        yield from _images(task)


def _doubts(task: Task) -> Iterator[Line]:
    if task.control:
        return
    loud = LOUD if task.note in (Note.SUSPECT, Note.MASKED) else {}
    if loud:
        yield "Positive_Morph", "", "", "A", "F", Kind.SUSPECT
    for test, flag, message in MESSAGES:
        if test in task.values and values.flag(task.sample, test, task.values[test]) == flag:
            yield message, "", "", "A", "F", Kind.SUSPECT
    for code in QUIET:
        yield code, loud.get(code, "0"), "", "A" if code in loud else "", "F", Kind.SUSPECT


def _images(task: Task) -> Iterator[Line]:
    day, moment = task.at.strftime("%Y%m%d"), task.at.strftime("%Y_%m_%d_%H_%M_%S")
    for code in IMAGES:
        shape = code.partition("_")[2].replace("-", "_")
        yield code, f"PNG&R&{day}&R&{moment}_{shape}.PNG", "", "N", "F", Kind.IMAGE


ANALYZER = Analyzer(
    name=NAME,
    speaks="ASTM",
    containers="E",
    menu=MENU,
    say=say,
    stories=(Note.CRITICAL, Note.SUSPECT, Note.DELTA, Note.MASKED, Note.MIS_SCANNED, Note.ABNORMAL, Note.NAME),
    extras=(Note.UNREGISTERED, Note.DUPLICATE, Note.AMENDED),
    controls={
        "WBC": ("3.10", "7.25"), "RBC": ("2.35", "4.42"), "HB": ("6.1", "13.0"), "HCT": ("17.6", "36.9"),
        "MCV": ("74.8", "83.5"), "PLT": ("62", "238"),
    },
    lot="QC-5331{level}",
    share=(0, 1, 2),
)  # fmt: skip
