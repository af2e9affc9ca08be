"""LIS01-A2 / E1381, the receiver: its clock, its answers, its bounds, any bytes at all. Streams: test_lis1a_cases."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wire import lis1a
from drivers.wire.lis1a import Receiver, State, frame
from tests.wire.line_kit import (
    ACK,
    ENQ,
    EOT,
    NAK,
    STX,
    WAYS,
    Answering,
    Clock,
    arrived,
    damaged,
    examples,
    hear,
    hear_one_way,
    pieces,
)

MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L||N||F||||20260130101500\rL|1|N\r"
GOOD = frame(1, b"H|\\^&\r", True)


class Timed(Answering):
    """An answering receiver whose timer the clock can see."""

    @property
    def timer(self) -> lis1a.Timer | None:
        return self.receiver.timer


def timed(*sent: bytes) -> tuple[Timed, Clock]:
    answering = Timed()
    for data in sent:
        answering.receive(data)
    return answering, Clock(answering)


# ---- the clock --------------------------------------------------------------------------------------------------


def test_ll_36_6_5_2_4_receiver_thirty_seconds_of_silence_end_the_session() -> None:
    """What was acknowledged is kept as incomplete (project rule; the standard drops it)."""
    answering, clock = timed(ENQ + GOOD + b"\x022P|1")
    clock.wait(29.9)
    assert answering.heard.said == [("began",), arrived(1, b"H|\\^&\r")]
    clock.wait(0.1)
    assert answering.heard.said[2:] == [("ended", "timeout")]
    assert answering.heard.replies == ACK * 2, "silence is answered by nothing"
    heard = hear(ENQ + GOOD + b"\x022P|1", expire=1)
    assert (heard.incomplete, heard.raw) == ([b"H|\\^&\r"], ENQ + GOOD + b"\x022P|1")


def test_ll_36_6_5_2_4_receiver_each_frame_gets_its_own_thirty_seconds() -> None:
    answering, clock = timed(ENQ)
    for number in range(1, 4):
        clock.wait(29)
        answering.receive(frame(number, b"C|1\r", True))
        clock.touched()
    assert [said[0] for said in answering.heard.said] == ["began", "frame", "frame", "frame"]
    clock.wait(30)
    assert answering.heard.said[-1] == ("ended", "timeout")


def test_ll_36_6_5_2_4_receiver_after_a_timeout_the_next_session_is_read() -> None:
    answering, clock = timed(ENQ + GOOD)
    clock.wait(31)
    answering.receive(ENQ + frame(1, MESSAGE, True) + EOT)
    assert answering.heard.messages == [MESSAGE]
    assert answering.receiver.timer is None


def test_ll_40_6_4_1_receiver_eot_without_l_keeps_the_message_as_incomplete() -> None:
    heard = hear(ENQ + GOOD + EOT)
    assert (heard.messages, heard.incomplete) == ([], [b"H|\\^&\r"])


@pytest.mark.parametrize("how", WAYS)
def test_ll_10_6_1_3_receiver_enq_in_the_middle_abandons_and_restarts(how: str) -> None:
    """What was acknowledged stays visible as an incomplete message."""
    answering, clock = timed(*pieces(ENQ + GOOD + ENQ, how))
    assert answering.heard.replies == ACK * 2, "an ENQ out of place is believed only when the line is quiet after it"
    clock.wait(0.49)
    assert answering.heard.replies == ACK * 2
    assert clock.wait(0.01) == [ACK]
    answering.receive(frame(1, MESSAGE, True))
    assert answering.heard.said[2:] == [("ended", "enq"), ("began",), arrived(1, MESSAGE)]
    assert (answering.heard.messages, answering.heard.incomplete) == ([MESSAGE], [b"H|\\^&\r"])


def test_ll_10_6_1_3_receiver_enq_then_a_frame_restarts_without_waiting() -> None:
    heard = hear(ENQ + GOOD + ENQ + frame(1, MESSAGE, True) + EOT)
    assert [said[0] for said in heard.said] == ["began", "frame", "ended", "began", "frame", "ended"]
    assert (heard.messages, heard.incomplete) == ([MESSAGE], [b"H|\\^&\r"])


def test_ll_10_6_1_3_receiver_enq_after_half_a_frame_restarts() -> None:
    heard = hear(ENQ + GOOD[:5] + ENQ, expire=1)
    assert heard.said == [("began",), ("ended", "enq"), ("began",)]
    assert heard.replies == ACK * 2


def test_ll_10_6_1_3_receiver_enq_and_a_frame_after_half_a_frame_restart_without_waiting() -> None:
    """Its end mark is that of the new frame: their checksum is nobody's, and no reason to refuse the new one."""
    heard = hear(ENQ + GOOD + b"\x022P|1" + ENQ + frame(1, MESSAGE, True) + EOT)
    assert [said[0] for said in heard.said] == ["began", "frame", "ended", "began", "frame", "ended"]
    assert (heard.messages, heard.incomplete) == ([MESSAGE], [b"H|\\^&\r"])


@pytest.mark.parametrize("cut", [1, 2])
def test_ll_20_6_3_1_2_receiver_a_tail_that_never_comes_is_not_awaited(cut: int) -> None:
    answering, clock = timed(ENQ + GOOD[:-cut])
    assert answering.heard.replies == ACK
    assert clock.wait(0.25) == [ACK]
    assert answering.heard.said[-1] == arrived(1, b"H|\\^&\r")


# ---- answers ----------------------------------------------------------------------------------------------------


