"""Turns the fields of one row (R or OBX) and what stands above it into an Observation, by a form's addresses.

Law: every row becomes one Observation, in order, verbatim. Only ids, codes, units, flags, ranges and states have
their escapes decoded; value, raw and comments stay as sent. Nothing here knows ASTM from HL7 but `first`.
Source: the form of the driver; LIS02-A2 5.4.5 and HL7 v2 2.7 for "split first, decode after".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from drivers.engine.form import Form, Said
from drivers.engine.words import Kind, Observation, TestCode
from drivers.wire.fields import Place, part, place

Fields = list[str]
Above = Mapping[str, Fields]
"""The fields of the latest record of each type that stands above a row: H, P, O or MSH, PID, OBR …"""

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


class Row(NamedTuple):
    """One row as it was met: its fields, what stood above it, the comments that followed it."""

    fields: Fields
    above: Above
    sample_id: str | None
    comments: list[str]


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


DIALECTS = 16  # sets of delimiters that a driver keeps ready; an analyzer has one, a broken line has thousands


class Reader:
    """A form compiled for one dialect. Reads rows, sample ids, marks; holds no message."""

    def __init__(self, form: Form, dialect: Dialect) -> None:
        self.form = form
        self.dialect = dialect
        self._code_at = place(form.code.partition(".")[2]).field - dialect.first
        if form.code_name and place(form.code_name.partition(".")[2]).field - dialect.first != self._code_at:
            raise ValueError(f"{form.name}: code and code_name stand in one field")
        # an analyzer's codes and flags are few and come in every message: read once, remembered
        self._named = lru_cache(maxsize=1024)(self._read_code)
        self._flags = lru_cache(maxsize=1024)(self._read_flags)
        self.coded = self._one(form.coded)
        self.unit = self._one(form.unit)
        self.whole_unit = self._whole(form.unit)
        self.flag = self._one(form.flag)
        self.range = self._one(form.range)
        self.status = self._one(form.status)
        self.values = [get for _, get in self._many(form.value)]
        self.raw = self._whole(form.value)
        self.times = self._many(form.observed_at)
        self.ids = self._many(form.sample_id)
        self.marks = [(self._many(address)[0], value) for address, value in form.control]
        self.control_id = re.compile(form.control_id) if form.control_id else None
        self.masked = re.compile(form.masked)

    def _many(self, addresses: str | tuple[str, ...]) -> list[tuple[str, Get]]:
        found = []
        for address in (addresses,) if isinstance(addresses, str) else addresses:
            record, _, inside = address.partition(".")
            found.append((record, getter(place(inside), self.dialect)))
        return found

    def _one(self, address: str) -> Get:
        return self._many(address)[0][1] if address else lambda _fields: None

    def _whole(self, addresses: str | tuple[str, ...]) -> Get:
        """The whole field that the (first) address lies in."""
        address = addresses if isinstance(addresses, str) else addresses[0]
        return self._one(".".join(address.split(".")[:2]))

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
            if found:
                return found
        return None

    def is_control(self, above: Above, sample_id: str | None) -> bool:
        """True when a mark of quality control stands above (RC-36), or the id is one that only controls have."""
        for spot, value in self.marks:
            if (self.find(spot, above) or "").strip().upper() == value:
                return True
        return bool(self.control_id and sample_id and self.control_id.match(sample_id))

    def observation(self, row: Row, ordinal: int) -> Observation:
        """One row said in our words."""
        fields, _, sample_id, comments = row
        code, name, known = self._named(fields[self._code_at] if self._code_at < len(fields) else "")
        value, raw, flags = self._value(fields), self.raw(fields), self._flags(self.flag(fields) or "")
        return Observation(
            sample_id,
            code,
            name,
            value,
            raw,
            self._read_unit(fields),
            flags,
            self.plain(self.range(fields)),
            self.plain(self.status(fields)),
            None,  # aspect: none of these families tells several aspects of one test apart
            tuple(comments),
            bool(value) and self._is_masked(value or ""),
            self._time(row),
            known.kind if known else self._unlisted(fields, Said(code or "", name or "", value or "", flags, "")),
            ordinal,
            self.coded(fields) if self.form.coded and self.dialect.component in (raw or "") else None,
        )

    def _unlisted(self, fields: Fields, said: Said) -> Kind:
        return self.form.unlisted(said if self.dialect.first else said._replace(type="".join(fields[2:3])))

    def _read_code(self, sent: str) -> tuple[str | None, str | None, TestCode | None]:
        """The code and name in the text of the code's field, and what the form knows of the code."""
        dialect, form = self.dialect, self.form
        found = []
        for address in (form.code, form.code_name):
            where = place(address.partition(".")[2]) if address else None
            text = part(sent, where, dialect.repeat, dialect.component, dialect.sub) if where else None
            found.append(self.plain(text))
        code = (found[0] or "").partition(form.code_until)[0] if form.code_until else found[0] or ""
        code = code.strip()
        return code or None, found[1], form.tests.get(code)

    def _read_unit(self, fields: Fields) -> str | None:
        sent = self.unit(fields)
        if sent == "10":  # `10^9/L` whose ^ the analyzer did not escape: the whole field is the unit
            sent = self.whole_unit(fields)
        return self.plain(sent)

    def _read_flags(self, sent: str) -> tuple[str, ...]:
        repeats = sent.split(self.dialect.repeat) if self.dialect.repeat else [sent]
        return tuple([self.plain(flag) or "" for flag in repeats]) if sent else ()

    def _value(self, fields: Fields) -> str | None:
        for get in self.values:
            found = get(fields)
            if found is not None:
                return found.strip()
        return None

    def _is_masked(self, value: str) -> bool:
        return value[0] not in "0123456789" and self.masked.fullmatch(value) is not None

    def _time(self, row: Row) -> str | None:
        for record, get in self.times:
            source = row.fields if record == self.dialect.row else row.above.get(record)
            found = get(source) if source is not None else None
            if found:
                return found if found.strip("0 ") else None
        return None


def training(mark: str | None) -> bool:
    """H-12 or MSH-11 says training or debugging: the message must not be filed (RC-36, H7-09)."""
    return (mark or "").strip().upper() in ("T", "D")


def header_problems(form: Form, sender: str | None, mode: str | None, where: tuple[str, str]) -> list[str]:
    """What is odd about the header: another sender, a training mode. `where` names the two fields."""
    odd = sender_problem(form, sender, where[0])
    problems = [odd] if odd else []
    if training(mode):
        problems.append(f"{where[1]} says training or debugging: nothing of it may be filed")
    return problems


def sender_problem(form: Form, sender: str | None, where: str) -> str | None:
    """A sentence when the message names another sender than the form expects; None when it fits."""
    if not form.sender or re.match(form.sender, (sender or "").strip()):
        return None
    said = f"says {(sender or '').strip()[:40]!r}" if (sender or "").strip() else "is empty"
    return f"{where} {said}, but this line is configured for {form.title}"


def message_problems(observations: tuple[Observation, ...]) -> list[str]:
    """What is odd about the rows: no sample id, no code."""
    problems = []
    if [row for row in observations if row.sample_id is None]:
        problems.append("rows without a sample id")
    if [row for row in observations if row.code is None and row.kind is Kind.MEASUREMENT]:
        problems.append("rows without a test code")
    return problems
