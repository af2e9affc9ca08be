"""Turns rows (R or OBX) and what stands above them into Observations, by a form's addresses.

Law: every row becomes one Observation, in order, verbatim. Only ids, codes, units, flags, ranges and states have
their escapes decoded; value, raw and comments stay as sent. A row says the same whichever way it is read.
Source: the form of the driver; LIS02-A2 5.4.5 and HL7 v2 2.7 for "split first, decode after".

There are two ways. Taking a row apart into all its fields costs most. The rows of one message end alike, though:
what stands from the unit to the status is one of few texts, and what follows is mostly that of the row before. So a row
is cut only as far as its value, that ending is taken off, and what is left between is looked up as one text. It counts
only with as many marks as the row before has there: then no field can be taken for another.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from drivers.engine.form import ByType, Form, RowText, Said
from drivers.engine.texts import Dialect, Fields, Get, Remembered, Standing, listed
from drivers.engine.words import Kind, Observation

if TYPE_CHECKING:
    from drivers.engine.rows import Reader

_DIGITS = frozenset("0123456789")
_MEASUREMENT = Kind.MEASUREMENT
_new = tuple.__new__  # a tuple's own: what a named tuple's constructor does, without its detour

Observe = Callable[[Fields, Standing, int], Observation]
KindOf = Callable[..., Kind]
Retell = Callable[[Observation, Fields, Standing], Observation]
Run = Callable[["list[str]", int, Standing, Fields, "list[Observation]"], int]
"""Given are the lines, the place of the first to read, what stands above them, the fields of the row before them, and
the rows up to that one, to which they are added. Comes back the place of the first line that was not read."""


class Columns(NamedTuple):
    """The fields of a row that are few texts: where each stands, and what its texts say."""

    at: tuple[int, ...]
    said: tuple[Any, ...]


def columns(use: Reader) -> Columns:
    """Code, value, unit, flags, range, status, time, aspect. The value's own texts are not remembered: no two are the
    same."""
    form = use.form
    if form.code_name and form.code_name.split(".")[1] != form.code.split(".")[1]:
        raise ValueError(f"{form.name}: code and code_name stand in one field")
    value = listed(form.value)[0]
    found: list[tuple[int, Any]] = [
        use.column(form.code, use.named), use.column(value, use.word), use.column(form.unit, use.unit),
        use.column(form.flag, use.flags), use.column(form.range, use.range), use.column(form.status, use.word),
        use.column(use.row_time, use.moment), use.column(form.aspect, use.aspect),
    ]  # fmt: skip
    return Columns(tuple([index for index, _ in found]), tuple([said for _, said in found]))


def observer(use: Reader, of: Columns) -> Observe:
    """The function that says one row, all its fields apart: the form's addresses as indexes, read all at once."""
    form, dialect = use.form, use.dialect
    named, _, units, flagged, ranges, states, times, aspects = of.said
    pick, width = itemgetter(*of.at), max(of.at) + 1
    unsent: tuple[None, ...] = (None,) * width
    has_time, read_value, read_time, read_coded = bool(use.row_time), _stripped(use), use.time_of, use.coded
    component, masked, kind_of = dialect.component, use.masked.fullmatch, _unlisted(form, dialect)

    def observation(fields: Fields, standing: Standing, ordinal: int) -> Observation:
        cells = fields if len(fields) >= width else (*fields, *unsent[len(fields) :])
        code_text, raw, unit_text, flag_text, range_text, status_text, time_text, aspect_text = pick(cells)
        code, name, kind = named[code_text]
        flags = flagged[flag_text]
        value = read_value(fields)
        return _new(Observation, (
            standing[1], code, name, value, raw,
            units[unit_text], flags, ranges[range_text], states[status_text], aspects[aspect_text],
            (),  # comments: they follow the row
            value[0] not in _DIGITS and masked(value) is not None if value else False,
            (times[time_text] if has_time and time_text else None) or read_time(fields, standing),
            kind or kind_of(fields, code, name, value, flags), ordinal,
            read_coded(fields) if read_coded is not None and component in (raw or "") else None,
        ))  # fmt: skip

    retold = _retelling(use)
    if retold is None:
        return observation
    return lambda fields, standing, ordinal: retold(observation(fields, standing, ordinal), fields, standing)


def _whole(form: Form) -> bool:
    """True when the value is a whole field."""
    return isinstance(form.value, str) and form.value.count(".") == 1


def _stripped(use: Reader) -> Get:
    """The function that takes a row's value: the first of its addresses that was sent, without blanks around it."""
    spots = [use.spot(address)[1] for address in listed(use.form.value)]

    def value(fields: Fields) -> str | None:
        for get in spots:
            found = get(fields)
            if found is not None:
                return found.strip()
        return None

    return value


def _unlisted(form: Form, dialect: Dialect) -> KindOf:
    """The function that decides what a row of an unlisted code is."""
    decide, typed = form.unlisted, not dialect.first
    if isinstance(decide, ByType):
        kinds = decide

        def by_type(fields: Fields, *_said: object) -> Kind:
            return kinds.get(fields[2] if typed and len(fields) > 2 else "", _MEASUREMENT)

        return by_type

    def kind_of(fields: Fields, code: str | None, name: str | None, value: str | None, flags: tuple[str, ...]) -> Kind:
        type_ = fields[2] if typed and len(fields) > 2 else ""  # OBX-2
        return decide(_new(Said, (code or "", name or "", value or "", flags, type_)))

    return kind_of


