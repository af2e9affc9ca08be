"""Turns what was seen into a table for people and JSON for programs.

Law: a row says what was done, what the standard expects, what was seen, and the verdict; never only the verdict.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Pass, fail, or why neither."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Row:
    """One case, tried. `clause` is that of wire-rules, `section` of the standard; `role` is the peer's.

    `why` is filled where the verdict is neither pass nor fail; `seconds` is how long it took.
    """

    clause: str
    section: str
    role: str
    done: str
    expected: str
    seen: str
    verdict: Verdict
    why: str = ""
    seconds: float = 0.0


MARKS = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.NOT_APPLICABLE: "n/a", Verdict.LEFT_OUT: "left out"}


def table(rows: Sequence[Row]) -> str:
    """The rows for a terminal: a line each; a failure is told in full, then how many of each."""
    widths = [max([len(str(getattr(row, name))) for row in rows] or [0]) for name in ("clause", "section", "role")]
    lines = [line for row in rows for line in _lines(row, widths)]
    return "\n".join([*lines, "", summary(rows)])


def _lines(row: Row, widths: Sequence[int]) -> list[str]:
    cells = zip((row.clause, row.section, row.role), widths, strict=True)
    head = f"{MARKS[row.verdict]:8} " + "  ".join(f"{text:{width}}" for text, width in cells)
    if row.verdict is Verdict.FAIL:
        pad = " " * (len(head) + 2)
        return [f"{head}  {row.done}", f"{pad}expected: {row.expected}", f"{pad}seen:     {row.seen}"]
    return [f"{head}  {row.done}: {row.why or row.seen}"]


def summary(rows: Sequence[Row]) -> str:
    """How many of each verdict."""
    counted = Counter(row.verdict for row in rows)
    return ", ".join(f"{counted[each]} {each.value}" for each in Verdict if counted[each]) or "nothing tried"


def as_json(rows: Sequence[Row], **about: str) -> str:
    """The same as one JSON object; `about` are facts of the run."""
    counted = Counter(row.verdict.value for row in rows)
    return json.dumps({**about, "summary": dict(counted), "rows": [asdict(row) for row in rows]}, indent=1)


def exit_code(rows: Sequence[Row]) -> int:
    """0 when nothing failed and something passed, else 1."""
    verdicts = {row.verdict for row in rows}
    return 0 if Verdict.FAIL not in verdicts and Verdict.PASS in verdicts else 1
