"""Builds and opens frames by hand, right ones and wrong ones: the tools of the faults and of the conformance kit.

Turns (number, text) into the bytes of a frame and back. Law: written a second time on purpose, without the checks of
drivers.wire: a fault must be able to say what a sender may not, and a kit must not trust the code it tries.
Source: LIS01-A2 6.3.1.2 (frame), 6.3.2 (number), 6.3.3 (checksum).
"""

from __future__ import annotations

from typing import NamedTuple

STX, ETX, EOT, ENQ, ACK, NAK, ETB = b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x15", b"\x17"
VT, FS, CR = b"\x0b", b"\x1c", b"\r"


class Opened(NamedTuple):
    """A frame taken apart; `right` when its checksum fits and it ends with CR LF."""

    number: int
    text: bytes
    end: bytes
    right: bool


def checksum(body: bytes) -> bytes:
    """Two characters for the bytes from the frame number to ETX or ETB (6.3.3)."""
    total = sum(body) % 256
    return bytes([b"0123456789ABCDEF"[digit] for digit in (total >> 4, total & 15)])


def frame(number: int, text: bytes, end: bytes = ETX) -> bytes:
    """A frame of any text, however long or forbidden."""
    body = bytes([0x30 + number % 8]) + text + end
    return STX + body + checksum(body) + b"\r\n"


def opened(raw: bytes) -> Opened | None:
    """The frame in these bytes, or None when they are none: STX, digit, text, ETX or ETB, at least two more."""
    at = max(raw.rfind(ETX), raw.rfind(ETB))
    if not raw.startswith(STX) or at < 2 or not raw[1:2].isdigit() or len(raw) < at + 3:
        return None
    right = raw[at + 1 :] == checksum(raw[1 : at + 1]) + b"\r\n"
    return Opened(raw[1] - 0x30, raw[2:at], raw[at : at + 1], right)


def is_frame(data: bytes) -> bool:
    """True for what a session writes as a frame."""
    return data.startswith(STX) and opened(data) is not None


def is_block(data: bytes) -> bool:
    """True for what a session writes as an MLLP block, with or without a keep-alive before it."""
    return VT in data and FS in data


def control_id(block: bytes) -> bytes:
    """MSH-10 of the message in these bytes; b"" when there is none."""
    at = block.find(b"MSH")
    mark = block[at + 3 : at + 4]
    fields = block[at:].split(b"\r", 1)[0].split(mark) if at >= 0 and mark else []
    return fields[9] if len(fields) > 9 else b""
