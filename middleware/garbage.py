"""Says why a line hears nothing but noise: a wrong baud rate or parity, or an analyzer that speaks another language.

Turns bytes that no frame explains into one sentence. Law: pure; one word and no more until a whole message has come;
a few stray bytes, keep-alives and line ends are nothing.
Source: a byte read at another speed falls on 0x00, on the bytes above 0x7F or on controls that no protocol here uses;
with another parity every second byte gains its top bit (LIS01-A2 5.2.2 and 5.2.3 say what both ends must agree on).
"""

from __future__ import annotations

ENOUGH = 24  # bytes of noise before anything is said: an analyzer that gets no answer sends one ENQ every 10 s
SHARE = 0.3  # of them that no analyzer sends on purpose
KINDS = {"HL7": 2}  # different ones: on these lines a single value over and over is a keep-alive
KEPT = 256  # the newest noise, looked at
# What a line may carry between frames and is no sign of garbage: the protocols' own controls, XON and XOFF, line ends.
OWN = frozenset(b"\x02\x03\x04\x05\x06\x09\x0a\x0b\x0d\x11\x13\x15\x17\x1c")

BAUD = "bytes look like a wrong baud rate or parity: check the port's settings"
HL7_HERE = "the analyzer sends HL7, this line's driver speaks ASTM: check driver and port, or the analyzer's settings"
ASTM_HERE = "the analyzer sends ASTM, this line's driver speaks HL7: check driver and port, or the analyzer's settings"


class Garbage:
    """What one line hears that means nothing; `why` is the sentence, "" while there is none."""

    def __init__(self, speaks: str) -> None:
        """`speaks` of the line's driver: HL7 or LIS2-A2."""
        self._speaks = speaks
        self._noise = b""
        self._count = 0
        self.why = ""

    def heard(self, noise: bytes) -> bool:
        """More of it. True when this is the moment to say `why`."""
        if self.why:
            return False
        self._count += len(noise)
        self._noise = (self._noise + noise[-KEPT:])[-KEPT:]
        self.why = self._judged()
        return bool(self.why)

    def good(self) -> bool:
        """A whole message came. True when this ends what was said."""
        ends = bool(self.why)
        self._noise, self._count, self.why = b"", 0, ""
        return ends

    def _judged(self) -> str:
        if self._speaks == "HL7":
            if b"\x05" in self._noise and (b"\x02" in self._noise or self._noise.count(b"\x05") >= 3):
                return ASTM_HERE if self._plain() else self._speed()
        elif b"MSH|" in self._noise:
            return HL7_HERE
        return self._speed()

    def _plain(self) -> bool:
        return not any(_strange(byte) for byte in self._noise)

    def _speed(self) -> str:
        strange = [byte for byte in self._noise if _strange(byte)]
        many = len(strange) >= SHARE * len(self._noise) and len(set(strange)) >= KINDS.get(self._speaks, 1)
        return BAUD if self._count >= ENOUGH and many else ""


def _strange(byte: int) -> bool:
    return (byte < 0x20 and byte not in OWN) or byte >= 0x7F
