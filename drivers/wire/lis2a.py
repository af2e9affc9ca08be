"""Turns the text of a message into records and back. Knows nothing of frames, analyzers or results.

Law: any bytes either parse or raise WireError, never anything else; what is built parses back to the same text.
Records are split when they are read and fields when they are asked for; escapes are decoded last (5.4.5).
Source: LIS02-A2 (ASTM E1394) section 5 for characters and delimiters, 6 to 14 for the record types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from drivers.wire import WireError
from drivers.wire.fields import part, place

RECORD_TYPES = frozenset("HPOQRCSLM")


class Delimiters(NamedTuple):
    """The four characters that H names (5.4.6, 6.2); `escape` is "" when the sender has none."""

    field: str = "|"
    repeat: str = "\\"
    component: str = "^"
    escape: str = "&"


STANDARD = Delimiters()


class Record:
    """One record. `fields[n - 1]` is field n as sent; field 1 is the record type letter.

    `record["4.3"]` is decoded text: None when not sent, "" when sent empty.
    """

    __slots__ = ("delimiters", "fields")

    def __init__(self, fields: list[str], delimiters: Delimiters = STANDARD) -> None:
        self.fields = fields
        self.delimiters = delimiters

    @property
    def type(self) -> str:
        """The record type letter, upper case (5.5: it is case-insensitive)."""
        return self.fields[0].strip().upper()

    def raw(self, address: str) -> str | None:
        """The text at an address as sent, escapes and all."""
        where = place(address)
        if where.field > len(self.fields):
            return None
        return part(self.fields[where.field - 1], where, self.delimiters.repeat, self.delimiters.component)

    def __getitem__(self, address: str) -> str | None:
        found = self.raw(address)
        return found if found is None or (address == "2" and self.type == "H") else decode(found, self.delimiters)

    def repeats(self, number: int) -> list[str]:
        """The repeats of field `number` as sent; [] when it was not sent."""
        if number > len(self.fields):
            return []
        text = self.fields[number - 1]
        return text.split(self.delimiters.repeat) if self.delimiters.repeat in text else [text]

    def __repr__(self) -> str:
        return f"Record({self.delimiters.field.join(self.fields)!r})"


# ---- reading ----------------------------------------------------------------------------------------------------


def text(body: bytes, charset: str | None = None) -> str:
    """Bytes of a message as text. Without a charset: UTF-8 when it is valid UTF-8, else ISO 8859-1 (5.1).

    A body that its configured charset cannot read is read as ISO 8859-1: a wrong letter in a name, no result lost.
    """
    try:
        return body.decode(charset or "utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")
    except (LookupError, ValueError, TypeError) as wrong:
        raise WireError(f"charset {charset!r} cannot be used: {wrong}") from wrong


def delimiters(header: str) -> Delimiters:
    """The delimiters an H record names; WireError when they cannot work. An escape delimiter may be missing."""
    return _delimiters(header[:5])  # the letter and the four: nothing after them counts


@lru_cache(maxsize=64)
def _delimiters(header: str) -> Delimiters:
    field = header[1:2]
    if header[:1].upper() != "H" or not _usable(field):
        raise WireError("the message does not begin with an H record")
    named = header[2:].split(field, 1)[0][:3]
    if len(named) < 2 or len({field, *named}) != len(named) + 1 or not all(map(_usable, named)):
        raise WireError(f"H names delimiters that cannot work: {header[1:5]!r}")
    return Delimiters(field, *named) if len(named) == 3 else Delimiters(field, named[0], named[1], "")


def _usable(character: str) -> bool:
    """5.4.6: letters and digits are no delimiters; blanks and control characters cannot be."""
    return len(character) == 1 and character.isprintable() and not character.isalnum() and character != " "


def lines(body: str) -> list[str]:
    """The records as text: CR ends one (5.4.1); CRLF and LF are read too; empty lines are nothing."""
    if "\n" in body:
        body = body.replace("\r\n", "\r").replace("\n", "\r")
    return list(filter(None, body.split("\r")))


def parse(body: bytes | str, charset: str | None = None) -> list[Record]:
    """A message's records; WireError when it does not begin with H. A further H may bring other delimiters."""
    return list(map(Record, *rows(body, charset)))


def rows(body: bytes | str, charset: str | None = None) -> tuple[list[list[str]], list[Delimiters]]:
    """What `parse` reads, not yet made records: the fields of each, and the delimiters that they were split by."""
    said = text(body, charset) if isinstance(body, bytes) else body
    found = lines(said)
    if not found:
        raise WireError("the message is empty")
    now = delimiters(found[0])
    if "\rH" not in said and "\rh" not in said and "\n" not in said:  # one header, as nearly always
        separator = now.field
        return [line.split(separator) for line in found], [now] * len(found)
    heads = [number for number, line in enumerate(found) if line[0] in "Hh" and number and _is_header(line)]
    marks: list[Delimiters] = []
    for begins, ends in pairwise([0, *heads, len(found)]):
        marks += [delimiters(found[begins])] * (ends - begins)
    return [line.split(mark.field) for line, mark in zip(found, marks, strict=True)], marks


def _is_header(line: str) -> bool:
    try:
        delimiters(line)
    except WireError:
        return False
    return True


class Part(NamedTuple):
    """One message cut out of what a line said: its bytes, and whether its L record was there."""

    body: bytes
    complete: bool


