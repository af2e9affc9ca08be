"""Blocks of the dialects that are neither LIS01 nor MLLP: any bytes in any pieces give the same events; none is lost"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.wire import blocks
from drivers.wire.blocks import Block, Control, Damaged, Event, Framing, Junk, Receiver

PLAIN = Framing()
TOSOH = Framing(trailer=1, check=lambda text, sent: blocks.xor_byte(text + b"\x03") == sent, message_end=b"\x04")
RAPID = Framing(trailer=2, closing=b"\x04", sign=lambda text: blocks.sum_hex(b"\x02" + text + b"\x03"),
                check=lambda text, sent: blocks.sum_hex(b"\x02" + text + b"\x03") == sent)  # fmt: skip
SUMMED = Framing(check=blocks.ends_with_sum)
TEXT = Framing(start=b"", end=b"", ends=r"\n-- end --\n")
UP_TO_EOT = Framing(start=b"", until=b"\x04", answers={b"\x05": b"\x06"}, asks_first=True)
FRAMINGS = {"plain": PLAIN, "up to eot": UP_TO_EOT, "tosoh": TOSOH, "rapid": RAPID, "summed": SUMMED, "text": TEXT}


def events_of(framing: Framing, data: bytes, size: int = 0) -> list[Event]:
    receiver = Receiver(framing)
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    found = [event for piece in pieces for event in receiver.receive(piece)]
    return found + receiver.expire()


def test_a_block_between_its_marks() -> None:
    assert events_of(PLAIN, b"\x02one\x03\x02two\x03") == [Block(b"one", b"\x02one\x03"), Block(b"two", b"\x02two\x03")]


def test_a_check_byte_may_look_like_a_mark() -> None:
    text = next(bytes([a, b]) for a in range(65, 91) for b in range(65, 123) if (a ^ b ^ 3) == 2)
    assert events_of(TOSOH, b"\x02" + text + b"\x03\x02\x04") == [
        Block(text, b"\x02" + text + b"\x03\x02"), Control(b"\x04")
    ]  # fmt: skip


def test_a_wrong_check_is_damaged_and_the_next_block_is_read() -> None:
    good = RAPID.wrap(b"SMP_NEW_AV")
    assert [type(event) for event in events_of(RAPID, good.replace(b"NEW", b"NEV") + good)] == [Damaged, Block]


def test_a_check_inside_the_block_makes_a_lost_end_good() -> None:
    text = b"P\x1c1\x1c" + blocks.sum_hex(b"P\x1c1\x1c")
    assert events_of(SUMMED, b"\x02" + text) == [Block(text, b"\x02" + text)]
    assert [type(event) for event in events_of(SUMMED, b"\x02" + text[:-1])] == [Damaged]


def test_a_block_without_its_end_is_damaged_not_lost() -> None:
    assert events_of(PLAIN, b"\x02half") == [Damaged(b"\x02half", "the block has no end")]


def test_a_block_cut_by_the_next_is_damaged_and_the_next_is_read() -> None:
    assert [type(e) for e in events_of(PLAIN, b"\x02half\x02whole\x03")] == [Damaged, Block]


def test_a_text_ends_at_its_marker_or_by_silence() -> None:
    data = b"pH 7.4\n-- end --\npH 7.3\n"
    assert [event.raw for event in events_of(TEXT, data)] == [b"pH 7.4\n-- end --\n", b"pH 7.3\n"]
    receiver = Receiver(TEXT)
    receiver.receive(b"pH 7.3\n")
    assert receiver.timer is not None
    assert receiver.timer.seconds == TEXT.silence


def test_control_bytes_between_blocks_are_told_with_their_answer() -> None:
    framing = Framing(answers={b"\x05": b"\x06"})
    assert events_of(framing, b"\x05xx\x02a\x03\x04") == [
        Control(b"\x05", b"\x06"), Junk(b"xx"), Block(b"a", b"\x02a\x03"), Control(b"\x04")
    ]  # fmt: skip


def test_a_text_up_to_an_end_byte_has_controls_before_it_and_without_its_end_is_damaged() -> None:
    assert events_of(UP_TO_EOT, b"\x05\x05one\x04\x06two") == [
        Control(b"\x05", b"\x06"), Control(b"\x05", b"\x06"), Block(b"one", b"one\x04"), Control(b"\x06"),
        Damaged(b"two", "the block has no end"),
    ]  # fmt: skip
    assert blocks.texts(UP_TO_EOT, b"one\x04two\x04") == [b"one", b"two"]


def test_what_we_send_goes_in_pieces_where_the_analyzer_is_asked_first() -> None:
    assert UP_TO_EOT.pieces(b"S 000301") == [b"\x05", b"S 000301\x04"]
    assert Framing(asks_first=True, closing=b"\x04").pieces(b"H") == [b"\x05", b"\x02H\x03", b"\x04"]
    assert RAPID.pieces(b"SMP") == [RAPID.wrap(b"SMP")]
    with pytest.raises(ValueError, match="marks the block"):
        UP_TO_EOT.pieces(b"a\x04b")


def test_a_line_that_never_ends_a_block_keeps_a_bounded_buffer() -> None:
    receiver = Receiver(PLAIN, max_block=1000)
    found = [event for _ in range(100) for event in receiver.receive(b"\x02" + b"x" * 99 if _ == 0 else b"x" * 100)]
    assert {type(event) for event in found} == {Damaged, Junk}
    assert sum(len(event.raw) for event in found) >= 9000


def test_what_we_send_is_what_we_read() -> None:
    for framing in (PLAIN, RAPID):
        (event,) = events_of(framing, framing.wrap(b"S 000301"))
        assert isinstance(event, Block)
        assert event.text == b"S 000301"


def test_a_text_that_holds_a_mark_is_not_sent() -> None:
    with pytest.raises(ValueError, match="marks the block"):
        PLAIN.wrap(b"a\x03b")


def joined(events: list[Event]) -> list[tuple[type[Event], bytes]]:
    """Junk in a row is one: where reads cut it says nothing."""
    found: list[tuple[type[Event], bytes]] = []
    for event in events:
        if isinstance(event, Junk) and found and found[-1][0] is Junk:
            found[-1] = (Junk, found[-1][1] + event.raw)
        else:
            found.append((type(event), event.raw))
    return found


@pytest.mark.parametrize("name", FRAMINGS)
@settings(max_examples=120, deadline=None, derandomize=True)
@given(data=st.lists(st.sampled_from([b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"ab", b"\n-- end --\n", b"0"])),
       size=st.integers(1, 9))  # fmt: skip
def test_any_bytes_in_any_pieces_give_the_same_events_and_none_is_lost(name: str, data: list[bytes], size: int) -> None:
    stream = b"".join(data)
    whole = events_of(FRAMINGS[name], stream)
    assert joined(events_of(FRAMINGS[name], stream, size)) == joined(whole)
    assert b"".join(event.raw for event in whole) == stream
