"""Turns the fields of one row (R or OBX) and what stands above it into an Observation, by a form's addresses.

Law: every row becomes one Observation, in order, verbatim. Only ids, codes, units, flags, ranges and states have
their escapes decoded; value, raw and comments stay as sent. Nothing here knows ASTM from HL7 but `first`.
Source: the form of the driver; LIS02-A2 5.4.5 and HL7 v2 2.7 for "split first, decode after".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple, TypeVar

from drivers.engine.form import Form, Retells, RowText, Said, a_measurement
from drivers.engine.words import Decoded, Kind, Observation
from drivers.wire.fields import Place, part, place

Fields = list[str]
Above = Mapping[str, Fields]
"""The fields of the latest record of each type that stands above a row: H, P, O or MSH, PID, OBR …"""

T = TypeVar("T")
_SAMPLE_ID, _CODE = (itemgetter(Observation._fields.index(name)) for name in ("sample_id", "code"))
_DIGITS = frozenset("0123456789")
_MEASUREMENT = Kind.MEASUREMENT
_new = tuple.__new__  # a tuple's own: what a named tuple's constructor does, without its detour

Get = Callable[[Fields], "str | None"]


class Dialect(NamedTuple):
    """What differs between the two languages: index of field 1, the marks, how an escape is read, the row's record."""

    first: int
    repeat: str
    component: str
    sub: str
    escape: str
    decode: Callable[[str], str]
    row: str


class Named(NamedTuple):
    """What a code's field says: code, name, and what the form says a row of that code is (None: not listed)."""

    code: str | None
    name: str | None
    kind: Kind | None


class Remembered(dict[str | None, T]):
    """What the texts of one field say: few, the same in every message, so each is read once and remembered.

    Long texts are read anew each time, and when too many came to all fields of all drivers together, all are
    forgotten: a laboratory's analyzers say some thousands, a broken line says new ones for ever.
    """

    MOST, LONGEST = 16_384, 80
    _filled: ClassVar[list[Remembered[Any]]] = []
    _held: ClassVar[int] = 0

    def __init__(self, read: Callable[[str | None], T]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, sent: str | None) -> T:
        said = self._read(sent)
        if sent is None or len(sent) <= self.LONGEST:
            if not self:
                self._filled.append(self)
            self[sent] = said
            Remembered._held += 1  # threads may miscount by a few: it is a bound, no sum
            if Remembered._held > self.MOST:
                self.forget()
        return said

    @classmethod
    def forget(cls) -> None:
        """All that all fields remember."""
        while cls._filled:
            cls._filled.pop().clear()
        Remembered._held = 0


class Standing(NamedTuple):
    """What stands above a row and holds for all rows below it. `observed_at`: where rows have no time of their own."""

    above: Above
    sample_id: str | None
    control: bool
    observed_at: str | None


Observe = Callable[[Fields, Standing, int], Observation]


def getter(where: Place, dialect: Dialect) -> Get:
    """A function that takes the text at a place out of a row's fields, as sent; None when not sent."""
    index = where.field - dialect.first
    mark, wanted = dialect.component, where.component

    def whole(fields: Fields) -> str | None:
        return fields[index] if index < len(fields) else None

    def inside(fields: Fields) -> str | None:
        return part(fields[index], where, dialect.repeat, mark, dialect.sub) if index < len(fields) else None

    def component(fields: Fields) -> str | None:
        if index >= len(fields):
            return None
        text = fields[index]
        if mark not in text or dialect.repeat in text:
            return inside(fields)
        parts = text.split(mark)
        return parts[wanted - 1] if wanted <= len(parts) else None

    if not wanted and not where.repeat:
        return whole
    return inside if where.repeat or where.sub or not mark or not dialect.repeat else component


NO_TEXT = '""'  # 5.4.9, HL7 2.5.3: there is none
UNNAMED = "rows without a test code"
DIALECTS = 4  # sets of delimiters that a driver keeps ready; an analyzer has one, a broken line has thousands


