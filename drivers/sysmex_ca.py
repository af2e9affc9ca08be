"""Sysmex CA-50/500/600 (CA-530, CA-560, CA-660), coagulation. Fixed blocks STX … ETX over RS-232.

Manual  Sysmex, host interface of the CA-500 and CA-600 series (blocks D1, R1, S1)
Proof   capture: results, error masks, a query of a CA-660; not yet run beside a lab's own analyzer

Where things sit, columns from 0 of a D or R block: 0 block D1/R1 (D2/R2 where it asks by the id alone) · 2 analyzer
type 21 · 4 and 6 block number and count · control 8, the kind of sample: U patient, E urgent, C control, blank when it
asks · time 9 and 15, DDMMYY and HHMM · 19 rack and position · sample: the id, right-justified, then one letter, how it
was read (B barcode, M manual, A counted), and the name · then groups of 9: code 3 (the parameter), value 5, flag 1 ·
unit by the parameter · no range.
Quirks: Rack, id and name have two widths, by setting (LAYOUTS): the one whose letter and groups fit is the one. The
point is implied by the last digit of the parameter: 1 seconds, one decimal; 3 ratio and 4 INR, two decimals; other
values are given as sent. `*`, `/`, `-`, `+` or X for a value is an error: masked, never a number. The order of the date
is a setting of the analyzer: set it to DDMMYY; what is no such date is read as YYMMDD. Ids read as A are running
numbers: no tube's. Each block is answered by ACK. A query R1 is answered by an S1 block with the same header and the
tests to run, each by the number of its assay: 041, 043 and 044 are all results of assay 040. Nothing to run is the
number 000, as a working interface of this family sends it.
Cannot: give units that the analyzer does not send (they follow from the parameter), send the patient's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from drivers.driver import Decoded, Driver, Grade, Message, MessageType, WorkOrder, known, measurement
from drivers.engine.form import Form
from drivers.engine.text import Sheet, asks, cut, groups, other, texts_of
from drivers.wire.blocks import Framing

HEAD = re.compile(r"([DR][12])\d{6}(.)(.{6})(.{4})")
LAYOUTS = tuple(
    re.compile(rf"(\d{{{rack}}})(.{{{sample}}})([BMAC])(.{{{name}}})((?:\d{{3}}.{{6}})*(?:\d{{3}}.{{5}})?)")
    for rack, sample, name in ((8, 15, 15), (6, 13, 11))
)
UNITS = {"1": ("s", 1), "3": ("ratio", 2), "4": ("INR", 2)}  # last digit of the parameter → unit, decimals
NOTHING = "000"
MASK = r"[*/+X-]+"
DIGITS = re.compile(r"([<>]?) *([0-9]+)")  # a bound has the point of its number: ">190" is not 190 seconds
NAMES = {"041": "PT seconds", "043": "PT ratio", "044": "PT INR", "051": "APTT"}
TESTS = {
    "041": measurement("PT", "s"),
    "044": measurement("INR", "{INR}", {"INR": "1"}),
    "051": measurement("APTT", "s"),
    **dict.fromkeys(("042", "043", "045", "061", "062"), known()),
}


def number(code: str, sent: str) -> str:
    """The value with the point that its parameter implies; what holds an error or no digits stays as sent."""
    value = sent.strip()
    found = DIGITS.fullmatch(value)
    if found is None or code[2:] not in UNITS:
        return value
    decimals = UNITS[code[2:]][1]
    whole = found[2].rjust(decimals + 1, "0")
    return f"{found[1]}{whole[:-decimals]}.{whole[-decimals:]}"


def moment(date: str, time: str) -> str | None:
    """DDMMYY (else YYMMDD) and HHMM as a time people can read; None when they are none."""
    for order in ("%d%m%y%H%M", "%y%m%d%H%M"):
        with suppress(ValueError):
            return f"{datetime.strptime(date + time, order):%Y-%m-%d %H:%M}"  # noqa: DTZ007 - a text, no moment
    return None


def read(form: Form, message: Message) -> Decoded:
    """A D block's results, or an R block's query."""
    text = "".join(texts_of(form, message.body))
    head = HEAD.match(text)
    body = next((found for one in LAYOUTS if head and (found := one.fullmatch(text, head.end()))), None)
    if head is None or body is None:
        return other(MessageType.OTHER, f"a block {text[:2]!r} whose columns fit no layout known here")
    block, kind, date, time = head.groups()
    _, sample_id, how, _, rows = body.groups()
    if block[0] == "R":
        return asks([sample_id], [text[: len(text) - len(rows)]])
    sheet = Sheet(form, "" if how == "A" else sample_id, moment(date, time))
    for group in groups(rows, 9):
        add(sheet, group)
    return sheet.decoded(control=kind == "C")


def add(sheet: Sheet, group: str) -> None:
    """One parameter with its value and flag; an error fills value and flag and has no unit."""
    code, sent, flag = cut(group, 3, 5, 1)
    error = re.fullmatch(MASK, sent.strip()) is not None
    sheet.add(
        code, group[3:].strip() if error else number(code, sent), None if error else UNITS.get(code[2:], ("",))[0],
        (flag,) if flag.strip() and not error else (), name=NAMES.get(code), raw=group[3:],
    )  # fmt: skip


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """S1: the header of the query, then the assay of each test to run; for nothing to run, 000."""
    asked = query.query_raw[0] if query.query_raw else ""
    if asked[4:6] != asked[6:8] or not asked or not asked.isprintable():
        return None  # it goes on asking in another block, or the cable damaged what would be mirrored
    assays = dict.fromkeys(f"{code[:2]}0" for work in orders for code in work.codes)
    tests = "".join(f"{assay:<9}" for assay in assays or (NOTHING,))
    return [f"S{asked[1:]}{tests}".encode("latin-1")]


DRIVER = Driver(
    name="sysmex_ca",
    title="Sysmex CA",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(),
    reads=read,
    control_id=r"QC",
    pseudo=r"0+",
    masked=MASK + r"\D?",  # the flag stands in the mask
    tests=TESTS,
    answers=answer,
)
