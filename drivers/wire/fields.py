"""What records and segments share: addresses, the fields of one, escape sequences, text to send.

Turns "4.3" into a place, a place into text, text into fields and back. Law: split first, decode escapes after. An
address is written as the standards write it, counted from 1: "4" the field, "4.3" its component, "5(2).4" a component
of a repeat, "3.1.2" a subcomponent (HL7 only). Not sent is None, sent empty is "".
Source: LIS02-A2 5.4, HL7 v2 chapters 2.6 and 2.7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from drivers.wire import WireError

_ADDRESS = re.compile(r"(\d+)(?:\((\d+)\))?(?:\.(\d+)(?:\.(\d+))?)?")


class Place(NamedTuple):
    """Field, repeat, component, subcomponent, counted from 1; 0 means the whole of what is above it."""

    field: int
    repeat: int = 0
    component: int = 0
    sub: int = 0


@lru_cache(maxsize=1024)
def place(address: str) -> Place:
    """The place an address names; ValueError when it is not an address (a mistake in a driver, never in a message)."""
    match = _ADDRESS.fullmatch(address)
    if match is None or match[1] == "0" or "0" in (match[2], match[3], match[4]):
        raise ValueError(f"{address!r} is no address: write 4, 4.3, 5(2).4 or 3.1.2, counted from 1")
    return Place(*(int(part or 0) for part in match.groups()))


def nth(text: str, delimiter: str, number: int) -> str | None:
    """Part `number` (from 1) of text; the whole text for 0; None when there are fewer parts."""
    if not number:
        return text
    if not delimiter or delimiter not in text:
        return text if number == 1 else None
    parts = text.split(delimiter)
    return parts[number - 1] if number <= len(parts) else None


def part(text: str, where: Place, repeat: str, component: str, sub: str = "") -> str | None:
    """The part of a field's text that a place names, escapes still as sent.

    A component asked for without a repeat is that of the first repeat.
    """
    number = where.repeat or (1 if where.component else 0)
    found = nth(text, repeat, number)
    if found is not None and where.component:
        found = nth(found, component, where.component)
    if found is not None and where.sub:
        found = nth(found, sub, where.sub)
    return found


class Split:
    """One record or segment: its fields as sent, `first` the number of the first of them. A kind of its own says which
    marks stand inside a field (repeat, component, sub) and how escapes are read (`plain`)."""

    __slots__ = ("fields",)
    first: int
    fields: list[str]

    @property
    def _inside(self) -> tuple[str, str, str]:
        raise NotImplementedError

    def plain(self, address: str, sent: str) -> str:
        """What was sent at an address, its escapes read."""
        raise NotImplementedError

    def raw(self, address: str) -> str | None:
        """The text at an address as sent, escapes and all."""
        where = place(address)
        index = where.field - self.first
        return part(self.fields[index], where, *self._inside) if index < len(self.fields) else None

    def __getitem__(self, address: str) -> str | None:
        found = self.raw(address)
        return None if found is None else self.plain(address, found)

    def repeats(self, number: int) -> list[str]:
        """The repeats of field `number` as sent; [] when it was not sent."""
        index, mark = number - self.first, self._inside[0]
        if index >= len(self.fields):
            return []
        text = self.fields[index]
        return text.split(mark) if mark and mark in text else [text]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fields!r})"


# ---- reading ----------------------------------------------------------------------------------------------------


def as_text(body: bytes, charset: str) -> str:
    """Bytes as text. What the charset cannot read is read as ISO 8859-1: a wrong letter in a name, no result lost.

    WireError when there is no such charset.
    """
    try:
        return body.decode(charset)
    except UnicodeDecodeError:
        return body.decode("latin-1")
    except (LookupError, ValueError, TypeError) as wrong:
        raise WireError(f"charset {charset!r} cannot be used: {wrong}") from wrong


def one_line_end(body: str) -> str:
    """CR ends a record or a segment (LIS02-A2 5.4.1, HL7 2.8); CRLF and LF are read too."""
    return body.replace("\r\n", "\r").replace("\n", "\r") if "\n" in body else body


def usable(character: str) -> bool:
    """May it be a delimiter? Letters and digits may not (5.4.6); blanks and control characters cannot."""
    return len(character) == 1 and character.isprintable() and not character.isalnum() and character != " "


def unescaped(sent: str, escape: str, meaning: Mapping[str, str]) -> str:
    """Text with its escape sequences read: those of `meaning`, and Xhh.. for bytes; all others stay as sent."""

    def read(found: re.Match[str]) -> str:
        code = found[1]
        return meaning[code] if code in meaning else bytes.fromhex(code[1:]).decode("latin-1")

    return sequences(escape, meaning).sub(read, sent)


def sequences(escape: str, codes: Iterable[str]) -> re.Pattern[str]:
    """What an escape sequence looks like: one of these codes, or Xhh.. for bytes, between two escape delimiters."""
    return _sequences(escape, "|".join(map(re.escape, codes)))


@lru_cache(maxsize=32)
def _sequences(escape: str, codes: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(f"{mark}({codes}|X(?:[0-9A-Fa-f]{{2}})+){mark}")


# ---- building ---------------------------------------------------------------------------------------------------

Value = str | Sequence["str | tuple[str, ...]"] | None
"""A field to send: text; a tuple of components; a list of repeats, each text or a tuple; None is empty."""


def escapes(escape: str, named: Mapping[str, str], controls: Iterable[int]) -> dict[int, str]:
    """A table that makes text safe to send: delimiters become the letters of `named`, controls their number."""
    table = {code: f"{escape}X{code:02X}{escape}" for code in controls}
    return table | {ord(mark): f"{escape}{letter}{escape}" for mark, letter in named.items() if mark}


def escaped(value: str, table: Mapping[int, str], escape: str) -> str:
    """Text made safe by a table of `escapes`; WireError when the dialect has no escape and the text needs one."""
    safe = value.translate(table)
    if not escape and safe != value:
        raise WireError(f"{value!r} cannot be sent: this dialect has no escape delimiter")
    return safe


def field_text(value: Value, repeat: str, component: str, encode: Callable[[str], str]) -> str:
    """A field as text, every part of it made safe by `encode`."""
    if value is None:
        return ""
    if isinstance(value, list):
        return repeat.join(field_text(one, repeat, component, encode) for one in value)
    if isinstance(value, tuple):
        return component.join(map(encode, value))
    return encode(str(value))


def joined(texts: list[str], mark: str) -> str:
    """Fields as a line, without the empty ones at its end."""
    while texts and not texts[-1]:
        texts.pop()
    return mark.join(texts)


def as_bytes(sent: str, charset: str) -> bytes:
    """Text as bytes; WireError when the charset cannot say it."""
    try:
        return sent.encode(charset)
    except UnicodeEncodeError as wrong:
        raise WireError(f"{wrong.object[wrong.start]!r} cannot be sent in {charset}") from wrong
