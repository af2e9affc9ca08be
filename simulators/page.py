"""A message of records or segments opened by address, so that single texts in it can be replaced.

Turns the bytes of an ASTM or HL7 message into records and back: what is not replaced comes back byte for byte, line
ends too. Law: the simulators' own hand, written without the codec under test; addresses are the standards' own, as the
drivers' forms have them ("O.4.3", "OBX.5.1"). Source: LIS02-A2 5.4 (delimiters from H), HL7 v2 chapter 2.6 (from MSH).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r"([^\r\n]+)([\r\n]*)")
_ADDRESS = re.compile(r"([A-Z][A-Z0-9]{0,2})(?:\.(\d+))?(?:\.(\d+))?(?:\.(\d+))?")


@dataclass
class Line:
    """One record: its fields as sent (the type first), what ended it, and the delimiters that hold in it."""

    fields: list[str]
    end: str
    marks: tuple[str, str, str, str]  # field, repeat, component, subcomponent ("" for none)

    @property
    def type(self) -> str:
        """The record's letter, or the segment's name."""
        return self.fields[0].strip().upper()

    @property
    def _shift(self) -> int:
        return 1 if len(self.type) == 1 or self.type == "MSH" else 0  # MSH-1 is the delimiter, ASTM counts the type

    def get(self, address: str) -> str | None:
        """The text at an address, "3.4" (in the first repeat); None when the record has no such place."""
        text: str | None = self.whole(int(address.split(".")[0]))
        parts = [int(part) for part in address.split(".")[1:]]
        if parts and text is not None:
            text = text.split(self.marks[1])[0]
        for mark, part in zip(self.marks[2:], parts, strict=False):
            pieces = (text or "").split(mark) if mark else [text or ""]
            text = pieces[part - 1] if part <= len(pieces) else None
            if text is None:
                break
        return text

    def whole(self, number: int) -> str | None:
        """Field `number` as sent."""
        at = number - self._shift
        return self.fields[at] if 0 <= at < len(self.fields) else None

    def put(self, address: str, text: str) -> None:
        """Replace the text at an address; fields and components that are not there yet are made, empty."""
        number, *parts = (int(part) for part in address.split("."))
        at = number - self._shift
        self.fields += [""] * (at + 1 - len(self.fields))
        if not parts:
            self.fields[at] = text
            return
        first, *others = self.fields[at].split(self.marks[1])
        self.fields[at] = self.marks[1].join([_nested(first, self.marks[2:], parts, text), *others])

    def swap(self, old: str, new: str) -> None:
        """Replace every component, or part of one, that is exactly `old`, padding aside; the header is left alone."""
        for at, text in enumerate(self.fields[1:], 1):
            if old in text:
                pieces = re.split(f"([{re.escape(''.join(filter(None, self.marks[1:])))}])", text)
                self.fields[at] = "".join(padded(piece, new) if piece.strip(" ") == old else piece for piece in pieces)


def _nested(text: str, marks: tuple[str, ...], parts: list[int], new: str) -> str:
    if not parts:
        return new
    pieces = text.split(marks[0]) if marks[0] else [text]
    pieces += [""] * (parts[0] - len(pieces))
    pieces[parts[0] - 1] = _nested(pieces[parts[0] - 1], marks[1:], parts[1:], new)
    return marks[0].join(pieces)


def padded(old: str, new: str) -> str:
    """`new` in the columns of `old`: right- or left-justified by the same blanks or hyphens, as wide as it was."""
    for pad in " -":
        if old.startswith(pad * 2):
            return new.rjust(len(old), pad)
        if old.endswith(pad * 2):
            return new.ljust(len(old), pad)
    return new


class Page:
    """The records of one message."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    @classmethod
    def read(cls, body: bytes) -> Page:
        """Open a message: ASTM records from H on, or HL7 segments from MSH on. ValueError when it is neither."""
        lines: list[Line] = []
        marks: tuple[str, str, str, str] | None = None
        for found in _LINE.finditer(body.decode("latin-1")):
            marks = _marks(found[1]) or marks
            if marks is None:
                raise ValueError("a message that begins neither with H nor with MSH")
            lines.append(Line(found[1].split(marks[0]), found[2], marks))
        return cls(lines)

    def bytes(self) -> bytes:
        """The message as it stands now."""
        return "".join(line.marks[0].join(line.fields) + line.end for line in self.lines).encode("latin-1")

    def rows(self, kind: str) -> Iterator[tuple[Line, dict[str, Line]]]:
        """Each record of that type, with the records that stand above it by type (itself among them)."""
        above: dict[str, Line] = {}
        for line in self.lines:
            if line.type in ("P", "PID", "SPM"):
                for ended in ("O", "OBR", "ORC", "SAC"):
                    above.pop(ended, None)
            above = {**above, line.type: line}
            if line.type == kind:
                yield line, above


def _marks(line: str) -> tuple[str, str, str, str] | None:
    """The delimiters that a header names; None for any other record."""
    if line.startswith("MSH"):
        named = line[4:].split(line[3])[0]
        return line[3], named[1:2] or "~", named[0:1] or "^", named[3:4]
    if re.match(r"[Hh][^\w\s]", line) and len(line) > 3:
        return line[1], line[2], line[3], ""
    return None


def place(address: str) -> tuple[str, str]:
    """An address of a form as record and what is inside it: "O.4.3" → ("O", "4.3"). ValueError for any other text."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no address")
    record, _, inside = address.partition(".")
    return record, inside
