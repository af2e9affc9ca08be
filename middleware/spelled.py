"""Turns bytes of a line into what people can read: text, and each control character by its standard name.

Law: nothing is left out and nothing is added: every byte is shown. UTF-8 where it is, else Latin-1. Knows no language
of analyzers. Source: the names of ISO 646 (ASCII).
"""

from __future__ import annotations

from dataclasses import dataclass

NAMES = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI", "DLE",
    "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
)  # fmt: skip
BREAKS = (0x0D, 0x0A)
ROW = 16  # bytes of one line of `hexadecimal`


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of bytes as shown: text, or one control character by name. `ends` begins a new line after it."""

    text: str
    control: bool = False
    ends: bool = False


def visible(data: bytes) -> tuple[Piece, ...]:
    """Bytes as people read them. What a screen would swallow or act upon (the C1 controls of Latin-1) is <hex>."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    pieces: list[Piece] = []
    plain = ""
    for place, char in enumerate(text):
        code = ord(char)
        if code >= 0x20 and not 0x7F <= code < 0xA0:
            plain += char
            continue
        if plain:
            pieces.append(Piece(plain))
            plain = ""
        following = text[place + 1 : place + 2]
        ends = code in BREAKS and not (following and ord(following) in BREAKS)
        pieces.append(Piece(f"<{_name(code)}>", True, ends))
    return (*pieces, Piece(plain)) if plain else tuple(pieces)


def spelled(data: bytes) -> list[str]:
    """The same as lines of text: one for each record, frame or segment end."""
    lines = [""]
    for piece in visible(data):
        lines[-1] += piece.text
        if piece.ends:
            lines.append("")
    return lines if lines[-1] or len(lines) == 1 else lines[:-1]


def hexadecimal(data: bytes) -> list[str]:
    """Sixteen bytes a line: place, hexadecimal, and the characters where they are printable ASCII."""
    return [
        f"{at:06x}  {row.hex(' '):<{3 * ROW}} {''.join(chr(b) if 0x20 <= b < 0x7F else '.' for b in row)}"
        for at in range(0, len(data), ROW)
        if (row := data[at : at + ROW])
    ]


def _name(code: int) -> str:
    if code < 0x20:
        return NAMES[code]
    return "DEL" if code == 0x7F else f"{code:02X}"
