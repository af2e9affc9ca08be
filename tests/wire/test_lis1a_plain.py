"""A frame alone in its read is judged at once; the same bytes in pieces are judged in the buffer: never otherwise."""

from __future__ import annotations

import random

import pytest

from drivers.engine.texts import Remembered
from drivers.wire import lis1a

TEXT = b"R|1|^^^WBC|6.8|10*3/uL||N||F||||20261122101500\r"
LONG = b"1" + b"\xff" * 300 + b"\x03"  # Adler-32 alone sums it wrong
GOOD = lis1a.frame(1, TEXT, True)


def began(free: bool = False) -> lis1a.Receiver:
    receiver = lis1a.Receiver(free)
    receiver.receive(b"\x05")
    receiver.accept()
    return receiver


def said(pieces: list[bytes], free: bool) -> list[object]:
    """All events and answers, until the clock has run out; bytes that are ignored, one after another, are one event."""
    receiver, log = began(free), list[object]()

    def answer(events: list[lis1a.Event]) -> None:
        while events:
            for event in events:
                if isinstance(event, lis1a.Junk) and log and isinstance(log[-1], lis1a.Junk):
                    log[-1] = lis1a.Junk(log[-1].raw + event.raw)
                    continue
                log.append(event)
                if isinstance(event, lis1a.FrameArrived | lis1a.SessionBegan):
                    log.append(receiver.accept())
                elif isinstance(event, lis1a.FrameRefused):
                    log.append(receiver.refuse())
            events = receiver.receive(b"")

    for piece in pieces:
        answer(receiver.receive(piece))
    for _ in range(3):
        answer(receiver.expire())
    return log


def damaged(seed: int) -> bytes:
    """Two frames, one byte of which may be another, or gone, or there twice."""
    pick = random.Random(seed)
    numbers = pick.choice([(1, 2), (1, 1), (0, 1), (1, 3)])
    first, second = (lis1a.frame(number, TEXT[: pick.choice([0, 9, 99])], pick.random() < 0.5) for number in numbers)
    both = first + second
    at = pick.randrange(len(both))
    return both[:at] + pick.choice([b"", both[at : at + 1] * 2, bytes([pick.randrange(256)])]) + both[at + 1 :]


@pytest.mark.parametrize("free", [False, True])
def test_6_5_1_1_a_frame_is_judged_alike_in_one_read_and_byte_by_byte(free: bool) -> None:
    """The bytes stop at a LF or go on; what is said is the same."""
    for seed in range(400):
        data = damaged(seed)
        lines = data.splitlines(keepends=True)
        assert said(lines, free) == said([data[n : n + 1] for n in range(len(data))], free), data


def summed(body: bytes) -> bytes:
    """STX, the body, its right checksum, CR LF."""
    return b"\x02%b%02X\r\n" % (body, sum(body) % 256)


@pytest.mark.parametrize(
    "data",
    [
        summed(b"1A\x03B\x03"),
        summed(b"1A\x17B\x03"),
        summed(b"1A\x03B\x17"),
        summed(b"1\x03"),
        summed(b"1A\x04"),
        summed(b"1A\x17"),
        summed(b"1A\x17") + b"\x03",
        summed(b"1A\x17")[:-2] + b"\x03\n",
        summed(b"1" + b"\xff" * 254 + b"\x03"),
        summed(b"1" + b"\xff" * 254 + b"\x17"),
        summed(b"0A\x03"),
        summed(b"9A\x03"),
        summed(b"A\x03"),
        summed(b"1" + b"\xff" * 255 + b"\x03"),
        summed(LONG),
        b"\x02%b%02X\r\n" % (LONG, sum(LONG) % 65_521 % 256),
        b"\x02" + GOOD,
        b"\x05" + GOOD[1:],
        GOOD[:-4] + GOOD[-4:].lower(),
        GOOD[:-2] + b"\n\r",
        GOOD[:-1],
    ],
)
def test_6_5_1_1_what_only_looks_like_a_plain_frame(data: bytes) -> None:
    """An end inside the text, another number, another start or tail, the greatest sum: as byte by byte."""
    assert said([data], False) == said([data[n : n + 1] for n in range(len(data))], False)


def test_6_3_3_a_right_frame_alone_in_its_read_waits_in_no_buffer() -> None:
    """What came is what is told, number, text and end apart."""
    (event,) = began().receive(GOOD)
    assert event == lis1a.FrameArrived(1, TEXT, True, GOOD)


def test_6_3_2_frames_alone_in_their_reads_count_on_from_7_to_0_and_after_any_number_where_it_is_free() -> None:
    """Nine plain frames, then, where numbers are free, one that no standard knows and what comes after it."""
    counted = [lis1a.frame(number % 8, TEXT, True) for number in range(1, 10)]
    assert [event.number for event in said(counted, False) if isinstance(event, lis1a.FrameArrived)] == [
        *range(1, 8), 0, 1,
    ]  # fmt: skip
    free = [lis1a.frame(5, TEXT, True), summed(b"9A\r\x03"), summed(b"8B\r\x03"), lis1a.frame(0, TEXT, False)]
    assert [event.number for event in said(free, True) if isinstance(event, lis1a.FrameArrived)] == [5, 9, 8, 0]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 513, 64_000])
def test_6_3_3_the_total_is_the_sum_of_the_bytes_modulo_256(size: int) -> None:
    """Of any bytes, the greatest too."""
    data = random.Random(size).randbytes(size)
    assert lis1a.total(data) == sum(data) % 256
    assert lis1a.total(b"\xff" * size) == 255 * size % 256


def test_what_is_remembered_of_texts_is_bounded() -> None:
    """Ever new texts and long ones are read, and not kept."""
    asked: list[str | None] = []

    def read(sent: str | None) -> int:
        asked.append(sent)
        return len(sent or "")

    lengths = Remembered(read)
    assert [lengths["abc"], lengths["abc"], lengths[None], lengths[None]] == [3, 3, 0, 0]
    assert asked == ["abc", None]
    assert lengths["x" * 81] == 81 and "x" * 81 not in lengths
    others = [Remembered(read) for _ in range(3)]  # the fields of other drivers share the bound
    for number in range(2 * Remembered.MOST):
        assert others[number % 3][f"{number}"] == len(f"{number}")
        assert len(lengths) + sum(map(len, others)) <= Remembered.MOST
    assert lengths["abc"] == 3 and asked.count("abc") > 1, "forgotten and read anew"
