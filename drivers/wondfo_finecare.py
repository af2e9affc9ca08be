"""Wondfo Finecare FIA meters (Plus, FS-113 and the like), point-of-care immunofluorescence. Near-HL7 2.4 over MLLP.

Manual  Wondfo, Finecare FIA meter LIS protocol (not public); messages that interfaces recorded
Proof   capture: an HbA1c; not yet run beside a lab's own analyzer

Where things sit: sample PID-1 · code the first name in OBX-4, names parted by two blanks (`HbA1c  eGA(ADA)`)
· value OBX-5, the first number, when it is the whole text but for the unit of OBX-6, or OBX-13 says the same number
again; else the text as sent, which is held · unit OBX-6, of the first name · range OBX-7 · flag: an arrow in OBX-5 ·
time OBX-14 · control MSH-11 Q.
Quirks: Near-HL7: segments have no set ids; PID-1, OBR-1 and OBX-1 hold the sample number; a text may be broken by a
line end, so a line that begins no segment goes on with the one before. UTF-8, whatever MSH-17 says. OBR-2 is the
strip's lot. The other results of one OBX stay in its raw text, by their names: seen by the technician, reported never.
The number is a running one, date and serial, unless the lab types the tube's: such numbers are no tube's. ESU^U01 tells
of the meter itself.
Cannot: tell controls but by MSH-11 Q; take orders; convert HbA1c in mmol/mol (held).
"""

from __future__ import annotations

import re
from dataclasses import replace

from drivers.driver import HL7, Decoded, Grade, Message, Observation
from drivers.engine import hl7
from drivers.engine.chemistry import chemistry
from drivers.engine.form import Form, RowText
from drivers.engine.immuno import assays

AMOUNT = re.compile(r"\s*((?:[<>]=?)?\s*\d+(?:[.,]\d+)?)(?![\d.,])(.*)", re.DOTALL)
TESTS = chemistry({"HBA1C": "HbA1c", "UMALB": "MAU", "CRP": "CRP"}) | assays(
    {"TSH": "TSH", "T3": "T3", "T4": "T4", "VITD": ("Vitamin D",), "FERR": "Ferritin"}
)


def read(form: Form, message: Message) -> Decoded:
    """The message, its broken lines joined."""
    joined = re.sub(rb"[\r\n]+(?![A-Z][A-Z0-9]{2}\||[\r\n]|$)", b" ", message.body)
    return hl7.read(form, {}, replace(message, body=joined))


def one_value(row: Observation, text: RowText) -> Observation:
    """The first name's number, when it can be none else's; the arrow as a flag."""
    name = (row.code or "").strip()
    code = re.split(r"\s{2,}", name)[0] or None
    listed = TESTS.get(code or "")
    value = row.value or ""
    flags = tuple(arrow for arrow in ("↑", "↓") if arrow in value) or row.flags
    plain = value.replace("↑", "").replace("↓", "").strip()
    first, again = AMOUNT.fullmatch(plain), AMOUNT.fullmatch(text.get("OBX.13") or "")
    if first and (first[2].strip() in ("", row.unit) or (again and again[1] == first[1])):
        value = first[1]
    kind = listed.kind if listed else row.kind
    return row._replace(code=code, name=name or None, value=value, flags=flags, kind=kind)


DRIVER = replace(
    HL7,
    name="wondfo_finecare",
    title="Wondfo Finecare",
    grade=Grade.CAPTURE,
    sender=r"(?i)finecare",
    sample_id="PID.1",
    code="OBX.4",
    observed_at=("OBX.14", "OBR.7"),
    flag_words={"↑": "H", "↓": "L"},
    pseudo=r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{4}|0+",
    charset="utf-8",
    reads=read,
    tests=TESTS,
    retells=one_value,
)
