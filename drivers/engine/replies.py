"""Orders in LIS02-A2 records: as the answer to a host query (or that there are none), or sent without being asked.

Turns work orders, and the query where there is one, into messages without frames. Law: every text is escaped, nothing
is invented. Source: LIS02-A2 8 (order; 8.4.12 action: A add, C cancel), 11 (request), 12 (terminator: N normal, F done,
I no information).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drivers.engine.words import Decoded, Stamp, WorkOrder
from drivers.wire import lis2a
from drivers.wire.lis2a import STANDARD, Delimiters, Value

HOST = "Lab Mitra"
ADD, CANCEL = "A", "C"


def header(marks: Delimiters, sender: str | None, comment: str | None = None) -> list[Value]:
    """Our H record: we are the sender (H-5), the analyzer the receiver (H-10), production (H-12)."""
    to: Value = tuple(sender.strip().split(marks.component)) if sender else None
    return ["H", None, None, None, HOST, None, None, None, None, to, comment, "P", "1"]


def patient(number: int, work: WorkOrder) -> list[Value]:
    """A P record: what the analyzer prints beside the result, and may choose an interval by. A name that is not
    ASCII is left out: few analyzers can print it, some refuse it."""
    name = work.name if work.name.isascii() else ""
    sex = work.sex if work.sex in ("M", "F") else "U"
    return ["P", str(number), work.patient_id or None, None, None, name or None, None, work.birth_date or None, sex]


def order(number: int, work: WorkOrder, component: int = 4, action: str = "A") -> list[Value]:
    """An O record: the sample's id in O-3, each test as a repeat of O-5 with its code in that component."""
    codes = work.cancelled if action == CANCEL else work.codes
    tests = [("",) * (component - 1) + (code,) for code in codes]
    fields: list[Value] = ["O", str(number), work.sample_id, None, list(tests), "S" if work.stat else "R"]
    return [*fields, None, None, None, None, None, action, None, None, None, work.specimen or None]


Records = Sequence[Sequence[Value]]


def told(
    head: Sequence[Value], orders: Sequence[WorkOrder], records_of: Callable[[int, WorkOrder], Records],
    end: str = "N", nothing: str = "I", marks: Delimiters = STANDARD,
) -> list[bytes]:  # fmt: skip
    """One message: H, the records of each order (counted from 1), L; L-3 is `nothing` where there is none (12.3)."""
    records: list[Sequence[Value]] = [head]
    for number, work in enumerate(orders, 1):
        records += records_of(number, work)
    records.append(["L", "1", end if orders else nothing])
    return [lis2a.build(records, marks, "utf-8")]


def ordered(number: int, work: WorkOrder) -> Records:
    """For one sample a P and its O records: what to add, what is cancelled; nothing where there is neither."""
    actions = [action for action, codes in ((ADD, work.codes), (CANCEL, work.cancelled)) if codes]
    orders = [order(place, work, action=action) for place, action in enumerate(actions, 1)]
    return [["P", str(number)], *orders] if orders else []


def astm_answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes]:
    """P and O for each order, then L: F when there was work, I when nothing is known (12.3)."""
    return told(header(STANDARD, query.sender), orders, ordered, end="F")


def astm_push(orders: Sequence[WorkOrder], _stamp: Stamp) -> list[bytes]:
    """One message for each sample: H, P, an O with action A and one with C where there is something, L|1|N."""
    return [
        message for work in orders if work.codes or work.cancelled
        for message in told(header(STANDARD, None), [work], ordered)
    ]  # fmt: skip
