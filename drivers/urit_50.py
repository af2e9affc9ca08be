"""URIT-50 (URIT-31, URIT-500 in text mode) and DIRUI H-100, H-300, H-500, urine strips. Printer text over RS-232, 9600.

Manual  URIT-50 operator's manual; DIRUI H-100/H-300 user manual, appendix B (as a working interface quotes it)
Proof   capture: one strip of a URIT-50; DIRUI by its manual alone; not yet run beside a lab's own analyzer

Where things sit, by lines: sample behind `ID:`, `NO.000009` the running number · time: the date and time of the text,
not of a row · then for each pad: flag `*` when abnormal, the code, the grade, the concentration and its unit, which may
touch it · value: the concentration where there is one, and the grade beside it the analyzer's own word (`coded`); else
the grade or the text · no range · control: an id that begins QC.
Quirks: STX, lines, ETX; no checksum, nothing is answered. Lines end CR CR (URIT) or CR LF (DIRUI, with the byte AB for
blanks and a full-width colon, in GBK or UTF-8, after ID). The grade is what is reported. These analyzers often run at
their factory date. DIRUI's codes: UBG for URO, CRE for CR, ALB for MA, A:C for ACR, RT for nothing.
Cannot: tell controls (give them ids that begin QC). Report Ca, albumin, creatinine and their ratio: steps of a strip
are no quantitative result; a site may map them. Read the HL7 or ASTM mode of DIRUI H-500/H-800 (generic drivers do).
"""

from __future__ import annotations

import re
from dataclasses import replace

from drivers.driver import Decoded, Driver, Grade, Message, MessageType, TestCode, detail, known
from drivers.engine.form import Form
from drivers.engine.text import Sheet, other, texts_of
from drivers.engine.urine import GRADE, pads
from drivers.wire.blocks import Framing

COLON = r"(?::|\xa3\xba|\xef\xbc\x9a|\uff1a)"  # ASCII; full-width in GBK and UTF-8, as ISO 8859-1 has their bytes
ID = re.compile(rf"\*?\s*ID\s*{COLON}?(.*)", re.IGNORECASE)
NUMBER = re.compile(rf"\*?\s*NO\s*(?:\.|{COLON})\s*(\S+)(.*)", re.IGNORECASE)
MOMENT = re.compile(r"(\d{4}[-/.]\d\d[-/.]\d\d)|(\d\d:\d\d(?::\d\d)?)")
HEAD = re.compile(rf"(?:DATE|TIME)\s*{COLON}?|\d{{4}}[-/.]\d\d[-/.]\d\d|\d\d:\d\d", re.IGNORECASE)
PAD = re.compile(r"([*!]?)\s*([A-Za-z][A-Za-z:./]{0,7})(?:\s+(.*))?")
SAID = re.compile(rf"({GRADE})?(?:\s*([<>]?=?\s*\d+(?:[.,]\d+)?)\s*(\S.*)?)?")
URIT = pads(
    ULE="LEU", UKET="KET", UNIT="NIT", UURO="URO", UBIL="BIL", UGLU="GLU", UPRO="PRO", USG="SG", UPH="pH", UBLD="BLD"
)
TESTS: dict[str, TestCode] = {
    **URIT,
    "UBG": URIT["URO"],
    "PH": URIT["pH"],
    "RT": detail(),
    **dict.fromkeys(("Vc", "VC", "MA", "ALB", "Ca", "CR", "CRE", "ACR", "A:C"), known()),
}


def row(sheet: Sheet, star: str, code: str, rest: str) -> None:
    """Add a pad's line: value, unit and the grade beside it, or the text as it stands."""
    said = SAID.fullmatch(rest)
    grade, number, unit = said.groups() if said else (None, None, None)
    flags = (star,) if star else ()
    if number:
        sheet.add(code, number, unit, flags, raw=rest, coded=grade)
    else:
        sheet.add(code, rest or None, None, flags, raw=rest)


def read(form: Form, message: Message) -> Decoded:
    """The pads of each strip in the text."""
    sheet, moment, odd = Sheet(form, None), list[str](), list[str]()
    lines = [line.strip() for text in texts_of(form, message.body) for line in re.split(r"[\r\n]+", text)]
    named, begun = False, 0
    for line in filter(None, (line.replace("\xab", " ").strip() for line in lines)):
        identity, number = ID.fullmatch(line), NUMBER.fullmatch(line)
        pad = PAD.fullmatch(line)
        if (identity or number) and sheet.rows[begun:]:  # the next report, whose id may be lost
            sheet.sample_id, begun = None, len(sheet.rows)
        if identity:
            sheet.sample_id, named = identity[1].strip() or None, True
        elif number or HEAD.match(line):
            moment += [found[0] for found in MOMENT.finditer(number[2] if number else line)]
        elif pad:
            row(sheet, pad[1], pad[2], (pad[3] or "").strip())
        else:
            odd.append(f"a line that is no pad: {line[:30]!r}")
    if not named and not any(seen.code in TESTS for seen in sheet.rows):
        return other(MessageType.OTHER, "a text that names no sample and no pad")
    return replace(sheet.decoded(problems=odd), sent_at=" ".join(moment[:2]) or None)


DRIVER = Driver(
    name="urit_50",
    title="URIT-50 / DIRUI H",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(ack=b"", nak=b""),
    reads=read,
    pseudo=r"0+",
    control_id=r"QC",
    tests=TESTS,
)
