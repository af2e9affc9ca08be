"""One line of a catalogue file: its cells as values, and whether they make sense.

Turns text into Decimal, int, yes/no; adds a Problem for each cell that is not one. Law: never raises for what stands
in a cell, never mends it. Source: domain 2.2 (limits are inside, absurd contains all, critical lies outside the
reference interval), 8.5 (containers); LOINC's own check digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from middleware.model import Interval, LinkPolicy
from middleware.problems import Problem, nearest

CONTAINERS = frozenset("ESFCUTPB")
TIMINGS = frozenset({"", "F", "PP", "2H"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a CSV file, with the place to name when it is wrong."""

    file: str
    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def problem(self, column: str, reason: str, instead: str) -> Problem:
        """A Problem that names file, line, code and column."""
        return Problem(self.file, f"line {self.number} ({self.cells.get('code', '')}) {column}", reason, instead)


def loinc_ok(code: str) -> bool:
    """True when the check digit of a LOINC code is right (mod 10, doubling from the right)."""
    body, _, check = code.partition("-")
    if not (body.isascii() and body.isdigit() and len(check) == 1 and check.isdigit()):
        return False
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return (10 - total % 10) % 10 == int(check)


# ---- cells ------------------------------------------------------------------------------------------------------


def decimal(line: Line, column: str, problems: list[Problem], decimals: int | None = None) -> Decimal | None:
    """A number of this column, None when the cell is empty; `decimals` asks for exactly so many."""
    text = line[column]
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        problems.append(line.problem(column, f'"{text}" is not a number', "digits with a decimal point, or nothing"))
        return None
    exponent = value.as_tuple().exponent
    if not value.is_finite():
        problems.append(line.problem(column, f'"{text}" is not a number', "digits with a decimal point, or nothing"))
        return None
    if decimals is not None and isinstance(exponent, int) and -exponent != decimals:
        problems.append(
            line.problem(
                column, f'"{text}" does not have {decimals} decimals', f"{value:.{decimals}f}, as results print"
            )
        )
    return value


def whole(line: Line, column: str, problems: list[Problem]) -> int | None:
    """A whole number of this column, None when the cell is empty."""
    text = line[column]
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        problems.append(line.problem(column, f'"{text}" is not a whole number', "digits, or nothing"))
        return None
    return int(text)


def yes(line: Line, column: str, problems: list[Problem]) -> bool:
    """yes or no."""
    if line[column] not in ("yes", "no"):
        problems.append(line.problem(column, f'"{line[column]}" is neither yes nor no', "yes or no"))
    return line[column] == "yes"


def link(line: Line, problems: list[Problem]) -> LinkPolicy:
    """May a report with this test be opened by link? The strictest answer when the cell is wrong."""
    try:
        return LinkPolicy(line["link"])
    except ValueError:
        problems.append(line.problem("link", f'"{line["link"]}" is unknown', nearest(line["link"], list(LinkPolicy))))
        return LinkPolicy.NEVER


def check_common(line: Line, problems: list[Problem]) -> None:
    """What every test has: names, panel, specimen, a known container, a LOINC with the right check digit."""
    for column in ("code", "name_en", "name_hi", "panel", "specimen"):
        if not line[column]:
            problems.append(line.problem(column, "is empty", "every test has one"))
    if len(line["code"]) > 12:
        problems.append(line.problem("code", "is longer than 12 letters", "a shorter code"))
    if line["container"] not in CONTAINERS:
        problems.append(
            line.problem("container", f'"{line["container"]}" is unknown', "one of " + " ".join(sorted(CONTAINERS)))
        )
    if line["loinc"] and not loinc_ok(line["loinc"]):
        problems.append(
            line.problem("loinc", f"{line['loinc']} has a wrong check digit", "the code as LOINC prints it")
        )


# ---- sense ------------------------------------------------------------------------------------------------------


def check_limits(line: Line, interval: Interval, problems: list[Problem]) -> None:
    """One interval: low below high, critical outside the reference, absurd outside all, release inside critical."""
    i = interval
    if i.sex not in ("A", "M", "F"):
        problems.append(line.problem("sex", f'"{i.sex}" is unknown', "A (any), M or F"))
    if i.age_min >= i.age_max:
        problems.append(line.problem("age_max_y", "is not above age_min_y", "from <= age < to, in years"))
    for low, high, what in (
        (i.ref_low, i.ref_high, "ref_high"), (i.absurd_low, i.absurd_high, "absurd_high"),
        (i.release_low, i.release_high, "release_high"), (i.crit_low, i.crit_high, "crit_high"),
    ):  # fmt: skip
        _in_order(line, low, high, what, "is below its low limit", "low <= high", problems)
    _in_order(
        line, i.crit_low, i.ref_low, "crit_low", "lies inside the reference interval", "at most ref_low", problems
    )
    _in_order(
        line, i.ref_high, i.crit_high, "crit_high", "lies inside the reference interval", "at least ref_high", problems
    )
    for name, low in (("ref_low", i.ref_low), ("crit_low", i.crit_low), ("release_low", i.release_low)):
        _in_order(line, i.absurd_low, low, name, "is below absurd_low", "absurd limits contain all others", problems)
    for name, high in (("ref_high", i.ref_high), ("crit_high", i.crit_high), ("release_high", i.release_high)):
        _in_order(line, high, i.absurd_high, name, "is above absurd_high", "absurd limits contain all others", problems)
    _in_order(line, i.crit_low, i.release_low, "release_low", "is below crit_low", "at least crit_low", problems)
    _in_order(line, i.release_high, i.crit_high, "release_high", "is above crit_high", "at most crit_high", problems)


def _in_order(
    line: Line,
    low: Decimal | None,
    high: Decimal | None,
    column: str,
    reason: str,
    instead: str,
    problems: list[Problem],
) -> None:
    if low is not None and high is not None and low > high:
        problems.append(line.problem(column, f"{reason} ({low} > {high})", instead))


def check_bands(line: Line, intervals: Sequence[Interval], problems: list[Problem]) -> None:
    """For each sex the bands follow one another from birth without gap or overlap."""
    for sex in ("M", "F"):
        until = 0
        for band in sorted((i for i in intervals if i.sex in ("A", sex)), key=lambda i: i.age_min):
            if band.age_min != until:
                kind = "gap" if band.age_min > until else "overlap"
                reason = f"{kind} for sex {sex} between day {min(until, band.age_min)} and {max(until, band.age_min)}"
                problems.append(line.problem("age_min_y", reason, "where one band ends the next one begins"))
            until = max(until, band.age_max)
