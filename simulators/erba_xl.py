"""Pretends to be an Erba XL-640, chemistry: ASTM "E 1394-97" over a serial line at 9600 baud.

Turns a task into one message. What it does like the real one: the backtick as repeat delimiter, no sender name, frames
of exactly 1024 characters of text cut wherever that falls, `NA` for "no value", a C record with the instrument flags
after each R, the same test several times when it was rerun, R-6 `^DEFAULT`.
Source: shape of the public XL messages in tests/captures/erba_xl (recorded at a government medical college).
"""

from __future__ import annotations

from collections.abc import Iterator

from simulators import astm, values
from simulators.step import Analyzer, Item, Note, Row, Said, Task

NAME = "erba_xl"
FRAME = 1024
BAUD_CHUNK = 16  # a 16-byte chunk of 9600 baud 8N1 lasts 16.7 ms

MENU = {
    "GLUF": Item("GLU", "mg/dl"), "GLUPP": Item("GLU", "mg/dl"), "GLUR": Item("GLU", "mg/dl"),
    "OGTT2H": Item("GLU", "mg/dl"), "HBA1C": Item("A1C", "%"),
    "UREA": Item("UREA", "mg/dl"), "CREAT": Item("CR", "mg/dl"), "URIC": Item("UA", "mg/dl"),
    "NA": Item("Na", "mmol/l"), "K": Item("K", "mmol/l"), "CL": Item("Cl", "mmol/l"), "CA": Item("CA", "mg/dl"),
    "PHOS": Item("PHOS", "mg/dl"), "MG": Item("MG", "mg/dl"), "LIP": Item("LIP", "U/L"), "CK": Item("CK", "U/L"),
    "CKMB": Item("CKMB", "U/L"), "CRP": Item("CRP", "mg/L"), "IRON": Item("IRON", "ug/dl"),
    "TIBC": Item("TIBC", "ug/dl"),
    "TBIL": Item("TBIL", "mg/dl"), "DBIL": Item("DBIL", "mg/dl"),
    "AST": Item("AST", "U/L"), "ALT": Item("ALT", "U/L"), "ALP": Item("ALP", "U/L"), "GGT": Item("GGT", "U/L"),
    "TP": Item("TP", "g/dl"), "ALB": Item("ALB", "g/dl"), "CHOL": Item("CHOL", "mg/dl"), "TG": Item("TG", "mg/dl"),
    "HDL": Item("HDL", "mg/dl"), "LDL": Item("LDL", "mg/dl"), "AMY": Item("AMY", "U/L"), "LDH": Item("LDH", "U/L"),
}  # fmt: skip

# code, value, unit, flags as the comment names them, status
Line = tuple[str, str, str, str, str]


def say(task: Task) -> Said:
    """One message: H P O (R C)… L."""
    lines = list(_lines(task))
    time = "0" * 14 if task.note is Note.ZERO_DATE else astm.stamp(task.at)
    records = [astm.record("H", "`^&", *[""] * 9, "P", "E 1394-97", astm.stamp(task.at)), _patient(task)]
    records.append(_order(task, lines))
    for number, (code, value, unit, flags, status) in enumerate(lines, 1):
        limits = "" if value == "NA" else "^DEFAULT"
        first = flags.partition(",")[0]
        records.append(
            astm.record("R", str(number), f"^^^{code}", value, unit, limits, first, "N", status, "", "", "", time)
        )
        records.append(f"C|1|I|Instrument Flag {flags}")
    records.append("L|1|N")
    tries = 2 if task.note is Note.RERUN else 0
    rows = tuple(
        Row(task.sample_id, line[0], line[1], aside="rerun" if number < tries else "")
        for number, line in enumerate(lines)
    )
    return Said(astm.message(records, "utf-8"), rows, FRAME)


def _patient(task: Task) -> str:
    name = ""
    if task.sample is not None and task.note is Note.MARKUP_NAME:
        name = astm.escaped(astm.markup(task.sample.name), "`")
    return astm.record("P", "1", "0", "", "", name, "", "", "U", *[""] * 7, "0", "0")


def _order(task: Task, lines: list[Line]) -> str:
    tests = "`".join(f"^^^{line[0]}" for line in lines)
    action = "Q" if task.control else ""
    return astm.at({1: "O", 2: "1", 3: task.sample_id, 5: tests, 12: action, 16: "SERUM"})


def _lines(task: Task) -> Iterator[Line]:
    status = "C" if task.note is Note.AMENDED else "F"
    for index, (test, value) in enumerate(task.values.items()):
        item = MENU[test]
        mark = "N" if task.control else values.flag(task.sample, test, value)
        flags = "N" if mark == "N" else f"A,{mark}"
        yield from _first_tries(task, item, index)
        if task.note is Note.NOT_AVAILABLE and index == 0:
            yield item.code, "NA", item.unit, "A", status
        elif task.note is Note.WRONG_UNIT and index == 0:
            yield item.code, value, "g/24h", flags, status
        else:
            yield item.code, value, item.unit, flags, status
    if task.note is Note.UNKNOWN_CODE:
        yield "CYSC", "0.88", "mg/l", "N", status


def _first_tries(task: Task, item: Item, index: int) -> Iterator[Line]:
    """A rerun message shows the tries that failed, then the value that counts."""
    if task.note is Note.RERUN and index == 0:
        yield item.code, "NA", item.unit, "R1?", "F"
        yield item.code, "NA", item.unit, "A", "F"


ANALYZER = Analyzer(
    name=NAME,
    speaks="ASTM",
    containers="SFE",
    menu=MENU,
    say=say,
    stories=(
        Note.CRITICAL, Note.DELTA, Note.NOT_AVAILABLE, Note.RERUN, Note.CRITICAL, Note.UNKNOWN_CODE, Note.MIS_SCANNED,
        Note.WRONG_UNIT, Note.ABNORMAL, Note.ZERO_DATE, Note.MARKUP_NAME, Note.ABNORMAL,
    ),
    extras=(Note.UNREGISTERED, Note.DUPLICATE, Note.AMENDED),
    controls={
        "GLUR": ("92", "268"), "UREA": ("34", "118"), "CREAT": ("1.12", "4.35"), "ALT": ("41", "128"),
        "TBIL": ("1.1", "5.2"), "CHOL": ("158", "252"), "K": ("3.9", "6.2"),
    },
    lot="QC-2419{level}",
)  # fmt: skip
