"""Reads an HL7 v2 message by a form: MSH … in, Decoded out.

Law: every OBX becomes one Observation, in order; an NTE below it is its comment; Z segments are passed over; of a
message that was cut nothing is said (it is kept and shown); text that is no message, and segments that go on in
others, raise DecodeError.
Source: HL7 v2.3.1 to 2.5.1, chapters 2, 4, 5 and 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from drivers.engine.form import Form
from drivers.engine.observe import commented
from drivers.engine.rows import DIALECTS, Reader, header_problems, message_problems, told_above, training
from drivers.engine.texts import Dialect, Standing
from drivers.engine.words import Decoded, DecodeError, Message, MessageType, Observation
from drivers.wire import WireError, hl7
from drivers.wire.fields import part, place
from drivers.wire.hl7 import Delimiters, Segment

# A segment that begins a group ends what stood above of these: the next patient's order is not this one's.
_ENDS = {
    "PID": ("PV1", "ORC", "OBR", "SPM", "SAC"),
    "SPM": ("ORC", "OBR", "SAC"),
    "OBR": (),
    "ORC": (),
    "PV1": (),
    "SAC": (),
    "MSH": (),
    "QRD": (),
    "QPD": (),
}
_QUERIES = frozenset({"QRY", "QBP"})
_KIND = place("9.1")
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_ACKS = frozenset({"ACK", "ORL"})  # ORL: the analyzer's word on the orders it was sent


def reader(form: Form, marks: Delimiters) -> Reader:
    """The form compiled for the delimiters that MSH names."""
    field, component, repeat, escape, sub = marks
    return Reader(form, Dialect(0, field, repeat, component, sub, escape, lambda sent: hl7.decode(sent, marks), "OBX"))


@dataclass(slots=True)
class _Met:
    """What was met on the way through the segments."""

    rows: list[Observation] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    queries_raw: list[str] = field(default_factory=list)
    controls: list[bool] = field(default_factory=list)  # one for each group of rows
    groups: list[tuple[int, str]] = field(default_factory=list)  # the first row below each OBR, and its OBR-25
    problems: list[str] = field(default_factory=list)


def read(form: Form, readers: dict[Delimiters, Reader], message: Message) -> Decoded:
    """A whole message said in our words. `readers` keeps the compiled form for each set of delimiters."""
    try:
        lines, marks = hl7.marked(message.body, form.charset)
    except WireError as wrong:
        raise DecodeError(str(wrong)) from wrong
    if b"ADD" in message.body and any(line[:3] == "ADD" for line in lines):
        raise DecodeError("a segment goes on in another (ADD), which is not read: half of it may read as a whole one")
    use = readers.get(marks)
    if use is None:
        use = reader(form, marks)
        if len(readers) >= DIALECTS:  # a broken line's: the analyzer's own are soon there again
            readers.clear()
        readers[marks] = use
    met = _Met() if message.incomplete else _walk(lines, marks, use)
    if form.status:
        told_above(met.rows, met.groups)
    observations = tuple(met.rows)
    header = hl7.fields_of(lines[0], marks)
    sender, mode = _sent(header, 3), _sent(header, 11)
    head = header_problems(use, sender, mode, ("MSH-3", "MSH-11"))
    type_ = _type(use, message, header, met)
    asks = type_ is MessageType.QUERY
    return Decoded(
        type=type_,
        sender=sender,
        sent_at=use.plain(_sent(header, 7)),
        observations=observations,
        query_sample_ids=tuple(met.queries) if asks else (),
        problems=(*head, *_problems(message, met, observations)),
        query_raw=tuple(met.queries_raw) if asks else (),
    )


def _sent(fields: list[str], number: int) -> str | None:
    """Field `number` as sent; None when it was not, or is empty."""
    return (fields[number] or None) if number < len(fields) else None


def _walk(lines: list[str], marks: Delimiters, use: Reader) -> _Met:
    """Go through the segments once, keeping what stands above each row."""
    met = _Met()
    rows, at, end = met.rows, 0, len(lines)
    above: dict[str, list[str]] = {}
    standing: Standing | None = None  # read at the first row that asks
    row_above = False  # a comment here belongs to a row
    begun = 0  # the first row of the group
    trails: bool | None = None  # does SPM come behind the rows of its group?
    while at < end:
        fields = hl7.fields_of(lines[at], marks)
        at += 1
        kind = fields[0]
        if kind == "OBX":
            if standing is None:
                standing, begun = use.standing(above), len(rows)
                met.controls.append(standing.control)
                met.groups.append((begun, (_sent(above.get("OBR", []), 25) or "").strip().upper()))
            rows.append(use.observation(fields, standing, len(rows) + 1))
            row_above = True
            if at < end and lines[at][:3] == "OBX":
                at = use.alike(lines, at, fields, marks.field, standing, rows)
        elif kind == "NTE":
            if row_above:
                rows[-1] = commented(rows[-1], fields[3] if len(fields) > 3 else "")
        elif kind == "SPM" and (trails := bool(rows) if trails is None else trails):
            row_above = False
            if standing is not None:
                _told_late(met, begun, use.standing({**above, kind: fields}))
        elif kind in _ENDS:
            row_above, standing = False, None
            above = {name: above[name] for name in above if name not in _ENDS[kind]} | {kind: fields}
            if kind == use.query_record:
                _query(met, use.query_inside, Segment(fields, marks))
        elif not _NAME.fullmatch(kind):
            met.problems.append(f"a line that is no segment: {lines[at - 1][:30]!r}")
    return met


def _told_late(met: _Met, begun: int, standing: Standing) -> None:
    """ORU^R01 of version 2.5 names the tube behind its rows (OUL^R22 before them): the next group's it is not."""
    met.controls[-1] = standing.control
    met.rows[begun:] = [row._replace(sample_id=standing.sample_id) for row in met.rows[begun:]]


def _query(met: _Met, inside: str, segment: Segment) -> None:
    where = place(inside)
    identity = (segment[inside] or "").strip()
    raw = segment.raw(str(where.field)) or ""
    if identity:  # each id beside the text that asked for it; a question without one stands behind them
        met.queries_raw.insert(len(met.queries), raw)
        met.queries.append(identity)
    else:
        met.queries_raw.append(raw)


def _type(use: Reader, message: Message, header: list[str], met: _Met) -> MessageType:
    _, _, repeat, component, sub, *_ = use.dialect
    kind = ((part(header[9], _KIND, repeat, component, sub) if len(header) > 9 else "") or "").strip().upper()
    if message.incomplete:
        return MessageType.INCOMPLETE
    if kind in _ACKS:
        return MessageType.ACK
    if not met.rows and (kind in _QUERIES or (met.queries_raw and kind == "ORM")):
        return MessageType.QUERY
    if training(_sent(header, 11)):
        return MessageType.OTHER
    if use.is_calibration({"MSH": header}):
        return MessageType.CALIBRATION
    if set(met.controls) == {True} or (not met.rows and _header_says_control(use, header)):
        return MessageType.QC
    return MessageType.RESULT if met.rows or kind in ("ORU", "OUL") else MessageType.OTHER


def _header_says_control(use: Reader, header: list[str]) -> bool:
    return any(record == "MSH" and get(header) == value for (record, get), value in use.marks)


def _problems(message: Message, met: _Met, observations: tuple[Observation, ...]) -> list[str]:
    problems = met.problems + message_problems(observations)
    if len(set(met.controls)) > 1:
        problems.append("controls and patients in one message: none of it is taken as a control")
    if message.incomplete:
        problems.append("the message was cut before its end")
    return problems
