"""Makes a result of exactly the tests that were ordered, out of what the analyzer said before.

Turns codes into a template that holds a row for each and no other. Law: a row that was recorded for a code is used; for
any other the row of a test that was recorded is told with the code, the unit and a usual value of that test, by the
driver's own table; nothing else of the message changes. Source: the captures; the forms; simulators/values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from drivers.driver import Driver, Kind, Observation, load_driver
from simulators import marks, values, vary
from simulators.page import Line, Page, place
from simulators.retell import Unusable, record_of_rows, value_address
from simulators.step import DaySample, Note
from simulators.templates import Template, Templates, decode

NAMES_AT = {"mindray_chem_hl7": "4"}  # where a row repeats its test's name and no form says so
CELLS = tuple(cell + how for cell in ("NEUT", "LYMPH", "MONO", "EOS", "BASO") for how in "PA")
SPELL = ("sysmex_xn", "erba_xl", "roche_cobas_e411")  # whose units a well-behaved analyzer uses
AGAIN = ("C", "R")  # a result that was corrected, or sent before: what is ordered is run for the first time
FIELD = "\x1c"  # between the fields of a Dimension


class Recorded(NamedTuple):
    """A row of a template: its record with what belongs to it, and what the driver reads there."""

    lines: list[Line]
    said: Observation


class Wanted(NamedTuple):
    """A test to tell: its code, the units it may be said in (unit → factor that leads to the catalogue's, the plain one
    first) and its usual value in the catalogue's; none of both where nobody knows what the code measures."""

    code: str
    units: Mapping[str, str] = MappingProxyType({})
    value: Decimal | None = None
    decimals: int = 0

    def said_in(self, unit: str, decimals: int | None = None) -> str | None:
        """The usual value as it is printed in that unit, with so many decimals; None when it is not known."""
        factor = self.units.get(unit)
        if self.value is None or factor is None:
            return None
        return values.printed(self.value / Decimal(factor), self.decimals if decimals is None else decimals)


def counted(driver: Driver, differential: bool) -> tuple[str, ...]:
    """The codes of a blood count, with or without the cells of the differential: one for each test of the driver."""
    found: dict[str, str] = {}
    for code, meaning in driver.tests.items():
        if (
            meaning.kind is Kind.MEASUREMENT
            and meaning.test in values.BLOOD
            and (differential or meaning.test not in CELLS)
        ):
            found.setdefault(meaning.test or "", code)
    return tuple(found.values())


def assembled(found: Templates, codes: Sequence[str], rng: Random) -> Template:
    """A template of these codes alone. Raises Unusable when nothing was recorded that could say it."""
    tests = _wanted(found.driver, codes, rng)
    if found.driver.speaks != "blocks":
        return _of_records(found, tests, rng)
    make = BLOCKS.get(found.driver.name)
    if make is None:
        raise Unusable(f"{found.driver.title} is told nothing: it runs what it runs")
    return _read(found.results[0], make(found, tests, rng))


def _wanted(driver: Driver, codes: Sequence[str], rng: Random) -> list[Wanted]:
    """Units and usual values of the codes, drawn together: a blood count agrees with itself."""
    measured = {code: _test_of(driver, code) for code in codes}
    tests = tuple(filter(None, measured.values()))
    drawn = values.draw(rng, DaySample("", "", tests), tests, Note.NORMAL)
    made = []
    for code, test in measured.items():
        known = (_units(driver, code, test), Decimal(drawn[test]), values.decimals_of(test)) if test in drawn else ()
        made.append(Wanted(code, *known))
    return made


def _test_of(driver: Driver, code: str) -> str:
    """The catalogue test that a code measures, where the driver, or the catalogue, says so; else ""."""
    meaning = driver.tests.get(code)
    test = meaning.test.split("|")[0] if meaning and meaning.test else code if driver.codes_are_catalogue else ""
    return test if test in values.USUAL else ""


def _units(driver: Driver, code: str, test: str) -> dict[str, str]:
    """The units in which a driver sends a test, the catalogue's own in plain letters first; a well-behaved analyzer
    uses those of others."""
    meaning = driver.tests.get(code)
    if meaning is None:
        others = (each for name in SPELL for each in load_driver(name).tests.values())
        meaning = next((each for each in others if test in (each.test or "").split("|")), None)
    factors = {unit: factor for unit, (_, factor) in meaning.units.items()} if meaning else {}
    plain = sorted(factors, key=lambda unit: (factors[unit] != "1", unit == "", not unit.isascii()))
    return {unit: factors[unit] for unit in plain}


