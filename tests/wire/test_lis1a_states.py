"""LIS01-A2 6.1: every cell of both state tables, written a second time by hand from the rule list, legal and illegal.

Nothing here is taken from the tables of the code but to be compared with them. Timers too are written by hand.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from drivers.wire import lis1a
from drivers.wire.lis1a import Failed, Receiver, Role, Send, Sender, Sent, Signal, State, Yielded, frame, frames
from tests.wire.line_kit import ACK, ENQ, EOT, NAK, Clock, damaged

S = State
GOOD, OTHER_TEXT, NEXT_ONE, TOO_FAR = (
    frame(1, b"H|\\^&\r", True), frame(1, b"P|1\r", True), frame(2, b"P|1\r", True), frame(5, b"P|1\r", True),
)  # fmt: skip
BAD = damaged(GOOD)


class Cell(NamedTuple):
    """Where it leads, what is written, by which clause."""

    next: State
    written: bytes = b""
    clause: str = ""


# ---- the receiver -----------------------------------------------------------------------------------------------

NEUTRAL, TO_ENQ, FRAMES, TO_FRAME, TO_BAD = S.NEUTRAL, S.ANSWER_ENQ, S.FRAMES, S.ANSWER_FRAME, S.ANSWER_BAD
ENQ_IN, IGNORED = Cell(TO_ENQ, clause="6.2.5"), Cell(NEUTRAL, clause="6.2.5")
READY, BUSY = Cell(FRAMES, ACK, "6.2.5"), Cell(NEUTRAL, NAK, "6.2.6")
TAKEN, NOT_STORED, REFUSED = Cell(FRAMES, ACK, "6.3.4.2"), Cell(FRAMES, NAK, "6.3.4.3"), Cell(FRAMES, NAK, "6.5.1.1")
GOOD_IN, BAD_IN = Cell(TO_FRAME, clause="6.3.4"), Cell(TO_BAD, clause="6.5.1.1")
ENDED, SILENT = Cell(NEUTRAL, clause="6.4.1"), Cell(NEUTRAL, clause="6.5.2.4")
RESTART = Cell(TO_ENQ, clause="project: the sender restarted")
STAYS, BUG = None, "RuntimeError"
RECEIVER_BY_HAND = {
    #         ENQ      EOT      good     bad      30 s     accept  refuse
    NEUTRAL:  (ENQ_IN,  IGNORED, IGNORED, IGNORED, IGNORED, BUG,    BUG),
    TO_ENQ:   (STAYS,   STAYS,   STAYS,   STAYS,   STAYS,   READY,  BUSY),
    FRAMES:   (RESTART, ENDED,   GOOD_IN, BAD_IN,  SILENT,  BUG,    BUG),
    TO_FRAME: (STAYS,   STAYS,   STAYS,   STAYS,   STAYS,   TAKEN,  NOT_STORED),
    TO_BAD:   (STAYS,   STAYS,   STAYS,   STAYS,   STAYS,   BUG,    REFUSED),
}  # fmt: skip
COLUMNS = (Signal.ENQ, Signal.EOT, Signal.GOOD, Signal.BAD, Signal.TIMEOUT, Signal.ACCEPT, Signal.REFUSE)
ARRIVES = {Signal.ENQ: ENQ, Signal.EOT: EOT, Signal.GOOD: GOOD, Signal.BAD: BAD}


def receiver_in(state: State) -> Receiver:
    """A receiver brought there by the bytes that lead there."""
    receiver = Receiver()
    if state is not NEUTRAL:
        receiver.receive(ENQ)
    if state in (FRAMES, TO_FRAME, TO_BAD):
        receiver.accept()
    if state in (TO_FRAME, TO_BAD):
        receiver.receive(GOOD if state is TO_FRAME else BAD)
    assert receiver.state is state
    return receiver


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=[signal.value for signal in COLUMNS])
@pytest.mark.parametrize("state", RECEIVER_BY_HAND, ids=lambda state: state.value)
def test_ll_10_6_1_3_receiver_table_cell_by_cell(state: State, column: int) -> None:
    """STAYS: the bytes wait until the answer is given. BUG: the caller's mistake."""
    signal, cell, receiver = COLUMNS[column], RECEIVER_BY_HAND[state][column], receiver_in(state)
    if signal in (Signal.ACCEPT, Signal.REFUSE):
        answer = receiver.accept if signal is Signal.ACCEPT else receiver.refuse
        if not isinstance(cell, Cell):
            with pytest.raises(RuntimeError):
                answer()
            assert receiver.state is state
            return
        assert (answer(), receiver.state) == (cell.written, cell.next)
        return
    if signal is Signal.TIMEOUT:
        Clock(receiver).wait(30)
    else:
        receiver.receive(ARRIVES[signal])
        Clock(receiver).wait(0.5)  # an ENQ out of place is believed when the line is quiet
    assert receiver.state is (cell.next if isinstance(cell, Cell) else state)


