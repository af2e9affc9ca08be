"""Turns HL7 v2 text into segments and back, and answers a message. Knows nothing of blocks, analyzers or results.

Law: any bytes either parse or raise WireError, never anything else; what is built parses back to the same text.
Segments are split when read, fields when asked for; escapes are decoded last. Unknown segments are kept.
Source: HL7 v2.3.1 to v2.5.1, chapter 2 (2.6 delimiters, 2.7 escapes, 2.9 acknowledgement; tables 0008, 0155).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
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
    unescaped,
    usable,
)
from drivers.wire.fields import Value as Value  # drivers build with it

# Table 0211, as analyzers write it. "UNICODE" alone is what Mindray writes and means UTF-8.
CHARSETS = {
    "ASCII": "latin-1",
    "8859/1": "latin-1",
    "8859/2": "iso8859-2",
    "8859/5": "iso8859-5",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "GB 18030-2000": "gb18030",
    "UNICODE UTF-8": "utf-8",
}


class Delimiters(NamedTuple):
    """MSH-1 and the characters of MSH-2 (2.6); one that is not named is ""."""

    field: str = "|"
    component: str = "^"
    repeat: str = "~"
    escape: str = "\\"
    sub: str = "&"


STANDARD = Delimiters()


class Segment(Split):
    """One segment. `fields[n]` is field n as sent, `fields[0]` the name; MSH-1 is the field delimiter itself.

    `segment["5.1"]` is decoded text: None when not sent, "" when sent empty (`""` in quotes means delete: as sent).
    """

    __slots__ = ("delimiters",)
    first = 0

    def __init__(self, fields: list[str], delimiters: Delimiters = STANDARD) -> None:
        self.fields = fields
        self.delimiters = delimiters

    @property
    def type(self) -> str:
        """The segment's name, such as OBX."""
        return self.fields[0]

    @property
    def _inside(self) -> tuple[str, str, str]:
        return self.delimiters.repeat, self.delimiters.component, self.delimiters.sub

    def plain(self, address: str, sent: str) -> str:
        """What was sent at an address, its escapes read; MSH-1 and MSH-2 name the delimiters and have none."""
        return sent if address in ("1", "2") and self.type in _HEADERS else decode(sent, self.delimiters)


_HEADERS = frozenset({"MSH", "FHS", "BHS"})


# ---- reading ----------------------------------------------------------------------------------------------------


def text(body: bytes, charset: str | None = None) -> str:
    """Bytes as text: the configured charset, else what MSH-18 names, else UTF-8 if valid, else ISO 8859-1.

    What its charset cannot read is read as ISO 8859-1: a wrong letter in a name, no result lost. A byte order mark is
    no part of the text, whatever the charset.
    """
    return as_text(body.removeprefix(BOM_UTF8), charset or _declared(body))


def _declared(body: bytes) -> str:
    """MSH-18; ASCII with bytes above 127 may still be UTF-8, so only a named 8-bit set wins over UTF-8."""
    start = body.find(b"MSH")
    if start < 0:
        return "utf-8"
    line = body[start : start + 2000].partition(b"\r")[0].partition(b"\n")[0]
    header = line.split(body[start + 3 : start + 4] or b"|")
    named = header[17].split(b"~")[0].decode("latin-1").strip().upper() if len(header) > 17 else ""
    return "utf-8" if named == "ASCII" else CHARSETS.get(named, "utf-8")


def delimiters(header: str) -> Delimiters:
    """The delimiters of an MSH, FHS or BHS segment (2.6); WireError when they cannot work."""
    return _delimiters(header[:8])  # the name and the five: nothing after them counts


@lru_cache(maxsize=64)
def _delimiters(header: str) -> Delimiters:
    field = header[3:4]
    if header[:3] not in _HEADERS or not usable(field):
        raise WireError("the message does not begin with MSH")
    named = header[4:].split(field, 1)[0][:4]
    if not named or len({field, *named}) != len(named) + 1 or not all(map(usable, named)):
        raise WireError(f"MSH names delimiters that cannot work: {header[3:8]!r}")
    return Delimiters(field, *named, *[""] * (4 - len(named)))


_ROUGH = re.compile(rb"MSH(?![A-Za-z0-9])[^\r\n]*", re.IGNORECASE)


