"""Thermo Indiko and Konelab, clinical chemistry. ASTM E 1394 over TCP or RS-232.

Manual  Thermo, Indiko/Konelab LIS interface (ASTM); vendor text is not public
Proof   capture: a query; results and the answer after a published trial with a Konelab T60 [S]; not yet run beside a
lab's own analyzer

Where things sit: sample O-3 component 1 of `id^0.0^rack^position` · code R-3 component 4 (component 5 is the dilution)
· value R-4 · unit R-5 · flag R-7 · range R-6 · status R-9 · time R-13 · H-5 `1^Analyzer 1^7.0` · control O-12 Q.
Quirks: A query is Q-3 component 2 (`^id^^`, tests `^^^ALL^`). The answer is one message: P, then one O for each test
with O-12 X and O-26 `Q\\O`, the answer to a query; nothing known is a message without orders, L-3 I (general
knowledge). A test that the analyzer cannot run comes back as an O with O-26 X, without a result: a problem sentence
names it. Test names are set by the lab: TESTS is the usual naming, config/analyzers.toml overrides it. One glucose
method serves all glucose tubes.
Cannot: say which number the material has in O-16 but for serum and plasma, 1.
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, MessageType, WorkOrder
from drivers.engine.chemistry import USUAL_NAMES, chemistry, latest_with_a_value, material
from drivers.engine.replies import header, patient, told
from drivers.wire import lis2a
from drivers.wire.lis2a import Value


def settles(said: Decoded, message: Message) -> Decoded:
    """Names the tests that the analyzer sent back without running them."""
    if said.type is not MessageType.RESULT:
        return said
    orders = [record for record in lis2a.parse(message.body) if record.type == "O" and record["26"] == "X"]
    refused = ", ".join(order["5.4"] or "?" for order in orders)
    return replace(said, problems=(*said.problems, f"sent back without being run: {refused}")) if refused else said


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """For each known sample P and one O a test; L-3 N after orders, I when nothing is known."""
    return told(header(lis2a.STANDARD, query.sender), orders, ordered)


def ordered(number: int, work: WorkOrder) -> list[list[Value]]:
    """P and one O a test."""
    return [patient(number, work), *[_order(place, work, code) for place, code in enumerate(work.codes, 1)]]


def _order(number: int, work: WorkOrder, code: str) -> list[Value]:
    of_blood = "1" if material(work.specimen) in ("serum", "plasma") else None
    head: list[Value] = ["O", str(number), work.sample_id, None, ("", "", "", code), "S" if work.stat else "R"]
    return [*head, *[None] * 5, "X", None, None, None, of_blood, *[None] * 8, "1", ["Q", "O"]]


DRIVER = replace(
    ASTM,
    name="thermo_indiko",
    title="Thermo Indiko",
    grade=Grade.CAPTURE,
    sender=r"\d*\^?Analyzer|Indiko|Konelab",
    tests=chemistry(USUAL_NAMES),
    settles=settles,
    reports=latest_with_a_value,
    answers=answer,
)
