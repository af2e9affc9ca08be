"""Horiba ABX Micros 60 set to the older ABX format, haematology. Text STX … ETX over RS-232 (9600), not acknowledged.

Manual  Horiba ABX, Micros 60 output in ABX format, as a working interface of a medical college in Gujarat reads it
Proof   manual: no message of it was ever seen here; compare the first ones with the analyzer's screen, row by row

Where things sit: one line for each thing said: its letter, a blank, its text · sample `v` (typed or read), `u` the
analyzer's own number · time `q`, as the analyzer writes it · code: the letter, read by LETTERS · value: five characters
· flags: what follows them (H, L, doubts) · neither unit nor range · control: an id that begins QC · curves W X Y,
thresholds ] _ and identifiers P S as images and details · `\\xfd` a checksum, not checked: how it is made is not known.
Quirks: No unit is sent: they follow the analyzer's setting, which must be the usual one (10*3/mm3, 10*6/mm3, g/dL, %,
um3, pg); in others haemoglobin and haematocrit are out of every limit and held. GRA are granulocytes: no test of the
catalogue.
Cannot: be asked or told anything; tell a control but by an id that begins QC.
"""

from __future__ import annotations

import re

from drivers.driver import Decoded, Driver, Grade, Kind, Message, MessageType
from drivers.engine import abx
from drivers.engine.form import Form
from drivers.engine.haematology import counts, unreported
from drivers.engine.points import pointed
from drivers.engine.text import Sheet, other, texts_of
from drivers.wire.blocks import Framing

LETTERS = {
    "!": "WBC", "2": "RBC", "3": "HGB", "4": "HCT", "5": "MCV", "6": "MCH", "7": "MCHC", "8": "RDW", "@": "PLT",
    "A": "MPV", "B": "THT", "C": "PDW", "#": "LYM%", "%": "MON%", "'": "GRA%", '"': "LYM#", "$": "MON#", "&": "GRA#",
}  # fmt: skip
DRAWN = {"W": "curve WBC", "X": "curve RBC", "Y": "curve PLT"}
SETTINGS = {"S": "PLT identifier", "_": "PLT threshold", "P": "WBC identifier", "]": "WBC threshold"}
SAMPLE, TIME = "v", "q"
WIDTH = 5
LINE = re.compile(r"(.) (.*)", re.DOTALL)


def read(form: Form, message: Message) -> Decoded:
    """The lines of one text as rows; the tube is the one that `v` names, never the analyzer's own number."""
    text = "".join(texts_of(form, message.body))
    lines = [(found[1], found[2]) for line in re.split(r"[\r\n]+", text) if (found := LINE.fullmatch(line))]
    if not {letter for letter, _ in lines} & set(LETTERS):
        return other(MessageType.OTHER, "no line of it begins with the letter of a result")
    tubes = {sent.strip() for letter, sent in lines if letter == SAMPLE}
    time = next((sent.strip() for letter, sent in lines if letter == TIME), None)
    sheet = Sheet(form, tubes.pop() if len(tubes) == 1 else None, time or None)
    for letter, sent in lines:
        if letter in LETTERS:
            sheet.add(LETTERS[letter], sent[:WIDTH], flags=sent[WIDTH:].split(), raw=sent)
            sheet.rows[-1] = pointed(sheet.rows[-1])
        elif letter in DRAWN:
            sheet.add(DRAWN[letter], sent, kind=Kind.IMAGE)
        elif letter in SETTINGS:
            sheet.add(SETTINGS[letter], sent, kind=Kind.DETAIL)
    return sheet.decoded()


DRIVER = Driver(
    name="horiba_micros_abx",
    title="Horiba ABX Micros (ABX format)",
    grade=Grade.MANUAL,
    speaks="blocks",
    framing=Framing(ack=b"", nak=b""),
    reads=read,
    control_id=r"QC",
    pseudo=r"0+",
    masked=r"[-.*+]{2,}.*",
    tests=counts(abx.CODES | {"THT": "PCT"}, abx.UNSENT) | unreported(abx.RESEARCH),
)