def test_ll_14_6_2_6_receiver_busy_answers_nak_and_is_neutral() -> None:
    receiver = Receiver()
    assert receiver.receive(ENQ) == [lis1a.SessionBegan(ENQ)]
    assert receiver.refuse() == NAK
    assert receiver.state is State.NEUTRAL
    assert receiver.timer is None


def test_ll_15_6_2_7_receiver_that_cannot_receive_answers_every_enq_by_nak() -> None:
    receiver = Receiver()
    for _ in range(20):
        assert receiver.receive(ENQ) == [lis1a.SessionBegan(ENQ)]
        assert receiver.refuse() == NAK
        assert receiver.receive(GOOD + EOT) == [lis1a.Junk(GOOD + EOT)], "nothing is read without an ACK to ENQ"


def test_ll_27_6_3_4_3_receiver_a_frame_not_stored_is_refused_and_comes_again_as_new() -> None:
    receiver = Receiver()
    receiver.receive(ENQ)
    receiver.accept()
    (event,) = receiver.receive(GOOD)
    assert receiver.refuse() == NAK
    assert receiver.receive(GOOD) == [event]
    assert isinstance(event, lis1a.FrameArrived)
    assert not event.repeat


def test_ll_28_6_3_5_receiver_never_interrupts_a_sender() -> None:
    """Its replies are ACK and NAK alone: an EOT as reply would ask an analyzer for the line."""
    heard = hear(ENQ + GOOD + damaged(GOOD) + b"zz" + EOT + ENQ + EOT)
    assert set(heard.replies) == {ACK[0], NAK[0]}


def test_ll_32_6_5_2_5_receiver_keeps_bytes_while_it_takes_its_time() -> None:
    """One answer at a time, in order."""
    receiver = Receiver()
    assert receiver.receive(ENQ + GOOD + EOT) == [lis1a.SessionBegan(ENQ)]
    assert receiver.receive(b"") == []
    assert receiver.timer is None, "the line's clock does not run while we owe the answer"
    receiver.accept()
    (frame_event,) = receiver.receive(b"")
    assert isinstance(frame_event, lis1a.FrameArrived)
    receiver.accept()
    assert receiver.receive(b"") == [lis1a.SessionEnded(lis1a.Ended.EOT, EOT)]
    assert lis1a.TIMERS["answer"].seconds == 15


# ---- bounds -----------------------------------------------------------------------------------------------------


def test_ll_22_6_3_1_receiver_a_frame_without_end_is_refused_and_forgotten() -> None:
    """Bounded memory; the frame after it is read."""
    answering = Answering()
    answering.receiver = Receiver(max_frame=1000)
    answering.receive(ENQ)
    for _ in range(50):
        answering.receive(STX + b"1" + b"x" * 99)
    answering.receive(b"\r\n" + GOOD)
    kinds = [said[0] for said in answering.heard.said]
    assert set(kinds[1:-1]) == {"refused"}
    assert answering.heard.said[-1] == arrived(1, b"H|\\^&\r")


def test_a_sender_that_never_waits_is_a_wire_error() -> None:
    receiver = Receiver(max_frame=1000)
    receiver.receive(ENQ)
    with pytest.raises(lis1a.WireError):
        for _ in range(100):
            receiver.receive(GOOD * 10)


def test_garbage_for_ever_gives_every_byte_back_at_once() -> None:
    """Bounded memory: nothing of it is kept."""
    receiver, garbage = Receiver(), bytes(range(6, 256)) * 100
    for _ in range(20):
        assert b"".join(event.raw for event in receiver.receive(garbage)) == garbage


# ---- any bytes --------------------------------------------------------------------------------------------------

LIKELY = st.one_of(
    st.sampled_from([ENQ, EOT, STX, b"\x03", b"\x17", ACK, NAK, b"\r", b"\n", GOOD, GOOD[:-3], damaged(GOOD)]),
    st.binary(max_size=8),
)


@examples(200)
@given(st.lists(LIKELY, max_size=30))
def test_any_bytes_in_any_pieces_give_the_same_events(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    assert stream.startswith(hear(stream, expire=2).raw)


@examples(150)
@given(st.lists(LIKELY, max_size=12), st.lists(st.integers(0, 120), max_size=6))
def test_any_cut_of_any_bytes_gives_the_same_events(parts: list[bytes], cuts: list[int]) -> None:
    """Cuts where hypothesis wants them, not only where the kit's random ones fall."""
    stream, answering = b"".join(parts), Answering()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for begin, end in pairwise(edges):
        answering.receive(stream[begin:end])
    assert answering.heard == hear_one_way(stream, "whole")


def test_the_kit_notices_a_receiver_that_minds_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three feedings prove something: a receiver that takes one read for one frame fails."""

    class OneReadOneFrame(Receiver):
        def receive(self, data: bytes) -> list[lis1a.Event]:
            return [lis1a.Junk(data)] if data and not data.endswith((b"\n", ENQ, EOT)) else super().receive(data)

    monkeypatch.setattr(lis1a, "Receiver", OneReadOneFrame)
    with pytest.raises(AssertionError, match="fed in"):
        hear(ENQ + GOOD + EOT)


def test_a_stuck_line_of_enq_is_read_in_one_go() -> None:
    """The search for the last ENQ must not begin again at each of 200 000: this test would take minutes."""
    answering = Answering()
    answering.receive(ENQ + STX + ENQ * 200_000 + b"x" + ENQ)
    assert answering.expire() == ACK
    assert answering.heard.said == [("began",), ("ended", "enq"), ("began",)]
