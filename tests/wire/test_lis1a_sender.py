"""LIS01-A2 / E1381, the sender in both roles, and the two ends joined: named by clause, LL numbers of the rule list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.wire import lis1a
from drivers.wire.lis1a import Failed, Interrupted, Role, Send, Sender, Sent, State, Yielded, frame, frames, session
from tests.wire.line_kit import Pair

ENQ, ACK, NAK, EOT = b"\x05", b"\x06", b"\x15", b"\x04"
MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
TWO = frames(MESSAGE, size=40)


def sending(role: Role = Role.ANALYZER) -> Sender:
    sender = Sender(TWO, role)
    assert sender.start() == ENQ
    return sender


def in_reply() -> Sender:
    sender = sending()
    assert sender.receive(ACK) == [Send(TWO[0])]
    return sender


# ---- framing ----------------------------------------------------------------------------------------------------


def test_6_3_1_2_the_parts_of_a_frame() -> None:
    """LL-20, LL-24."""
    assert frame(1, b"L|1|N\r", True) == b"\x021L|1|N\r\x0304\r\n"
    assert frame(9, b"A", False) == b"\x021A\x1789\r\n"
    assert lis1a.checksum(b"1L|1|N\r\x03") == b"04"


def test_6_3_1_a_long_message_is_split_with_etb_and_ends_with_etx() -> None:
    """LL-22."""
    made = frames(b"x" * 500, size=240)
    assert [(f[1:2], len(f) - 7, f[-5:-4]) for f in made] == [
        (b"1", 240, b"\x17"), (b"2", 240, b"\x17"), (b"3", 20, b"\x03")
    ]  # fmt: skip


def test_6_3_1_1_every_message_begins_a_frame_and_numbers_run_on() -> None:
    """LL-21, LL-23."""
    made = session([MESSAGE] * 3, size=40)
    assert b"".join(f[1:2] for f in made) == b"123456"
    assert [f[2:4] for f in made[::2]] == [b"H|"] * 3


def test_one_record_a_frame_ends_each_with_etx() -> None:
    made = frames(MESSAGE, one_record_a_frame=True)
    assert [lis1a.text_of(f) for f in made] == [(record + b"\r", True) for record in MESSAGE.split(b"\r")[:-1]]


@pytest.mark.parametrize("byte", [1, 2, 3, 4, 5, 6, 10, 16, 17, 18, 19, 20, 21, 22, 23])
def test_6_6_forbidden_characters_are_not_sent(byte: int) -> None:
    """LL-38."""
    with pytest.raises(ValueError, match="control character"):
        frame(1, b"a" + bytes([byte]), True)


def test_6_3_1_a_frame_holds_63_993_characters_of_text() -> None:
    """LL-22."""
    assert len(frame(1, b"x" * 63_993, True)) == 64_000
    with pytest.raises(ValueError, match="do not fit"):
        frame(1, b"x" * 63_994, True)


# ---- establishment ----------------------------------------------------------------------------------------------


def test_6_2_4_enq_is_sent_only_when_the_link_is_neutral() -> None:
    """LL-11."""
    with pytest.raises(RuntimeError):
        sending().start()


@pytest.mark.parametrize("byte", [b"\x00", b"A", EOT, b"\x02", b"\r"])
def test_6_2_4_after_enq_other_bytes_are_ignored(byte: bytes) -> None:
    """LL-12."""
    sender = sending()
    assert sender.receive(byte) == []
    assert sender.state is State.ENQ_SENT


def test_6_2_6_nak_to_enq_waits_ten_seconds() -> None:
    """LL-14."""
    sender = sending()
    assert sender.receive(NAK) == []
    assert sender.timer == lis1a.TIMERS["busy"]
    assert sender.expire() == [Send(ENQ)]
    assert sender.receive(ACK) == [Send(TWO[0])]


def test_6_5_2_1_no_answer_to_enq_ends_with_eot() -> None:
    """LL-16; and `start()` begins again."""
    sender = sending()
    assert sender.timer == lis1a.TIMERS["establish"]
    assert sender.expire() == [Send(EOT), Failed("no answer to ENQ")]
    assert sender.start() == ENQ


def test_6_2_7_1_in_contention_the_analyzer_asks_again_after_a_second() -> None:
    """LL-17."""
    sender = sending(Role.ANALYZER)
    assert sender.receive(ENQ) == []
    assert sender.timer == lis1a.TIMERS["contention_analyzer"]
    assert sender.expire() == [Send(ENQ)]


def test_6_2_7_1_in_contention_the_host_gives_way() -> None:
    """LL-17, LL-18: 6.5.2.2, at most 20 s for the analyzer's next ENQ."""
    sender = sending(Role.HOST)
    assert sender.receive(ENQ) == [Yielded()]
    assert sender.timer == lis1a.TIMERS["contention_host"]


