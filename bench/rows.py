"""The rows of the bench's table: what was measured, the figure, the goal, and how it was got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table. `goal` is "" where there is none; `met` is "" where there is no goal."""

    what: str
    figure: str
    goal: str = ""
    note: str = ""
    met: str = ""

    @classmethod
    def of(
        cls, what: str, figure: float, goal: str, note: str, bound: float = 0.0, *, most: bool = False, unit: str = ""
    ) -> Row:
        """A row whose figure is held against its first bound: at least it, or (`most`) at most it."""
        met = "" if not goal else "yes" if (figure <= bound if most else figure >= bound) else "NO"
        shown = f"{figure:.0f}{unit}" if unit else f"{figure:.2f}"
        return cls(what, shown, goal, note, met)


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:<{width}}  {row.figure:>10}  {row.goal:<16} {row.met:<4} {row.note}")


def table(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    lines = [f"| {r.what} | {r.figure} | {r.goal} | {r.met} | {r.note} |" for r in rows]
    return "\n".join(["| what | figure | goal | met | how |", "|---|---|---|---|---|", *lines]) + "\n"
