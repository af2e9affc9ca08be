"""What the pictures of a message are: a picture to be shown, a curve to be drawn, a name, or nothing we can draw.

Turns rows of kind image into Pictures. Law: pure; what a picture is its first bytes say, never its name; a row whose
make is not known for sure is said to be so, not drawn. Source: HL7 v2.5 2.A.24 (ED); captures of Mindray, Dymind,
Nihon Kohden (BMP), Horiba Micros (hex), Tosoh and Trinity (numbers); the PNG, JPEG, GIF and BMP file formats.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from drivers.driver import Kind, Observation

LARGEST = 1_000_000  # bytes of one picture; the largest in the captures has 11 kB
MOST = 40  # pictures of one tube and message
POINTS = 4096  # of a curve
MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
FILES = re.compile(r"\.(png|bmp|jpe?g|gif|tiff?)(\^|$)", re.IGNORECASE)
ED = re.compile(r"[^^]*\^(?P<type>[^^]*)\^(?P<subtype>[^^]*)\^base64\^(?P<data>.*)", re.IGNORECASE | re.DOTALL)
BASE64 = re.compile(r"[A-Za-z0-9+/\s]{16,}={0,2}\s*")
HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
NUMBERS = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[ ,]+[-+]?\d+(?:\.\d+)?)+")
PART = re.compile(r"(\d+) (\d+)")  # a part of a curve: its first and last channel


@dataclass(frozen=True, slots=True)
class Picture:
    """One of them. `media`: of `data`, "" when it is no picture; `points`: of a curve; `file`: the name of a picture
    that stayed on the analyzer. All three empty: it cannot be drawn here. `ordinal`: its (first) row in the message."""

    ordinal: int
    label: str
    media: str = ""
    data: bytes = b""
    points: tuple[float, ...] = ()
    file: str = ""


def pictures(rows: Iterable[Observation], tubes: frozenset[str | None]) -> tuple[Picture, ...]:
    """The pictures of these tubes, as the message names them, in its order."""
    mine = [row for row in rows if row.kind is Kind.IMAGE and row.sample_id in tubes]
    found: list[Picture] = []
    for _, group in groupby(mine, key=lambda row: (row.code, bool(PART.fullmatch(row.name or "")))):
        same = list(group)
        parts = [row for row in same if PART.fullmatch(row.name or "")]
        found += [_curve_of(parts)] if parts else map(_one, same)
    return tuple(found[:MOST])


def _one(row: Observation) -> Picture:
    said, label = (row.value or "").strip(), row.name or row.code or ""
    if FILES.search(said):
        return Picture(row.ordinal, row.code or label, file=said.partition("^")[0][:200])
    inside = ED.fullmatch(said)
    data = _bytes(inside["data"] if inside else said if BASE64.fullmatch(said) else "")
    if media := _media(data):
        return Picture(row.ordinal, label, media, data)
    if inside and inside["type"].lower() == "application" and "histogram" in label.lower():
        return Picture(row.ordinal, label, points=tuple(map(float, data[:POINTS])))  # a byte for each channel
    if NUMBERS.fullmatch(said):
        points = tuple(float(number) for number in re.split("[ ,]+", said))[:POINTS]
        return Picture(row.ordinal, label, points=points)
    return Picture(row.ordinal, label)


def _curve_of(parts: Sequence[Observation]) -> Picture:
    """A curve sent in parts, each a byte in hex for each channel; only when all channels are there, each once."""
    at: list[int] = []
    points: list[float] = []
    for row in parts:
        first, last = map(int, (row.name or "").split())
        said = (row.value or "").strip()
        channels = bytes.fromhex(said) if HEX.fullmatch(said) else b""
        if last - first + 1 == len(channels) <= POINTS:
            at += range(first, last + 1)
            points += channels
    whole = at == list(range(len(at)))
    return Picture(parts[0].ordinal, parts[0].code or "", points=tuple(points) if whole else ())


def _bytes(text: str) -> bytes:
    plain = re.sub(r"\s", "", text)
    if not plain or len(plain) > LARGEST * 4 // 3 + 4:
        return b""
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _media(data: bytes) -> str:
    """The kind of picture that these bytes are, by their beginning; "" for none that a browser shows safely."""
    if data[:2] == b"BM" and 54 <= int.from_bytes(data[2:6], "little") <= len(data):
        return "image/bmp"
    return next((media for magic, media in MAGIC if data.startswith(magic)), "")
