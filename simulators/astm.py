"""Writes ASTM records: fields joined, free text escaped, records ended.

Turns lists of fields into the text of a message. Knows nothing of frames. Law: this is the simulators' own hand, not
the codec under test. Source: LIS02-A2 5.4 (delimiters, escapes), 5.4.1 (CR ends a record).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def escaped(text: str, repeat: str = "\\") -> str:
    """Free text with the delimiters of this message written as escapes (LIS02-A2 5.4.5); control characters go."""
    marks = {"&": "&E&", "|": "&F&", "^": "&S&", repeat: "&R&"}
    return "".join(marks.get(letter, letter) for letter in text if letter >= " ")


def record(*fields: str) -> str:
    """One record, without its end."""
    return "|".join(fields)


def at(fields: dict[int, str]) -> str:
    """One record from numbered fields, 1 being the type; what is not named is empty, nothing follows the last."""
    return "|".join(fields.get(number, "") for number in range(1, max(fields) + 1))


def message(records: Sequence[str], encoding: str = "latin-1") -> bytes:
    """Records, each ended by CR."""
    return "".join(text + "\r" for text in records).encode(encoding)


def stamp(moment: datetime) -> str:
    """YYYYMMDDHHMMSS, as every analyzer here writes it (LIS02-A2 5.6.2)."""
    return moment.strftime("%Y%m%d%H%M%S")


def accented(name: str) -> str:
    """The name as somebody typed it with an accent, so that it leaves ASCII but stays in Latin-1."""
    for plain, marked in (("a", "á"), ("e", "é"), ("i", "í"), ("o", "ö"), ("u", "ü")):
        if plain in name and name.isascii():
            return name.replace(plain, marked, 1)
    return name if name and all(ord(letter) < 256 for letter in name) else "José Müller"


def markup(name: str) -> str:
    """A name that must never be taken for markup or a formula."""
    return f'=HYPERLINK("x")<b>{name or "Ram"}</b>'