class Reader:
    """A form compiled for one dialect. Reads rows, sample ids, marks; holds no message."""

    def __init__(self, form: Form, dialect: Dialect) -> None:
        self.form = form
        self.dialect = dialect
        self.values = [get for _, get in self._many(form.value)]
        self.coded = self._many(form.coded)[0][1] if form.coded else None
        self.times = self._many(form.observed_at)
        self.times_in_rows = any(record == dialect.row for record, _ in self.times)
        first = (form.observed_at,) if isinstance(form.observed_at, str) else form.observed_at[:1]
        self.row_time = "".join(first) if self.times_in_rows and first[0].split(".")[0] == dialect.row else ""
        self.ids = self._many(form.sample_id)
        self.marks = [(self.spot(address), value) for address, value in form.control]
        self.calibrations = [(self.spot(address), value) for address, value in form.calibration]
        self.control_id = re.compile(form.control_id) if form.control_id else None
        self.masked = re.compile(form.masked)
        self.no_range = re.compile(form.no_range) if form.no_range else None
        self.sender = re.compile(form.sender) if form.sender else None
        self.query_record, _, self.query_inside = form.query_id.partition(".")
        self.observation: Observe = _observer(self)

    def _many(self, addresses: str | tuple[str, ...]) -> list[tuple[str, Get]]:
        return [self.spot(address) for address in ((addresses,) if isinstance(addresses, str) else addresses)]

    def spot(self, address: str) -> tuple[str, Get]:
        """The record and the function that takes the text at an address out of it."""
        record, _, inside = address.partition(".")
        return record, getter(place(inside), self.dialect)

    def find(self, spot: tuple[str, Get], above: Above) -> str | None:
        """The text at an address in the record of that type above the rows."""
        record, get = spot
        source = above.get(record)
        return None if source is None else get(source)

    def plain(self, sent: str | None) -> str | None:
        """Text with escapes decoded; empty is None: an empty field says nothing (5.4.9, 2.5.3)."""
        if not sent:
            return None
        escape = self.dialect.escape
        return self.dialect.decode(sent) if escape and escape in sent else sent

    def sample_id(self, above: Above) -> str | None:
        """The id of the tube: the first address that holds one, padding blanks off, leading zeros kept."""
        for spot in self.ids:
            found = (self.plain(self.find(spot, above)) or "").strip()
            if found and found != NO_TEXT:
                return found
        return None

    def is_control(self, above: Above, sample_id: str | None) -> bool:
        """True when a mark of quality control stands above (RC-36), or the id is one that only controls have."""
        if self.marks and self._says(self.marks, above):
            return True
        return bool(self.control_id and sample_id and self.control_id.match(sample_id))

    def is_calibration(self, above: Above) -> bool:
        """True when the header says that the message is a calibration."""
        return self._says(self.calibrations, above)

    def _says(self, marks: list[tuple[tuple[str, Get], str]], above: Above) -> bool:
        return any((self.find(spot, above) or "").strip().upper() == value for spot, value in marks)

    def standing(self, above: Above) -> Standing:
        """What these records say to all rows below them."""
        sample_id = self.sample_id(above)
        observed_at = None if self.times_in_rows else self.time([], above)
        return Standing(above, sample_id, self.is_control(above, sample_id), observed_at)

    def value(self, fields: Fields) -> str | None:
        """The first of the value's addresses that was sent."""
        return next((found for get in self.values if (found := get(fields)) is not None), None)

    def moment(self, _sent: str, found: str | None) -> str | None:
        """A time; all zeros is none."""
        return found if found and found.strip("0 ") else None

    def time_of(self, fields: Fields, standing: Standing) -> str | None:
        """The time of a row."""
        return self.time(fields, standing.above) if self.times_in_rows else standing.observed_at

    def time(self, fields: Fields, above: Above) -> str | None:
        """The first time that was sent; all zeros is none: then the next address counts."""
        for record, get in self.times:
            source = fields if record == self.dialect.row else above.get(record)
            found = get(source) if source is not None else None
            if found and (said := self.moment(found, found)):
                return said
        return None

    def columns(self, value: str) -> tuple[tuple[int, ...], tuple[Any, ...]]:
        """Where the fields of a row stand, and what the texts of each say: code, value, unit, flags, range, status,
        time, aspect. The value's own texts are not remembered: no two are the same."""
        form = self.form
        if form.code_name and form.code_name.split(".")[1] != form.code.split(".")[1]:
            raise ValueError(f"{form.name}: code and code_name stand in one field")
        found: list[tuple[int, Any]] = [
            self.column(form.code, self.named), self.column(value, self.word), self.column(form.unit, self.unit),
            self.column(form.flag, self.flags), self.column(form.range, self.range),
            self.column(form.status, self.word), self.column(self.row_time, self.moment),
            self.column(form.aspect, self.aspect),
        ]  # fmt: skip
        return tuple([index for index, _ in found]), tuple([said for _, said in found])

    # ---- what one field's text says

    def column(self, address: str, read: Callable[[str, str | None], T]) -> tuple[int, Remembered[T]]:
        """Where a field stands in a row, and what its text says: `read` is given the whole text and the part at the
        address. A field that the form does not name (address "") was never sent."""
        where, dialect = place(address.partition(".")[2] or "1"), self.dialect

        def said(sent: str | None) -> T:
            if sent is None or not address:
                return read("", None)
            return read(sent, part(sent, where, dialect.repeat, dialect.component, dialect.sub))

        return where.field - dialect.first, Remembered(said)

    def named(self, sent: str, found: str | None) -> Named:
        """The code and name in the text of the code's field, and what the form says the row is."""
        form, dialect = self.form, self.dialect
        code = self.plain(found) or ""
        code = code.partition(form.code_from)[2] if form.code_from and form.code_from in code else code
        code = code.partition(form.code_until)[0].strip() if form.code_until else code.strip()
        name = None
        if form.code_name:
            where = place(form.code_name.partition(".")[2])
            said = self.plain(part(sent, where, dialect.repeat, dialect.component, dialect.sub))
            name = (said or "").strip() or None
        known = form.tests.get(code)
        return Named(code or None, name, known.kind if known else None)

    def unit(self, sent: str, found: str | None) -> str | None:
        """The unit, padding off; `10^9/L` whose ^ the analyzer did not escape is the whole field."""
        return (self.plain(sent if found in ("10", "x10") else found) or "").strip() or None

    def range(self, _sent: str, found: str | None) -> str | None:
        """The range; a text by which the analyzer says that it has none (`^\\^`) is none."""
        text = self.plain(found)
        return None if text is None or (self.no_range and self.no_range.fullmatch(text.strip())) else text

    def flags(self, _sent: str, found: str | None) -> tuple[str, ...]:
        """The flags, each repeat one."""
        if not found:
            return ()
        repeats = found.split(self.dialect.repeat) if self.dialect.repeat else [found]
        return tuple([self.plain(flag) or "" for flag in repeats])

    def aspect(self, _sent: str, found: str | None) -> str | None:
        """Which of several rows of one test this is."""
        sent = (self.plain(found) or "").strip()
        return self.form.aspects.get(sent, sent) or None

    def word(self, _sent: str, found: str | None) -> str | None:
        """Any other text: escapes decoded, empty is None."""
        return self.plain(found)