def _read(like: Template, parts: Sequence[str]) -> Template:
    made = decode(like.driver, marks.body(like.driver, parts))
    return replace(like, parts=tuple(parts), decoded=made)


# ---- records and segments -----------------------------------------------------------------------------------------


def _recorded(template: Template) -> Iterator[Recorded]:
    """The rows of a template that its driver would report, each with the comments behind it."""
    kind = record_of_rows(template.driver)
    page = Page.read("".join(template.parts).encode("latin-1"))
    at = [number for number, line in enumerate(page.lines) if line.type == kind]
    observations = template.decoded.observations
    reported = template.driver.reportable(observations)
    for number, row, report in zip(at, observations, reported, strict=False):
        behind = next((n for n in range(number + 1, len(page.lines)) if page.lines[n].type not in ("C", "NTE")), None)
        if report and row.code:
            yield Recorded(page.lines[number : behind or len(page.lines)], row)


def _of_records(found: Templates, tests: Sequence[Wanted], rng: Random) -> Template:
    codes = [test.code for test in tests]
    rows = {template: list(_recorded(template)) for template in found.results}
    base = max(found.results, key=lambda one: (len(one.ids) == 1, sum(row.said.code in codes for row in rows[one])))
    page = Page.read("".join(base.parts).encode("latin-1"))
    kind = record_of_rows(found.driver)
    first = next(number for number, line in enumerate(page.lines) if line.type == kind)
    tail = [line for line in page.lines if line.type == "L"]
    able = [row for each in (*found.results, base) for row in rows[each] if _fits(row, page)]
    known = {row.said.code: row for row in sorted(able, key=_quiet)}
    plain = next((row for row in rows[base] if vary.is_number(row.said.value or "")), None)
    made = [_row(found.driver, test, known.get(test.code), plain, rng) for test in tests]
    head = page.lines[:first]
    _order_names(head, plain, codes)
    _number(page, made, kind)
    return _read(base, ["".join(map(_text, (*head, *(line for each in made for line in each), *tail)))])


def _text(line: Line) -> str:
    return line.marks[0].join(line.fields) + line.end


def _quiet(row: Recorded) -> int:
    """The more, the less the analyzer said beside the number."""
    plain = row.said.flags in ((), ("",), ("N",)) and row.said.status in (None, "", "F")
    return plain + (not row.said.comments or set("".join(row.said.comments)) <= {"0"})


def _fits(row: Recorded, page: Page) -> bool:
    """A row of another message may stand in this one: same delimiters, and a number."""
    return row.lines[0].marks == page.lines[0].marks and vary.is_number(row.said.value or "")


def _row(driver: Driver, test: Wanted, own: Recorded | None, plain: Recorded | None, rng: Random) -> list[Line]:
    """The row of a code as it was recorded with a new number, or another test's row told with it."""
    source = own or plain
    if source is None:
        raise Unusable(f"no recorded row of {driver.title} has a number")
    lines = [replace(line, fields=list(line.fields)) for line in source.lines]
    row = lines[0]
    if own is None:
        lines = lines[:1]
        _renamed(driver, row, source.said.code or "", test)
    where = value_address(driver, row)
    old = row.get(where) or ""
    unit = own.said.unit or "" if own else next(iter(test.units), "")
    usual = test.said_in(unit, _decimals(old) if own else None)
    new = usual or vary.field(old, source.said.value, rng)
    row.put(where, new)
    if len(old.strip()) > 2:
        row.swap(old.strip(), new.strip())
    if usual and driver.flag and row.get(place(driver.flag)[1]):
        row.put(place(driver.flag)[1], "N")
    if driver.status and row.get(place(driver.status)[1]) in AGAIN:
        row.put(place(driver.status)[1], "F")
    return lines


def _decimals(text: str) -> int:
    number = vary.NUMBER.search(text)
    return len(number[0].replace(",", ".").partition(".")[2]) if number else 0


