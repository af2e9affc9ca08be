"""Arkray SPOTCHEM EL SE-1520, electrolytes. One line of fixed columns, STX … ETX, over RS-232, 9600.

Manual  Arkray, SPOTCHEM EL SE-1520; its output format is not public
Proof   capture: one plasma; not yet run beside a lab's own analyzer

Where things sit, columns from 0: 0 to 13 YY/MM/DD HH:MM · 15 `ID#` · 19 to 28 the sample · 30 to 40 the kind of sample
in brackets · from 42 on blocks of 21: name 5, error 2, value 5, mark 1, a blank, unit 6, a blank. No checksum, nothing
is acknowledged. Error and mark are given as flags; a value that is blank or stars was not measured.
Cannot: tell controls but by the kind of sample QC or Control (not seen yet), or an id that begins QC; give ranges.
"""

from __future__ import annotations

import re

from drivers.driver import Decoded, Driver, Grade, Message, MessageType
from drivers.engine.form import Form
from drivers.engine.gas import ions
from drivers.engine.text import Sheet, cut, groups, other, texts_of
from drivers.wire.blocks import Framing

BLOCK = (5, 2, 5, 1, 1, 6)
CONTROL = re.compile(r"QC|control", re.IGNORECASE)


def read(form: Form, message: Message) -> Decoded:
    """One measured sample."""
    text = "".join(texts_of(form, message.body))
    head = re.match(r"(\d\d/\d\d/\d\d \d\d:\d\d) ID#", text)
    if head is None:
        return other(MessageType.OTHER, "a line that does not begin with date, time and ID#")
    _, sample_id, _, kind, _ = cut(text, 19, 10, 1, 11, 1)
    sheet = Sheet(form, sample_id, head[1])
    for group in groups(text[42:], 21):
        name, error, value, mark, _, unit = cut(group, *BLOCK)
        sheet.add(name, value, unit, tuple(word.strip() for word in (error, mark) if word.strip()), raw=group[5:13])
    control = CONTROL.search(kind) or (sheet.sample_id or "").startswith("QC")
    return sheet.decoded(MessageType.QC if control else MessageType.RESULT)


DRIVER = Driver(
    name="arkray_spotchem_el",
    title="Arkray SPOTCHEM EL",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(ack=b"", nak=b""),
    reads=read,
    pseudo=r"0+",
    tests=ions("Na", "K", "Cl"),
)
