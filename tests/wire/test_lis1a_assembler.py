"""Frames into messages: LIS01-A2 6.3.1.1, LIS02-A2 4.1 (H … L)."""

from __future__ import annotations

import pytest

from drivers.wire.lis1a import Assembled, Assembler

A = b"H|\\^&|||A\rP|1\rL|1|N\r"
B = b"H|\\^&|||B\rQ|1|^1\rL|1|N\r"

CASES = {
    "one record a frame": ([b"H|\\^&|||A\r", b"P|1\r", b"L|1|N\r"], [Assembled(A)], b""),
    "all in one": ([A], [Assembled(A)], b""),
    "two messages in one frame": ([A + B], [Assembled(A), Assembled(B)], b""),
    "H without the L before it": (
        [b"H|\\^&|||A\r", b"P|1\r", B], [Assembled(b"H|\\^&|||A\rP|1\r", False), Assembled(B)], b"",
    ),
    "no L": ([b"H|\\^&|||A\r", b"P|1\r"], [], b"H|\\^&|||A\rP|1\r"),
    "no CR before ETX": ([b"H|\\^&|||A", b"P|1", b"L|1|N"], [Assembled(A)], b""),
    "CR LF": ([b"H|\\^&\r\nP|1\r\nL|1\r\n"], [Assembled(b"H|\\^&\r\nP|1\r\nL|1\r\n")], b""),
    "LF": ([b"H|\\^&\nL|1\n"], [Assembled(b"H|\\^&\nL|1\n")], b""),
    "lower case letters": ([b"h|\\^&\rl|1\r"], [Assembled(b"h|\\^&\rl|1\r")], b""),
    "L alone": ([b"H|\\^&\r", b"L\r"], [Assembled(b"H|\\^&\rL\r")], b""),
    "other delimiters": ([b"H@^\\\r", b"L@1@N\r"], [Assembled(b"H@^\\\rL@1@N\r")], b""),
    "a word that begins with L or H is no record": (
        [b"H|\\^&\rC|1|I|a\rLow\rHigh\rL|1\r"], [Assembled(b"H|\\^&\rC|1|I|a\rLow\rHigh\rL|1\r")], b"",
    ),
    "blank lines between messages": ([A, b"\r\n", B], [Assembled(A), Assembled(B)], b""),
    "empty text": ([b"", A], [Assembled(A)], b""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_ll_21_6_3_1_1_receiver_a_message_ends_with_its_l_record(case: str) -> None:
    texts, made, rest = CASES[case]
    assembler = Assembler()
    assert [each for text in texts for each in assembler.add(text, True)] == made
    assert assembler.rest() == rest
    assert assembler.rest() == b""


@pytest.mark.parametrize("size", range(1, 25))
def test_ll_22_6_3_1_receiver_assembles_frames_cut_anywhere(size: int) -> None:
    text, assembler, made = A + B, Assembler(), []
    for at in range(0, len(text), size):
        made += assembler.add(text[at : at + size], at + size >= len(text))
    assert made == [Assembled(A), Assembled(B)]


def test_ll_27_6_3_4_3_receiver_every_add_can_be_undone() -> None:
    """A frame that could not be stored comes again: the message is the same as if it had come once."""
    texts = [b"H|\\^&|||A", b"\rP|1\r", b"L|", b"1|N\r" + B, b"H|\\^&\rP|2\r"]
    assembler, made = Assembler(), []
    for text in texts:
        assembler.add(text, False)
        assembler.undo()
        made += assembler.add(text, False)
    assert made == [Assembled(A), Assembled(B)]
    assert assembler.rest() == b"H|\\^&\rP|2\r"


def test_ll_27_6_3_4_3_receiver_a_record_alone_in_its_frame_can_be_undone() -> None:
    """Once, and not what was there before it; taken back it leaves no trace in the rest or in what is counted."""
    assembler = Assembler(40)
    for text in (b"H|\\^&\r", b"P|1\r", b"R|1|^^^HB|9.1\r"):
        assert not assembler.add(text, True)
        assembler.undo()
        assembler.undo()
        assert not assembler.add(text, True)
    assembler.undo()
    assert assembler.rest() == b"H|\\^&\rP|1\r"
    assert not assembler.add(b"R|1|^^^HB|9.1\r", True)
    assert assembler.rest() == b"R|1|^^^HB|9.1\r"
    assembler.undo()
    assert assembler.rest() == b""


def test_records_before_the_first_h_are_given_with_what_ends_them() -> None:
    """A session that begins in the middle loses nothing; the driver says that it is no message."""
    assembler = Assembler()
    assert assembler.add(b"R|1|^^^HB|9\rL|1\r" + A, True) == [Assembled(b"R|1|^^^HB|9\rL|1\r"), Assembled(A)]


def test_a_message_without_end_is_cut_and_shown_as_incomplete() -> None:
    assembler, made = Assembler(max_message=1000), []
    for _ in range(100):
        made += assembler.add(b"C|" + b"x" * 97 + b"\r", True)
    assert made
    assert not any(each.complete for each in made)
    assert b"".join(each.body for each in made) + assembler.rest() == (b"C|" + b"x" * 97 + b"\r") * 100


def test_a_record_without_end_is_cut_and_shown_as_incomplete() -> None:
    """Frames that never bring a CR must not fill the memory either; no byte of them is lost."""
    assembler, made = Assembler(max_message=1000), []
    for frames in range(1, 101):
        made += assembler.add(b"x" * 100, False)
        assert sum(len(each.body) for each in made) >= 100 * frames - 1000
    assert not any(each.complete for each in made)
    assert b"".join(each.body for each in made) + assembler.rest() == b"x" * 10_000


@pytest.mark.parametrize("text", [b" ", b"\r", b"\r\n \r"])
def test_blanks_after_the_l_record_are_no_incomplete_message(text: bytes) -> None:
    assembler = Assembler()
    assert assembler.add(A, True) == [Assembled(A)]
    assert not assembler.add(text, False)
    assert assembler.rest() == b""
