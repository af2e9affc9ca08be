"""Joins the texts of frames into messages, H to L.

Turns frame texts, as accepted, into whole messages. Law: the text is not changed, but that a CR is put back where a
frame ended with ETX without one (Snibe Maglumi), and blank lines between messages go. Knows two record types: a
message ends at its L record, not at ETX, for many analyzers end every record's frame with ETX; an H begins one.
Source: LIS01-A2 6.3.1.1 (no frame holds parts of two messages), LIS02-A2 4.1, 6 and 12 (H begins, L ends).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.wire.lis1a_states import LF

MAX_MESSAGE = 32_000_000  # bytes; images travel in messages, endless lines do not
_ENDS, _HEAD, _TAIL = (b"\r", b"\n"), b"Hh", b"Ll"
_SPECIAL = frozenset(b"HhLl\r \t\v\f")  # how a record starts that begins or ends a message, or may be an empty line
_HEAD_OR_TAIL = re.compile(rb"(?:\A|[\r\n])[HhLl]")


@dataclass(frozen=True, slots=True)
class Assembled:
    """One message's text; not `complete` when the next H came before its L."""

    body: bytes
    complete: bool = True


class Assembler:
    """One session's messages. `add()` before the frame is accepted, `undo()` when it could not be stored after all."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._limit = max_message
        self._whole: list[bytes] = []  # text up to the end of a record
        self._open = b""  # the record that is not yet ended
        self._size = 0  # of _whole
        self._before: tuple[list[bytes], int, bytes, int] | None = (self._whole, 0, b"", 0)  # None: one record more

    def add(self, text: bytes, last: bool) -> Sequence[Assembled]:
        """The messages that this frame ends: none, one, or several that a careless analyzer put in one frame."""
        _, end, more = text.partition(b"\r")
        if end and not more and not self._open and LF not in text:  # one record, whole
            size = self._size + len(text)
            if text[0] not in _SPECIAL and size <= self._limit:
                self._whole.append(text)
                self._size, self._before = size, None
                return ()
            self._before = (self._whole, len(self._whole), b"", self._size)
            return self._record(text)
        self._before = (self._whole, len(self._whole), self._open, self._size)
        if last and text and text[-1] not in b"\r\n":
            text += b"\r"
        text, self._open = self._open + text, b""
        if _HEAD_OR_TAIL.search(text) is None and self._size + len(text) <= self._limit:
            self._keep(text)
            return ()
        found: list[Assembled] = []
        for line in text.splitlines(keepends=True):
            found += self._line(line)
        return found

    def undo(self) -> None:
        """As if the last `add()` had not been."""
        self._before = self._before or self._one_less()
        self._whole, count, self._open, self._size = self._before
        del self._whole[count:]

    def rest(self) -> bytes:
        """What came since the last L, and forgets it: the incomplete message of a session that ended. b"" when none."""
        self._before = self._before or self._one_less()
        self._whole.append(self._open)
        body = b"".join(self._whole)
        self._whole, self._open, self._size = [], b"", 0
        return b"" if body.isspace() else body

    def _one_less(self) -> tuple[list[bytes], int, bytes, int]:
        """What was before the last text, which was one record and left none open."""
        return self._whole, len(self._whole) - 1, b"", self._size - len(self._whole[-1])

    def _keep(self, text: bytes) -> None:
        end = max(text.rfind(b"\r"), text.rfind(b"\n")) + 1
        if end and (self._whole or not text[:end].isspace()):
            self._whole.append(text[:end])
            self._size += end
        self._open = text[end:]

    def _line(self, line: bytes) -> list[Assembled]:
        if not line.endswith(_ENDS):
            self._open = line
            return self._cut(complete=False) if self._size + len(line) > self._limit else []
        return self._record(line)

    def _record(self, line: bytes) -> list[Assembled]:
        """The messages that a whole record ends, its end with it."""
        letter = line[0] if not line[1:2].isalnum() else 0  # a delimiter follows the record's letter
        begins = letter in _HEAD and len(line) > 2
        found = self._cut(complete=False) if begins or self._size > self._limit else []
        if self._whole or not line.isspace():
            self._whole.append(line)
            self._size += len(line)
        return found + self._cut(complete=True) if letter in _TAIL else found

    def _cut(self, complete: bool) -> list[Assembled]:
        body = self.rest() if self._whole or self._open else b""
        return [Assembled(body, complete)] if body else []
