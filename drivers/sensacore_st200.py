"""SensaCore ST-200, blood gas and electrolytes (made in India). The ticket it prints, as text over RS-232, 9600 8N1.

Manual  SensaCore, ST-200 operator's manual; no format is printed there
Proof   capture: two reports sent back to back; not yet run beside a lab's own analyzer

Where things sit, by the words of the ticket: sample behind "Patient ID" · time behind "Date time:", DD-MM-YYYY HH:MM:SS
· control behind "Analyze Type", the specimen · a measured line is the name, which is the code, ESC NUL, value, unit;
"NA NA" is not measured · neither flag nor range.
Quirks: Lines end with LF, ESC NUL (a printer's code) stands before and between their parts. A report begins "Sample
test: " and its running number and ends with a line of degree signs and two empty lines. Lines with a colon (FiO2,
temperatures, name) are settings and particulars: kept in the message. Nothing is acknowledged. A report without its end
is shown and filed to nobody: its last line may be cut in a number. Gases, calculated values and what it says of
haemoglobin are not the catalogue's tests: config/analyzers.toml may map them.
Cannot: tell controls but by "Analyze Type" QC or Control (not seen yet), or an id that begins QC; give flags or ranges.
"""

from __future__ import annotations

import re
from dataclasses import replace

from drivers.driver import Decoded, Driver, Grade, Message, MessageType
from drivers.engine.form import Form
from drivers.engine.gas import beyond, ions, says_control
from drivers.engine.text import Sheet, other, texts_of
from drivers.wire.blocks import Framing

MARK = "\x1b\x00"
END = rf"\xb0[ \x1b\x00]*\r?\n(?:{MARK} *\r?\n){{2}}"

TESTS = {
    **ions("Na", "K", "Cl", "iCa"),
    **beyond(
        "pH", "pCO2", "pO2", "Hct", "SO2", "Hb", "Li", "nCa", "TCa", "GLU", "LAC", "HCO3", "TCO2", "SBC", "O2Ct",
        "pO2%", "BE", "BE-B", "BE-ECF", "AG-Na", "AG-K", "A", "AaDO2", "a/A",
    ),
}  # fmt: skip


def particular(text: str, name: str) -> str:
    """What stands behind "name :" on a line of the report; "" when nothing does."""
    found = re.search(rf"^{name} *:(.*)$", text.replace(MARK, ""), re.MULTILINE)
    return found[1].strip() if found else ""


def read(form: Form, message: Message) -> Decoded:
    """One report."""
    text = "".join(texts_of(form, message.body))
    if "Sample test:" not in text:
        return other(MessageType.OTHER, "a text that is no report of a sample")
    sheet = Sheet(form, particular(text, "Patient ID"), particular(text, "Date *time") or None)
    for line in text.split("\n"):
        name, _, said = line.removeprefix(MARK).partition(MARK)
        value, _, unit = said.replace(MARK, " ").strip().partition(" ")
        if name.strip() and value and ":" not in line:
            sheet.add(name, value, None if value == "NA" else unit)
    decoded = sheet.decoded(control=says_control(particular(text, "Analyze Type")))
    together = text.count("Patient ID") > 1
    if re.search(END, text) and not together:
        return decoded
    odd = "two reports run together" if together else "the report has no end"
    odd += ": nothing of it is filed"
    return replace(decoded, type=MessageType.INCOMPLETE, problems=(*decoded.problems, odd))


DRIVER = Driver(
    name="sensacore_st200",
    title="SensaCore ST-200",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(start=b"", end=b"", ends=rf"{END}|\n(?=Sample test:)", ack=b"", nak=b"", silence=5.0),
    reads=read,
    control_id=r"QC",
    pseudo=r"0+",
    tests=TESTS,
)
