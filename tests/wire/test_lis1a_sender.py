"""LIS01-A2 / E1381, the sender in both roles: named by rule and clause. Its table and timers: test_lis1a_states."""

from __future__ import annotations

import pytest

from drivers.wire import lis1a
from drivers.wire.lis1a import Failed, Interrupted, Role, Send, Sender, Sent, State, Yielded, frame, frames, session
from tests.wire.line_kit import ACK, ENQ, EOT, NAK, Clock

MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
TWO = frames(MESSAGE, size=40)
ANYTHING = [bytes([byte]) for byte in range(256)]


def sending(role: Role = Role.ANALYZER) -> Sender:
    sender = Sender(TWO, role)
    assert sender.start() == ENQ
    return sender


def in_reply(role: Role = Role.ANALYZER) -> Sender:
    sender = sending(role)
    assert sender.receive(ACK) == [Send(TWO[0])]
    return sender


def replies(sender: Sender, given: bytes) -> list[lis1a.SenderEvent]:
    """What the sender does about replies that come one at a time."""
    return [event for reply in given for event in sender.receive(bytes([reply]))]


# ---- framing: strict ---------------------------------------------------------------------------------------------


def test_ll_20_6_3_1_2_sender_the_parts_of_a_frame() -> None:
    assert frame(1, b"L|1|N\r", True) == b"\x021L|1|N\r\x0304\r\n"
    assert frame(1, b"", True) == b"\x021\x0334\r\n"


