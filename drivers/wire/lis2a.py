"""Turns the text of a message into records and back. Knows nothing of frames, analyzers or results.

Law: any bytes either parse or raise WireError, never anything else; what is built parses back to the same text.
Records are split when they are read and fields when they are asked for; escapes are decoded last (5.4.5).
Source: LIS02-A2 (ASTM E1394) section 5 for characters and delimiters, 6 to 14 for the record types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from drivers.wire import WireError
from drivers.wire.fields import (
    Split,
    as_bytes,
    as_text,
    escaped,
    escapes,
    field_text,
    joined,
    one_line_end,
    sequences,
    unescaped,
    usable,
)
from drivers.wire.fields import Value as Value  # drivers build with it

RECORD_TYPES = frozenset("HPOQRCSLM")


class Delimiters(NamedTuple):
    """The four characters that H names (5.4.6, 6.2); `escape` is "" when the sender has none."""

    field: str = "|"
    repeat: str = "\\"
    component: str = "^"
    escape: str = "&"


STANDARD = Delimiters()


class Record(Split):
    """One record. `fields[n - 1]` is field n as sent; field 1 is the record type letter.

    `record["4.3"]` is decoded text: None when not sent, "" when sent empty.
    """

    __slots__ = ("delimiters",)
    first = 1

    def __init__(self, fields: list[str], delimiters: Delimiters = STANDARD) -> None:
        self.fields = fields
        self.delimiters = delimiters

    @property
    def type(self) -> str:
        """The record type letter, upper case (5.5: it is case-insensitive)."""
        return self.fields[0].strip().upper()

    @property
    def _inside(self) -> tuple[str, str, str]:
        return self.delimiters.repeat, self.delimiters.component, ""

    def plain(self, address: str, sent: str) -> str:
        """What was sent at an address, its escapes read; H-2 names the delimiters and has none."""
        return sent if address == "2" and self.type == "H" else decode(sent, self.delimiters)


# ---- reading ----------------------------------------------------------------------------------------------------


def text(body: bytes, charset: str | None = None) -> str:
    """Bytes of a message as text. Without a charset: UTF-8 when it is valid UTF-8, else ISO 8859-1 (5.1).

    A body that its configured charset cannot read is read as ISO 8859-1: a wrong letter in a name, no result lost.
    """
    return as_text(body, charset or "utf-8")


def delimiters(header: str) -> Delimiters:
    """The delimiters an H record names; WireError when they cannot work. An escape delimiter may be missing."""
    return _delimiters(header[:5])  # the letter and the four: nothing after them counts


@lru_cache(maxsize=64)
def _delimiters(header: str) -> Delimiters:
    field = header[1:2]
    if header[:1].upper() != "H" or not usable(field):
        raise WireError("the message does not begin with an H record")
    named = header[2:].split(field, 1)[0][:3]
    if len(named) < 2 or len({field, *named}) != len(named) + 1 or not all(map(usable, named)):
        raise WireError(f"H names delimiters that cannot work: {header[1:5]!r}")
    return Delimiters(field, *named) if len(named) == 3 else Delimiters(field, named[0], named[1], "")


def lines(body: str) -> list[str]:
    """The records as text: CR ends one (5.4.1); CRLF and LF are read too; empty lines are nothing."""
    return list(filter(None, one_line_end(body).split("\r")))


def parse(body: bytes | str, charset: str | None = None) -> list[Record]:
    """A message's records; WireError when it does not begin with H. A further H may bring other delimiters."""
    found, marks = marked(body, charset)
    return [Record(line.split(mark.field), mark) for line, mark in zip(found, marks, strict=True)]


def marked(body: bytes | str, charset: str | None = None) -> tuple[list[str], list[Delimiters]]:
    """What `parse` reads, not yet made records: the text of each, and the delimiters that it is split by."""
    found, now = opened(body, charset)
    marks = []
    for line in found:
        now = following(line, now)
        marks.append(now)
    return found, marks


def opened(body: bytes | str, charset: str | None = None) -> tuple[list[str], Delimiters]:
    """The text of each record, and the delimiters that the first, an H, names; `following` says those from any other
    record on. WireError as `parse`."""
    found = lines(text(body, charset) if isinstance(body, bytes) else body)
    if not found:
        raise WireError("the message is empty")
    return found, delimiters(found[0])


def following(line: str, now: Delimiters) -> Delimiters:
    """The delimiters from a record on: those that it names when it is an H, else those of the records before it."""
    return delimiters(line) if line[0] in "Hh" and _is_header(line) else now


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
    return unescaped(sent, marks.escape, meaning)


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
    standard = sequences(marks.escape, "FSREHN").pattern
    own = re.compile(rf"{standard}|{escape}(?:([{every}]){escape}|({field}))")

    def read(sent: re.Match[str]) -> str:
        mark = sent[2] or sent[3]
        return f"{marks.escape}{letters[mark]}{marks.escape}" if mark else sent[0]

    return "\r".join(line if _is_header(line) else own.sub(read, line) for line in found)


def encode(value: str, marks: Delimiters = STANDARD) -> str:
    """Text made safe to stand in a component: delimiters and what 5.1 forbids become escape sequences.

    WireError when the dialect has no escape delimiter and the text needs one: nothing is sent that reads otherwise.
    """
    return escaped(value, _table(marks), marks.escape)


@lru_cache(maxsize=16)
def _table(marks: Delimiters) -> dict[int, str]:
    named = {marks.field: "F", marks.repeat: "R", marks.component: "S", marks.escape: "E"}
    return escapes(marks.escape, named, (*range(32), 127, 255))


# ---- building ---------------------------------------------------------------------------------------------------


def build(records: Iterable[Sequence[Value]], marks: Delimiters = STANDARD, charset: str = "latin-1") -> bytes:
    """Records as the bytes of a message, each ended by CR; trailing empty fields are dropped (5.4.8).

    Field 1 is the type letter; field 2 of H is the delimiters, whatever was given there. Every text is escaped, so
    no value can bring a field or a record of its own. WireError when a text cannot be sent.
    """
    return as_bytes("".join(_line(fields, marks) + "\r" for fields in records), charset)


def _line(fields: Sequence[Value], marks: Delimiters) -> str:
    kind = fields[0] if fields else None
    if not isinstance(kind, str) or kind not in RECORD_TYPES:
        raise WireError(f"{kind!r} is no record type")
    texts = [field_text(value, marks.repeat, marks.component, lambda part: encode(part, marks)) for value in fields]
    if kind == "H":
        texts[1:2] = [marks.repeat + marks.component + marks.escape]
    return joined(texts, marks.field)
