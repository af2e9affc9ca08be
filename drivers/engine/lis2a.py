"""Reads a message of LIS02-A2 records by a form: H … L in, Decoded out.

Law: every R becomes one Observation, in order; a C below it is its comment; what is odd becomes a problem sentence,
and only text that is no message at all raises DecodeError. Source: LIS02-A2 sections 4.1 (levels), 6 to 12.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.engine.form import Form
from drivers.engine.rows import DIALECTS, Dialect, Reader, Row, header_problems, message_problems, training
from drivers.engine.words import Decoded, DecodeError, Message, MessageType, Observation
from drivers.wire import WireError, lis2a
from drivers.wire.fields import part, place
from drivers.wire.lis2a import Delimiters, Record


def reader(form: Form, marks: Delimiters) -> Reader:
    """The form compiled for the delimiters that H names."""
    dialect = Dialect(1, marks.repeat, marks.component, "", marks.escape, lambda sent: lis2a.decode(sent, marks), "R")
    return Reader(form, dialect)


@dataclass(slots=True)
class _Met:
    """What was met on the way through the records."""

    rows: list[Row] = field(default_factory=list)
    queries: list[Record] = field(default_factory=list)
    controls: set[bool] = field(default_factory=set)
    orders: int = 0
    ended: bool = False
    problems: list[str] = field(default_factory=list)


def read(form: Form, readers: dict[Delimiters, Reader], message: Message) -> Decoded:
    """A whole message said in our words. `readers` keeps the compiled form for each set of delimiters."""
    try:
        records = lis2a.parse(message.body, form.charset)
    except WireError as wrong:
        raise DecodeError(str(wrong)) from wrong
    header = records[0]
    cut = message.incomplete and message.body[-1:] not in (b"\r", b"\n") and len(records) > 1
    if cut:  # half a record may read as a whole one of another code or value: it is not shown as said
        records.pop()
    use = readers.get(header.delimiters)
    if use is None:
        use = reader(form, header.delimiters)
        if len(readers) < DIALECTS:
            readers[header.delimiters] = use
    met = _walk(records, use)
    observations = tuple([use.observation(row, number) for number, row in enumerate(met.rows, 1)])
    sender = header.raw("5") or None
    head = header_problems(form, sender, header.raw("12"), ("H-5", "H-12"))
    return Decoded(
        type=_type(form, message, header, met, observations),
        sender=sender,
        sent_at=use.plain(header.raw("14")),
        observations=observations,
        query_sample_ids=tuple(identity for query in met.queries for identity in query_ids(form, query)),
        problems=tuple(_problems(head, message, met, observations, cut=cut)),
        query_raw=tuple(repeat for query in met.queries for repeat in query.repeats(3)),
    )


def _walk(records: list[Record], use: Reader) -> _Met:
    """Go through the records once, keeping what stands above each row (4.1)."""
    met = _Met()
    above: dict[str, list[str]] = {}
    sample_id: str | None = None
    row: Row | None = None
    for record in records:
        fields = record.fields
        kind = fields[0]
        if kind not in lis2a.RECORD_TYPES:
            kind = record.type
        if kind == "R":
            row = Row(fields, above, sample_id, [])
            met.rows.append(row)
        elif kind == "C":
            if row is not None:
                row.comments.append(fields[3] if len(fields) > 3 else "")
        elif kind in ("H", "P", "O"):
            row = None
            above = _above(above, kind, fields)
            sample_id = use.sample_id(above)
            if kind == "O":
                met.orders += 1
                met.controls.add(use.is_control(above, sample_id))
        else:
            row = None if kind != "M" else row
            _other(met, record, kind)
    return met


def _above(above: dict[str, list[str]], kind: str, fields: list[str]) -> dict[str, list[str]]:
    """What stands above from here on: a record ends all of its own and lower levels (RC-04)."""
    kept = {"H": (), "P": ("H",), "O": ("H", "P")}[kind]
    return {name: above[name] for name in kept if name in above} | {kind: fields}


def _other(met: _Met, record: Record, kind: str) -> None:
    if kind == "Q":
        met.queries.append(record)
    elif kind == "L":
        met.ended = True
    elif kind not in lis2a.RECORD_TYPES:
        met.problems.append(f"a line that is no record: {record.delimiters.field.join(record.fields)[:30]!r}")


def _type(
    form: Form, message: Message, header: Record, met: _Met, observations: tuple[Observation, ...]
) -> MessageType:
    if message.incomplete:
        return MessageType.INCOMPLETE
    if met.queries and not observations:
        return MessageType.QUERY_CANCEL if _cancels(form, met.queries) else MessageType.QUERY
    if training(header.raw("12")):
        return MessageType.OTHER
    if met.controls == {True}:
        return MessageType.QC
    if observations or met.orders:
        return MessageType.RESULT
    return MessageType.OTHER


def _cancels(form: Form, queries: list[Record]) -> bool:
    """Q-13 A cancels (11.13), unless this analyzer means something else by it."""
    if form.query_cancel is None:
        return False
    address, value = form.query_cancel
    return any((query.raw(address.partition(".")[2]) or "").strip().upper() == value for query in queries)


def query_ids(form: Form, query: Record) -> list[str]:
    """The sample ids a Q asks about: one for each repeat of the field; padding off, leading zeros kept.

    A repeat of a single component is the id itself, whatever component the first one has it in (Erba's list).
    """
    if not form.query_id:
        return []
    where = place(form.query_id.partition(".")[2])
    marks = query.delimiters
    found = []
    for repeat in query.repeats(where.field):
        sent = part(repeat, where, "", marks.component) if marks.component in repeat else repeat
        identity = lis2a.decode(sent or "", marks).strip()
        if identity:
            found.append(identity)
    return found


def _problems(
    head: list[str], message: Message, met: _Met, observations: tuple[Observation, ...], *, cut: bool
) -> list[str]:
    problems = [*head, *met.problems, *message_problems(observations)]
    if met.controls == {True, False}:
        problems.append("controls and patients in one message: none of it is taken as a control")
    if message.incomplete or not met.ended:
        problems.append("the message ends before its L record")
    if cut:
        problems.append("its last record is cut and left out")
    return problems
