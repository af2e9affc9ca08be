"""A form compiled for one dialect: reads ids, marks, times and the fields of rows (R or OBX), and says what is odd.

Law: what an address names is taken as it was sent, escapes decoded last. Nothing here knows ASTM from HL7 but `first`.
Source: the form of the driver; LIS02-A2 5.4.5 and HL7 v2 2.7 for "split first, decode after".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from drivers.engine.form import Form, a_measurement
from drivers.engine.observe import columns, observer, plan, runner
from drivers.engine.texts import Above, Dialect, Fields, Get, Named, Remembered, Standing, getter, listed
from drivers.engine.words import Decoded, Kind, Observation
from drivers.wire.fields import part, place

T = TypeVar("T")
NO_TEXT = '""'  # 5.4.9, HL7 2.5.3: there is none
NOT_FINAL = frozenset("CPXI")  # LIS02-A2 8.4.26, HL7 table 0123: corrected, preliminary, not to be had, pending
UNNAMED = "rows without a test code"
DIALECTS = 4  # sets of delimiters that a driver keeps ready; an analyzer has one, a broken line has thousands


class Reader:
    """A form compiled for one dialect. Reads rows, sample ids, marks; holds no message."""

    def __init__(self, form: Form, dialect: Dialect) -> None:
        self.form = form
        self.dialect = dialect
        self.coded = self._many(form.coded)[0][1] if form.coded else None
        self.times = self._many(form.observed_at)
        self.times_in_rows = any(record == dialect.row for record, _ in self.times)
        self.row_time = "".join(filter(self.in_rows, listed(form.observed_at)[:1]))
        self.ids = self._many(form.sample_id)
        self.marks = [(self.spot(address), value) for address, value in form.control]
        self.calibrations = [(self.spot(address), value) for address, value in form.calibration]
        self.control_id = re.compile(form.control_id) if form.control_id else None
        self.masked = re.compile(form.masked)
        self.no_range = re.compile(form.no_range) if form.no_range else None
        self.sender = re.compile(form.sender) if form.sender else None
        self.query_record, _, self.query_inside = form.query_id.partition(".")
        self.time_places = [self.index(address) for address in listed(form.observed_at) if self.in_rows(address)]
        of = columns(self)
        planned = plan(self, of)
        self.observation, self.run = observer(self, of), runner(self, of, planned)

    def _many(self, addresses: str | tuple[str, ...]) -> list[tuple[str, Get]]:
        return [self.spot(address) for address in listed(addresses)]

    def spot(self, address: str) -> tuple[str, Get]:
        """The record and the function that takes the text at an address out of it."""
        record, _, inside = address.partition(".")
        return record, getter(place(inside), self.dialect)

    def plain(self, sent: str | None) -> str | None:
        """Text with escapes decoded; empty is None: an empty field says nothing (5.4.9, 2.5.3)."""
        if not sent:
            return None
        escape = self.dialect.escape
        return self.dialect.decode(sent) if escape and escape in sent else sent

    def sample_id(self, above: Above) -> str | None:
        """The id of the tube: the first address that holds one, padding blanks off, leading zeros kept."""
        for record, get in self.ids:
            source = above.get(record)
            found = (self.plain(get(source)) or "").strip() if source is not None else ""
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
        return bool(self.calibrations) and self._says(self.calibrations, above)

    def _says(self, marks: list[tuple[tuple[str, Get], str]], above: Above) -> bool:
        for (record, get), value in marks:
            source = above.get(record)
            found = get(source) if source is not None else None
            if found and found.strip().upper() == value:
                return True
        return False

    def standing(self, above: Above) -> Standing:
        """What these records say to all rows below them."""
        sample_id = self.sample_id(above)
        observed_at = None if self.times_in_rows else self.time([], above)
        return Standing(above, sample_id, self.is_control(above, sample_id), observed_at)

    def moment(self, _sent: str, found: str | None) -> str | None:
        """A time; all zeros is none."""
        return found if found and found.strip("0 ") else None

    def alike(
        self, lines: list[str], at: int, fields: Fields, mark: str, standing: Standing, rows: list[Observation]
    ) -> int:
        """Add the rows from a line on that end as the row before them does, which is given by its fields; the place of
        the first that does not."""
        return self.run(lines, at, standing, fields, rows) if mark == self.dialect.field else at

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

    def in_rows(self, address: str) -> bool:
        """True when it is an address in a row, not in a record above the rows."""
        return address.partition(".")[0] == self.dialect.row

    def index(self, address: str) -> int:
        """Where the field of an address stands among the fields of its record."""
        return place(address.partition(".")[2]).field - self.dialect.first

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
        known, unlisted = form.tests.get(code), Kind.MEASUREMENT if form.unlisted is a_measurement else None
        return code or None, name, known.kind if known else unlisted

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


def told_above(rows: list[Observation], groups: list[tuple[int, str]]) -> None:
    """Rows without a status have their order's (O-26, OBR-25) where that is not final. `groups`: the place of the first
    row below each order, and what the order says."""
    for at, (first, report) in enumerate(groups):
        if report in NOT_FINAL:
            end = groups[at + 1][0] if at + 1 < len(groups) else len(rows)
            rows[first:end] = [row if row.status else row._replace(status=report) for row in rows[first:end]]


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
    odd = [row for row in observations if row[0] is None or row[1] is None]  # sample id, code
    problems = ["rows without a sample id"] if [row for row in odd if row.sample_id is None] else []
    if [row for row in odd if row.code is None and row.kind is Kind.MEASUREMENT]:
        problems.append(UNNAMED)
    return problems
