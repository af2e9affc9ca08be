"""LIS01-A2 / E1381, the two ends joined: what counts as sent is stored, whatever one byte or one reply became."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wire.lis1a import Failed, Role, Send, Sender, SenderEvent, Sent, State, frame, frames, session
from tests.wire.line_kit import ENQ, EOT, NAK, Pair, examples

MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
TWO = frames(MESSAGE, 40)
WHOLE = ENQ + b"".join(TWO) + EOT
SHORT = b"H|\\^&\rL|1\r"
SMALL = ENQ + frame(1, SHORT, True) + EOT


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


def check_sent_means_stored(pair: Pair, message: bytes) -> None:
    heard = pair.run()
    assert isinstance(pair.outcomes[-1], Sent)
    assert message in heard.messages, "acknowledged and lost"
    assert set(heard.messages) == {message}, "something else was read"


@pytest.mark.parametrize("role", Role)
def test_ll_26_6_3_4_2_sender_and_receiver_bring_a_message_across(role: Role) -> None:
    pair = Pair(TWO, role)
    assert (pair.run().messages, pair.outcomes, pair.seconds) == ([MESSAGE], [Sent()], 0.0)


TEXT = st.binary(max_size=200).map(lambda raw: bytes(c for c in raw if 31 < c < 255 and c != 127))
MESSAGES = st.lists(TEXT, max_size=5).map(
    lambda texts: b"H|\\^&\r" + b"".join(b"C|" + text + b"\r" for text in texts) + b"L|1\r"
)


@examples(80)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.integers(1, 500), st.booleans())
def test_what_is_sent_is_what_arrives(messages: list[bytes], size: int, one_record_a_frame: bool) -> None:
    pair = Pair(session(messages, size, one_record_a_frame))
    assert pair.run().messages == messages
    assert pair.outcomes == [Sent()]


def test_ll_33_6_5_1_1_receiver_any_damaged_byte_is_noticed_or_harmless() -> None:
    """Every byte of a session, ENQ and EOT too, made into every other: what counts as sent is stored as it was."""
    for at in range(len(SMALL)):
        for to in range(256):
            check_sent_means_stored(Pair([SMALL[1:-1]], line=DamageOnce("out", at, to)), SHORT)


@examples(150)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_ll_33_6_5_1_1_receiver_any_damaged_byte_of_two_frames(at: int, to: int) -> None:
    check_sent_means_stored(Pair(TWO, line=DamageOnce("out", at, to)), MESSAGE)


@pytest.mark.parametrize("at", range(3))
def test_ll_29_6_5_1_2_sender_a_damaged_reply_loses_nothing(at: int) -> None:
    """The frame comes again, is acknowledged, and is not stored twice in its session (LL-34)."""
    for to in range(256):
        check_sent_means_stored(Pair(TWO, line=DamageOnce("back", at, to)), MESSAGE)


@pytest.mark.parametrize("lost", range(3))
def test_ll_31_6_5_2_3_sender_begins_again_after_a_lost_reply(lost: int) -> None:
    """The whole message comes again; never a second time in one session."""
    passed = iter(range(100))

    def line(direction: str, data: bytes) -> bytes:
        return b"" if direction == "back" and next(passed) == lost else data

    pair = Pair(TWO, line=line)
    check_sent_means_stored(pair, MESSAGE)
    assert len(pair.outcomes) == 2


def test_ll_30_6_5_1_2_sender_refused_for_ever_never_counts_as_sent() -> None:
    """Six times the same frame with the same number, then EOT; the message is kept, and goes when the line is well."""
    outs: list[bytes] = []

    def line(direction: str, data: bytes) -> bytes:
        if direction == "out":
            outs.append(data)
            return data.replace(b"5.4", b"5.5") if len(outs) <= 10 else data
        return data

    pair = Pair(frames(MESSAGE), line=line)
    check_sent_means_stored(pair, MESSAGE)
    assert outs[:8] == [ENQ, *frames(MESSAGE) * 6, EOT]
    assert pair.outcomes == [Failed("frame 1 refused 6 times"), Sent()]


def test_ll_14_6_2_6_sender_and_a_receiver_that_was_busy() -> None:
    """NAK to the first two ENQ: twenty seconds later the message is across."""
    asked = iter(range(100))

    def line(direction: str, data: bytes) -> bytes:
        return NAK if direction == "back" and next(asked) < 2 else data

    pair = Pair(TWO, line=line)
    # the receiver, which did say ACK, hears ENQ again and begins anew
    check_sent_means_stored(pair, MESSAGE)
    assert pair.seconds >= 20


@examples(150)
@given(st.binary(max_size=60), st.sampled_from(list(Role)))
def test_any_replies_give_events_and_never_an_exception(data: bytes, role: Role) -> None:
    sender = Sender(TWO, role)
    said: list[SenderEvent] = [Send(sender.start())]
    for byte in data:
        said += sender.receive(bytes([byte]))
        if byte % 7 == 0:
            said += sender.expire()
        if sender.state is State.NEUTRAL:
            said.append(Send(sender.start()))
    said += sender.receive(data)
    assert {event.data for event in said if isinstance(event, Send)} <= {ENQ, EOT, *TWO}