def rough_head(body: bytes) -> list[Segment]:
    """The MSH of a message that cannot be parsed, as far as its sender can be answered by it; [] where there is none.

    Of its delimiters only MSH-1 is trusted; the others are the usual ones. Nothing else may be read by it.
    """
    found = _ROUGH.search(body[:2000])
    if found is None:
        return []
    sent = as_text(found[0], "utf-8")[3:]
    field = sent[:1] if usable(sent[:1]) else STANDARD.field
    others = [mark for mark in STANDARD[1:] if mark != field]
    return [Segment(["MSH", field, *sent[1:].split(field)], Delimiters(field, *[*others, ""][:4]))]


def lines(body: str) -> list[str]:
    """The segments as text: CR ends one (2.8); CRLF and LF are read too; empty lines are nothing."""
    return list(filter(str.strip, one_line_end(body).split("\r")))


def parse(body: bytes | str, charset: str | None = None) -> list[Segment]:
    """One message's segments; WireError when it does not begin with MSH (or FHS, BHS)."""
    found, marks = marked(body, charset)
    return [Segment(fields_of(line, marks), marks) for line in found]


def marked(body: bytes | str, charset: str | None = None) -> tuple[list[str], Delimiters]:
    """What `parse` reads, not yet made segments: the text of each, and the message's delimiters."""
    found = lines(text(body, charset) if isinstance(body, bytes) else body)
    if not found:
        raise WireError("the message is empty")
    found[0] = found[0].lstrip("\ufeff ")
    return found, delimiters(found[0])


def fields_of(line: str, marks: Delimiters) -> list[str]:
    """The fields of a segment by number, the first its name."""
    fields = line.split(marks.field)
    if fields[0] in _HEADERS:  # field 1 is the delimiter that the split took away
        fields.insert(1, marks.field)
    return fields


def split(block: bytes) -> list[bytes]:
    """The messages in a block: each MSH begins one; the FHS, BHS, BTS and FTS of a batch belong to none of them.

    What stands before the first MSH is given as a part of its own, so that nothing is lost.
    """
    parts: list[list[bytes]] = []
    for sent in re.split(rb"\r\n|\r|\n", block):
        line = sent.removeprefix(BOM_UTF8)
        if not line.strip() or line[:3] in (b"FHS", b"BHS", b"BTS", b"FTS"):
            continue
        if line[:3] == b"MSH" or not parts:
            parts.append([])
        parts[-1].append(line)
    return [b"\r".join(part) + b"\r" for part in parts]


# ---- escapes ----------------------------------------------------------------------------------------------------


def decode(sent: str, marks: Delimiters = STANDARD) -> str:
    r"""Text with its escape sequences read (2.7): \F\ \S\ \T\ \R\ \E\ \Xhh..\ \.br\; highlighting is left out.

    Other sequences (\Cxxyy\, \Mxxyyzz\, \Zdd\) stay as sent.
    """
    if not marks.escape or marks.escape not in sent:
        return sent
    meaning = {
        "F": marks.field, "S": marks.component, "T": marks.sub, "R": marks.repeat, "E": marks.escape,
        "H": "", "N": "", ".br": "\n",
    }  # fmt: skip
    return unescaped(sent, marks.escape, meaning)


def encode(value: str, marks: Delimiters = STANDARD) -> str:
    """Text made safe to stand in a subcomponent. Letters of any script stay letters, never escape sequences.

    WireError when a delimiter has to be escaped and the sender's dialect has no escape character.
    """
    return escaped(value, _table(marks), marks.escape)


@lru_cache(maxsize=16)
def _table(marks: Delimiters) -> dict[int, str]:
    named = {marks.field: "F", marks.component: "S", marks.sub: "T", marks.repeat: "R", marks.escape: "E"}
    return escapes(marks.escape, named, (*range(32), 127))


# ---- building ---------------------------------------------------------------------------------------------------


def build(segments: Iterable[Sequence[Value]], marks: Delimiters = STANDARD, charset: str = "utf-8") -> bytes:
    """Segments as the bytes of a message, each ended by CR; trailing empty fields are dropped.

    Element 0 is the name, element n is field n; MSH-1 and MSH-2 are the delimiters, whatever was given there.
    Every text is escaped, so no value can bring a field or a segment of its own. WireError when it cannot be sent.
    """
    return as_bytes("".join(_line(fields, marks) + "\r" for fields in segments), charset)