def test_ll_10_6_1_3_receiver_table_in_the_code_is_the_one_by_hand() -> None:
    by_hand = {
        (state, signal): (cell.next, cell.written, cell.clause)
        for state, row in RECEIVER_BY_HAND.items()
        for signal, cell in zip(COLUMNS, row, strict=True)
        if isinstance(cell, Cell)
    }
    assert {key: (step.next, step.write, step.clause) for key, step in lis1a.RECEIVER.items()} == by_hand


FRAMES_BY_HAND = {
    # what is good (LL-33, LL-34): none accepted yet   one accepted
    "the expected number":      (GOOD,       TO_FRAME, NEXT_ONE,   TO_FRAME),
    "the last again":           (None,       None,     GOOD,       TO_FRAME),
    "last number, other text":  (None,       None,     OTHER_TEXT, TO_FRAME),
    "a number out of order":    (TOO_FAR,    TO_BAD,   TOO_FAR,    TO_BAD),
    "a bad checksum":           (BAD,        TO_BAD,   BAD,        TO_BAD),
    "half a frame":             (GOOD[:6],   FRAMES,   GOOD[:6],   FRAMES),
    "another byte":             (b"z",       FRAMES,   b"z",       FRAMES),
    "ACK":                      (ACK,        FRAMES,   ACK,        FRAMES),
}  # fmt: skip


@pytest.mark.parametrize("case", FRAMES_BY_HAND)
def test_ll_33_6_5_1_1_receiver_what_counts_as_a_good_frame(case: str) -> None:
    first, then, second, after = FRAMES_BY_HAND[case]
    if first is not None:
        receiver = receiver_in(FRAMES)
        receiver.receive(first)
        assert receiver.state is then
    receiver = receiver_in(TO_FRAME)
    receiver.accept()
    receiver.receive(second)
    assert receiver.state is after


# ---- the sender -------------------------------------------------------------------------------------------------

