"""Siemens (Dade Behring) Dimension AR, RxL, Xpand and EXL, chemistry. Blocks STX … checksum ETX over RS-232.

Manual  Siemens, Dimension clinical chemistry system, host interface
Proof   capture: a poll, a query, an order taken, two results of an Xpand; not yet run beside a lab's own analyzer

Where things sit in a block R, fields counted from 1: sample 4 · control 5, the type: 1 serum, 2 plasma, 3 urine, 4 CSF,
5 to 9 a control's level · time 8, ssmmhhddMMyy · 11 how many tests, then four fields for each: code, value, unit,
error, which is its flag when there is a value all the same · no range.
Quirks: A block is fields, each ended by FS (1C hex), then two hexadecimal digits: the sum of all bytes from after STX
to the last FS. Both sides acknowledge each block, and the analyzer waits for an answer to each, but to its M: P poll →
N nothing, or D an order · I a tube was read: its id in field 2 → D its order, or N · M an order was accepted (A) or
rejected (R) → nothing more · R results, C a calibration → M accepted, once it is stored. With an error there may be no
value; with a value it is a flag too, so that a person decides. Codes are the vendor's names (GLUC, AHDL); TESTS lists
those. D: carrier, list, A to add, name (25), sample, type, place, priority (1 stat), cups, position (**), dilution,
count, codes. A poll names no tube and is answered N: a tube's order is told when the tube is read.
Cannot: say what an error number means; push an order at a poll; read calibrations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drivers.driver import Decoded, Driver, Grade, Message, MessageType, WorkOrder, known
from drivers.engine.chemistry import ANY_GLUCOSE, chemistry
from drivers.engine.form import Form
from drivers.engine.text import Sheet, asks, other, texts_of
from drivers.wire import blocks
from drivers.wire.blocks import Framing

FS = "\x1c"
ERROR = re.compile(r"0*")  # what is no error
FLUIDS = (("urine", "3"), ("csf", "4"), ("plasma", "2"), ("whole blood", "W"))  # W: general knowledge, for HbA1c

TESTS = chemistry(
    {
        ANY_GLUCOSE: "GLUC GLU", "BUN": "BUN", "CREAT": "CREA CRE2 ECRE", "URIC": "URCA", "TBIL": "TBIL TBI",
        "DBIL": "DBIL DBI", "AST": "AST", "ALT": "ALT ALTI", "ALP": "ALP ALPI", "GGT": "GGT", "TP": "TP", "ALB": "ALB",
        "CHOL": "CHOL", "TG": "TGL TRIG", "HDL": "AHDL HDLC", "LDL": "ALDL", "NA": "NA", "K": "K", "CL": "CL",
        "CA": "CA", "PHOS": "PHOS", "MG": "MG", "AMY": "AMY", "LIP": "LIP LIPL", "LDH": "LDH LDI", "CK": "CK CKI",
        "IRON": "IRON IRN",
    }
) | dict.fromkeys(("HA1C", "A1C"), known())  # fmt: skip


def block(*fields: str) -> bytes:
    """The text of a block that we send: the fields, each ended by FS, and their sum."""
    text = "".join(field + FS for field in fields).encode("ascii", "replace")
    return text + blocks.sum_hex(text)


def receipt(text: bytes) -> bytes:
    """M accepted, for results and calibrations; any other block is answered otherwise."""
    return block("M", "A", "") if text[:2] in (b"R\x1c", b"C\x1c") else b""


def moment(sent: str) -> str | None:
    """ssmmhhddMMyy as a time people can read; None when it is none."""
    parts = re.fullmatch(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", sent.strip())
    if parts is None or not sent.strip("0 "):
        return None
    second, minute, hour, day, month, year = parts.groups()
    return f"20{year}-{month}-{day} {hour}:{minute}:{second}"


def read(form: Form, message: Message) -> Decoded:
    """One block, by its letter."""
    sent = "".join(texts_of(form, message.body)).split(FS)
    kind, said = sent[0], [*sent[1:-1], *[""] * 11]
    if kind == "R":
        return _results(form, sent[:-1])
    if kind == "I":
        return asks([said[0]], [said[0]])
    if kind == "M":
        refused = said[0].strip() == "R"
        return other(
            MessageType.ACK, *([f"the analyzer rejected an order: reason {said[1] or '?'}"] if refused else [])
        )
    if kind in ("P", "C"):
        return (
            other(MessageType.POLL, sender=said[0].strip() or None) if kind == "P" else other(MessageType.CALIBRATION)
        )
    return other(MessageType.OTHER, f"a block {kind[:5]!r} that is not known here")


def _results(form: Form, sent: list[str]) -> Decoded:
    head, groups = [*sent[:11], *[""] * 11][:11], sent[11:]
    sheet = Sheet(form, head[3], moment(head[7]))
    for at in range(0, len(groups), 4):
        code, value, unit, error = [*groups[at : at + 4], *[""] * 4][:4]
        wrong = None if ERROR.fullmatch(error.strip()) else error.strip()
        sheet.add(
            code,
            value,
            unit,
            (wrong,) if wrong and value.strip() else (),
            comments=(f"error {wrong}",) if wrong else (),
        )
    odd = (
        [] if len(groups) == 4 * int("0" + re.sub(r"\D", "", head[10])) else ["the number of tests is not the one said"]
    )
    control = head[4].strip() in ("5", "6", "7", "8", "9")
    return sheet.decoded(problems=odd, control=control)


def answer(_query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """D with the order of the tube, N when there is none."""
    if not orders:
        return [block("N")]
    work = orders[0]
    printable = work.name if work.name.isascii() and work.name.isprintable() else work.patient_id
    fluid = next((letter for word, letter in FLUIDS if word in work.specimen.casefold()), "1")
    priority = "1" if work.stat else "0"
    head = ["D", "0", "0", "A", f"{printable[:25]:<25}", work.sample_id, fluid, "", priority, "1", "**", "1"]
    return [block(*head, str(len(work.codes)), *work.codes)]


DRIVER = Driver(
    name="siemens_dimension",
    title="Siemens Dimension",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(check=blocks.ends_with_sum, receipt=receipt),
    reads=read,
    pseudo=r"0+",
    tests=TESTS,
    answers=answer,
)
