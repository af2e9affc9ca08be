"""Reads and mirrors the fixed columns of Beckman Coulter (Olympus) AU blocks: R asks, S answers, D reports.

Turns a block's text into its header and its results. Law: pure, and never half a reading: where widths are not given,
a block is read only when exactly one reading of it is possible; the columns that are given must fit. Widths are set on
the analyzer and were seen to change: a block that does not fit is refused in words, never cut at the wrong place.
Source: blocks of AU480, AU680 and DxC 700 AU analyzers; the columns' names from the AU online manuals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

COLUMNS = ("sample_id", "before_results", "time", "test", "value", "marks", "before_tests")
BEFORE_E = "    "  # between sample id and E
HEAD = re.compile(r"([RSDd][ A-Za-z])(.{4})(.{2})(.)(.{4})")  # what, rack, cup, sample type, sample number
# What stands between E and the results where the site says nothing of it: sex, years (3) and months (2), blanks.
_AFTER_E = re.compile(r"(?:[0MF ][ \d]{5})? *")
_VALUE = re.compile(r" *(?:[-+] *)?(?:\d+\.?\d*|\.\d+)| *")
_TIME = re.compile(r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d[0-5]\d")
_USUAL: Mapping[str, tuple[int, ...]] = {"time": (0, 14), "test": (2, 3), "value": (6, 9), "marks": (2, 4, 8)}
_LONGEST_ID = 26
_MOST_BEFORE = 120  # characters between E and the results, where nobody set them


class Head(NamedTuple):
    """The columns before the sample id."""

    what: str
    rack: str
    cup: str
    type: str
    number: str


class Group(NamedTuple):
    """One result as sent: online test number, value, marks."""

    test: str
    value: str
    marks: str


class Reading(NamedTuple):
    """What a D block says; time is 14 digits or ""."""

    sample_id: str
    time: str
    groups: tuple[Group, ...]


def head(text: str) -> Head | None:
    """The header of a block; None when it is none (RB, DE and other marks have nothing behind them)."""
    found = HEAD.match(text)
    return Head(*found.groups()) if found else None


def request_id(text: str, layout: Mapping[str, int]) -> str | None:
    """The sample id of an R block: all that is behind the header; None when it has not the width that is set."""
    sent = text[HEAD_WIDTH:]
    width = layout.get("sample_id")
    return sent if width is None or len(sent) == width else None


def order_head(request: str, layout: Mapping[str, int]) -> str:
    """An S block up to its first test: the request's own columns, so that widths agree; N (normal) becomes a blank."""
    kind = request[8:9]
    mirrored = "S " + request[2:8] + (" " if kind == "N" else kind) + request[9:]
    return mirrored + BEFORE_E + "E" + " " * layout.get("before_tests", 0)


def readings(text: str, layout: Mapping[str, int]) -> list[Reading]:
    """Every way to read a D block that its columns allow: exactly one means that it is read.

    E says that it is the sample's last block; where there is none, a digit is the number of one that goes on. Where
    fourteen digits can be a time they are one: they are not searched for results too.
    """
    return _readings(text, layout, "E") or _readings(text, layout, "0123456789")


def _readings(text: str, layout: Mapping[str, int], last: str) -> list[Reading]:
    found: list[Reading] = []
    rest = text[HEAD_WIDTH:]
    widths = [layout["sample_id"]] if "sample_id" in layout else range(_LONGEST_ID + 1)
    for width in widths:
        sample_id, mark = rest[:width], rest[width : width + len(BEFORE_E) + 1]
        if mark[:-1] == BEFORE_E and mark[-1] in last:
            for time, groups in _after_e(rest[width + len(mark) :], layout):
                reading = Reading(sample_id.strip(), time, groups)
                if reading not in found:
                    found.append(reading)
    timed = [reading for reading in found if reading.time]
    return timed or found


def _after_e(text: str, layout: Mapping[str, int]) -> Iterator[tuple[str, tuple[Group, ...]]]:
    choices = ((layout[name],) if name in layout else usual for name, usual in _USUAL.items())
    for time, test, value, marks in product(*choices):
        size = test + value + marks
        if not size:
            continue
        before = (
            [layout["before_results"]]
            if "before_results" in layout
            else range(min(len(text) - time - size, _MOST_BEFORE) + 1)
        )
        for width in before:
            stamp = text[width : width + time]
            free = "before_results" in layout or _AFTER_E.fullmatch(text[:width])
            if free and (not time or _TIME.fullmatch(stamp)):
                groups = _groups(text[width + time :], test, value, marks, "marks" in layout)
                if groups:
                    yield stamp, groups
                    break  # further on the same columns could only lose results


def _groups(text: str, test: int, value: int, marks: int, given: bool) -> tuple[Group, ...]:
    """All of the text as results, () when it is not. Marks are no digits, unless their width is known."""
    size = test + value + marks
    if not text or len(text) % size:
        return ()
    found = []
    for at in range(0, len(text), size):
        group = Group(text[at : at + test], text[at + test : at + test + value], text[at + test + value : at + size])
        fits = (
            group.test.isdigit() and _VALUE.fullmatch(group.value) and (given or not re.search(r"[\d.]", group.marks))
        )
        if not fits:
            return ()
        found.append(group)
    return tuple(found)


HEAD_WIDTH = 13
