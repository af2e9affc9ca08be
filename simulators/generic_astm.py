"""Pretends to be any well-behaved ASTM analyzer: sample in O-3, code in R-3 component 4, one record a frame.

Turns a task into one message exactly as LIS02-A2 prints it; codes are those of the catalogue.
Source: LIS02-A2 6 to 12.
"""

from __future__ import annotations

from drivers.driver import Kind
from simulators import astm, values
from simulators.step import Analyzer, Item, Note, Row, Said, Task

NAME = "generic_astm"
MENU = {code: Item(code, "") for code in values.USUAL}


def say(task: Task) -> Said:
    """One message: H P O R… L."""
    time, action = astm.stamp(task.at), "Q" if task.control else "N"
    tests = "\\".join(f"^^^{code}" for code in task.values)
    records = [astm.record("H", r"\^&", "", "", "Generic^1.0", *[""] * 6, "P", "LIS2-A2", time), "P|1", ""]
    records[2] = astm.at({1: "O", 2: "1", 3: task.sample_id, 5: tests, 6: "R", 12: action, 26: "F"})
    for number, (code, value) in enumerate(task.values.items(), 1):
        flag = "N" if task.control else values.flag(task.sample, code, value)
        status = "C" if task.note is Note.AMENDED else "F"
        test = f"^^^{code}"
        records.append(astm.record("R", str(number), test, value, "", "", flag, "", status, "", "", "", time))
    rows = tuple(Row(task.sample_id, code, value, Kind.MEASUREMENT) for code, value in task.values.items())
    return Said(astm.message([*records, "L|1|N"]), rows, 0)


ANALYZER = Analyzer(
    name=NAME,
    speaks="ASTM",
    containers="ESFCB",
    menu=MENU,
    say=say,
    stories=(Note.CRITICAL, Note.ABNORMAL, Note.MIS_SCANNED),
    extras=(Note.DUPLICATE, Note.AMENDED),
    controls={"GLUR": ("92", "268"), "HB": ("6.1", "13.0")},
    lot="QC-1000{level}",
)
