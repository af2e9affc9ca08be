"""Sysmex UC-1000, urine strips. Text in fixed columns over RS-232, ended by silence.

Manual  Sysmex, UC-1000 host interface (not public); what a laboratory's interface reads of it
Proof   capture: one strip; not yet run beside a lab's own analyzer

Where things sit: sample and time in a first line of commas: the id, two empty, the running number, four digits of
error, the strip, date YYYY/MM/DD, time HH:MM:SS. Then a line for each pad, columns from 0: flag 0, `0` is none · value
2 to 7, a grade or a number · 8 to 13 the concentration that goes with a grade · 14 to 30 reflectances, no result · 31 a
comma · code 32. The line COLOR has the colour's word from column 6 and its number after it. Neither unit nor range;
control: an id that begins QC.
Quirks: Where only a concentration stands, it is the value. An error other than 0000 is set beside every pad. The time
is that of the text, not of a row: the clock is set by hand. Reports that follow each other are told apart by their
first line; below one that cannot be read, or after a pad that comes again, the rows are nobody's.
Cannot: tell controls (give them ids that begin QC), give units, say how cloudy the urine is (a sign without a code).
"""

from __future__ import annotations

import re
from dataclasses import replace

from drivers.driver import Decoded, Driver, Grade, Message, MessageType, known
from drivers.engine.form import Form
from drivers.engine.text import Sheet, cut, other, texts_of
from drivers.engine.urine import pads
from drivers.wire.blocks import Framing

FIRST = re.compile(r"([^,]*)(?:,[^,]*){2},[^,]*,([^,]*),[^,]*,(\d{4}/\d\d/\d\d),(\d\d:\d\d:\d\d)")
COMMAS = 5  # a first line has eight, a pad's line two at most
CODE_AT = 32
STRIP = pads(
    UURO="URO", UBLD="BLD (RBC)", UBIL="BIL", UKET="KET", UGLU="GLU", UPRO="PRO", UPH="PH", UNIT="NIT", ULE="LEU",
    USG="S.G", UCOL="COLOR",
)  # fmt: skip
TESTS = {
    **STRIP,
    **dict.fromkeys(("BLD", "BLD (Hb)", "BLD (HGB)"), STRIP["BLD (RBC)"]),
    **dict.fromkeys(("P/C", "A/C", "CRE", "ALB"), known()),  # steps of a strip: no quantitative albumin
}


def row(sheet: Sheet, line: str, said: tuple[str, ...]) -> bool:
    """Add a pad's line; False when it is none: it is too short to have a code."""
    code = line[CODE_AT:].strip(" ,") or line.rpartition(",")[2].strip()
    if not code or len(line) < 3:
        return False
    flag, _, value, amount = cut(line, 1, 1, 6, 6)
    if code == "COLOR":
        value, amount = line[2:16], ""
    flags = (flag,) if flag.strip("0 ") else ()
    sheet.add(code, value.strip(" ,") or amount, flags=flags, raw=line[2:14].strip(" ,"), comments=said)
    return True


def nobodys(sheet: Sheet, begun: int) -> bool:
    """True when the last pad came before in this strip: the next one's first line is lost, its rows are nobody's."""
    codes = [seen.code for seen in sheet.rows[begun:]]
    if sheet.sample_id is None or codes.count(codes[-1]) == 1:
        return False
    sheet.sample_id = None
    sheet.rows[-1] = sheet.rows[-1]._replace(sample_id=None)
    return True


def read(form: Form, message: Message) -> Decoded:
    """The pads of each strip in the text."""
    lines = re.sub(r"[\x00-\x09\x0b\x0c\x0e-\x1f]", "", "".join(texts_of(form, message.body))).splitlines()
    sheet, sent_at, odd, said, begun = Sheet(form, None), None, list[str](), tuple[str, ...](), 0
    for line in filter(str.strip, lines):
        first = FIRST.match(line)
        if first:
            sheet.sample_id, begun = first[1].strip() or None, len(sheet.rows)
            sent_at = sent_at or f"{first[3]} {first[4]}"
            said = (f"error {first[2].strip()}",) if first[2].strip("0 ") else ()
        elif line.count(",") >= COMMAS:
            sheet.sample_id, said, begun = None, (), len(sheet.rows)
            odd.append("a first line that cannot be read: whose the pads below it are is not known")
        elif not row(sheet, line, said):
            odd.append(f"a line that is no pad: {line.strip()[:30]!r}")
        elif nobodys(sheet, begun):
            odd.append("a pad that comes again: whose it is and those below it are is not known")
    if not sent_at and not any(seen.code in TESTS for seen in sheet.rows):
        return other(MessageType.OTHER, "a text that names no sample and no pad")
    return replace(sheet.decoded(problems=odd), sent_at=sent_at)


DRIVER = Driver(
    name="sysmex_uc1000",
    title="Sysmex UC-1000",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(start=b"", end=b"", ack=b"", nak=b""),
    reads=read,
    pseudo=r"0+",
    control_id=r"QC",
    tests=TESTS,
)
