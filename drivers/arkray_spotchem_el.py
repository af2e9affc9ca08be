"""Arkray SPOTCHEM EL SE-1520, electrolytes. One line of fixed columns, STX … ETX, over RS-232, 9600.

Manual  Arkray, SPOTCHEM EL SE-1520; its output format is not public
Proof   capture: one plasma; not yet run beside a lab's own analyzer

Where things sit, columns from 0: time 0 to 13, YY/MM/DD HH:MM · 15 `ID#` · sample 19 to 28 · 30 to 40 the kind of
sample in brackets, where a control would say so · from 42 on blocks of 21: code 5 (the name), error 2, value 5, mark 1,
a blank, unit 6, a blank · flags: error and mark · no range.
Quirks: No checksum, nothing is acknowledged. A value that is blank or stars was not measured.
Cannot: tell controls but by the kind of sample QC or Control (not seen yet), or an id that begins QC; give ranges.
"""

from __future__ import annotations

import re

from drivers.driver import Decoded, Driver, Grade, Message, MessageType
from drivers.engine.form import Form
from drivers.engine.gas import ions, says_control
from drivers.engine.text import Sheet, groups, other, texts_of
from drivers.wire.blocks import Framing

HEAD = re.compile(r"(\d\d/\d\d/\d\d \d\d:\d\d) ID# (.{10}) (\[[^\]]*\]) *")
BLOCK = re.compile(r"(\S.{4})(..)(.{5})(.) (.{6}) ?")


def read(form: Form, message: Message) -> Decoded:
    """One measured sample. There is no checksum: a line whose columns do not fit has lost bytes and is not read."""
    text = "".join(texts_of(form, message.body)).rstrip("\r\n")
    head = HEAD.match(text)
    measured = [BLOCK.fullmatch(group) for group in groups(text[head.end() :], 21)] if head else []
    if head is None or None in measured:
        return other(MessageType.OTHER, "a line whose columns do not fit: nothing of it is read")
    time, sample_id, kind = head.groups()
    sheet = Sheet(form, sample_id, time)
    for block in filter(None, measured):
        name, error, value, mark, unit = block.groups()
        sheet.add(name, value, unit, tuple(word for word in (error.strip(), mark.strip()) if word), raw=block[0][5:13])
    return sheet.decoded(control=says_control(kind))


DRIVER = Driver(
    name="arkray_spotchem_el",
    title="Arkray SPOTCHEM EL",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(ack=b"", nak=b""),
    reads=read,
    control_id=r"QC",
    pseudo=r"0+",
    tests=ions("Na", "K", "Cl"),
)