def _renamed(driver: Driver, row: Line, old: str, test: Wanted) -> None:
    """The row of the code `old` with another test's code and unit; its flag and range are not this one's."""
    inside = place(driver.code)[1]
    sent = row.get(inside) or ""
    begin = sent.find(driver.code_from) + 1 if driver.code_from else 0
    row.put(inside, sent[:begin] + sent[begin:].replace(old, test.code, 1))
    names = [place(driver.code_name)[1]] if driver.code_name else []
    for spot in (*names, *filter(None, [NAMES_AT.get(driver.name)])):
        row.put(spot, test.code)
    if test.units and driver.unit:
        row.put(place(driver.unit)[1], next(iter(test.units)))
    for address, text in ((driver.flag, "N"), (driver.range, "")):
        if address and row.get(place(address)[1]):
            row.put(place(address)[1], text)


def _order_names(head: list[Line], plain: Recorded | None, codes: Sequence[str]) -> None:
    """O-5 names the tests of the message, in the shape that it had."""
    order = next((line for line in head if line.type == "O"), None)
    sent = (order.whole(5) or "").split(order.marks[1])[0] if order else ""
    said = next((part for part in sent.split(order.marks[2]) if part), "") if order else ""
    if order and said and plain and plain.said.code and plain.said.code in said:
        order.put("5", order.marks[1].join(sent.replace(said, said.replace(plain.said.code, code)) for code in codes))


def _number(page: Page, made: list[list[Line]], kind: str) -> None:
    """R-2 and OBX-1 count the rows, where they did."""
    number = "2" if kind == "R" else "1"
    counts = [line.whole(int(number)) for line in page.lines if line.type == kind]
    if len(counts) == len(set(counts)):
        for at, lines in enumerate(made, 1):
            lines[0].put(number, str(at))


# ---- blocks -------------------------------------------------------------------------------------------------------


def _au(found: Templates, tests: Sequence[Wanted], rng: Random) -> list[str]:
    """A D block: everything before the first group as it was, then number, value and marks in the same columns."""
    template = found.results[0]
    text, rows = template.parts[0], template.decoded.observations
    first = rows[0]
    head = text[: text.index(f"{first.code}{first.raw}")]
    known = {row.code: row for each in found.results for row in each.decoded.observations if row.value}
    groups = []
    for code in [test.code for test in tests]:
        like = known.get(code) or first
        raw = vary.field(like.raw or "", like.value, rng)
        width = len(first.raw or "")
        number = vary.NUMBER.search(raw)
        end = max(found_.end() for found_ in vary.NUMBER.finditer(first.raw or ""))
        groups.append(f"{code}{(number[0] if number else '').rjust(end)}".ljust(len(code) + width))
    return [head + "".join(groups)]


def _ca(found: Templates, tests: Sequence[Wanted], rng: Random) -> list[str]:
    """A D1 block: the header as it was, then a group of nine columns for each parameter that was recorded."""
    whole = [row for each in found.results for row in each.decoded.observations if vary.is_number(row.value or "")]
    known = {row.code: row for row in reversed(whole)}
    template = next(each for each in found.results if known[next(iter(known))] in each.decoded.observations)
    first = template.decoded.observations[0]
    head = template.parts[0][: template.parts[0].rindex(f"{first.code}{first.raw}")]
    rows = [known[test.code] for test in tests if test.code in known]
    groups = [f"{row.code}{_digits(row.raw or '', rng)[:5]}".ljust(9) for row in rows]
    return [head + "".join(groups)]


def _digits(raw: str, rng: Random) -> str:
    return vary.NUMBER.sub(lambda found: vary.number(found[0], rng), raw, count=1)


def _dimension(found: Templates, tests: Sequence[Wanted], rng: Random) -> list[str]:
    """An R block: its head with the number of tests, then code, value, unit and error of each."""
    head = found.results[0].parts[0].split(FIELD)[:10]
    fields = [*head, str(len(tests))]
    for test in tests:
        unit = next(iter(test.units), "")
        fields += [test.code, test.said_in(unit) or f"{rng.randint(10, 99)}", unit, ""]
    return [FIELD.join([*fields, ""])]


BLOCKS: Mapping[str, Callable[[Templates, Sequence[Wanted], Random], list[str]]] = {
    "beckman_au": _au,
    "siemens_dimension": _dimension,
    "sysmex_ca": _ca,
}
