"""Diestro 103AP v4 (Auto Basic, Auto Plus), electrolytes. One line of text per sample, over RS-232, not acknowledged.

Manual  JS Medicina Electrónica, Diestro 103 AP V4, LIS connection, V 1.00 rev. 2 (Serv → Conf → out must say >Net)
Proof   manual: its table of fields; no line of a lab's own analyzer was seen here, compare the first with its screen

Where things sit, fields ended by `;`: 1 `#` and the running number · sample 2, behind `&`, up to 20 characters typed or
read · time 3, YYYY/MM/DD, two blanks, HH:MM:SS · then a field for each ion: code before `=` (Na, K, Cl, Ca, Li), value,
unit (mmol, which is of the litre; calcium also mg% or meq/l, mg% is held) · flags: v or ^ outside the range set on the
analyzer (L and H here), and what stands behind `Error:`, each of /?SCLQuU a mark of its own · no range · control: an id
that begins QC.
Quirks: A line ends with CR; without it the last number may be cut, so nothing of the line is filed. It has no checksum:
a line whose first three fields do not fit is kept and shown. A result with an error mark is held for a person; what the
marks mean stands in the user's manual. Lithium is no test of the catalogue: shown, never reported. Calcium is taken as
ionised, as electrodes measure it. The setting Ticket sends the printed ticket instead: this driver does not read it.
Cannot: be asked or told anything; tell controls but by their id; tell urine from serum.
"""

from __future__ import annotations

import re

from drivers.driver import Decoded, Driver, Grade, Message, MessageType
from drivers.engine.form import Form
from drivers.engine.gas import beyond, ions
from drivers.engine.text import Sheet, other, texts_of
from drivers.wire.blocks import Framing

HEAD = re.compile(r"\s*#\s*\d+;&([^;]*);\s*(\d{4}/\d\d/\d\d {1,2}\d\d:\d\d:\d\d);")
ION = re.compile(r"\s*([A-Za-z]+)\s*=\s*([<>]?[\d.]*|[-.*?]+)\s*([A-Za-z%/]*?)\s*([v^]?)\s*(?:Error:\s*(\S*))?\s*")
SIDES = {"^": ["H"], "v": ["L"], "": []}


def read(form: Form, message: Message) -> Decoded:
    """One line: its head, then its ions."""
    text = "".join(texts_of(form, message.body))
    head = HEAD.match(text)
    if head is None:
        return other(MessageType.OTHER, f"a line {text.strip()[:20]!r} that is no sample's")
    sheet, odd = Sheet(form, head[1], head[2]), list[str]()
    for field in filter(str.strip, text[head.end() :].split(";")):
        ion = ION.fullmatch(field)
        if ion is None:
            odd.append(f"a field that is no ion: {field.strip()[:30]!r}")
            continue
        code, value, unit, side, errors = ion.groups()
        sheet.add(code, value, unit, SIDES[side] + list(errors or ""), raw=field)
    if text.endswith("\r"):
        return sheet.decoded(problems=odd)
    return sheet.decoded(MessageType.INCOMPLETE, problems=[*odd, "the line has no end: nothing of it is filed"])


DRIVER = Driver(
    name="diestro_103ap",
    title="Diestro 103AP",
    grade=Grade.MANUAL,
    speaks="blocks",
    framing=Framing(start=b"", end=b"", ends=r"\r", ack=b"", nak=b""),
    reads=read,
    control_id=r"QC",
    pseudo=r"0+",
    tests={**ions("Na", "K", "Cl", "Ca", also={"mmol": "1"}), **beyond("Li")},
)