@pytest.mark.parametrize("text", [b"", b"A", b"L|1|N\r", b"\xff" * 300])
def test_ll_24_6_3_3_sender_sums_from_the_number_to_the_end_mark(text: bytes) -> None:
    """Counted by hand: STX, the checksum itself, CR and LF are not in it; capitals, high nibble first."""
    made = frame(9, text, False)
    total = 0
    for byte in b"1" + text + b"\x17":
        total = (total + byte) % 256
    assert made[-4:-2] == b"0123456789ABCDEF"[total // 16 :][:1] + b"0123456789ABCDEF"[total % 16 :][:1]
    assert lis1a.checksum(made[1:-4]) == made[-4:-2]


def test_ll_22_6_3_1_sender_splits_a_long_message_with_etb_and_ends_with_etx() -> None:
    made = frames(b"x" * 500, size=240)
    assert [(f[1:2], len(f) - 7, f[-5:-4]) for f in made] == [
        (b"1", 240, b"\x17"), (b"2", 240, b"\x17"), (b"3", 20, b"\x03")
    ]  # fmt: skip
    assert [len(f) for f in frames(b"x" * 240)] == [247], "E1381-95: 247 in all, unless the driver says otherwise"


def test_ll_22_6_3_1_sender_a_frame_holds_63_993_characters_of_text() -> None:
    assert len(frame(1, b"x" * 63_993, True)) == 64_000
    with pytest.raises(ValueError, match="do not fit"):
        frame(1, b"x" * 63_994, True)


def test_ll_21_6_3_1_1_sender_begins_a_frame_for_every_message() -> None:
    made = session([MESSAGE] * 3, size=40)
    assert [f[2:4] for f in made[::2]] == [b"H|"] * 3
    assert [f[-5:-4] for f in made] == [b"\x17", b"\x03"] * 3


def test_ll_23_6_3_2_1_sender_numbers_run_on_from_one_and_seven_is_followed_by_zero() -> None:
    assert b"".join(f[1:2] for f in session([MESSAGE] * 5, size=40)) == b"1234567012"


def test_bare_frames_end_without_a_cr_and_are_read_back_as_records() -> None:
    """Snibe Maglumi sends so and reads nothing else: `2P|1<ETX>32`, its manual's own example."""
    sent = lis1a.session([b"H|1\rP|1\rL|1|N\r"], one_record_a_frame=True, bare=True)
    assert sent[1] == b"\x022P|1\x0332\r\n"
    assembler = lis1a.Assembler()
    (made,) = [each for raw in sent for each in assembler.add(*lis1a.text_of(raw))]
    assert made.body == b"H|1\rP|1\rL|1|N\r"


def test_ll_20_6_3_1_2_sender_one_record_a_frame_ends_each_with_etx() -> None:
    made = frames(MESSAGE, one_record_a_frame=True)
    assert [lis1a.text_of(f) for f in made] == [(record + b"\r", True) for record in MESSAGE.split(b"\r")[:-1]]


def test_ll_38_6_6_sender_sends_no_forbidden_character() -> None:
    """SOH STX ETX EOT ENQ ACK DLE NAK SYN ETB LF DC1-DC4; anything else may stand in a text."""
    refused = []
    for byte in range(256):
        try:
            frame(1, b"a" + bytes([byte]), True)
        except ValueError:
            refused.append(byte)
    assert refused == [1, 2, 3, 4, 5, 6, 10, 16, 17, 18, 19, 20, 21, 22, 23]


# ---- establishment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_ll_11_6_2_4_sender_asks_only_when_the_link_is_neutral(role: Role) -> None:
    with pytest.raises(RuntimeError):
        sending(role).start()


def test_ll_15_6_2_7_sender_that_has_not_been_started_never_sends() -> None:
    sender = Sender(TWO)
    assert [sender.receive(byte) for byte in ANYTHING] == [[]] * 256
    assert (sender.expire(), sender.timer) == ([], None)


@pytest.mark.parametrize("role", Role)
def test_ll_12_6_2_4_sender_after_enq_ignores_other_bytes(role: Role) -> None:
    sender = sending(role)
    for byte in ANYTHING:
        if byte not in (ACK, NAK, ENQ):
            assert sender.receive(byte) == []
            assert sender.state is State.ENQ_SENT


def test_ll_14_6_2_6_sender_waits_ten_seconds_after_nak_to_enq() -> None:
    sender = sending()
    assert sender.receive(NAK) == []
    assert Clock(sender).wait(10) == [[Send(ENQ)]]
    assert sender.receive(ACK) == [Send(TWO[0])]


def test_ll_16_6_5_2_1_sender_without_an_answer_to_enq_ends_with_eot() -> None:
    """And `start()` begins again."""
    sender = sending()
    assert Clock(sender).wait(15) == [[Send(EOT), Failed("no answer to ENQ")]]
    assert sender.start() == ENQ


def test_ll_17_6_2_7_1_sender_in_contention_the_analyzer_asks_again_after_a_second() -> None:
    sender = sending(Role.ANALYZER)
    assert sender.receive(ENQ) == []
    assert Clock(sender).wait(1) == [[Send(ENQ)]]


def test_ll_17_6_2_7_1_sender_in_contention_the_host_gives_way() -> None:
    sender = sending(Role.HOST)
    assert sender.receive(ENQ) == [Yielded()]
    assert Clock(sender).wait(19.9) == [], "it leaves the line to the analyzer"


def test_ll_17_6_2_7_1_sender_that_waits_for_a_busy_side_gives_way_to_its_enq() -> None:
    sender = sending(Role.HOST)
    sender.receive(NAK)
    assert sender.receive(ENQ) == [Yielded(ENQ)], "the ENQ is for our receiver"


# ---- transfer and termination -----------------------------------------------------------------------------------


def test_ll_25_6_3_4_sender_one_frame_at_a_time() -> None:
    sender = in_reply()
    assert sender.timer == lis1a.TIMERS["reply"]
    assert sender.receive(b"") == []
    assert Clock(sender).wait(14.9) == []


@pytest.mark.parametrize("role", Role)
def test_ll_26_6_3_4_2_sender_goes_on_after_ack_and_ends_with_eot(role: Role) -> None:
    sender = in_reply(role)
    assert sender.receive(ACK) == [Send(TWO[1])]
    assert sender.receive(ACK) == [Send(EOT), Sent()]


def test_ll_40_6_4_1_sender_regards_the_link_as_neutral_after_its_eot() -> None:
    sender = in_reply()
    replies(sender, ACK + ACK)
    assert (sender.state, sender.timer) == (State.NEUTRAL, None)
    assert sender.start() == ENQ


@pytest.mark.parametrize("role", Role)
def test_ll_27_6_3_4_3_sender_repeats_a_refused_frame_with_the_same_number(role: Role) -> None:
    sender = in_reply(role)
    assert sender.receive(NAK) == [Send(TWO[0])]
    assert replies(sender, ACK + NAK) == [Send(TWO[1]), Send(TWO[1])]


def test_ll_29_6_5_1_2_sender_takes_any_other_byte_for_nak() -> None:
    for byte in ANYTHING:
        if byte not in (ACK, EOT):
            assert in_reply().receive(byte) == [Send(TWO[0])]


@pytest.mark.parametrize("role", Role)
def test_ll_30_6_5_1_2_sender_six_refusals_end_with_eot_and_the_message_is_kept(role: Role) -> None:
    sender = in_reply(role)
    assert replies(sender, NAK * 5) == [Send(TWO[0])] * 5
    assert sender.receive(NAK) == [Send(EOT), Failed("frame 1 refused 6 times")]
    assert sender.state is State.NEUTRAL


def test_ll_30_6_5_1_2_sender_counts_refusals_for_each_frame_anew() -> None:
    sender = in_reply()
    assert replies(sender, NAK * 5 + ACK + NAK * 5) == [Send(TWO[0])] * 5 + [Send(TWO[1])] * 6


def test_ll_31_6_5_2_3_sender_without_a_reply_ends_with_eot() -> None:
    sender = in_reply()
    assert Clock(sender).wait(15) == [[Send(EOT), Failed("no reply to frame 1")]]
    sender.start()
    assert sender.receive(ACK) == [Send(TWO[0])], "the message is repeated whole"


@pytest.mark.parametrize("failure", [NAK * 6, ACK + NAK * 6, ACK])
def test_ll_37_6_5_2_6_sender_keeps_the_whole_message_until_it_is_sent(failure: bytes) -> None:
    sender = in_reply()
    replies(sender, failure)
    if sender.state is not State.NEUTRAL:
        sender.expire()
    assert sender.start() == ENQ
    assert replies(sender, ACK * 3) == [Send(TWO[0]), Send(TWO[1]), Send(EOT), Sent()]


def test_ll_28_6_3_4_4_sender_takes_eot_for_ack_and_gives_way_after_the_message() -> None:
    """The message is finished, then silence for 15 s."""
    sender = in_reply()
    assert sender.receive(EOT) == [Interrupted(), Send(TWO[1])]
    assert sender.receive(ACK) == [Send(EOT), Sent()]
    with pytest.raises(RuntimeError):
        sender.start()
    Clock(sender).wait(15)
    assert sender.start() == ENQ
    assert replies(sender, ACK * 3) == [Send(TWO[0]), Send(TWO[1]), Send(EOT), Sent()]
    assert sender.start() == ENQ, "nobody asked for the line this time"


def test_ll_25_6_3_4_sender_takes_nothing_for_a_reply_that_came_before_the_frame() -> None:
    """Two ACK in one read: the second was there before the next frame was written and says nothing about it."""
    sender = sending(Role.HOST)
    assert sender.receive(ACK * 6) == [Send(TWO[0])]
    assert sender.receive(ACK + NAK) == [Send(TWO[1])]
    assert sender.receive(b"z" + ACK) == [Send(TWO[1])], "noise, then the reply it belongs to"
    assert sender.receive(ACK) == [Send(EOT), Sent()]


def test_ll_17_6_2_7_1_sender_that_yields_hands_on_what_came_in_the_same_read() -> None:
    """The analyzer's next ENQ may come with the first: it is for our receiver, and is not lost."""
    assert sending(Role.HOST).receive(ENQ + ENQ) == [Yielded(ENQ)]
    sender = sending(Role.HOST)
    sender.receive(NAK)
    assert sender.receive(ENQ + b"\x02") == [Yielded(ENQ + b"\x02")]
