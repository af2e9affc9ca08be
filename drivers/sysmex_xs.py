"""Sysmex XS-500i, XS-800i and XS-1000i, haematology. Blocks STX … ETX over RS-232, each answered by ACK; no checksum.

Manual  Sysmex, communication format of the XS series (blocks D1U, D2U), as working interfaces read it
Proof   capture: two blocks of an XS-500i; not yet run beside a lab's own analyzer

Where things sit, columns from 0, in every block: 0 block · 3 analyzer 16 · 19 sequence 10 · 29 reserved 3 · sample 32,
the id, 15, right-justified, leading zeros kept. D1U from 47: time YYYYMMDDHHMMSS 14 · rack 6, position 2 · how the id
was read, mode · patient 16 · status · judgement (0 negative, 1 positive, 2 error, 3 both, Q a control) · positive
differential, morphology, count · errors 2 · order · six marks of messages (WBC abnormal and suspect, RBC, PLT) · 1 when
units are SI. D2U from 47: code by position (LAYOUT) · value: digits without a point, blanks when not measured · flag,
the last digit of each: 0 none, 1 above (+), 2 below (-), 3 outside linearity (@), 4 little reliable (*) · neither unit
nor range.
Quirks: Two blocks make a message: D1U brings the time and what the analyzer thinks of the sample, D2U the numbers; a
D1U alone waits for its D2U, which names its tube itself. The marks of D1U become comments of the rows they touch. No
units are sent: they follow from the position; with SI set, haemoglobin, MCH and MCHC are held. Reticulocytes and PCT
are known by position, not captured: details, when measured.
Cannot: be asked or told anything; draw histograms, which come in blocks of their own (kept as images).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from drivers.driver import Decoded, Driver, Grade, Kind, Message, MessageType
from drivers.engine.form import Form
from drivers.engine.haematology import counts
from drivers.engine.text import Sheet, cut, other, texts_of
from drivers.wire.blocks import Framing

UNCAPTURED = ("RET%", "RET#", "IRF", "LFR", "MFR", "HFR", "PCT")
CODES = {
    "WBC": "WBC", "RBC": "RBC", "HGB": "HB", "HCT": "HCT", "MCV": "MCV", "MCH": "MCH", "MCHC": "MCHC", "PLT": "PLT",
    "LYMPH%": "LYMPHP", "MONO%": "MONOP", "NEUT%": "NEUTP", "EO%": "EOSP", "BASO%": "BASOP",
    "LYMPH#": "LYMPHA", "MONO#": "MONOA", "NEUT#": "NEUTA", "EO#": "EOSA", "BASO#": "BASOA",
    "RDW-CV": "RDWCV", "RDW-SD": "RDWSD", "PDW": "PDW", "MPV": "MPV", "P-LCR": "PLCR",
}  # fmt: skip
LONG = ("WBC", *(code for code in CODES if code.endswith("#")))  # six characters with their flag, all others five
LAYOUT = tuple((code, 6 if code in LONG else 5) for code in (*CODES, *UNCAPTURED))
DECIMALS = {"PLT": 0, **dict.fromkeys((*LONG, "RBC", "RET%", "RET#", "PCT"), 2)}  # all others one
FLAGS = {"0": "", "1": "+", "2": "-", "3": "@", "4": "*"}
MOLAR = ("HGB", "MCH", "MCHC")
DIFFERENTIAL = tuple(code for code in CODES if code[-1] in "#%")
WHITE = ("WBC", *DIFFERENTIAL)
RED = ("RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "RDW-CV", "RDW-SD")
PLATELETS = ("PLT", "PDW", "MPV", "P-LCR")
JUDGEMENT, SI = 27, 40
MARKS = {  # column of D1U after the time → what it says, of which rows
    28: ("differential positive", DIFFERENTIAL),
    29: ("morphology positive", WHITE),
    30: ("count positive", ("WBC", "PLT", *RED)),
    34: ("WBC abnormal", WHITE),
    35: ("WBC suspect", WHITE),
    36: ("RBC abnormal", RED),
    37: ("RBC suspect", RED),
    38: ("PLT abnormal", PLATELETS),
    39: ("PLT suspect", PLATELETS),
}


class Part(NamedTuple):
    """One block: what it is, whose, and the columns of its own."""

    kind: str
    analyzer: str
    sequence: str
    sample_id: str
    body: str


def part(text: str) -> Part:
    """A block's head cut off its body; blanks off."""
    kind, analyzer, sequence, _, sample_id = cut(text, 3, 16, 10, 3, 15)
    return Part(kind, analyzer.strip(), sequence, sample_id.strip(), text[47:])


