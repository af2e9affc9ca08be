"""Looks at bytes of a line and says how they are marked and which language they are, then cuts the messages out.

Turns bytes into a Stream. Law: pure; nothing is guessed about whose the bytes are, that is the engineer's to say.
Source: LIS01-A2 6.3 (frames), HL7 MLLP, LIS02-A2 6.1 and HL7 v2 2.6 (H and MSH begin a message); the framings of
analyzers in the quirk catalogue: frames, blocks without numbers, records with nothing around them, printed text, HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from drivers.decode import Found, found_in
from drivers.driver import Driver, WireError, load_driver
from drivers.wire import hl7, lis2a, mllp
from drivers.wire.blocks import Framing

STX, ETX, ENQ, EOT, ACK, NAK = b"\x02", b"\x03", b"\x05", b"\x04", b"\x06", b"\x15"
LINK = b"\x04\x05\x06\x15\x00\r\n"  # what a line carries between frames
FRAME = re.compile(rb"\x02([0-7])([^\x02\x03\x17]*)([\x03\x17])([0-9A-Fa-f]{2})\r?\n?")
HEADER = rb"[Hh][^\w\s][^\w\s]{2}"
PRINTED = 0.6  # share of bytes that stand in runs of four or more characters that a printer would print
BARE = Framing(answers={ENQ: ACK})
"""Blocks without numbers and checksums that hold ASTM records."""


class Shape(StrEnum):
    """How bytes are marked, in words."""

    FRAMES = "LIS01 frames (STX, number, text, ETX or ETB, checksum)"
    BARE_BLOCKS = "ASTM records in STX … ETX without frame numbers and checksums"
    RECORDS = "ASTM records without frames"
    MLLP = "HL7 in MLLP blocks"
    HL7 = "HL7 without MLLP blocks"
    HTTP = "an HTTP request"
    BLOCKS = "STX … ETX blocks of a dialect of its own"
    TEXT = "printed text"
    CONTROLS = "only signals of the link (ENQ, EOT, ACK, NAK)"
    NOISE = "nothing that can be read"
    EMPTY = "nothing at all"


ASTM = frozenset({Shape.FRAMES, Shape.BARE_BLOCKS, Shape.RECORDS})
HL7 = frozenset({Shape.MLLP, Shape.HL7})


@dataclass(frozen=True, slots=True)
class Stream:
    """What bytes of a line are. `speaks` is LIS2-A2, HL7 or "" for a dialect of its own; `frames` are the texts of the
    LIS01 frames in their order, whether their checksums hold or not."""

    data: bytes
    shape: Shape
    found: tuple[Found, ...] = ()
    frames: tuple[bytes, ...] = ()

    @property
    def speaks(self) -> str:
        """The language, "" when it is neither ASTM nor HL7."""
        return "LIS2-A2" if self.shape in ASTM else "HL7" if self.shape in HL7 else ""

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """The messages, whole or cut, that begin as a message must."""
        return tuple(one.body for one in self.found if one.body and _begins(self.speaks, one.body))

    @property
    def marks(self) -> str:
        """The delimiters that the first message names, "" when there is none."""
        for body in self.bodies:
            marks = lis2a.marked(body)[1][0] if self.speaks == "LIS2-A2" else hl7.marked(body)[1]
            return "".join(marks)
        return ""


def look(data: bytes) -> Stream:
    """How these bytes are marked, and the messages in them."""
    shape = shape_of(data)
    frames = tuple(found[2] for found in FRAME.finditer(data)) if shape is Shape.FRAMES else ()
    return Stream(data, shape, tuple(_messages(shape, data)), frames)


def shape_of(data: bytes) -> Shape:
    """The first of these shapes that the bytes show."""
    for shape, shows in _SHAPES:
        if shows(data):
            return shape
    return Shape.NOISE


def _sought(pattern: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(pattern, re.MULTILINE)
    return lambda data: compiled.search(data) is not None


def _printed(data: bytes) -> bool:
    return sum(map(len, re.findall(rb"[\x20-\x7e\r\n\t]{4,}", data))) >= PRINTED * len(data)


_SHAPES: tuple[tuple[Shape, Callable[[bytes], bool]], ...] = (
    (Shape.EMPTY, lambda data: not data.strip(b"\x00 \r\n")),
    (Shape.CONTROLS, lambda data: not data.strip(LINK)),
    (Shape.HTTP, _sought(rb"^(POST|PUT|GET) \S+ HTTP/1")),
    (Shape.MLLP, lambda data: b"\x0bMSH" in data or (mllp.VT in data and b"MSH" in data)),
    (Shape.FRAMES, _sought(rb"\x02[0-7](?:" + HEADER + rb"|[^\x02\x03\x17]*[\x03\x17][0-9A-Fa-f]{2}\r?\n?)")),
    (Shape.BARE_BLOCKS, _sought(rb"\x02\s*" + HEADER)),
    (Shape.HL7, _sought(rb"(?:^|[\r\x05\x0b])\s*MSH[^\w\s]{2}")),
    (Shape.RECORDS, _sought(rb"(?:^|[\r\x05\x02])\s*[0-7]?" + HEADER)),
    (Shape.BLOCKS, _sought(rb"\x02[^\x02\x03]+\x03")),
    (Shape.TEXT, _printed),
)


@cache
def reader_of(shape: Shape) -> Driver | None:
    """The generic driver that cuts messages out of such bytes; None for a dialect of its own."""
    if shape in HL7:
        return load_driver("generic_hl7")
    astm = replace(load_driver("generic_astm"), free_numbering=True)
    if shape is Shape.BARE_BLOCKS:
        return replace(astm, framing=BARE, framings={"simple": BARE})
    return astm if shape in ASTM else None


def _messages(shape: Shape, data: bytes) -> list[Found]:
    reader = reader_of(shape)
    if reader is None:
        return []
    found = found_in(reader, data)
    if shape is not Shape.BARE_BLOCKS:
        return found
    return [one._replace(body=one.body.replace(STX, b"").replace(ETX, b"")) if one.body else one for one in found]


def _begins(speaks: str, body: bytes) -> bool:
    try:
        return bool(lis2a.marked(body) if speaks == "LIS2-A2" else hl7.marked(body))
    except WireError:
        return False