def split(stream: bytes) -> list[Part]:
    """The messages in a run of records: each H begins one, each L ends one (4.1).

    Records before an H or after an L are given as a part of their own, not complete, so that nothing is lost.
    The last record of all has no CR here when it had none there: it may have been cut.
    """
    parts: list[Part] = []
    held: list[bytes] = []
    for line in stream.splitlines(keepends=True):
        if not line.strip():
            continue
        if held and re.match(rb"[Hh][^\w\s]", line):
            parts.append(Part(b"".join(held), complete=False))
            held = []
        held.append(line)
        if held[0][0] in b"Hh" and line[0] in b"Ll" and line[1:2] == held[0][1:2]:
            parts.append(Part(b"".join(held), complete=True))
            held = []
    return [*parts, Part(b"".join(held), complete=False)] if held else parts


# ---- escapes ----------------------------------------------------------------------------------------------------


def decode(sent: str, marks: Delimiters = STANDARD) -> str:
    """Text with its escape sequences read (5.4.5): &F& &R& &S& &E& &Xhh..&; &H& and &N& (highlight) are left out.

    Anything else between two escape delimiters stays as sent: receivers must at least get past it.
    """
    if not marks.escape or marks.escape not in sent:
        return sent
    meaning = {"F": marks.field, "R": marks.repeat, "S": marks.component, "E": marks.escape, "H": "", "N": ""}

    def read(found: re.Match[str]) -> str:
        code = found[1]
        return meaning[code] if code in meaning else bytes.fromhex(code[1:]).decode("latin-1")

    return _sequences(marks.escape).sub(read, sent)


@lru_cache(maxsize=16)
def _sequences(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(f"{mark}([FSREHN]|X(?:[0-9A-Fa-f]{{2}})+){mark}")


def standard_escapes(said: str) -> str:
    """A message in which delimiters stand for themselves behind the escape delimiter (`&|`, or between two of them,
    `&|&`), with the standard's sequences in their place; H, which names the delimiters, stays. WireError as `parse`."""
    found = lines(said)
    if not found:
        raise WireError("the message is empty")
    marks = delimiters(found[0])
    if not marks.escape or f"{marks.escape}{marks.field}" not in said[5:]:
        return said
    letters = {marks.field: "F", marks.repeat: "R", marks.component: "S", marks.escape: "E"}
    escape, field = re.escape(marks.escape), re.escape(marks.field)
    every = "".join(map(re.escape, letters))
    own = re.compile(rf"{_sequences(marks.escape).pattern}|{escape}(?:([{every}]){escape}|({field}))")

    def read(sent: re.Match[str]) -> str:
        mark = sent[2] or sent[3]
        return f"{marks.escape}{letters[mark]}{marks.escape}" if mark else sent[0]

    return "\r".join(line if _is_header(line) else own.sub(read, line) for line in found)


def encode(value: str, marks: Delimiters = STANDARD) -> str:
    """Text made safe to stand in a component: delimiters and what 5.1 forbids become escape sequences.

    WireError when the dialect has no escape delimiter and the text needs one: nothing is sent that reads otherwise.
    """
    encoded = value.translate(_table(marks))
    if not marks.escape and encoded != value:
        raise WireError(f"{value!r} cannot be sent: this dialect has no escape delimiter")
    return encoded


@lru_cache(maxsize=16)
def _table(marks: Delimiters) -> dict[int, str]:
    mark = marks.escape
    table = {code: f"{mark}X{code:02X}{mark}" for code in (*range(32), 127, 255)}
    named = {marks.field: "F", marks.repeat: "R", marks.component: "S", marks.escape: "E"}
    return table | {ord(character): f"{mark}{letter}{mark}" for character, letter in named.items() if character}


# ---- building ---------------------------------------------------------------------------------------------------

Value = str | Sequence["str | tuple[str, ...]"] | None
"""A field to send: text; a tuple of components; a list of repeats, each text or a tuple; None is empty."""


def build(records: Iterable[Sequence[Value]], marks: Delimiters = STANDARD, charset: str = "latin-1") -> bytes:
    """Records as the bytes of a message, each ended by CR; trailing empty fields are dropped (5.4.8).

    Field 1 is the type letter; field 2 of H is the delimiters, whatever was given there. Every text is escaped, so
    no value can bring a field or a record of its own. WireError when a text cannot be sent.
    """
    sent = "".join(_line(fields, marks) + "\r" for fields in records)
    try:
        return sent.encode(charset)
    except UnicodeEncodeError as wrong:
        raise WireError(f"{wrong.object[wrong.start]!r} cannot be sent in {charset}") from wrong


def _line(fields: Sequence[Value], marks: Delimiters) -> str:
    kind = fields[0] if fields else None
    if not isinstance(kind, str) or kind not in RECORD_TYPES:
        raise WireError(f"{kind!r} is no record type")
    texts = [_field(value, marks) for value in fields]
    if kind == "H":
        texts[1:2] = [marks.repeat + marks.component + marks.escape]
    while texts and not texts[-1]:
        texts.pop()
    return marks.field.join(texts)


def _field(value: Value, marks: Delimiters) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return marks.repeat.join(_field(repeat, marks) for repeat in value)
    if isinstance(value, tuple):
        return marks.component.join(encode(component, marks) for component in value)
    return encode(str(value), marks)