def _observer(use: Reader) -> Observe:
    """The function that says one row in our words: the form's addresses as indexes, read all at once.

    A row costs what its own texts cost: its value, and one look-up for each field whose texts are few.
    """
    form, dialect = use.form, use.dialect
    first_value = form.value if isinstance(form.value, str) else form.value[0]
    at, (named, _, units, flagged, ranges, states, times, aspects) = use.columns(first_value)
    pick, width = itemgetter(*at), max(at) + 1
    unsent: tuple[None, ...] = (None,) * width
    value_is_whole = first_value == form.value and form.value.count(".") == 1
    has_time, read_value, read_time, read_coded = bool(use.row_time), use.value, use.time_of, use.coded
    component, masked, kind_of = dialect.component, use.masked.fullmatch, _unlisted(form, dialect)

    def observation(fields: Fields, standing: Standing, ordinal: int) -> Observation:
        cells = fields if len(fields) >= width else (*fields, *unsent[len(fields) :])
        code_text, raw, unit_text, flag_text, range_text, status_text, time_text, aspect_text = pick(cells)
        code, name, kind = named[code_text]
        flags = flagged[flag_text]
        value = raw if value_is_whole else read_value(fields)
        if value is not None:
            value = value.strip()
        if kind is None:
            kind = kind_of(fields, code, name, value, flags) if kind_of is not None else _MEASUREMENT
        return _new(Observation, (
            standing[1], code, name, value, raw,
            units[unit_text], flags, ranges[range_text], states[status_text], aspects[aspect_text],
            (),  # comments: they follow the row
            value[0] not in _DIGITS and masked(value) is not None if value else False,
            (times[time_text] if has_time and time_text else None) or read_time(fields, standing),
            kind,
            ordinal,
            read_coded(fields) if read_coded is not None and component in (raw or "") else None,
        ))  # fmt: skip

    return observation if form.retells is None else _retold(use, observation, form.retells)


