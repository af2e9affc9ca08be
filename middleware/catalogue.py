"""Turns config/*.csv into the catalogue: tests with their intervals, units, panels and facilities.

Law: no prose is read, every fact has its own column; every doubt is a Problem with file, line and remedy. Nothing is
mended: a catalogue with one mistake is not used. Source: domain 2.2 (comparison semantics, age bands), 2.5, 2.7, 8.5.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from middleware.catalogue_cells import TIMINGS, Line, check_bands, check_common, check_limits, decimal, link, whole, yes
from middleware.model import CatalogueTest, Interval
from middleware.problems import Problem, nearest

TESTS = "tests.csv"
CODED = "tests_coded.csv"
UNITS = "display_units.csv"
SPELLINGS = "unit_spellings.csv"
PANELS = "panels.csv"
FACILITIES = "facilities.csv"

COMMON = ("code", "name_en", "name_hi", "panel", "specimen", "container", "loinc", "link", "never_auto", "method")
PER_TEST = (*COMMON, "timing", "ucum_unit", "display_unit", "decimals", "calculated", "delta_pct", "delta_floor",
            "delta_days")  # fmt: skip
LIMITS = ("ref_low", "ref_high", "crit_low", "crit_high", "absurd_low", "absurd_high", "release_low", "release_high")
HEADS: Mapping[str, tuple[str, ...]] = {
    TESTS: (*PER_TEST, "sex", "age_min_y", "age_max_y", *LIMITS, "source"),
    CODED: (*COMMON, "allowed_values", "normal_values", "critical_values", "source"),
    UNITS: ("code", "from_ucum", "alt_display", "factor", "decimals", "print", "note"),
    SPELLINGS: ("ucum", "spellings"),
    PANELS: ("code", "name_en", "name_hi", "tests"),
    FACILITIES: ("code", "name_en", "name_hi", "type", "area", "nin", "hfr_id", "note"),
}
YEAR = Decimal("365.25")


@dataclass(slots=True)
class Catalogue:
    """What the CSV files hold, with every mistake found in them."""

    tests: dict[str, CatalogueTest] = field(default_factory=dict)
    panels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    panel_names: dict[str, tuple[str, str]] = field(default_factory=dict)
    facilities: list[Mapping[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_catalogue(config_dir: Path) -> Catalogue:
    """Read all CSV files of a config directory; mistakes are collected in `problems`, never raised."""
    found = Catalogue()
    lines = {name: list(_lines(config_dir, name, found.problems)) for name in HEADS}
    spellings = {line["ucum"]: _words(line["spellings"]) for line in lines[SPELLINGS]}
    alternatives = _alternatives(lines[UNITS], found.problems)
    for group in _by_code(lines[TESTS], found.problems):
        test = _numeric(group, len(found.tests), found.problems)
        if test is not None:
            found.tests[test.code] = _with_units(test, spellings, alternatives.get(test.code, ()), found.problems)
    for line in lines[CODED]:
        coded = _coded(line, len(found.tests), found.problems)
        if line["code"] in found.tests:
            found.problems.append(
                line.problem("code", "this code stands in the catalogue already", "one code, one test")
            )
        elif coded is not None:
            found.tests[coded.code] = coded
    if lines[TESTS] and lines[CODED]:  # else every code would be called unknown
        _check_units_known(lines[UNITS], found)
        _read_panels(lines[PANELS], found)
    _read_facilities(lines[FACILITIES], found)
    return found


def unit_key(text: str) -> str:
    """How unit texts are compared: without blanks, µ as u, and without regard to capitals (mg/dl is mg/dL)."""
    return "".join(text.split()).replace("µ", "u").replace("μ", "u").casefold()


def days(years: str) -> int:
    """Years of the catalogue to whole days, half up: 0.0082 is 3 days (domain 2.2)."""
    return int((Decimal(years) * YEAR).quantize(Decimal(1), rounding=ROUND_HALF_UP))


# ---- files ------------------------------------------------------------------------------------------------------


def _lines(config_dir: Path, name: str, problems: list[Problem]) -> Iterator[Line]:
    head = HEADS[name]
    try:
        text = (config_dir / name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(name, "file", f"cannot be read: {error}", "a UTF-8 file with a head line"))
        return
    reader = csv.DictReader(io.StringIO(text), restkey="")
    if sorted(reader.fieldnames or ()) != sorted(head):
        problems.append(Problem(name, "line 1", _head_reason(reader.fieldnames or (), head), ",".join(head)))
        return
    for number, row in enumerate(reader, start=2):
        if "" in row or None in row.values():
            problems.append(Problem(name, f"line {number}", "too few or too many cells", f"{len(head)} cells"))
        else:
            yield Line(name, number, {k: v.strip() for k, v in row.items()})


def _head_reason(found: object, head: tuple[str, ...]) -> str:
    names = list(found) if isinstance(found, (list, tuple)) else []
    missing = [h for h in head if h not in names]
    extra = [n for n in names if n not in head]
    told = [f"columns missing: {', '.join(missing)}"] if missing else []
    told += [f'column "{n}" is unknown, {nearest(n, head)}' for n in extra]
    return "; ".join(told) or "a column stands here twice"


def _words(cell: str) -> tuple[str, ...]:
    return tuple(w for w in cell.split("|") if w)


def _by_code(lines: list[Line], problems: list[Problem]) -> Iterator[list[Line]]:
    """Groups of lines of one test; a code that comes back after another one is a duplicate."""
    seen: set[str] = set()
    group: list[Line] = []
    for line in lines:
        if group and line["code"] != group[0]["code"]:
            yield group
            group = []
        if not group and line["code"] in seen:
            problems.append(line.problem("code", "this code stands further up already", "one code, one block of lines"))
            continue
        seen.add(line["code"])
        group.append(line)
    if group:
        yield group


# ---- tests ------------------------------------------------------------------------------------------------------


def _base(line: Line, sort: int, problems: list[Problem]) -> CatalogueTest:
    """What numeric and coded tests share."""
    check_common(line, problems)
    return CatalogueTest(
        code=line["code"], name_en=line["name_en"], name_hi=line["name_hi"], panel=line["panel"],
        specimen=line["specimen"], container=line["container"], loinc=line["loinc"], unit="", display_unit="",
        decimals=0, coded=False, link=link(line, problems), never_auto=yes(line, "never_auto", problems),
        method=line["method"], sort=sort,
    )  # fmt: skip


def _numeric(group: list[Line], sort: int, problems: list[Problem]) -> CatalogueTest | None:
    first, before = group[0], len(problems)
    base = _base(first, sort, problems)
    _check_same(group, problems)
    decimals = whole(first, "decimals", problems)
    if decimals is None or decimals > 4:
        problems.append(first.problem("decimals", "is empty or above 4", "how many decimals are printed, 0-4"))
        return None
    if not first["ucum_unit"]:
        problems.append(first.problem("ucum_unit", "is empty", "the UCUM unit, {ratio} when there is none"))
    if first["timing"] not in TIMINGS:
        problems.append(first.problem("timing", f'"{first["timing"]}" is unknown', "F, PP, 2H or nothing"))
    intervals = tuple(_interval(line, decimals, problems) for line in group)
    if len(problems) == before:
        check_bands(first, intervals, problems)
    return replace(
        base, decimals=decimals, unit=first["ucum_unit"], display_unit=first["display_unit"], timing=first["timing"],
        intervals=intervals, calculated=yes(first, "calculated", problems),
        delta_pct=decimal(first, "delta_pct", problems), delta_floor=decimal(first, "delta_floor", problems),
        delta_days=whole(first, "delta_days", problems),
    )  # fmt: skip


def _check_same(group: list[Line], problems: list[Problem]) -> None:
    """What belongs to the test and not to the interval must stand alike in all of its lines."""
    for line in group[1:]:
        for column in PER_TEST:
            if line[column] != group[0][column]:
                problems.append(
                    line.problem(
                        column, f'says "{line[column]}", its first line "{group[0][column]}"', "one of the two"
                    )
                )


def _interval(line: Line, decimals: int, problems: list[Problem]) -> Interval:
    limits = {name: decimal(line, name, problems, decimals) for name in LIMITS}
    interval = Interval(
        sex=line["sex"], age_min=_age(line, "age_min_y", problems), age_max=_age(line, "age_max_y", problems),
        source=line["source"], **limits,
    )  # fmt: skip
    check_limits(line, interval, problems)
    return interval


def _age(line: Line, column: str, problems: list[Problem]) -> int:
    years = decimal(line, column, problems)
    if years is None or years < 0:
        problems.append(line.problem(column, "is not an age in years", "0.0767 is 28 days, 120 has no end"))
        return 0
    return days(line[column])


def _coded(line: Line, sort: int, problems: list[Problem]) -> CatalogueTest:
    allowed = _words(line["allowed_values"])
    if not allowed:
        problems.append(line.problem("allowed_values", "is empty", "every value there is, with | between them"))
    for column in ("normal_values", "critical_values"):
        for word in _words(line[column]):
            if word not in allowed:
                problems.append(line.problem(column, f'"{word}" is not allowed', nearest(word, allowed)))
    return replace(
        _base(line, sort, problems), coded=True, allowed=allowed, normal=_words(line["normal_values"]),
        critical=_words(line["critical_values"]),
    )  # fmt: skip


# ---- units ------------------------------------------------------------------------------------------------------


def _alternatives(lines: list[Line], problems: list[Problem]) -> dict[str, list[tuple[Line, Decimal]]]:
    found: dict[str, list[tuple[Line, Decimal]]] = {}
    for line in lines:
        factor = decimal(line, "factor", problems)
        if factor is None or factor <= 0:
            problems.append(
                line.problem("factor", "is not above 0", "value in alt_display = value in from_ucum × factor")
            )
        else:
            found.setdefault(line["code"], []).append((line, factor))
    return found


def _with_units(
    test: CatalogueTest,
    spellings: Mapping[str, tuple[str, ...]],
    alternatives: Sequence[tuple[Line, Decimal]],
    problems: list[Problem],
) -> CatalogueTest:
    """Add the unit spellings that are understood, and the other unit that people read."""
    units = {unit_key(u): Decimal(1) for u in (test.unit, test.display_unit, *spellings.get(test.unit, ())) if u}
    shown: tuple[str | None, Decimal | None, int] = (None, None, 0)
    for line, factor in alternatives:
        if line["from_ucum"] != test.unit:
            problems.append(line.problem("from_ucum", f"is not the unit of {test.code}", test.unit))
        if units.setdefault(unit_key(line["alt_display"]), 1 / factor) != 1 / factor:
            problems.append(
                line.problem("factor", f"{line['alt_display']} has another factor already", "one of the two")
            )
        if yes(line, "print", problems):
            shown = (line["alt_display"], factor, whole(line, "decimals", problems) or 0)
    return replace(test, units=units, alt_unit=shown[0], alt_factor=shown[1], alt_decimals=shown[2])


# ---- panels, facilities -----------------------------------------------------------------------------------------


def _read_panels(lines: list[Line], found: Catalogue) -> None:
    for line in lines:
        code, tests = line["code"], _words(line["tests"])
        if code in found.panel_names or code in found.tests:
            found.problems.append(line.problem("code", "this code is taken by a test or a panel", "another code"))
        for test in tests:
            if test not in found.tests:
                found.problems.append(line.problem("tests", f'"{test}" is no test', nearest(test, found.tests)))
        found.panel_names[code] = (line["name_en"], line["name_hi"])
        if tests:
            found.panels[code] = tests
    for entry in found.tests.values():
        if entry.panel not in found.panel_names:
            reason = f"panel {entry.panel} of {entry.code} has no name"
            found.problems.append(Problem(PANELS, entry.panel, reason, nearest(entry.panel, found.panel_names)))


def _read_facilities(lines: list[Line], found: Catalogue) -> None:
    seen: set[str] = set()
    for line in lines:
        if line["code"] in seen or not line["code"]:
            found.problems.append(line.problem("code", "is empty or stands here twice", "one code, one unit"))
        seen.add(line["code"])
        found.facilities.append(line.cells)


def _check_units_known(lines: list[Line], found: Catalogue) -> None:
    for line in lines:
        if line["code"] not in found.tests:
            found.problems.append(line.problem("code", "is no test", nearest(line["code"], found.tests)))
