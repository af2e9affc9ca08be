"""Pretends to be a Roche cobas e 411, immunology: ASTM over TCP, the analyzer connects to us.

Turns a task into one message. What it does like the real one: frames of 240 characters cut wherever that falls, inside
a test id and inside L too; test `^^^117/1/not` (application/dilution/pre-dilution); qualitative tests as
interpretation^index (`-1^0.28`); `<3.00` with flag LL and a data alarm in C-4; R-13 empty, so that O-23 is the only
time; `@192` instead of a sample number it could not read.
Source: shape of the public e 411 messages in tests/captures/roche_cobas_e411. The site assigns application codes.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulators import astm, values
from simulators.step import Analyzer, Item, Note, Row, Said, Task

NAME = "roche_cobas_e411"
FRAME = 240
UNREADABLE = "@192"

MENU = {
    "TSH": Item("8", "uIU/ml"), "T4": Item("7", "ug/dl"), "T3": Item("6", "ng/dl"), "FT4": Item("9", "ng/dl"),
    "FT3": Item("10", "pg/ml"), "FERR": Item("3", "ng/ml"), "B12": Item("1", "pg/ml"), "VITD": Item("11", "ng/ml"),
    "HBSAG": Item("5", "COI"), "HCV": Item("4", "COI"), "HIV": Item("12", "COI"),
}  # fmt: skip
# lowest number the method can print
BOTTOM = {
    "TSH": "0.005",
    "T4": "0.42",
    "T3": "19.5",
    "FT4": "0.10",
    "FT3": "0.40",
    "FERR": "3.00",
    "B12": "50",
    "VITD": "3.00",
}

# code, value field, unit, flag, status, data alarm
Line = tuple[str, str, str, str, str, str]


def say(task: Task) -> Said:
    """One message: H P O R… (C) L."""
    lines = list(_lines(task))
    records = ["H|\\^&|||cobas-e411^1|||||host|RSUPL^REAL|P|1", "P|1", _order(task, lines)]
    for number, (code, value, unit, flag, status, alarm) in enumerate(lines, 1):
        test = f"^^^{code}/1/not"
        records.append(astm.record("R", str(number), test, value, unit, "", flag, "", status, "", "lab", "", "", "E1"))
        if alarm:
            records.append(f"C|1|I|{alarm}|I")
    records.append("L|1|N")
    rows = tuple(Row(task.sample_id, line[0], line[1].rpartition("^")[2]) for line in lines)
    return Said(astm.message(records), rows, FRAME)


def _order(task: Task, lines: list[Line]) -> str:
    tests = "\\".join(f"^^^{line[0]}^1" for line in lines)
    time = "0" * 14 if task.note is Note.ZERO_DATE else astm.stamp(task.at)
    place = f"{task.number}^0^{task.number % 30 + 1}^^S1^SC"
    fields = {1: "O", 2: "1", 3: task.sample_id, 4: place, 5: tests, 6: "R", 8: astm.stamp(task.at), 16: "1"}
    return astm.at(fields | {12: "Q" if task.control else "N", 23: time, 26: "F"})


def _lines(task: Task) -> Iterator[Line]:
    status = "C" if task.note is Note.AMENDED else "F"
    for index, (test, value) in enumerate(task.values.items()):
        item = MENU[test]
        if test in values.QUALITATIVE:
            yield item.code, value, item.unit, "N" if value.startswith("-1") else "A", status, ""
        elif task.note is Note.BELOW_RANGE and index == 0:
            yield item.code, f"<{BOTTOM[test]}", item.unit, "LL", status, "27"
        else:
            flag = "N" if task.control else values.flag(task.sample, test, value)
            yield item.code, value, item.unit, flag, status, ""
    if task.note is Note.UNKNOWN_CODE:
        yield "999", "1.07", "ng/ml", "N", status, ""


ANALYZER = Analyzer(
    name=NAME,
    speaks="ASTM",
    containers="S",
    menu=MENU,
    say=say,
    stories=(
        Note.BELOW_RANGE,
        Note.UNREADABLE,
        Note.CRITICAL,
        Note.DELTA,
        Note.ABNORMAL,
        Note.ZERO_DATE,
        Note.UNKNOWN_CODE,
    ),
    extras=(Note.DUPLICATE, Note.UNREGISTERED),
    controls={"TSH": ("1.48", "7.90"), "FT4": ("1.22", "2.95"), "FERR": ("52.0", "310.0")},
    lot="QC-PCU{level}",
)
