"""IHE's Laboratory Analytical Workflow (LAW): the answers to a query for work, and work unasked for, HL7 2.5.1.

Turns QBP^Q11 into RSP^K11 and OML^O33, and orders into OML^O33 alone. Law: orders travel in OML alone; a tube that is
not known is told so; what says which question is answered is echoed. Source: IHE PaLM TF-2b 3.27 (LAB-27, query) and
3.28 (LAB-28, work order); HL7 2.5.1 chapters 4 and 5; captures of a BioSystems BA400.

RSP^K11 says AA, the query's tag and OK or NF and repeats QPD. Then one OML^O33 a tube: PID where the patient is known,
SPM with the tube's id, SAC with it as the container, and for each test ORC NW, TQ1 and OBR; the analyzer answers with
ORL^O34. Nothing known is an OML too: the tube, role U, with ORC DC and no order. An order has the number tube-code
(ORC-2), by which it is cancelled later: ORC CA; one that is measured again is another order, with a number behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from drivers.engine.chemistry import material
from drivers.engine.hl7_replies import echo, find, header, keep_question, question, unasked
from drivers.engine.words import Decoded, Message, MessageType, Stamp, WorkOrder
from drivers.wire import hl7
from drivers.wire.hl7 import STANDARD, Delimiters, Segment, Value

QUERY, ORDER = "LAB-27^IHE", "LAB-28^IHE"
OML = ("OML", "O33", "OML_O33")
SPECIMENS = {"serum": "SER", "plasma": "PLAS", "urine": "UR", "csf": "CSF", "blood": "BLD"}  # table 0487


def settles(said: Decoded, message: Message) -> Decoded:
    """A query keeps its whole text for the answer; a refused order is a problem sentence."""
    if said.type is not MessageType.ACK:
        return keep_question(said, message)
    segments = hl7.parse(message.body)
    answer = find(segments, "MSA")
    code = (answer["1"] or "") if answer else ""
    refused = [segment for segment in segments if segment.type == "ORC" and segment["1"] == "UA"]
    if code in ("AA", "CA") and not refused:
        return said
    what = f"the analyzer refused what was sent to it: MSA-1 {code!r}, {len(refused)} orders it cannot take"
    return replace(said, problems=(*said.problems, what))


def answerer(system: str, coded: Callable[[str], str] = str) -> Callable[..., list[bytes] | None]:
    """The function that answers for one analyzer. `system` is the name of its codes (OBR-4 component 3), `coded` gives
    the text that goes beside a code."""

    def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
        asked = question(query)
        ask = find(asked, "QPD")
        if ask is None or asked[0]["9.1"] != "QBP":
            return None
        marks, at = asked[0].delimiters, asked[0]["7"] or ""
        works = [
            _work(header(asked[0], OML, f"O{number}", ORDER), at, work, system, coded, marks)
            for number, work in enumerate(orders, 1)
        ]
        nothing = [] if works or not query.query_sample_ids else [_nothing(asked[0], query.query_sample_ids[0])]
        return [_response(asked[0], ask, bool(works)), *works, *nothing]

    return answer


def pusher(system: str, coded: Callable[[str], str] = str) -> Callable[..., list[bytes]]:
    """The function that tells one analyzer what it did not ask for: an OML^O33 for each tube, `system` and `coded` as
    for `answerer`."""

    def push(orders: Sequence[WorkOrder], stamp: Stamp) -> list[bytes]:
        told = [work for work in orders if work.codes or work.cancelled]
        return [
            _work(unasked(OML, stamp, number, ORDER), stamp.at, work, system, coded, STANDARD)
            for number, work in enumerate(told, 1)
        ]

    return push


def _response(asked: Segment, ask: Segment, known: bool) -> bytes:
    marks = asked.delimiters
    name = tuple((ask["1"] or "").split(marks.component))
    segments: list[Sequence[Value]] = [
        header(asked, ("RSP", "K11", "RSP_K11"), "R", QUERY),
        ["MSA", "AA", asked["10"] or ""],
        ["QAK", ask["2"] or "", "OK" if known else "NF", name],
    ]
    return hl7.build(segments, marks) + echo(ask)


def _work(
    head: list[Value], at: str, work: WorkOrder, system: str, coded: Callable[[str], str], marks: Delimiters
) -> bytes:
    segments: list[Sequence[Value]] = [head, *_patient(work), *_tube(work.sample_id, material(work.specimen), "P")]
    runs = {code: f"-{number}" for code, number in work.runs}
    controls = [*(("NW", code) for code in work.codes), *(("CA", code) for code in work.cancelled)]
    for place, (control, code) in enumerate(controls, 1):
        placer = f"{work.sample_id}-{code}{runs.get(code, '')}"
        segments += [
            ["ORC", control, placer, *[None] * 6, at],
            ["TQ1", "1", *[None] * 7, ("S" if work.stat else "R", "", "HL70485")],
            ["OBR", str(place), placer, None, (code, coded(code), system)],
        ]
    return hl7.build(segments, marks)


def _nothing(asked: Segment, sample_id: str) -> bytes:
    head = header(asked, OML, "O0", ORDER)
    return hl7.build([head, *_tube(sample_id, "", "U"), ["ORC", "DC", *[None] * 7, asked["7"]]], asked.delimiters)


def _patient(work: WorkOrder) -> list[Sequence[Value]]:
    if not work.patient_id or not work.name:
        return []
    sex = work.sex if work.sex in ("M", "F") else "U"
    return [["PID", "1", None, work.patient_id, None, work.name, None, work.birth_date or None, sex]]


def _tube(sample_id: str, kind: str, role: str) -> list[Sequence[Value]]:
    specimen: Value = (SPECIMENS[kind], "", "HL70487") if kind else '""'
    return [
        ["SPM", "1", sample_id, None, specimen, *[None] * 6, (role, "", "HL70369")],
        ["SAC", None, None, sample_id],
    ]
