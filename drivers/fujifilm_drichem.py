"""Fujifilm DRI-CHEM NX500/NX700, clinical chemistry of slides. Comma-separated columns, STX … ETX, over RS-232.

Manual  Fujifilm, DRI-CHEM NX external output; vendor text is not public
Proof   capture: a result line of seven tests; not yet run beside a lab's own analyzer

Where things sit, columns of fixed width between commas: 1 R, a result · control 2, the kind of measurement (NORMAL) ·
time 3 and 4, DD-MM-YYYY and HH:MM · 5 running number · sample 6, the id as typed, often a name · 12 how many tests
follow · then for each test seven columns: code (`GOT-PS`; the ending is the slide's sample type) · `=`, or < and >
outside the range measured · value and unit in one column, the value 9 wide · a rank · range, low and high, 0 and 0 when
none is set · marks (`@`), a comment; no flag.
Quirks: The id is what was typed: it names a tube only if it is a tube's number. The rows have the time of the line.
Cannot: ask, be told orders; tell controls other than by a kind of measurement that says so (general knowledge).
"""

from __future__ import annotations

import re
from dataclasses import replace

from drivers.driver import Decoded, Driver, Grade, Message, MessageType
from drivers.engine.chemistry import ANY_GLUCOSE, chemistry
from drivers.engine.form import Form
from drivers.engine.text import Sheet, other, texts_of
from drivers.wire.blocks import Framing

HEAD, GROUP = 12, 7
NAMES = {
    "TBIL": "TBIL-PS", "DBIL": "DBIL-PS", "AST": "GOT-PS", "ALT": "GPT-PS", "ALP": "ALP-PS", "TP": "TP-PS",
    "ALB": "ALB-PS", "GGT": "GGT-PS", "CREAT": "CRE-PS", "BUN": "BUN-PS", "URIC": "UA-PS", "CA": "Ca-PS",
    "CHOL": "TCHO-PS", "TG": "TG-PS", "HDL": "HDL-C-PS", "LDH": "LDH-PS", "AMY": "AMYL-PS", "CK": "CPK-PS",
    ANY_GLUCOSE: "GLU-PS",
}  # fmt: skip


def read(form: Form, message: Message) -> Decoded:
    """The lines of a block, each of a sample of its own."""
    lines = [line for line in re.split(r"[\r\n]+", "".join(texts_of(form, message.body))) if line.strip()] or [""]
    said = [_line(form, line.split(",")) for line in lines]
    rows = [row for one in said for row in one.observations]
    types = {one.type for one in said}
    return replace(
        said[0],
        type=said[0].type if len(types) == 1 else MessageType.RESULT,
        observations=tuple([row._replace(ordinal=number) for number, row in enumerate(rows, 1)]),
        problems=tuple(dict.fromkeys(what for one in said for what in one.problems)),
    )


def _line(form: Form, columns: list[str]) -> Decoded:
    """One line: its head, then its tests by sevens."""
    kind, date, time = (column.strip() for column in (columns + [""] * HEAD)[1:4])
    if columns[0].strip() != "R" or len(columns) < HEAD:
        return other(MessageType.OTHER, f"a line {columns[0][:10]!r} of {len(columns)} columns is no result line")
    moment = f"{date} {time}".strip() or None
    sheet = Sheet(form, columns[5], moment)
    tests = columns[HEAD:]
    for at in range(0, len(tests), GROUP):
        _row(sheet, (tests[at : at + GROUP] + [""] * GROUP)[:GROUP])
    control = re.fullmatch(r"QC|CONTROL", kind, re.IGNORECASE) is not None
    told = columns[HEAD - 1].strip()
    odd = [] if not told.isdecimal() or int(told) == len(sheet.rows) else [f"{len(sheet.rows)} tests, {told} announced"]
    said = sheet.decoded(problems=odd, control=control)
    return replace(said, sent_at=moment)


def _row(sheet: Sheet, group: list[str]) -> None:
    code, sign, sent, _rank, low, high, marks = group
    if not "".join(group).strip():
        return
    value, unit = sent[:9], sent[9:]
    if " " in value.strip():  # other widths: the first blank parts value and unit
        value, _, unit = sent.strip().partition(" ")
    said = value.strip() if sign.strip() in ("=", "") else sign.strip() + value.strip()
    ranged = low.strip().strip("0.") or high.strip().strip("0.")
    sheet.add(
        code, said, unit, range_=f"{low.strip()} - {high.strip()}" if ranged else None, raw=f"{sign},{sent}",
        comments=(marks.strip(),) if marks.strip() else (),
    )  # fmt: skip


DRIVER = Driver(
    name="fujifilm_drichem",
    title="Fujifilm DRI-CHEM NX",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(),
    reads=read,
    tests=chemistry(NAMES),
)