TWO = frames(b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r", size=40)
ASKED, WAITS, CONTENTION, REPLY, HELD = S.ENQ_SENT, S.BUSY, S.CONTENTION, S.REPLY, S.HELD
SIGNALS = (ACK, NAK, ENQ, EOT, b"A", None)  # None: the timer
IDLE = Cell(NEUTRAL)
GIVE_UP, ASK, LAST = Cell(NEUTRAL, EOT), Cell(ASKED, ENQ), Cell(NEUTRAL, EOT)
FIRST, NEXT, AGAIN = Cell(REPLY, TWO[0]), Cell(REPLY, TWO[1]), Cell(REPLY, TWO[0])
OFF, MET = Cell(WAITS), Cell(CONTENTION)
SENDER_BY_HAND = {
    #           ACK               NAK               ENQ               EOT               other             timer
    NEUTRAL:    (IDLE,             IDLE,             IDLE,             IDLE,             IDLE,             IDLE),
    ASKED:      (FIRST,            OFF,              MET,              Cell(ASKED),      Cell(ASKED),      GIVE_UP),
    WAITS:      (OFF,              OFF,              MET,              OFF,              OFF,              ASK),
    CONTENTION: (MET,              MET,              MET,              MET,              MET,              ASK),
    REPLY:      (NEXT,             AGAIN,            AGAIN,            NEXT,             AGAIN,            GIVE_UP),
    HELD:       (Cell(HELD),       Cell(HELD),       Cell(HELD),       Cell(HELD),       Cell(HELD),       IDLE),
}  # fmt: skip
WAY = {NEUTRAL: None, ASKED: b"", WAITS: NAK, CONTENTION: ENQ, REPLY: ACK, HELD: ACK + EOT + ACK}


def sender_in(state: State, role: Role) -> Sender:
    """A sender brought there by the replies that lead there, one at a time."""
    sender, way = Sender(TWO, role), WAY[state]
    if way is not None:
        sender.start()
        for reply in way:
            sender.receive(bytes([reply]))
    assert sender.state is state
    return sender


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("column", range(len(SIGNALS)), ids=["ACK", "NAK", "ENQ", "EOT", "other", "timer"])
@pytest.mark.parametrize("state", SENDER_BY_HAND, ids=lambda state: state.value)
def test_ll_10_6_1_3_sender_table_cell_by_cell(state: State, column: int, role: Role) -> None:
    """The two roles differ in how long they wait in contention, and in whom they tell."""
    sender, signal = sender_in(state, role), SIGNALS[column]
    events = sender.expire() if signal is None else sender.receive(signal)
    written = b"".join(event.data for event in events if isinstance(event, Send))
    assert (sender.state, written) == SENDER_BY_HAND[state][column][:2]
    if state is not NEUTRAL:
        with pytest.raises(RuntimeError):
            sender_in(state, role).start()


def test_ll_10_6_1_3_sender_every_cell_of_the_table_in_the_code_names_its_clause_and_is_one_by_hand() -> None:
    names = {Signal.ACK: ACK, Signal.NAK: NAK, Signal.ENQ: ENQ, Signal.EOT: EOT, Signal.OTHER: b"A"}
    clauses = {
        (NEUTRAL, Signal.START): "6.2.3", (ASKED, Signal.ACK): "6.2.5", (ASKED, Signal.NAK): "6.2.6",
        (ASKED, Signal.ENQ): "6.2.7.1", (ASKED, Signal.TIMEOUT): "6.5.2.1", (WAITS, Signal.TIMEOUT): "6.2.6",
        (WAITS, Signal.ENQ): "6.2.4", (CONTENTION, Signal.TIMEOUT): "6.2.7.1", (REPLY, Signal.ACK): "6.3.4.2",
        (REPLY, Signal.EOT): "6.3.4.4", (REPLY, Signal.NAK): "6.3.4.3", (REPLY, Signal.ENQ): "6.5.1.2",
        (REPLY, Signal.OTHER): "6.5.1.2", (REPLY, Signal.TIMEOUT): "6.5.2.3", (HELD, Signal.TIMEOUT): "6.3.5",
    }  # fmt: skip
    assert {key: step.clause for key, step in lis1a.SENDER.items()} == clauses
    for (state, signal), step in lis1a.SENDER.items():
        if signal is not Signal.START:
            cell = SENDER_BY_HAND[state][SIGNALS.index(names.get(signal))]
            assert cell.next is step.next, (state, signal)


LINES_BY_HAND = [
    # the rule list's lines that need more than one cell: what happens, what is told
    ("all frames accepted", ACK + ACK + ACK, [Send(TWO[0]), Send(TWO[1]), Send(EOT), Sent()]),
    ("six times not accepted", ACK + NAK * 6, [*[Send(TWO[0])] * 6, Send(EOT), Failed("frame 1 refused 6 times")]),
    ("six times another byte", ACK + b"z\x00Axyz", [*[Send(TWO[0])] * 6, Send(EOT), Failed("frame 1 refused 6 times")]),
    ("refused, then accepted", ACK + NAK + ACK, [Send(TWO[0]), Send(TWO[0]), Send(TWO[1])]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("replies", "told"), [line[1:] for line in LINES_BY_HAND], ids=[line[0] for line in LINES_BY_HAND]
)
@pytest.mark.parametrize("role", Role)
def test_ll_30_6_5_1_2_sender_lines_of_the_table(role: Role, replies: bytes, told: list[lis1a.SenderEvent]) -> None:
    sender = sender_in(ASKED, role)
    assert [event for reply in replies for event in sender.receive(bytes([reply]))] == told


# ---- timers -----------------------------------------------------------------------------------------------------

SENDER_TIMERS = {  # the state, the role, the seconds, the clause, what happens then
    "LL-16 6.5.2.1 sender: establishment": (ASKED, Role.HOST, 15, "6.5.2.1", [Send(EOT), Failed("no answer to ENQ")]),
    "LL-14 6.2.6 sender: busy": (WAITS, Role.HOST, 10, "6.2.6", [Send(ENQ)]),
    "LL-17 6.2.7.1 sender: analyzer in contention": (CONTENTION, Role.ANALYZER, 1, "6.2.7.1", [Send(ENQ)]),
    "LL-18 6.5.2.2 sender: host in contention": (CONTENTION, Role.HOST, 20, "6.5.2.2", [Send(ENQ)]),
    "LL-31 6.5.2.3 sender: reply": (REPLY, Role.HOST, 15, "6.5.2.3", [Send(EOT), Failed("no reply to frame 1")]),
    "LL-28 6.3.5 sender: interrupted": (HELD, Role.ANALYZER, 15, "6.3.5", []),
}


@pytest.mark.parametrize("case", SENDER_TIMERS)
def test_sender_timer(case: str) -> None:
    """Not a moment before, and then exactly once."""
    state, role, seconds, clause, told = SENDER_TIMERS[case]
    sender = sender_in(state, role)
    timer = sender.timer
    assert timer is not None
    assert (timer.seconds, timer.clause) == (seconds, clause)
    clock = Clock(sender)
    assert clock.wait(seconds - 0.01) == []
    assert clock.wait(0.01) == [told]


def test_ll_36_6_5_2_4_receiver_timers_are_data_with_their_clauses() -> None:
    """All timers there are: those of the standard, and two of the project."""
    standard = {name: (timer.seconds, timer.clause) for name, timer in lis1a.TIMERS.items()}
    assert standard == {
        "establish": (15, "6.5.2.1"), "busy": (10, "6.2.6"), "contention_analyzer": (1, "6.2.7.1"),
        "contention_host": (20, "6.5.2.2"), "reply": (15, "6.5.2.3"), "interrupt": (15, "6.3.5"),
        "frame": (30, "6.5.2.4"), "answer": (15, "6.5.2.5"), "quiet": (0.5, "project"), "tail": (0.25, "project"),
    }  # fmt: skip


def test_ll_18_6_5_2_2_sender_told_to_yield_hands_the_line_to_the_receiver() -> None:
    """R-contention of the rule list: the analyzer's next ENQ is answered by ACK, and its frames are read."""
    sender, receiver = sender_in(ASKED, Role.HOST), Receiver()
    assert sender.receive(ENQ) == [Yielded()]
    assert receiver.receive(ENQ) == [lis1a.SessionBegan(ENQ)]
    assert receiver.accept() == ACK
    (event,) = receiver.receive(GOOD)
    assert isinstance(event, lis1a.FrameArrived)
