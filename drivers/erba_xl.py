"""Erba XL-200/300/640/1000 and Transasia EM-200/EM-360, clinical chemistry. LIS2-A2 over RS-232 or TCP.

Manual  Erba/Transasia, host interface of the XL series (E 1394-97); vendor text is not public
Proof   capture: results, reruns and queries of XL-640/XL-1000 and EM-200; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 (EM-200: `id^03^tray^position`, 03 the tube type) · code R-3 component 4 ·
value R-4, `NA` when there is none · unit R-5 · range R-6 (`^DEFAULT`) · R-7 is the instrument's flag (A, N, H, `R1?`) ·
status R-9 · time R-13 · a comment under each result repeats the flags ("Instrument Flag A,H").
The repeat delimiter is the backtick; frames hold 1024 characters and are cut anywhere. There is no sender name.
A query may ask for many samples: `^id1`id2`id3`. Orders need the tube type or the sample is refused.
The same order may be sent without being asked (as working interfaces do), by O-12 A; how one is cancelled is not known
here: a person takes it off the analyzer.
Reruns come as further rows of the same test. The one to report is the latest by R-13 that has a value (the later row
where times are equal); when no run has a value it is the latest of them.
Test names are set by the lab: TESTS is the usual naming, config/analyzers.toml overrides it. One glucose method serves
all glucose tubes: the order says which glucose it is. Cannot: tell serum from urine but by the ordered test.
"""

from collections.abc import Sequence

from drivers.driver import Decoded, Driver, Grade, Stamp, WorkOrder
from drivers.engine.chemistry import USUAL_NAMES, chemistry, latest_with_a_value, material
from drivers.engine.replies import download, header, order
from drivers.wire import lis2a
from drivers.wire.lis2a import Delimiters, Value

MARKS = Delimiters("|", "`", "^", "&")
TUBE = "03"

TESTS = chemistry(USUAL_NAMES)


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """One message: for each order P and O with its tube type; nothing known: L-3 I."""
    records: list[Sequence[Value]] = [header(MARKS, query.sender)]
    for number, work in enumerate(orders, 1):
        records += _ordered(number, work)
    records.append(["L", "1", "F" if orders else "I"])
    return [lis2a.build(records, MARKS, "utf-8")]


def pushes(orders: Sequence[WorkOrder], _stamp: Stamp) -> list[bytes]:
    """A message for each sample with something to add."""
    return [download(header(MARKS, None), _ordered(1, work), MARKS) for work in orders if work.codes]


def _ordered(number: int, work: WorkOrder) -> list[Sequence[Value]]:
    sent = order(1, work)
    sent[2] = (work.sample_id, TUBE)
    sent[15] = material(work.specimen).upper()
    return [["P", str(number)], sent]


DRIVER = Driver(
    name="erba_xl",
    title="Erba XL / Transasia EM",
    grade=Grade.CAPTURE,
    speaks="LIS2-A2",
    sample_id="O.3.1",
    code="R.3.4",
    value="R.4",
    unit="R.5",
    flag="R.7",
    range="R.6",
    status="R.9",
    observed_at="R.13",
    control=(("O.12", "Q"), ("H.12", "Q")),
    pseudo=r"0+",
    query_id="Q.3.2",
    query_cancel=("Q.13", "A"),
    frame_size=1024,
    tests=TESTS,
    reports=latest_with_a_value,
    answers=answer,
    pushes=pushes,
)
