"""Siemens RAPIDLab 348, blood gas and electrolytes. The report it prints, as text over RS-232.

Manual  Siemens, RAPIDLab 348 operator's guide: the serial line sends the report as on paper
Proof   capture: one patient's report; not yet run beside a lab's own analyzer

Where things sit, by the words of the report: sample behind "Patient  ID" (leading zeros count), "Sample No." is a
running number · time and date (12:58 20 Nov 2019) on the line of the serial number · code, value and unit on the lines
below "Measured" and "Calculated Data"; the name is the code · flag: a value ends in ^ above or v below the range (H and
L here) · control: the report's title.
Quirks: Lines end with CR LF, without marks; nothing is acknowledged. A report begins "--- Siemens Diagnostics  348 ---"
and its title and ends with a long line of hyphens. Names without a value were not calculated. "Reference Ranges"
repeats the names with low - high: the ranges on its paper, kept in the message; ours are the catalogue's. A report
"Short sample" has no values: its sentence is told. A report without its end is shown and filed to nobody: its last line
may be cut in a number. Gases and calculated values are not the catalogue's tests: config/analyzers.toml may map them.
Cannot: tell controls and calibrations but by the title (QC, Control, Calibration: not seen yet) or an id that begins
QC.
"""

from __future__ import annotations

import re
from dataclasses import replace

from drivers.driver import Decoded, Driver, Grade, Message, MessageType
from drivers.engine.form import Form
from drivers.engine.gas import beyond, ions, says_control
from drivers.engine.text import Sheet, other, texts_of
from drivers.wire.blocks import Framing

END = r"(?:^|\n)-{20,}[ ]*\r?\n"
NEXT = r"\n(?=-+ Siemens)"  # of a report whose end was lost
TITLE = re.compile(r"^-+ Siemens.*\n(.*)$", re.MULTILINE)
WHEN = re.compile(r"^(\S+) +(\d{1,2}:\d\d) +(\d{1,2} \w{3} \d{4})", re.MULTILINE)
SAMPLE = re.compile(r"^Patient +ID(.*)$", re.MULTILINE)
SECTION = re.compile(r"(Measured|Calculated|Reference Ranges)\b")
VALUE = r"([<>]?-?\d[\d.]{0,15}|[-.*?]{2,})([\^v]?)(?: +(\S+))?"
ROW = re.compile(rf"(\S+(?: \S+)*?) +(?:{VALUE}| +(\S.*))")  # name, then a value with mark and unit, or words
FLAGS = {"^": ("H",), "v": ("L",), "": ()}

TESTS = {
    **ions("Na+", "K+", "Cl-", "Ca++"),
    **beyond(
        "pH", "pCO2", "pO2", "Hct", "HCO3act", "HCO3std", "BE(ecf)", "BE(B)", "ctCO2", "Ca++(7.4)", "AnGap", "O2SAT",
        "O2CT", "ctHb(est)", "pO2/FIO2", "pO2(A-a)", "pO2(a/A)",
    ),
}  # fmt: skip


def first(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    """The groups of the first place in the text that the pattern fits; empty when there is none."""
    found = pattern.search(text)
    return tuple(found.groups()) if found else ()


def read(form: Form, message: Message) -> Decoded:
    """One report."""
    text = "".join(texts_of(form, message.body)).replace("\r\n", "\n")
    title = first(TITLE, text)
    if not title:
        return other(MessageType.OTHER, "a text that is no report of this analyzer")
    serial, clock, day = first(WHEN, text) or (None, "", "")
    sheet = Sheet(form, "".join(first(SAMPLE, text)), f"{clock} {day}".strip() or None)
    section = ""
    for line in text.splitlines():
        begins = SECTION.match(line)
        section = begins[1] if begins else section
        found = ROW.fullmatch(line.strip()) if line.startswith(" ") else None
        if found and section in ("Measured", "Calculated"):
            name, value, mark, unit, words = found.groups()
            sheet.add(name, value or words, unit, FLAGS[mark or ""], raw=words or value + mark)
    control = says_control(title[0])
    calibration = MessageType.CALIBRATION if re.search("cal", title[0], re.IGNORECASE) and not control else None
    return ended(sheet.decoded(calibration, serial, control=control), text)


def ended(decoded: Decoded, text: str) -> Decoded:
    """The report with what is odd about it; without its end it is incomplete."""
    odd = ["the sample was short: the analyzer gives no values"] if "short sample" in text.lower() else []
    if len(SAMPLE.findall(text)) > 1:
        odd.append("two reports run together: nothing of them is filed")
    elif re.search(END, text):
        return replace(decoded, problems=(*decoded.problems, *odd))
    else:
        odd.append("the report has no end: nothing of it is filed")
    return replace(decoded, type=MessageType.INCOMPLETE, problems=(*decoded.problems, *odd))


DRIVER = Driver(
    name="siemens_rapidlab",
    title="Siemens RAPIDLab 348",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(start=b"", end=b"", ends=f"{END}|{NEXT}", ack=b"", nak=b"", silence=5.0),
    reads=read,
    control_id=r"QC",
    pseudo=r"0+",
    tests=TESTS,
)
