"""LIS01-A2 / E1381, the receiver: each test is named by the clause it proves; LL numbers are those of the rule list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.wire import lis1a
from drivers.wire.lis1a import Receiver, Signal, State, frame, frames, session
from tests.wire.line_kit import WAYS, Answering, hear, pieces

ENQ, ACK, NAK, EOT, STX = b"\x05", b"\x06", b"\x15", b"\x04", b"\x02"
MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L||N||F||||20260130101500\rL|1|N\r"
GOOD = frame(1, b"H|\\^&\r", True)


def damaged(sent: bytes, at: int = -4) -> bytes:
    """The frame with one byte changed; by default a character of the checksum."""
    changed = bytearray(sent)
    changed[at] = ord("0") if changed[at] != ord("0") else ord("1")
    return bytes(changed)


def arrived(number: int, text: bytes, last: bool = True, repeat: bool = False, problem: str | None = None) -> tuple:
    return ("frame", number, text, last, repeat, problem)


CASES = {
    "6.2.5 LL-13 noise in neutral is ignored": (b"\x00abc\x06\x15" + GOOD, [], b"", []),
    "6.2.5 LL-13 ENQ is answered by ACK": (b"zz" + ENQ, [("began",)], ACK, []),
    "6.3.1.2 LL-20 one frame": (
        ENQ + frame(1, MESSAGE, True) + EOT,
        [("began",), arrived(1, MESSAGE), ("ended", "eot")],
        ACK * 2,
        [MESSAGE],
    ),
    "6.3.1 LL-22 ETB anywhere, inside a date": (
        ENQ + b"".join(frames(MESSAGE, size=70)) + EOT,
        [("began",), arrived(1, MESSAGE[:70], False), arrived(2, MESSAGE[70:]), ("ended", "eot")],
        ACK * 3,
        [MESSAGE],
    ),
    "6.3.1.1 LL-21 two messages in one session": (
        ENQ + b"".join(session([MESSAGE, MESSAGE])) + EOT,
        [("began",), arrived(1, MESSAGE), arrived(2, MESSAGE), ("ended", "eot")],
        ACK * 3,
        [MESSAGE, MESSAGE],
    ),
    "6.3.2.1 LL-23 seven is followed by zero": (
        ENQ + b"".join(frame(n, b"C|%d\r" % n, True) for n in range(1, 11)),
        [("began",), *(arrived(n % 8, b"C|%d\r" % n) for n in range(1, 11))],
        ACK * 11,
        [],
    ),
    "6.3.2.1 LL-23 each session begins with one": (
        (ENQ + frame(1, MESSAGE, True) + EOT) * 2,
        [("began",), arrived(1, MESSAGE), ("ended", "eot")] * 2,
        ACK * 4,
        [MESSAGE, MESSAGE],
    ),
    "6.3.3 LL-24 lower case checksum is read": (
        ENQ + GOOD[:-4] + GOOD[-4:].lower() + frame(2, b"L|1\r", True).lower().replace(b"l|", b"L|"),
        [("began",), arrived(1, b"H|\\^&\r"), arrived(2, b"L|1\r")],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "6.3.4.3 LL-27 a refused frame comes again with its number": (
        ENQ + damaged(GOOD) + GOOD,
        [("began",), ("refused", "wrong checksum"), arrived(1, b"H|\\^&\r")],
        ACK + NAK + ACK,
        [],
    ),
    "6.5.1.1 LL-33 bad checksum is refused": (
        ENQ + damaged(frame(1, b"R|1|^^^HGB|8.0\r", True), 12),
        [("began",), ("refused", "wrong checksum")],
        ACK + NAK,
        [],
    ),
    "6.5.1.1 LL-33 a number that is neither the last nor the next is refused": (
        ENQ + GOOD + frame(3, b"P|1\r", True) + frame(0, b"P|1\r", True) + frame(2, b"P|1\r", True),
        [
            ("began",), arrived(1, b"H|\\^&\r"), ("refused", "frame number 3, expected 2"),
            ("refused", "frame number 0, expected 2"), arrived(2, b"P|1\r"),
        ],
        ACK * 2 + NAK * 2 + ACK,
        [],
    ),
    "6.5.1.1 LL-33 no number": (
        ENQ + b"\x02H|1\x03" + lis1a.checksum(b"H|1\x03") + b"\r\n",
        [("began",), ("refused", "no frame number")],
        ACK + NAK,
        [],
    ),
    "6.5.1.1 LL-33 eight is no number": (
        ENQ + b"\x028H|1\x03" + lis1a.checksum(b"8H|1\x03") + b"\r\n",
        [("began",), ("refused", "frame number 8, expected 1")],
        ACK + NAK,
        [],
    ),
    "6.3.2 LL-34 a repeat is acknowledged and not stored twice": (
        ENQ + frame(1, MESSAGE, True) * 2 + EOT,
        [("began",), arrived(1, MESSAGE), arrived(1, MESSAGE, repeat=True), ("ended", "eot")],
        ACK * 3,
        [MESSAGE],
    ),
    "6.3.2 LL-34 the same number with another text is stored and reported": (
        ENQ + GOOD + frame(1, b"L|1\r", True),
        [
            ("began",), arrived(1, b"H|\\^&\r"),
            arrived(1, b"L|1\r", problem="frame number 1 again with other text"),
        ],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "6.3.2.1 a session that begins with zero is read": (
        ENQ + frame(0, MESSAGE, True) + EOT,
        [("began",), arrived(0, MESSAGE, problem="first frame has number 0"), ("ended", "eot")],
        ACK * 2,
        [MESSAGE],
    ),
    "6.5.1.1 LL-35 bytes before STX and after the checksum are ignored": (
        ENQ + b"xy\x00" + frame(1, MESSAGE, True) + b"\r\nzz" + EOT,
        [("began",), arrived(1, MESSAGE), ("ended", "eot")],
        ACK * 2,
        [MESSAGE],
    ),
    "6.3.1.2 LF missing": (
        ENQ + GOOD[:-1] + frame(2, b"L|1\r", True)[:-1] + EOT,
        [("began",), arrived(1, b"H|\\^&\r"), arrived(2, b"L|1\r"), ("ended", "eot")],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "6.3.1.2 CR and LF missing": (
        ENQ + GOOD[:-2] + frame(2, b"L|1\r", True)[:-2] + EOT,
        [("began",), arrived(1, b"H|\\^&\r"), arrived(2, b"L|1\r"), ("ended", "eot")],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "6.3.1.2 CR missing before ETX": (
        ENQ + frame(1, b"H|\\^&\rP|1", True) + frame(2, b"L|1|N", True) + EOT,
        [("began",), arrived(1, b"H|\\^&\rP|1"), arrived(2, b"L|1|N"), ("ended", "eot")],
        ACK * 3,
        [b"H|\\^&\rP|1\rL|1|N\r"],
    ),
    "6.3.1.2 empty text": (
        ENQ + frame(1, b"", True) + EOT,
        [("began",), arrived(1, b""), ("ended", "eot")],
        ACK * 2,
        [],
    ),
    "6.3.1.2 STX twice counts once": (
        ENQ + STX + GOOD,
        [("began",), arrived(1, b"H|\\^&\r")],
        ACK * 2,
        [],
    ),
    "6.3.1 LL-22 a frame of 64 000 characters": (
        ENQ + frame(1, b"H|" + b"x" * 63_991, True),
        [("began",), arrived(1, b"H|" + b"x" * 63_991)],
        ACK * 2,
        [],
    ),
    "6.4.1 LL-40 EOT is answered by nothing": (
        ENQ + EOT + EOT, [("began",), ("ended", "eot")], ACK, [],
    ),
    "an ENQ that comes twice is answered once": (
        ENQ + ENQ + GOOD, [("began",), arrived(1, b"H|\\^&\r")], ACK * 2, [],
    ),
    "a keep-alive of ENQ and EOT": ((ENQ + EOT) * 3, [("began",), ("ended", "eot")] * 3, ACK * 3, []),
    "a frame cut off, then EOT and a new session": (
        ENQ + GOOD[:5] + EOT + ENQ + frame(1, MESSAGE, True) + EOT,
        [("began",), ("ended", "eot"), ("began",), arrived(1, MESSAGE), ("ended", "eot")],
        ACK * 3,
        [MESSAGE],
    ),
    "a byte damaged into ENQ inside a frame is a damaged frame": (
        ENQ + GOOD[:3] + ENQ + GOOD[4:] + GOOD,
        [("began",), ("refused", "wrong checksum"), arrived(1, b"H|\\^&\r")],
        ACK + NAK + ACK,
        [],
    ),
    "an STX damaged into ENQ is a damaged frame": (
        ENQ + ENQ + GOOD[1:] + GOOD,
        [("began",), ("refused", "begins with ENQ"), arrived(1, b"H|\\^&\r")],
        ACK + NAK + ACK,
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_cases_in_any_pieces(case: str, how: str) -> None:
    stream, said, replies, messages = CASES[case]
    heard = hear(stream, how)
    assert (heard.said, heard.replies, heard.messages) == (said, replies, messages)


@pytest.mark.parametrize("case", CASES)
def test_every_byte_comes_back_in_an_event(case: str) -> None:
    stream = CASES[case][0] + EOT
    assert hear(stream, "random 4", expire=1).raw == stream


@pytest.mark.parametrize("one_record_a_frame", [False, True])
@pytest.mark.parametrize("size", range(1, len(MESSAGE) + 1))
def test_6_3_1_etb_may_fall_anywhere(size: int, one_record_a_frame: bool) -> None:
    """LL-22: between any two characters, inside ids, dates and the L record."""
    stream = ENQ + b"".join(frames(MESSAGE, size, one_record_a_frame)) + EOT
    assert hear(stream).messages == [MESSAGE]


# ---- the clock --------------------------------------------------------------------------------------------------


def test_6_5_2_4_thirty_seconds_of_silence_end_the_session() -> None:
    """LL-36; what was acknowledged is kept as incomplete (project rule)."""
    for how in WAYS:
        heard = hear(ENQ + GOOD + b"\x022P|1", how, expire=1)
        assert heard.said == [("began",), arrived(1, b"H|\\^&\r"), ("ended", "timeout")]
        assert heard.incomplete == [b"H|\\^&\r"]
        assert heard.raw == ENQ + GOOD + b"\x022P|1"


def test_6_4_1_eot_without_l_keeps_the_message_as_incomplete() -> None:
    heard = hear(ENQ + GOOD + EOT)
    assert (heard.messages, heard.incomplete) == ([], [b"H|\\^&\r"])


@pytest.mark.parametrize("how", WAYS)
def test_enq_in_the_middle_abandons_and_restarts(how: str) -> None:
    answering = Answering()
    for piece in pieces(ENQ + GOOD + ENQ, how):
        answering.receive(piece)
    assert answering.heard.replies == ACK * 2, "an ENQ out of place is believed only when the line is quiet after it"
    assert answering.receiver.timer == lis1a.TIMERS["quiet"]
    assert answering.expire() == ACK
    answering.receive(frame(1, MESSAGE, True))
    assert answering.heard.said[2:] == [("ended", "enq"), ("began",), arrived(1, MESSAGE)]
    assert (answering.heard.messages, answering.heard.incomplete) == ([MESSAGE], [b"H|\\^&\r"])


@pytest.mark.parametrize("how", WAYS)
def test_enq_after_half_a_frame_restarts(how: str) -> None:
    heard = hear(ENQ + GOOD[:5] + ENQ, how, expire=1)
    assert heard.said == [("began",), ("ended", "enq"), ("began",)]
    assert heard.replies == ACK * 2


@pytest.mark.parametrize("cut", [1, 2])
def test_6_3_1_2_a_tail_that_never_comes_is_not_awaited(cut: int) -> None:
    answering = Answering()
    answering.receive(ENQ + GOOD[:-cut])
    assert answering.receiver.timer == lis1a.TIMERS["tail"]
    assert answering.expire() == ACK


def test_timers_carry_the_seconds_and_clauses_of_the_standard() -> None:
    """LL-14, 16, 17, 18, 28, 31, 32, 36."""
    standard = {name: (t.seconds, t.clause) for name, t in lis1a.TIMERS.items() if t.clause != "project"}
    assert standard == {
        "establish": (15, "6.5.2.1"), "busy": (10, "6.2.6"), "contention_analyzer": (1, "6.2.7.1"),
        "contention_host": (20, "6.5.2.2"), "reply": (15, "6.5.2.3"), "interrupt": (15, "6.3.5"),
        "frame": (30, "6.5.2.4"), "answer": (15, "6.5.2.5"),
    }  # fmt: skip


# ---- answers ----------------------------------------------------------------------------------------------------


def test_6_2_6_a_busy_receiver_answers_nak() -> None:
    """LL-14, LL-15."""
    receiver = Receiver()
    assert receiver.receive(ENQ) == [lis1a.SessionBegan(ENQ)]
    assert receiver.refuse() == NAK
    assert receiver.state is State.NEUTRAL


def test_6_3_4_a_frame_not_stored_is_refused_and_comes_again_as_new() -> None:
    receiver = Receiver()
    receiver.receive(ENQ)
    receiver.accept()
    (event,) = receiver.receive(GOOD)
    assert receiver.refuse() == NAK
    assert receiver.receive(GOOD) == [event]
    assert not event.repeat


def test_6_5_2_5_bytes_are_kept_while_we_take_our_time() -> None:
    """LL-32: one answer at a time, in order."""
    receiver = Receiver()
    assert receiver.receive(ENQ + GOOD + EOT) == [lis1a.SessionBegan(ENQ)]
    assert receiver.receive(b"") == []
    receiver.accept()
    (frame_event,) = receiver.receive(b"")
    assert isinstance(frame_event, lis1a.FrameArrived)
    receiver.accept()
    assert receiver.receive(b"") == [lis1a.SessionEnded(lis1a.Ended.EOT, EOT)]


def test_free_numbering_takes_any_number_and_still_knows_a_repeat() -> None:
    """LL-34: Yumizen counts 5, 1, 1, 1, 4."""
    numbers = (5, 1, 1, 1, 4)
    stream = ENQ + b"".join(frame(n, b"C|%d\r" % i, True) for i, n in enumerate(numbers)) + frame(4, b"C|4\r", True)
    heard = hear(stream, free_numbering=True)
    said = [arrived(n, b"C|%d\r" % i) for i, n in enumerate(numbers)] + [arrived(4, b"C|4\r", repeat=True)]
    assert heard.said == [("began",), *said]


def test_6_3_1_a_frame_without_end_is_refused_and_forgotten() -> None:
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


def test_garbage_for_ever_keeps_memory_bounded() -> None:
    answering = Answering()
    for _ in range(20):
        answering.receive(bytes(range(6, 256)) * 100)
    assert answering.heard.said == []
    assert not answering.receiver._buffer


# ---- the table, a second time by hand ---------------------------------------------------------------------------

S = State
NEUTRAL, TO_ENQ, FRAMES, TO_FRAME, TO_BAD = S.NEUTRAL, S.ANSWER_ENQ, S.FRAMES, S.ANSWER_FRAME, S.ANSWER_BAD
YES, NO, BUSY = (FRAMES, ACK), (FRAMES, NAK), (NEUTRAL, NAK)
RECEIVER_BY_HAND = {
    #         ENQ      EOT      good      bad      timer    accept  refuse
    NEUTRAL:  (TO_ENQ, NEUTRAL, NEUTRAL,  NEUTRAL, NEUTRAL, None,   None),
    TO_ENQ:   (None,   None,    None,     None,    None,    YES,    BUSY),
    FRAMES:   (TO_ENQ, NEUTRAL, TO_FRAME, TO_BAD,  NEUTRAL, None,   None),
    TO_FRAME: (None,   None,    None,     None,    None,    YES,    NO),
    TO_BAD:   (None,   None,    None,     None,    None,    None,   NO),
}  # fmt: skip
COLUMNS = (Signal.ENQ, Signal.EOT, Signal.GOOD, Signal.BAD, Signal.TIMEOUT, Signal.ACCEPT, Signal.REFUSE)
ARRIVES = {Signal.ENQ: ENQ, Signal.EOT: EOT, Signal.GOOD: GOOD, Signal.BAD: damaged(GOOD)}


def in_state(state: State) -> Receiver:
    receiver = Receiver()
    if state is not S.NEUTRAL:
        receiver.receive(ENQ)
    if state in (S.FRAMES, S.ANSWER_FRAME, S.ANSWER_BAD):
        receiver.accept()
    if state in (S.ANSWER_FRAME, S.ANSWER_BAD):
        receiver.receive(GOOD if state is S.ANSWER_FRAME else damaged(GOOD))
    assert receiver.state is state
    return receiver


@pytest.mark.parametrize("column", range(len(COLUMNS)))
@pytest.mark.parametrize("state", RECEIVER_BY_HAND)
def test_6_1_receiver_table_cell_by_cell(state: State, column: int) -> None:
    """LL-10: None from the line or the clock leaves the state (the byte waits); from the caller it is a bug."""
    signal, expected, receiver = COLUMNS[column], RECEIVER_BY_HAND[state][column], in_state(state)
    if signal in (Signal.ACCEPT, Signal.REFUSE):
        answer = receiver.accept if signal is Signal.ACCEPT else receiver.refuse
        if expected is None:
            with pytest.raises(RuntimeError):
                answer()
        else:
            assert (answer(), receiver.state) == (expected[1], expected[0])
        return
    if signal is Signal.TIMEOUT:
        receiver.expire()
    else:
        receiver.receive(ARRIVES[signal])
    if receiver.timer and receiver.timer.name == "quiet":
        receiver.expire()
    assert receiver.state is (expected or state)


def test_receiver_table_in_the_code_is_the_one_by_hand() -> None:
    by_hand = {
        (state, signal): cell[0] if isinstance(cell, tuple) else cell
        for state, row in RECEIVER_BY_HAND.items()
        for signal, cell in zip(COLUMNS, row, strict=True)
        if cell is not None
    }
    assert {key: step.next for key, step in lis1a.RECEIVER.items()} == by_hand
    assert all(step.clause for step in lis1a.RECEIVER.values())


# ---- any bytes --------------------------------------------------------------------------------------------------

LIKELY = st.one_of(
    st.sampled_from([ENQ, EOT, STX, b"\x03", b"\x17", ACK, NAK, b"\r", b"\n", GOOD, GOOD[:-3], damaged(GOOD)]),
    st.binary(max_size=8),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(LIKELY, max_size=30), st.integers(0, 10**6))
def test_any_bytes_in_any_pieces_give_the_same_events_or_wire_error(parts: list[bytes], seed: int) -> None:
    stream = b"".join(parts)
    whole, cut = hear(stream, "whole", expire=2), hear(stream, f"random {seed}", expire=2)
    by_byte = hear(stream, "bytes", expire=2)
    assert (whole.said, whole.replies) == (cut.said, cut.replies) == (by_byte.said, by_byte.replies)
    assert stream.startswith(whole.raw)