def whole(texts: Sequence[bytes]) -> bool:
    """A D1U waits for its D2U; any other block ends a message."""
    return not texts[-1].startswith(b"D1U")


def number(item: str, decimals: int) -> str:
    """The digits of an item with their point; what is no number stays as sent."""
    digits = item[:-1].strip()
    if not digits.isdecimal():
        return digits
    padded = (digits.lstrip("0") or "0").rjust(decimals + 1, "0")
    return f"{padded[:-decimals]}.{padded[-decimals:]}" if decimals else padded


def read(form: Form, message: Message) -> Decoded:
    """The numbers of a D2U with what its D1U says of them; pictures of any other block."""
    parts = [part(text) for text in texts_of(form, message.body)]
    heads = {(one.sequence, one.sample_id): one for one in parts if one.kind == "D1U"}
    numbers = next((one for one in reversed(parts) if one.kind == "D2U"), None)
    if numbers is None:
        return _pictures(form, parts) if not heads else other(MessageType.INCOMPLETE, "a D1U without its D2U")
    head = heads.pop((numbers.sequence, numbers.sample_id), None)
    said = head.body if head else ""
    time = said[:14] if said[:14].strip("0 ") else None
    sheet = Sheet(form, numbers.sample_id, time)
    _rows(sheet, numbers.body, said[14:])
    problems = [f"a D1U of {lost.sample_id!r} without its D2U" for lost in heads.values()]
    if not numbers.analyzer.startswith("XS"):
        problems.append(f"the block says {numbers.analyzer[:40]!r}, but this line is configured for {form.title}")
    if head is None:
        problems.append("a D2U without its D1U: neither its time nor whether it is a control is known")
    type_ = None if head else MessageType.INCOMPLETE
    control = said[14 + JUDGEMENT : 15 + JUDGEMENT] == "Q"
    return sheet.decoded(type_, numbers.analyzer, problems, control=control)


def _rows(sheet: Sheet, items: str, said: str) -> None:
    marks = [(text, codes) for column, (text, codes) in MARKS.items() if said[column : column + 1] == "1"]
    if said[JUDGEMENT : JUDGEMENT + 1] in ("2", "3"):
        marks.append(("analysis error", tuple(CODES)))
    si = said[SI : SI + 1] == "1"
    for (code, _), item in zip(LAYOUT, cut(items, *(width for _, width in LAYOUT)), strict=True):
        if not item.strip() or (code in UNCAPTURED and not item.strip("0 ")):
            continue
        flag = FLAGS.get(item[-1], item[-1] if item[-1].isdecimal() else "")
        sheet.add(
            code, number(item, DECIMALS.get(code, 1)), "SI" if si and code in MOLAR else None, (flag,) if flag else (),
            raw=item, comments=[text for text, codes in marks if code in codes],
            kind=Kind.DETAIL if code in UNCAPTURED else None,
        )  # fmt: skip


def _pictures(form: Form, parts: Sequence[Part]) -> Decoded:
    """Blocks of another kind, each as it was sent."""
    sheet = Sheet(form, parts[-1].sample_id if parts else None)
    for one in parts:
        sheet.add(one.kind, one.body, kind=Kind.IMAGE)
    return sheet.decoded(MessageType.OTHER, parts[-1].analyzer if parts else None)


DRIVER = Driver(
    name="sysmex_xs",
    title="Sysmex XS",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(whole=whole),
    reads=read,
    control_id=r"QC-",
    pseudo=r"ERR\d*|0+",
    flag_words={"+": "H", "-": "L"},
    masked=r"\d*[-*+][-*+\d]*",
    tests=counts(CODES, {"": {"": "1"}}),
)
