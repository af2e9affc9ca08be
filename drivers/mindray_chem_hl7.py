"""Mindray BS, BA and CL series, clinical chemistry and immunoassay, in HL7 mode. HL7 2.3.1 over MLLP; it dials us.

Manual  Mindray, host interface manual of the BS series (HL7: ORU^R01, QRY^Q02, QCK^Q02, DSR^Q03); BS-200E, v1.2
Proof   manual: its printed result, query and answer [V]; no capture of a lab's own analyzer

Where things sit: sample OBR-2, the barcode, and nothing else: OBR-3 is the place in the rack · code OBX-3, the test's
number on the analyzer, name OBX-4 (where the number is empty the name is the code) · value OBX-5, `-0x0fffffff` when
invalid (OBX-13 repeats it) · unit OBX-6, with blanks around it · range OBX-7, `-` when none is set · flag OBX-8 ·
status OBX-11 · time OBX-14 · control MSH-16 2 (0 is a sample, 1 a calibration). A control's OBR holds the test in 2 and
3, its own name in 13, the value in 20 and the unit in 21; it may come without an OBX.
Quirks: A query is QRY^Q02 with the barcode in QRD-8. It is answered by QCK^Q02, QAK-2 OK or NF, and where there is work
by a DSR^Q03, rows by their number: 1 patient id, 3 name, 4 birth, 5 sex, 21 barcode, 24 urgent, 26 material, 29 and on
a test each, `number^^^`. Both repeat MSH-10. ACK^Q03 ends it. Test numbers are set on each analyzer: none is known
here, they are mapped in config/analyzers.toml by `codes`.
Cannot: answer a query for a range of samples (QRD-8 empty): nothing known is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import HL7, Decoded, Grade, Message, MessageType, Observation, WorkOrder
from drivers.engine.chemistry import latest_with_a_value, material
from drivers.engine.form import MASKED, RowText
from drivers.engine.hl7_replies import echo, header, keep_question, question
from drivers.wire import hl7
from drivers.wire.hl7 import Segment, Value

FIRST_TEST = 29
CONTROL = "2"


def retells(row: Observation, sent: RowText) -> Observation:
    """The name of OBX-4, which is the code where the number is empty; a control's own name for its id."""
    name = (sent.get("OBX.4") or "").strip() or None
    if (sent.get("MSH.16") or "").strip() == CONTROL:
        row = row._replace(sample_id=(sent.get("OBR.13") or "").strip() or None)
    return row._replace(name=name, code=row.code or name)


def settles(said: Decoded, message: Message) -> Decoded:
    """The rows of a control that came without an OBX; the question kept whole for the answer."""
    if said.type is not MessageType.QC:
        return keep_question(said, message)
    segments = hl7.parse(message.body)
    return replace(said, observations=said.observations or _controls(segments), problems=())


def _controls(segments: list[Segment]) -> tuple[Observation, ...]:
    orders = [segment for segment in segments if segment.type == "OBR" and segment["20"]]
    return tuple(
        Observation(
            (order["13"] or "").strip() or None, order["2"] or None, order["3"] or None, (order["20"] or "").strip(),
            order.raw("20"), (order["21"] or "").strip() or None,
            observed_at=order["7"] or order["6"] or None, ordinal=number,
        )
        for number, order in enumerate(orders, 1)
    )  # fmt: skip


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """QCK^Q02, then a DSR^Q03 for each known sample."""
    asked = question(query)
    if not asked:
        return None
    told: list[Sequence[Value]] = [
        ["MSA", "AA", asked[0]["10"] or "", "Message accepted", None, None, "0"],
        ["ERR", "0"],
        ["QAK", "SR", "OK" if orders else "NF"],
    ]
    marks = asked[0].delimiters
    check = hl7.build([header(asked[0], ("QCK", "Q02"), None), *told], marks)
    return [check, *[_display(asked, work, told) for work in orders]]


def _display(asked: list[Segment], work: WorkOrder, told: list[Sequence[Value]]) -> bytes:
    marks = asked[0].delimiters
    filters = b"".join(echo(segment) for segment in asked if segment.type in ("QRD", "QRF"))
    ascii_only = (asked[0]["18"] or "").upper() in ("", "ASCII")
    known: dict[int, Value] = {
        1: work.patient_id, 3: work.name if work.name.isascii() or not ascii_only else "",
        4: work.birth_date and work.birth_date + "000000", 5: work.sex if work.sex in ("M", "F") else "O",
        21: work.sample_id, 24: "Y" if work.stat else "N", 26: material(work.specimen),
    }  # fmt: skip
    known |= {FIRST_TEST + place: (code, "", "", "") for place, code in enumerate(work.codes)}
    rows: list[Sequence[Value]] = [["DSP", str(n), None, known.get(n)] for n in range(1, max(known) + 1)]
    head = hl7.build([header(asked[0], ("DSR", "Q03"), None), *told], marks)
    return head + filters + hl7.build([*rows, ["DSC"]], marks)


DRIVER = replace(
    HL7,
    name="mindray_chem_hl7",
    title="Mindray BS/BA/CL, HL7",
    grade=Grade.MANUAL,
    sample_id="OBR.2.1",
    no_range=r"-*",
    control=(("MSH.16", CONTROL), ("MSH.11", "Q")),
    calibration=(("MSH.16", "1"),),
    pseudo=r"0+|Invalid",
    masked=MASKED + r"|-0x0fffffff",
    query_id="QRD.8.1",
    retells=retells,
    settles=settles,
    reports=latest_with_a_value,
    answers=answer,
)