def _retold(use: Reader, observation: Observe, retells: Retells) -> Observe:
    """The same, with the family's word on each row."""
    spots: dict[str, tuple[str, Get]] = {}  # as many as the driver's own function names

    def retold(fields: Fields, standing: Standing, ordinal: int) -> Observation:
        def get(address: str) -> str | None:
            record, at = spots.get(address) or spots.setdefault(address, use.spot(address))
            source = fields if record == use.dialect.row else standing.above.get(record)
            return None if source is None else at(source)

        return retells(observation(fields, standing, ordinal), RowText(get))

    return retold


def _unlisted(form: Form, dialect: Dialect) -> Callable[..., Kind] | None:
    """The function that decides what a row of an unlisted code is; None when all of them are measurements."""
    if form.unlisted is a_measurement:
        return None
    decide, typed = form.unlisted, not dialect.first

    def kind_of(fields: Fields, code: str | None, name: str | None, value: str | None, flags: tuple[str, ...]) -> Kind:
        type_ = fields[2] if typed and len(fields) > 2 else ""  # OBX-2
        return decide(_new(Said, (code or "", name or "", value or "", flags, type_)))

    return kind_of


def commented(row: Observation, comment: str) -> Observation:
    """The row with one more comment, as sent, that followed it."""
    return row._replace(comments=(*row.comments, comment))


def training(mark: str | None) -> bool:
    """H-12 or MSH-11 says training or debugging: the message must not be filed (RC-36, H7-09)."""
    return (mark or "").strip().upper() in ("T", "D")


def header_problems(use: Reader, sender: str | None, mode: str | None, where: tuple[str, str]) -> list[str]:
    """What is odd about the header: another sender, a training mode. `where` names the two fields."""
    odd = sender_problem(use, sender, where[0])
    problems = [odd] if odd else []
    if training(mode):
        problems.append(f"{where[1]} says training or debugging: nothing of it may be filed")
    return problems


def sender_problem(use: Reader, sender: str | None, where: str) -> str | None:
    """A sentence when the message names another sender than the form expects; None when it fits."""
    if use.sender is None or use.sender.match((sender or "").strip()):
        return None
    said = f"says {(sender or '').strip()[:40]!r}" if (sender or "").strip() else "is empty"
    return f"{where} {said}, but this line is configured for {use.form.title}"


def with_codes(said: Decoded, rows: tuple[Observation, ...]) -> Decoded:
    """The message with rows whose codes were read from another place; a sentence about missing ones is made anew."""
    unnamed = [row for row in rows if row.code is None and row.kind is Kind.MEASUREMENT]
    problems = tuple([what for what in said.problems if unnamed or what != UNNAMED])
    return replace(said, observations=rows, problems=problems)


def message_problems(observations: tuple[Observation, ...]) -> list[str]:
    """What is odd about the rows: no sample id, no code."""
    problems = []
    if None in map(_SAMPLE_ID, observations):
        problems.append("rows without a sample id")
    unnamed = None in map(_CODE, observations)
    if unnamed and [row for row in observations if row.code is None and row.kind is Kind.MEASUREMENT]:
        problems.append(UNNAMED)
    return problems
