"""What noise is taken for, and what is not noise."""

from __future__ import annotations

import random

import pytest

from drivers.wire import lis1a, mllp
from middleware.garbage import ASTM_HERE, BAUD, ENOUGH, HL7_HERE, Garbage

MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
SESSION = b"\x05" + b"".join(lis1a.frames(MESSAGE, one_record_a_frame=True)) + b"\x04"


def even_parity(data: bytes) -> bytes:
    """Seven bits and even parity, read as eight bits without."""
    return bytes(byte | (byte.bit_count() % 2) << 7 for byte in data)


def bits_of(data: bytes) -> list[int]:
    """As they stand on the wire: start bit, eight data bits, stop bit."""
    return [bit for byte in data for bit in (0, *(byte >> n & 1 for n in range(8)), 1)]


def heard(bits: list[int]) -> bytes:
    """What a port makes of bits: from each start bit on, eight are data."""
    found, at = [], 0
    while at + 10 <= len(bits):
        if bits[at]:
            at += 1
            continue
        found.append(sum(bit << n for n, bit in enumerate(bits[at + 1 : at + 9])))
        at += 10
    return bytes(found)


def faster(data: bytes, times: int) -> bytes:
    """What a port hears that is so many times as fast as the other end."""
    return heard([bit for bit in bits_of(data) for _ in range(times)])


def slower(data: bytes, times: int) -> bytes:
    """What a port hears that is so many times as slow."""
    return heard(bits_of(data)[::times])


SPEAKS = {"LIS2-A2": SESSION * 3, "HL7": mllp.block(b"MSH|^~\\&|BC|LAB|||20260130101500||ORU^R01|17|P|2.3.1\r") * 6}
MISREAD = {
    "even parity": even_parity,
    "4800 heard at 9600": lambda data: faster(data, 2),
    "2400 heard at 9600": lambda data: faster(data, 4),
    "1200 heard at 9600": lambda data: faster(data, 8),
    "19200 heard at 9600": lambda data: slower(data, 2),
    "38400 heard at 9600": lambda data: slower(data, 4),
    "mere chance": lambda _data: random.Random(1).randbytes(400),
}


@pytest.mark.parametrize("speaks", SPEAKS)
@pytest.mark.parametrize("how", MISREAD)
def test_another_speed_or_parity(how: str, speaks: str) -> None:
    garbage = Garbage(speaks)
    said = [garbage.heard(bytes([byte])) for byte in MISREAD[how](SPEAKS[speaks])]
    assert garbage.why == BAUD and said.count(True) == 1, "said once"


@pytest.mark.parametrize(("times", "hears"), [(2, b"f\x80"), (4, b"x\x1e\x00\xe0"), (8, b"\x80\x80\x00\x00\x00\x00")])
def test_an_analyzer_that_only_ever_asks(times: int, hears: bytes) -> None:
    """ENQ, a pause, ENQ: all that is ever sent at the wrong speed."""
    idle = [1] * 20
    assert heard([bit for bit in bits_of(b"\x05") for _ in range(times)] + idle) == hears
    garbage = Garbage("LIS2-A2")
    assert [garbage.heard(hears) for _ in range(40)].count(True) == 1 and garbage.why == BAUD


@pytest.mark.parametrize(
    ("speaks", "noise"),
    [
        ("HL7", b"\x02" * 500),  # keep-alives of the vendors
        ("HL7", b"\x00" * 500),
        ("HL7", b"\r\n\x1c\r" * 100),
        ("LIS2-A2", b"\x11\x13" * 200),
        ("LIS2-A2", b"Welcome to the terminal server, login: " * 9),
        ("LIS2-A2", "सुनीता".encode()[: ENOUGH - 1]),
        ("LIS2-A2", b"\xff\xfe\x00" * 7),  # a plug being pushed in
    ],
)
def test_what_is_no_garbage(speaks: str, noise: bytes) -> None:
    assert not Garbage(speaks).heard(noise)


@pytest.mark.parametrize(
    ("speaks", "noise", "why"),
    [
        ("LIS2-A2", mllp.block(b"MSH|^~\\&|BC|LAB\rPID|1\r"), HL7_HERE),
        ("HL7", SESSION, ASTM_HERE),
        ("HL7", b"\x05\x05\x05", ASTM_HERE),  # it asks and asks and nobody answers
    ],
)
def test_another_language(speaks: str, noise: bytes, why: str) -> None:
    garbage = Garbage(speaks)
    assert garbage.heard(noise) and garbage.why == why


def test_a_message_ends_it() -> None:
    garbage = Garbage("LIS2-A2")
    assert garbage.heard(b"\xfe\x80\x00" * 30)
    assert not garbage.heard(b"\xfe\x80\x00" * 30)
    assert garbage.good() and garbage.why == ""
    assert not garbage.good()
    assert not garbage.heard(b"\xfe\x80\x00" * 7), "counted anew"
    assert garbage.heard(b"\xfe\x80\x00" * 10)
