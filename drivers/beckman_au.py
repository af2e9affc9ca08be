"""Beckman Coulter (Olympus) AU480, AU680, AU5800 and DxC 700 AU, chemistry. Fixed columns over RS-232.

Manual  Beckman Coulter, AU series online specifications (blocks R, S, D); vendor text is not public
Proof   capture: results, requests, an order of AU480 and DxC 700 AU; not yet run beside a lab's own analyzer

Where things sit, columns from 0: what it is (R asks, Rh and RH ask for a repeat run, D reports, DH a repeat run, DQ a
control; RB RE DB DE are marks, DA DR calibrations and blanks) · 2 rack · 6 cup · 8 sample type · 9 sample number · 13
the sample id, right-justified, its width set on the analyzer · four blanks · E, or the number of a block that goes on
in the next one, with the same head, and ends in ETB (general knowledge) · sex, age and patient information where they
are on · the time where it is on · then for each test: its code, the online number; its value; its marks, which are its
flags. No unit and no range are sent. A sample number P… is urgent, Q… a control's. A value is blank when there is none;
marks are one letter each (r rerun, G below and F above the range, ? none).
Quirks: Framings, as set on the analyzer: "stx" STX … ETX, the usual one; "stx_bcc" with one byte behind ETX, the
exclusive or of all from after STX to ETX (general knowledge); "enq" ENQ, answered by ACK, then the block up to EOT.
Widths were seen to change from one month to the next: [analyzer.layout] fixes them, what is not fixed is found anew in
each block, and a block that can be read in no way or in two is kept, shown and not filed. A request is answered by S
with the request's own columns, E, and the test numbers; other widths are refused by the analyzer. Where nothing is
ordered it is told nothing, and it says NAK after 3 s, as seen on site. Online numbers are assigned by the site, and
units are never sent: both stand in config/analyzers.toml (codes, units).
Cannot: use samples without an id, for a sample number is no tube's.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import Decoded, Driver, Grade, Message, MessageType, WorkOrder
from drivers.engine.form import Form
from drivers.engine.text import Sheet, asks, other
from drivers.wire import beckman_au as au
from drivers.wire import blocks
from drivers.wire.blocks import ACK, ENQ, EOT, ETB, ETX, STX, Framing

REMEDY = "set their widths in [analyzer.layout]"
PLAIN = Framing(goes_on=ETB)
CHECKED = Framing(
    goes_on=ETB,
    trailer=1,
    check=lambda text, sent: sent in (blocks.xor_byte(text + ETX), blocks.xor_byte(text + ETB)),
    sign=lambda text: blocks.xor_byte(text + ETX),
)
BY_ENQ = Framing(start=b"", until=EOT, answers={ENQ: ACK}, asks_first=True)


def text_of(form: Form, message: Message) -> str:
    """The block's text, whichever framing it was stored in."""
    framing = PLAIN if message.body.startswith(STX) else BY_ENQ
    found = blocks.texts(framing, message.body)
    return (found[0] if found else b"").decode(form.charset or "latin-1", "replace").lstrip("\r\n")


def read(form: Form, message: Message) -> Decoded:
    """One block: a question, results, or a mark."""
    text = text_of(form, message)
    head = au.head(text)
    if head is None or head.what[0] == "S":
        known = text.strip() in ("RB", "RE", "DB", "DE", "SE") or head is not None
        return other(MessageType.OTHER, *([] if known else [f"a block {text[:2]!r} that is not known here"]))
    if head.what[0] == "R":
        sample_id = au.request_id(text, form.layout)
        if sample_id is None:
            return other(MessageType.OTHER, "a request whose sample id has not the width that is set")
        return asks([sample_id], [au.order_head(text, form.layout)])
    if head.what[1] in "AR":
        return other(MessageType.CALIBRATION)
    return _results(form, text, head)


def _results(form: Form, text: str, head: au.Head) -> Decoded:
    control = head.what[1] == "Q" or head.number.startswith("Q")
    found = au.readings(text, form.layout)
    if len(found) != 1:
        ways = f"can be read in {len(found)} ways" if found else "fit no layout known here, or not the one that is set"
        return other(MessageType.OTHER, f"a block {head.what!r} whose columns {ways}: {REMEDY}")
    reading = found[0]
    sheet = Sheet(form, reading.sample_id or (head.number if control else ""), reading.time or None)
    rerun = "rerun" if head.what[1] in "Hh" else None
    for group in reading.groups:
        marks = tuple(group.marks.replace(" ", ""))
        sheet.add(group.test, group.value, None, marks, raw=group.value + group.marks, aspect=rerun)
    return sheet.decoded(control=control)


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """S: the request's own columns and the numbers of the tests; nothing at all without an order, nor for columns that
    the cable damaged: what would be mirrored is not what was asked."""
    if not orders or not query.query_raw or not query.query_raw[0].isprintable():
        return None
    numbers = "".join(code for work in orders for code in work.codes)
    return [(query.query_raw[0] + numbers).encode("latin-1")]


DRIVER = Driver(
    name="beckman_au",
    title="Beckman Coulter AU",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=PLAIN,
    framings={"stx_bcc": CHECKED, "stx": PLAIN, "enq": BY_ENQ},
    columns=au.COLUMNS,
    reads=read,
    pseudo=r"0+",
    answers=answer,
)
