"""Reads a message of LIS02-A2 records by a form: H … L in, Decoded out.

Law: every R becomes one Observation, in order; a C below it is its comment; what is odd becomes a problem sentence,
and only text that is no message at all raises DecodeError. Source: LIS02-A2 sections 4.1 (levels), 6 to 12.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.engine.form import Form
from drivers.engine.observe import commented
from drivers.engine.rows import DIALECTS, Reader, header_problems, message_problems, told_above, training
from drivers.engine.texts import Dialect, Standing
from drivers.engine.words import Decoded, DecodeError, Message, MessageType, Observation
from drivers.wire import WireError, lis2a
from drivers.wire.fields import Place, part, place
from drivers.wire.lis2a import Delimiters, Record


def reader(form: Form, marks: Delimiters) -> Reader:
    """The form compiled for the delimiters that H names."""
    field, repeat, component, escape = marks
    return Reader(form, Dialect(1, field, repeat, component, "", escape, lambda sent: lis2a.decode(sent, marks), "R"))


@dataclass(slots=True)
class _Met:
    """What was met on the way through the records."""

    rows: list[Observation] = field(default_factory=list)
    queries: list[Record] = field(default_factory=list)
    controls: set[bool] = field(default_factory=set)
    groups: list[tuple[int, str]] = field(default_factory=list)  # the first row below each O, and its O-26
    ended: bool = False
    problems: list[str] = field(default_factory=list)


def read(form: Form, readers: dict[Delimiters, Reader], message: Message) -> Decoded:
    """A whole message said in our words. `readers` keeps the compiled form for each set of delimiters."""
    try:
        said = lis2a.standard_escapes(lis2a.text(message.body, form.charset)) if form.own_escapes else message.body
        lines, marks = lis2a.opened(said, form.charset)
    except WireError as wrong:
        raise DecodeError(str(wrong)) from wrong
    cut = message.incomplete and message.body[-1:] not in (b"\r", b"\n") and len(lines) > 1
    if cut:  # half a record may read as a whole one of another code or value: it is not shown as said
        lines.pop()
    use = readers.get(marks)
    if use is None:
        use = reader(form, marks)
        if len(readers) >= DIALECTS:  # a broken line's: the analyzer's own are soon there again
            readers.clear()
        readers[marks] = use
    met = _walk(lines, marks, use)
    if form.status:
        told_above(met.rows, met.groups)
    observations = tuple(met.rows)
    header = lines[0].split(marks.field)
    sender, mode = _sent(header, 5), _sent(header, 12)
    head = header_problems(use, sender, mode, ("H-5", "H-12"))
    asked = [one for query in met.queries for one in _asked(form, query)] if met.queries else []
    if met.rows and asked and _cancels(form, met.queries):
        asked = []  # taken back beside results: nothing is asked (Q-13 A), and the message is one of results
    if asked:
        asked.sort(key=lambda one: not one[0])  # each id beside the text that asked for it; those without one come last
    return Decoded(
        type=_type(use, message, header, mode, met),
        sender=sender,
        sent_at=use.plain(_sent(header, 14)),
        observations=observations,
        query_sample_ids=tuple([identity for identity, _ in asked if identity]) if asked else (),
        problems=tuple(_problems(head, message, met, observations, cut=cut)),
        query_raw=tuple([raw for _, raw in asked]) if asked else (),
    )


def _sent(fields: list[str], number: int) -> str | None:
    """Field `number` as sent; None when it was not, or is empty."""
    return (fields[number - 1] or None) if number <= len(fields) else None


def _walk(lines: list[str], marks: Delimiters, use: Reader) -> _Met:
    """Go through the records once, keeping what stands above each row (4.1)."""
    met = _Met()
    rows, at, end = met.rows, 0, len(lines)
    above: dict[str, list[str]] = {}
    standing: Standing | None = None  # read at the first row that asks
    row_above = False  # a comment here belongs to a row
    while at < end:
        fields = lines[at].split(marks.field)
        kind = fields[0]
        if kind not in _BELOW:
            if at:  # the first has named its delimiters already
                marks = lis2a.following(lines[at], marks)
                fields = lines[at].split(marks.field)
            kind = fields[0].strip().upper()  # 5.5: the letter is case-insensitive
        at += 1
        if kind == "R":
            if standing is None:  # no O above: what P and H say
                standing = use.standing(above)
                met.controls.add(standing.control)
                met.groups.append((len(rows), ""))
            rows.append(use.observation(fields, standing, len(rows) + 1))
            row_above = True
            if at < end and lines[at][0] == "R":
                at = use.alike(lines, at, fields, marks.field, standing, rows)
        elif kind == "C" and row_above:
            rows[-1] = commented(rows[-1], fields[3] if len(fields) > 3 else "")
        elif kind in ("H", "P", "O"):
            row_above, standing = False, None
            above[kind] = fields
            for ended in _ENDS[kind]:
                above.pop(ended, None)
            if kind == "O":
                standing = use.standing(above)
                met.groups.append((len(rows), (_sent(fields, 26) or "").strip().upper()))
                met.controls.add(standing.control)
        else:
            row_above = row_above and kind == "M"
            _other(met, fields, marks, kind)
    return met


_RESULT, _OTHER = MessageType.RESULT, MessageType.OTHER  # looked up once: a member of an Enum is slow to reach
_BELOW = lis2a.RECORD_TYPES - {"H"}  # what cannot bring other delimiters
_REPORTS = frozenset("FCPXIYZR")  # 8.4.26: O and Q are orders, and none is one too
_ENDS = {"H": ("P", "O"), "P": ("O",), "O": ()}  # a record ends all of its own and lower levels (RC-04)


def _other(met: _Met, fields: list[str], marks: Delimiters, kind: str) -> None:
    if kind == "Q":
        met.queries.append(Record(fields, marks))
    elif kind == "L":
        met.ended = True
    elif kind not in lis2a.RECORD_TYPES:
        met.problems.append(f"a line that is no record: {marks.field.join(fields)[:30]!r}")


def _type(use: Reader, message: Message, header: list[str], mode: str | None, met: _Met) -> MessageType:
    if message.incomplete:
        return MessageType.INCOMPLETE
    if met.queries and not met.rows:
        return MessageType.QUERY_CANCEL if _cancels(use.form, met.queries) else MessageType.QUERY
    if training(mode):
        return _OTHER
    if use.calibrations and use.is_calibration({"H": header}):
        return MessageType.CALIBRATION
    if met.controls == {True}:
        return MessageType.QC
    return _RESULT if met.rows or any(report in _REPORTS for _, report in met.groups) else _OTHER


def _cancels(form: Form, queries: list[Record]) -> bool:
    """Q-13 A cancels (11.13), unless this analyzer means something else by it."""
    if form.query_cancel is None:
        return False
    address, value = form.query_cancel
    return any((query.raw(address.partition(".")[2]) or "").strip().upper() == value for query in queries)


def _asked(form: Form, query: Record) -> list[tuple[str, str]]:
    """What a Q asks about: for each repeat of Q-3 the sample id, "" when it names none, and the repeat as sent. Padding
    off, leading zeros kept; ALL is no id.

    A repeat of a single component is the id itself, whatever component the first one has it in (Erba's list). Of more
    components it is where the first one has it, for the other may be a patient; only an analyzer whose form says so
    (`query_further`) has it elsewhere from the second on, where the first one left that place empty (`^id1^03`, then
    `id2^03`).
    """
    first = place(form.query_id.partition(".")[2] or "3")
    repeats = query.repeats(first.field)
    further = place(form.query_further.partition(".")[2] or "3") if form.query_further else first
    if repeats and _named(repeats[0], further, query.delimiters):
        further = first
    found = []
    for number, repeat in enumerate(repeats):
        places = (further, first) if number else (first,)
        identity = next(filter(None, (_named(repeat, where, query.delimiters) for where in places)), "")
        found.append((identity if form.query_id and identity.upper() != "ALL" else "", repeat))
    return found


def _named(repeat: str, where: Place, marks: Delimiters) -> str:
    """The text at a place of a repeat, without padding; the whole of one that has no components."""
    sent = part(repeat, where, "", marks.component) if marks.component in repeat else repeat
    return lis2a.decode(sent or "", marks).strip()


def _problems(
    head: list[str], message: Message, met: _Met, observations: tuple[Observation, ...], *, cut: bool
) -> list[str]:
    problems = head + met.problems + message_problems(observations)
    if len(met.controls) == 2:
        problems.append("controls and patients in one message: none of it is taken as a control")
    if message.incomplete or not met.ended:
        problems.append("the message ends before its L record")
    if cut:
        problems.append("its last record is cut and left out")
    return problems