# ---- transfer and termination -----------------------------------------------------------------------------------


def test_6_3_4_one_frame_at_a_time_then_eot() -> None:
    """LL-25, LL-26, LL-40."""
    sender = in_reply()
    assert sender.timer == lis1a.TIMERS["reply"]
    assert sender.receive(ACK) == [Send(TWO[1])]
    assert sender.receive(ACK) == [Send(EOT), Sent()]
    assert sender.state is State.NEUTRAL


@pytest.mark.parametrize("byte", [NAK, ENQ, b"A", b"\x00"])
def test_6_5_1_2_anything_but_ack_and_eot_sends_the_frame_again(byte: bytes) -> None:
    """LL-27, LL-29: the same frame with the same number."""
    assert in_reply().receive(byte) == [Send(TWO[0])]


def test_6_5_1_2_six_refusals_end_with_eot_and_the_message_is_kept() -> None:
    """LL-30."""
    sender = in_reply()
    for _ in range(5):
        assert sender.receive(NAK) == [Send(TWO[0])]
    assert sender.receive(NAK) == [Send(EOT), Failed("frame 1 refused 6 times")]
    assert sender.start() == ENQ
    assert sender.receive(ACK) == [Send(TWO[0])]


def test_6_5_1_2_refusals_are_counted_for_each_frame_anew() -> None:
    sender = in_reply()
    sender.receive(NAK * 5)
    assert sender.receive(ACK) == [Send(TWO[1])]
    assert sender.receive(NAK * 5) == [Send(TWO[1])] * 5


def test_6_5_2_3_no_reply_to_a_frame_ends_with_eot() -> None:
    """LL-31: the message is repeated whole."""
    sender = in_reply()
    assert sender.expire() == [Send(EOT), Failed("no reply to frame 1")]
    sender.start()
    assert sender.receive(ACK) == [Send(TWO[0])]


def test_6_3_4_4_eot_accepts_the_frame_and_asks_for_the_line() -> None:
    """LL-28: the message is finished, then silence for 15 s."""
    sender = in_reply()
    assert sender.receive(EOT) == [Interrupted(), Send(TWO[1])]
    assert sender.receive(ACK) == [Send(EOT), Sent()]
    assert sender.timer == lis1a.TIMERS["interrupt"]
    with pytest.raises(RuntimeError):
        sender.start()
    sender.expire()
    assert sender.start() == ENQ


# ---- the table, a second time by hand ---------------------------------------------------------------------------

S = State
NEUTRAL, ASKED, BUSY, CONTENTION, REPLY, HELD = S.NEUTRAL, S.ENQ_SENT, S.BUSY, S.CONTENTION, S.REPLY, S.HELD
SIGNALS = (ACK, NAK, ENQ, EOT, b"A", None)  # None: the timer
GIVE_UP, ASK = (NEUTRAL, EOT), (ASKED, ENQ)
NEXT, AGAIN = (REPLY, TWO[1]), (REPLY, TWO[0])
SENDER_BY_HAND = {  # a state alone: nothing is written
    #           ACK         NAK         ENQ         EOT         other       timer
    NEUTRAL:    (NEUTRAL,    NEUTRAL,    NEUTRAL,    NEUTRAL,    NEUTRAL,    NEUTRAL),
    ASKED:      (AGAIN,      BUSY,       CONTENTION, ASKED,      ASKED,      GIVE_UP),
    BUSY:       (BUSY,       BUSY,       CONTENTION, BUSY,       BUSY,       ASK),
    CONTENTION: (CONTENTION, CONTENTION, CONTENTION, CONTENTION, CONTENTION, ASK),
    REPLY:      (NEXT,       AGAIN,      AGAIN,      NEXT,       AGAIN,      GIVE_UP),
    HELD:       (HELD,       HELD,       HELD,       HELD,       HELD,       NEUTRAL),
}  # fmt: skip
WAY = {S.NEUTRAL: None, S.ENQ_SENT: b"", S.BUSY: NAK, S.CONTENTION: ENQ, S.REPLY: ACK, S.HELD: ACK + EOT + ACK}


