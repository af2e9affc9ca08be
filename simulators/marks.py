"""Marks the blocks of the dialects that are neither LIS01 nor MLLP, as the analyzer does: start, end, sums.

Turns texts into what is written on the line, turn by turn, and what must come back before the next. Law: a sum is made
here by its own rule, never asked of the code that checks it. Source: the manuals as the drivers name them: Dimension,
VIDAS, Tosoh, AU, RAPID; LIS01-A2 for ENQ and EOT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce

from drivers.driver import Driver
from drivers.wire.blocks import ACK, ENQ, EOT, Framing

Turn = tuple[bytes, bytes]
"""What is written, and what must be heard after it: b"" for nothing."""

M_ACCEPTED = b"\x02M\x1cA\x1c\x1cE2\x03"  # what a Dimension wants beside ACK for a result, and acknowledges itself


def _sum(data: bytes) -> int:
    return sum(data) % 256


def _xor(data: bytes) -> bytes:
    return bytes([reduce(lambda one, other: one ^ other, data, 0)])


def _summed(name: str, text: bytes) -> bytes:
    """The text with the sum that stands in it: Dimension after the last FS, VIDAS after GS, in small letters."""
    if name == "siemens_dimension":
        body = text[: text.rindex(b"\x1c") + 1]
        return body + b"%02X" % _sum(body)
    if name == "biomerieux_mini_vidas":
        body = text[: text.rindex(b"\x1d") + 1]
        return body + b"%02x" % _sum(body)
    return text


def _trailer(name: str, framing: Framing, text: bytes) -> bytes:
    if not framing.trailer:
        return b""
    if name == "siemens_rapidpoint":
        return b"%02X" % _sum(b"\x02" + text + b"\x03")
    return _xor(text + b"\x03")  # Tosoh, and an AU with its check byte


def block(driver: Driver, text: str) -> bytes:
    """One block as it is written. TypeError for a driver without blocks."""
    framing = driver.framing
    if framing is None:
        raise TypeError(f"{driver.name} has no blocks")
    body = _summed(driver.name, text.encode("latin-1"))
    end = framing.until or framing.end
    closing = framing.closing if not framing.asks_first else b""
    return framing.start + body + end + _trailer(driver.name, framing, body) + closing


def body(driver: Driver, parts: Sequence[str]) -> bytes:
    """The message as the middleware stores it: its blocks, joined; or its records."""
    if driver.framing is None:
        return "".join(parts).encode("latin-1")
    return b"".join(block(driver, part) for part in parts)


def turns(driver: Driver, parts: Sequence[str]) -> tuple[Turn, ...]:
    """What an analyzer writes for one message, and what it waits for."""
    framing = driver.framing
    if framing is None:
        raise TypeError(f"{driver.name} has no blocks")
    said: list[Turn] = [(block(driver, part), framing.ack) for part in parts]
    if ENQ in framing.answers:
        said.insert(0, (ENQ, ACK))
    if (ENQ in framing.answers and framing.until != EOT) or framing.message_end:
        said.append((framing.message_end or EOT, b""))
    if driver.name == "siemens_rapidpoint":
        said = [*_announced(driver, parts[0]), *said]
    if driver.name == "siemens_dimension" and re.match(r"[RC]\x1c", parts[-1]):
        said += [(b"", M_ACCEPTED), (ACK, b"")]
    return tuple(said)


def _announced(driver: Driver, text: str) -> list[Turn]:
    """A RAPIDPoint says that a sample is ready, is asked for it and acknowledges that; an EOT ends the request."""
    framing = driver.framing or Framing()
    items = [f"{item}\x1c" for item in text.split("\x1c") if item.lstrip("\x1e").startswith(("aMOD", "iIID", "rSEQ"))]
    ready = f"SMP_NEW_AV\x1c\x1e{''.join(items).lstrip(chr(30))}\x1e"
    return [(block(driver, ready), framing.ack), (b"", EOT), (framing.ack, b"")]
