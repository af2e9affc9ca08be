"""Erba XL-200/300/640/1000 and Transasia EM-200/EM-360, clinical chemistry. LIS2-A2 over RS-232 or TCP.

Manual  Erba/Transasia, host interface of the XL series (E 1394-97); vendor text is not public
Proof   capture: results, reruns and queries of XL-640/XL-1000 and EM-200; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 (EM-200: `id^03^tray^position`, 03 the tube type) · code R-3 component 4 ·
value R-4, `NA` when there is none · unit R-5 · range R-6 (`^DEFAULT`) · flag R-7, the analyzer's own (A, N, H, `R1?`) ·
status R-9 · time R-13 · a comment under each result repeats the flags ("Instrument Flag A,H") · control O-12 or H-12 Q.
Quirks: The repeat delimiter is the backtick; frames hold 1024 characters and are cut anywhere. There is no sender name.
A query may ask for many samples: `^id`, a backtick before each further one, with tube types `^id^03`, then `id^03`.
Orders need the tube type, as it was asked or 03, or the sample is refused. Reruns come as further rows of the same
test. The one to report is the latest by R-13 that has a value (the later row where times are equal); when no run has a
value it is the latest of them. Test names are set by the lab: TESTS is the usual naming, config/analyzers.toml
overrides it. One glucose method serves all glucose tubes: the order says which glucose it is.
The same order may be sent without being asked (as working interfaces do), by O-12 A.
Cannot: be told that an order is cancelled, as far as is known: a person takes it off the analyzer; tell serum from
urine but by the ordered test.
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Stamp, WorkOrder
from drivers.engine.chemistry import USUAL_NAMES, chemistry, latest_with_a_value, material
from drivers.engine.replies import header, order, told
from drivers.wire import lis2a
from drivers.wire.lis2a import Delimiters, Value

MARKS = Delimiters("|", "`", "^", "&")
TUBE = "03"

TESTS = chemistry(USUAL_NAMES)


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """One message: for each order P and O with its tube type; nothing known: L-3 I."""
    return told(header(MARKS, query.sender), orders, ordered, end="F", marks=MARKS)


def pushes(orders: Sequence[WorkOrder], _stamp: Stamp) -> list[bytes]:
    """A message for each sample with something to add."""
    waiting = [work for work in orders if work.codes]
    return [message for work in waiting for message in told(header(MARKS, None), [work], ordered, marks=MARKS)]


def ordered(number: int, work: WorkOrder) -> list[list[Value]]:
    """P and O of one order, with its tube type."""
    sent = order(1, work, action="A")
    sent[2], sent[15] = (work.sample_id, _tube(work)), material(work.specimen).upper()
    return [["P", str(number)], sent]


def _tube(work: WorkOrder) -> str:
    """The tube type that stands behind the id in the question; 03 where there is none."""
    asked = [lis2a.decode(part, MARKS).strip() for part in work.query_raw.split(MARKS.component)]
    behind = asked[asked.index(work.sample_id) + 1 :] if work.sample_id in asked else []
    return behind[0] if behind and behind[0].isdigit() else TUBE


DRIVER = replace(
    ASTM,
    name="erba_xl",
    title="Erba XL / Transasia EM",
    grade=Grade.CAPTURE,
    query_further="Q.3.1",
    frame_size=1024,
    tests=TESTS,
    reports=latest_with_a_value,
    answers=answer,
    pushes=pushes,
)