def _line(fields: Sequence[Value], marks: Delimiters) -> str:
    name = fields[0] if fields else None
    if not isinstance(name, str) or not re.fullmatch(r"[A-Z][A-Z0-9]{2}", name):
        raise WireError(f"{name!r} is no segment name")
    texts = [field_text(value, marks.repeat, marks.component, lambda part: encode(part, marks)) for value in fields]
    if name in _HEADERS:
        texts[1:3] = [marks.component + marks.repeat + marks.escape + marks.sub]
    return joined(texts, marks.field)


# ---- acknowledging ----------------------------------------------------------------------------------------------

CONDITIONS = ("AL", "NE", "ER", "SU")  # table 0155
_ACCEPT = {"accept": "CA", "error": "CE", "reject": "CR"}
_APPLICATION = {"accept": "AA", "error": "AE", "reject": "AR"}


def codes(message: Sequence[Segment], outcome: str = "accept") -> tuple[str, ...]:
    """The acknowledgement codes a message asks for (table 0008), in the order to send them.

    `outcome` is accept, error or reject. Original mode (MSH-15 and MSH-16 empty): one of AA AE AR. Enhanced mode:
    CA CE CR as MSH-15 asks, then AA AE AR as MSH-16 asks (table 0155: AL always, NE never, ER on error, SU on success).
    A value that is not of the table asks nothing: Mindray's chemistry writes the kind of result into MSH-16.
    """
    accept, application = (value if value in CONDITIONS else "" for value in (message[0]["15"], message[0]["16"]))
    if not accept and not application:
        return (_APPLICATION[outcome],)
    wanted = []
    if _asked(accept, outcome):
        wanted.append(_ACCEPT[outcome])
    if _asked(application, outcome):
        wanted.append(_APPLICATION[outcome])
    return tuple(wanted)


def _asked(condition: str | None, outcome: str) -> bool:
    return condition == "AL" or condition == ("SU" if outcome == "accept" else "ER")


def acknowledge(
    message: Sequence[Segment], code: str, *, at: str, control_id: str, text: str = "", condition: str = ""
) -> bytes:
    """The acknowledgement of a message: ACK^R01 for ORU^R01, ACK^R22 for OUL^R22, whatever event MSH-9.2 names.

    `at` is its time YYYYMMDDHHMMSS, `control_id` its own MSH-10, unique for us. MSA-2 repeats MSH-10 of the message as
    sent; sender and receiver change places; version, processing id, character set and delimiters are echoed. A sender
    that writes something of its own into MSH-16 gets it back, and MSA-6 with it (`condition`, else table 0357's 0 or
    207).
    """
    asked = message[0]
    if asked.type != "MSH":
        raise WireError("only a message that begins with MSH can be acknowledged")
    marks = asked.delimiters
    sent = [*asked.fields[:19], *[""] * (19 - len(asked.fields))]
    kind = ["ACK", asked.raw("9.2") or ""] + (["ACK"] if asked.raw("9.3") else [])
    kind_text = marks.component.join(kind).rstrip(marks.component)
    own = sent[16] if sent[16] not in CONDITIONS else ""
    if own and not condition:
        condition = "0" if code in ("AA", "CA") else "207"
    fields = [*sent[5:7], *sent[3:5], at, "", kind_text, encode(control_id, marks), sent[11] or "P", sent[12]]
    fields += ["", "", "", own, "", sent[18]]
    mark = marks.component + marks.repeat + marks.escape + marks.sub
    msh = marks.field.join(["MSH", mark, *fields]).rstrip(marks.field)
    msa = ["MSA", code, sent[10], encode(text, marks), "", "", condition]
    answer = f"{msh}\r{marks.field.join(msa).rstrip(marks.field)}\r"
    try:
        return answer.encode(_writable(message))
    except UnicodeEncodeError:  # the message itself was not in the charset it names
        return answer.encode("utf-8")


def _writable(message: Sequence[Segment]) -> str:
    named = (message[0].raw("18") or "").split(message[0].delimiters.repeat or "~")[0].strip().upper()
    return CHARSETS.get(named, "utf-8") if named != "ASCII" else "utf-8"