@pytest.mark.parametrize("column", range(len(SIGNALS)))
@pytest.mark.parametrize("state", SENDER_BY_HAND)
def test_6_1_sender_table_cell_by_cell(state: State, column: int) -> None:
    """LL-10."""
    sender, way = Sender(TWO), WAY[state]
    if way is not None:
        sender.start()
        sender.receive(way)
    assert sender.state is state
    signal = SIGNALS[column]
    events = sender.expire() if signal is None else sender.receive(signal)
    written = b"".join(event.data for event in events if isinstance(event, Send))
    cell = SENDER_BY_HAND[state][column]
    assert (sender.state, written) == (cell if isinstance(cell, tuple) else (cell, b""))


def test_every_cell_of_the_senders_table_names_its_clause() -> None:
    assert all(step.clause for step in lis1a.SENDER.values())


# ---- both ends --------------------------------------------------------------------------------------------------

TEXT = st.binary(max_size=300).map(lambda raw: bytes(c for c in raw if 31 < c < 255 and c != 127))
MESSAGES = st.lists(TEXT, max_size=5).map(
    lambda texts: b"H|\\^&\r" + b"".join(b"C|" + text + b"\r" for text in texts) + b"L|1\r"
)


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.integers(1, 500), st.booleans())
def test_what_is_sent_is_what_arrives(messages: list[bytes], size: int, one_record_a_frame: bool) -> None:
    pair = Pair(session(messages, size, one_record_a_frame))
    assert pair.run().messages == messages
    assert pair.outcomes == [Sent()]


class DamageOnce:
    """Changes one byte of all that passes one way."""

    def __init__(self, direction: str, at: int, to: int) -> None:
        self.direction, self.at, self.to = direction, at, to
        self.passed = 0

    def __call__(self, direction: str, data: bytes) -> bytes:
        if direction != self.direction:
            return data
        at, self.passed = self.at - self.passed, self.passed + len(data)
        return data[:at] + bytes([self.to]) + data[at + 1 :] if 0 <= at < len(data) else data


WHOLE = ENQ + b"".join(frames(MESSAGE, 40)) + EOT
SMALL = ENQ + frame(1, b"H|\\^&\rL|1\r", True) + EOT


def check_sent_means_stored(pair: Pair, message: bytes) -> None:
    heard = pair.run()
    assert isinstance(pair.outcomes[-1], Sent)
    assert message in heard.messages, "acknowledged and lost"
    assert set(heard.messages) == {message}, "something else was read"


@pytest.mark.parametrize("at", range(len(SMALL)))
def test_6_5_1_1_any_damaged_byte_is_noticed_or_harmless(at: int) -> None:
    """LL-33: what the sender counts as sent is stored exactly as it was, whatever one byte became, ENQ and EOT too."""
    for to in range(256):
        line = DamageOnce("out", at, to)
        check_sent_means_stored(Pair([SMALL[1:-1]], line=line), b"H|\\^&\rL|1\r")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_6_5_1_1_any_damaged_byte_of_two_frames(at: int, to: int) -> None:
    check_sent_means_stored(Pair(frames(MESSAGE, 40), line=DamageOnce("out", at, to)), MESSAGE)


@pytest.mark.parametrize("to", range(256))
@pytest.mark.parametrize("at", range(3))
def test_6_3_4_a_damaged_reply_loses_nothing(at: int, to: int) -> None:
    """LL-34: the frame comes again, is acknowledged and not stored twice in its session."""
    pair = Pair(frames(MESSAGE, 40), line=DamageOnce("back", at, to))
    check_sent_means_stored(pair, MESSAGE)


@pytest.mark.parametrize("lost", range(3))
def test_6_5_2_3_a_lost_reply_makes_the_sender_begin_again(lost: int) -> None:
    """LL-31: an acknowledgement lost, the whole message comes again; never a second time in one session."""
    passed = iter(range(100))

    def line(direction: str, data: bytes) -> bytes:
        return b"" if direction == "back" and next(passed) == lost else data

    pair = Pair(frames(MESSAGE, 40), line=line)
    check_sent_means_stored(pair, MESSAGE)
    assert len(pair.outcomes) == 2


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(list(Role)))
def test_any_bytes_give_events_and_never_an_exception(data: bytes, role: Role) -> None:
    sender = Sender(TWO, role)
    sender.start()
    for byte in data:
        sender.receive(bytes([byte]))
        if byte % 7 == 0:
            sender.expire()
        if sender.state is State.NEUTRAL:
            sender.start()
