"""A number written with a decimal comma, as analyzers set to some languages write it.

Turns "4,2" into "4.2" in the value and the range of a row; what was sent stays in `raw`. Law: one comma between digits
is a point, in families whose numbers have no other comma; anything else stays as it is.
Source: captures of ABX Micros and Dymind analyzers.
"""

from __future__ import annotations

import re

from drivers.engine.form import RowText
from drivers.engine.words import Observation

_COMMA = re.compile(r"(?<=\d),(?=\d)")
_NUMBER = re.compile(r"[<>]?=?\s*[+-]?\d+,\d+")


def pointed(row: Observation, _sent: RowText | None = None) -> Observation:
    """The row with points for commas in its number and in the limits of its range."""
    if row.value and "," in row.value and _NUMBER.fullmatch(row.value):
        row = row._replace(value=row.value.replace(",", "."))
    if row.range and "," in row.range:
        row = row._replace(range=_COMMA.sub(".", row.range))
    return row
