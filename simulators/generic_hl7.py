"""Pretends to be any well-behaved HL7 analyzer: HL7 2.5.1 ORU^R01, sample in OBR-3, code in OBX-3 component 1.

Turns a task into one message exactly as the standard prints it; codes are those of the catalogue.
Source: HL7 v2.5.1 chapters 2 and 7.
"""

from __future__ import annotations

from drivers.driver import Kind
from simulators import astm, hl7_text, values
from simulators.step import Analyzer, Item, Note, Row, Said, Task

NAME = "generic_hl7"
MENU = {code: Item(code, "") for code in values.USUAL}


def say(task: Task) -> Said:
    """One ORU^R01: MSH PID OBR OBX…"""
    time, control_id = astm.stamp(task.at), f"G{task.number}"
    processing = "Q" if task.control else "P"
    kind = ["ORU", "R01", "ORU_R01"]
    head = {3: "Generic", 7: time, 9: kind, 10: control_id, 11: processing, 12: "2.5.1", 18: "UNICODE UTF-8"}
    segments: list[hl7_text.Fields] = [hl7_text.header(r"^~\&", head), ["PID", "1", "", task.sample_id, "", ["", ""]]]
    segments.append(["OBR", "1", "", task.sample_id, ["LAB", "Laboratory", "L"], "", "", time])
    status = "C" if task.note is Note.AMENDED else "F"
    for number, (code, value) in enumerate(task.values.items(), 1):
        flag = "N" if task.control else values.flag(task.sample, code, value)
        test, blank = [code, code, "L"], [""] * 2
        segments.append(["OBX", str(number), "NM", test, "", value, "", "", [flag], *blank, status, *blank, time])
    rows = tuple(Row(task.sample_id, code, value, Kind.MEASUREMENT) for code, value in task.values.items())
    return Said(hl7_text.text(segments).encode("utf-8"), rows, control_id=control_id)


ANALYZER = Analyzer(
    name=NAME,
    speaks="HL7",
    containers="ESFCB",
    menu=MENU,
    say=say,
    stories=(Note.CRITICAL, Note.ABNORMAL, Note.MIS_SCANNED),
    extras=(Note.DUPLICATE, Note.AMENDED),
    controls={"GLUR": ("92", "268"), "HB": ("6.1", "13.0")},
    lot="QC-2000{level}",
)