def _retelling(use: Reader) -> Retell | None:
    """The function that gives a row, with its fields and what stands above, the family's word; None without one."""
    retells, record_of_rows = use.form.retells, use.dialect.row
    if retells is None:
        return None
    spots: dict[str, tuple[str, Get]] = {}  # as many as the driver's own function names

    def retold(row: Observation, fields: Fields, standing: Standing) -> Observation:
        def get(address: str) -> str | None:
            record, at = spots.get(address) or spots.setdefault(address, use.spot(address))
            source = fields if record == record_of_rows else standing.above.get(record)
            return None if source is None else at(source)

        return retells(row, RowText(get))

    return retold


def commented(row: Observation, comment: str) -> Observation:
    """The row with one more comment, as sent, that followed it."""
    return row._replace(comments=(*row.comments, comment))


# ---- rows that end alike ------------------------------------------------------------------------------------------


class Middles(Remembered[tuple[Any, ...]]):
    """What the texts between value and ending say: unit, flags, range, status, aspect, how many marks are in it."""

    LONGEST = 160


class Plan(NamedTuple):
    """How a row is cut: into pieces up to the last that code or value need, and a rest."""

    cuts: int
    ends: int  # the field that the ending begins with
    middles: Middles
    aspect: int  # its place among the pieces; -1 when it is in the middle, or nowhere


def plan(use: Reader, of: Columns) -> Plan | None:
    """The plan for a form; None where code and value do not come first, the times not last, or nothing between."""
    form, dialect = use.form, use.dialect
    code, _, unit, flag, range_, status, _, aspect = of.at
    near = [code, *map(use.index, listed(form.value)), *map(use.index, listed(form.coded))]
    cuts = max(*near, 0 if dialect.first else 2) + 1  # OBX-2 is the type
    aside = bool(form.aspect) and aspect < cuts
    addresses = (form.unit, form.flag, form.range, form.status, "" if aside else form.aspect)
    columns = zip((unit, flag, range_, status, aspect), addresses, (*of.said[2:6], of.said[7]), strict=True)
    parts = [(place - cuts if address else None, said) for place, address, said in columns]
    places = [place for place, _ in parts if place is not None]
    ends = max(places, default=-1) + cuts + 1
    if min(places, default=-1) < 0 or any(place < ends for place in use.time_places):
        return None

    def read(middle: str | None) -> tuple[Any, ...]:
        cells = (middle or "").split(dialect.field)
        size = len(cells)
        found = [said[cells[place] if place is not None and place < size else None] for place, said in parts]
        return (*found, size - 1)

    return Plan(cuts, ends, Middles(read), aspect if aside else -1)


def _own_time(use: Reader, of: Columns, ends: int) -> Callable[[list[str], Standing], str | None]:
    """The function that takes the time out of a row that ends otherwise than the row before it, given what stands
    before the ending and each field of it."""
    times, before = of.said[6], [""] * ends
    first = of.at[6] - ends + 1 if use.row_time else 1_000_000

    def own_time(parts: list[str], standing: Standing) -> str | None:
        found = times[parts[first]] if first < len(parts) else None
        return found or use.time_of(before + parts[1:], standing)

    return own_time


def runner(use: Reader, of: Columns, planned: Plan | None) -> Run:
    """The function that reads rows that end like the row before them, and only these: up to the first other one."""
    if planned is None:
        return lambda _lines, at, _standing, _fields, _rows: at
    cuts, ends, middles, aspect_at = planned
    named, aspects, (code_at, value_at) = of.said[0], of.said[7], of.at[:2]
    mark, letter, component = use.dialect.field, use.dialect.row, use.dialect.component
    whole, read_value, read_coded, masked = _whole(use.form), _stripped(use), use.coded, use.masked.fullmatch
    kind_of, retold, own_time = _unlisted(use.form, use.dialect), _retelling(use), _own_time(use, of, ends)

    def run(lines: list[str], at: int, standing: Standing, fields: Fields, rows: list[Observation]) -> int:
        marks, behind = min(len(fields), ends) - cuts - 1, len(fields) - ends  # up to the ending, in it; -1: none
        text = mark + mark.join(fields[ends:]) if behind > 0 else ""
        usual = rows[-1].observed_at if retold is None else use.time_of(fields, standing)
        sample_id, before = standing[1], len(rows)
        for ordinal, line in enumerate(islice(lines, at, None), before + 1):
            pieces = line.split(mark, cuts)
            if pieces[0] != letter or len(pieces) <= cuts:
                break
            middle, time = (rest := pieces[cuts]).removesuffix(text), usual
            if middle is rest and text:  # a time of its own: what stands before it must have as many marks, too
                parts = rest.rsplit(mark, behind)
                middle, time = parts[0], own_time(parts, standing)
            unit, flags, range_, status, aspect, between = middles[middle]
            if between != marks:
                break
            code, name, kind = named[pieces[code_at]]
            raw = pieces[value_at]
            value = raw.strip() if whole else read_value(pieces)
            row = _new(Observation, (
                sample_id, code, name, value, raw,
                unit, flags, range_, status, aspect if aspect_at < 0 else aspects[pieces[aspect_at]], (),
                value[0] not in _DIGITS and masked(value) is not None if value else False, time,
                kind or kind_of(pieces, code, name, value, flags), ordinal,
                read_coded(pieces) if read_coded is not None and component in raw else None,
            ))  # fmt: skip
            rows.append(row if retold is None else retold(row, line.split(mark), standing))
        return at + len(rows) - before

    return run
