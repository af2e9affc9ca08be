"""Mindray's dialect of ASTM 1394-97, which its chemistry analyzers and those it makes for others (Agappe) speak.

Turns its addresses into a form's, its message kinds (H-12) into types, a query RQ into SA or QA. Law: verbatim; a row
without code and name stays without; what is odd is told. Source: Mindray, host interface of the BS series (ASTM mode;
the text is not public), captures, working interfaces.

H-12 says what a message is: PR results of samples, QR results of controls, CR a calibration, RQ a query, SA an
order, QA "nothing known". Sample O-4, the barcode (O-3 is sequence^tray^position) · code R-3 component 1, name
component 2 (where the code is blank the name is the code), component 4 F a number or I an interpretation · value R-4
component 1, the interpretation component 2 · unit R-5 · range R-6, `^` for none · flag R-7 · status R-9 · time R-12.
The manual prints R shifted by one from the range on (range R-7, flag R-8, status R-10, time R-14): then R-10 is a
letter, where analyzers repeat the value.
A QR message may bring its values in O-12 alone: `number^control^lot^expiry^mean^level^SD^value`, repeated. Sequence
numbers run on from message to message, patients are dummies (PATIENT111). A | in a text is sent as `&|`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM
from drivers.engine.chemistry import latest_with_a_value, material
from drivers.engine.form import RowText
from drivers.engine.replies import header, patient, told
from drivers.engine.words import Decoded, Message, MessageType, Observation, WorkOrder
from drivers.wire import lis2a
from drivers.wire.lis2a import Record, Value

VERSION = "1394-97"
_STATUS = frozenset("CPFXIR")


def retells(row: Observation, sent: RowText) -> Observation:
    """A blank code is the name; an interpretation stands for the value where there is no number, beside it else."""
    said = (sent.get("R.4.2") or "").strip()
    value = said if said and not row.value else row.value
    if (sent.get("R.10") or "").strip() in _STATUS:
        row = _as_printed(row, sent)
    return row._replace(code=row.code or row.name, value=value, coded=said or None)


def _as_printed(row: Observation, sent: RowText) -> Observation:
    """A row that is shifted as in the manual."""
    limits, flags = sent.get("R.7") or "", (sent.get("R.8") or "").split()
    return row._replace(
        range=limits if limits.strip("^\\ ") else None, flags=tuple(flags), status=(sent.get("R.10") or "").strip(),
        observed_at=sent.get("R.14") or sent.get("R.13") or None,
    )  # fmt: skip


def settles(said: Decoded, message: Message) -> Decoded:
    """The type that H-12 names, and the values of controls that stand in O-12."""
    if said.type is MessageType.INCOMPLETE:
        return said
    body = message.body.lstrip(b"\r\n")  # with rows only its header is asked
    records = lis2a.parse(body.split(b"\r", 1)[0] if said.observations else lis2a.standard_escapes(lis2a.text(body)))
    kind = (records[0].raw("12") or "").strip().upper()
    if kind in ("SA", "QA"):
        return replace(said, type=MessageType.OTHER)
    if kind == "QR" and not said.observations:
        rows = [row for record in records if record.type == "O" for row in _controls(record)]
        numbered = tuple(row._replace(ordinal=number) for number, row in enumerate(rows, 1))
        return replace(said, type=MessageType.QC, observations=numbered)
    return said


def _controls(order: Record) -> list[Observation]:
    code, name = ((order[part] or "").strip() or None for part in ("5.1", "5.2"))
    time = order["7"] or None
    told = [(repeat, repeat.split(order.delimiters.component)) for repeat in order.repeats(12)]
    return [
        Observation(parts[1].strip() or None, code or name, name, parts[7].strip(), repeat, None, observed_at=time)
        for repeat, parts in told
        if len(parts) >= 8
    ]


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """SA with an order for each known sample, its tests as `code^^2^1` (as working interfaces send them: no name,
    sample, one replicate); QA and L-3 I when nothing is known."""
    head = [*header(lis2a.STANDARD, query.sender)[:11], "SA" if orders else "QA", VERSION]
    return told(head, orders, lambda number, work: [patient(number, work), _order(number, work)])


def _order(number: int, work: WorkOrder) -> list[Value]:
    tests: list[str | tuple[str, ...]] = [(code, "", "2", "1") for code in work.codes]
    where = (str(number), "1", "1")  # not its place: a tube that was scanned stands where the analyzer knows it to be
    fields: list[Value] = ["O", str(number), where, work.sample_id, tests, "S" if work.stat else "R"]
    return [*fields, *[None] * 9, material(work.specimen), None, None, "1", *[None] * 6, "Q"]


FORM = replace(
    ASTM,
    sender=r"Mind|BS[- ]?\d",
    sample_id="O.4.1",
    code="R.3.1",
    code_name="R.3.2",
    value="R.4.1",
    no_range=r"[\^\\]*",
    aspect="R.3.4",
    aspects={"F": "", "I": "interpretation"},
    observed_at="R.12",
    control=(("H.12", "QR"), *ASTM.control),
    calibration=(("H.12", "CR"),),
    pseudo=r"0+|INVALID.*",
    query_cancel=None,  # H-12 alone says what a message is
    own_escapes=True,
    retells=retells,
    settles=settles,
    reports=latest_with_a_value,
    answers=answer,
)
"""What the form of every analyzer of this dialect says."""
