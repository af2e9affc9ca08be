"""The host interface that Roche's analyzers share (Elecsys/cobas e, Hitachi/cobas c): form, queries, order downloads.

Turns TSREQ^REAL into TSDWN^REPLY, and orders that nobody asked for into TSDWN^BATCH. Law: what says where the tube
stands is echoed as the query sent it; nothing is invented. Source: Roche host interface manuals of cobas e 411 and
cobas c 311 (ASTM; RSUPL, TSREQ, TSDWN), working interfaces.

The code is the part before "/" in R-3 component 4; a control has O-12 Q, or QC in O-4 component 5; `@192` and the like
stand for an unread barcode.
A query's Q-3 is `^^id^sequence^rack^position^^S1^SC`, the id padded with blanks on the cobas c; Q-13 O or A both ask.
The answer is one message: per known sample a P and an O with O-3 the id with its padding, O-4 Q-3 from component 4 on,
O-5 `^^^code^` repeated, O-6 R or S, O-12 A (added), O-16 the number of the sample type, O-26 O (an order). An unknown
sample is answered by a header with TSDWN^REPLY and no order.
A download is TSDWN^BATCH with the same O; O-4 is `0^^^^S1^SC`: no rack and no position, the type of the sample, a
standard cup (as working interfaces of cobas c 311 and Hitachi send it; to be confirmed on site). How an order is
cancelled is not known here: a person takes it off the analyzer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM
from drivers.engine.chemistry import ANY_GLUCOSE, chemistry, material
from drivers.engine.replies import Records, header, told
from drivers.engine.words import Decoded, Stamp, WorkOrder
from drivers.wire import lis2a
from drivers.wire.lis2a import Value

PSEUDO = r"@\d+|0+"  # an unread barcode
# Application codes of the photometric analyzers (cobas c): general knowledge, units agree with the captures.
TESTS = chemistry(
    {
        "NA": "989", "K": "990", "CL": "991", "ALB": "413", "TP": "678", "ALP": "683", "ALT": "685", "AST": "687",
        "CREAT": "690", "TBIL": "712", "DBIL": "734", ANY_GLUCOSE: "717", "TG": "781", "CHOL": "798",
    }
)  # fmt: skip


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """TSDWN^REPLY: an order echoing Q-3's position and type for each known sample, none for an unknown one."""
    return told(_head(query.sender, "REPLY"), orders, _echoed, nothing="N")


def pushes(orders: Sequence[WorkOrder], _stamp: Stamp) -> list[bytes]:
    """TSDWN^BATCH for each sample with something to add; the analyzer finds the tube by its barcode."""
    return [message for work in orders if work.codes for message in told(_head(None, "BATCH"), [work], _unasked)]


def _head(to: str | None, mode: str) -> list[Value]:
    head = header(lis2a.STANDARD, to)
    head[10] = ("TSDWN", mode)
    return head


def _echoed(_number: int, work: WorkOrder) -> Records:
    """O-3 and O-4 as the query's Q-3 said where the tube stands."""
    asked = [lis2a.decode(part) for part in work.query_raw.split("^")]
    padded, place = (asked[2], tuple(asked[3:])) if len(asked) > 3 else (work.sample_id, ())
    return [["P", "1"], _order(work, padded, place)]


def _unasked(_number: int, work: WorkOrder) -> Records:
    return [["P", "1"], _order(work, work.sample_id, _nowhere(work))]


def _nowhere(work: WorkOrder) -> tuple[str, ...]:
    """O-4 of a tube that stands nowhere yet."""
    kind = {"serum": "S1", "plasma": "S1", "urine": "S2", "csf": "S3"}.get(material(work.specimen), "S5")
    return ("0", "", "", "", kind, "SC")


def _order(work: WorkOrder, padded: str, place: tuple[str, ...]) -> list[Value]:
    tests = [("", "", "", code, "") for code in work.codes]
    urgent = "S" if work.stat else "R"
    return [
        "O", "1", padded, place or None, list(tests), urgent, None, None, None, None, None, "A", None, None, None,
        _sample_type(place), None, None, None, None, None, None, None, None, None, "O",
    ]  # fmt: skip


def _sample_type(place: tuple[str, ...]) -> str | None:
    """1 serum or plasma, 2 urine, 3 CSF, 4 supernatant, 5 others: the digit of `S1` in Q-3; None when it names none."""
    kind = place[4] if len(place) > 4 else ""
    return kind[1:] if kind[:1] == "S" and kind[1:] in ("1", "2", "3", "4", "5") else None


FORM = replace(
    ASTM,
    code_until="/",
    control=(*ASTM.control, ("O.4.5", "QC")),
    pseudo=PSEUDO,
    query_id="Q.3.3",
    query_cancel=None,  # Q-13 A asks too
    answers=answer,
)
"""What the forms of cobas c 311 and e 411 have in common."""
