"""The kit blames the broken clause and no other: peers with one defect each, and unusual ones that are right."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from drivers.wire import lis1a
from simulators import framing
from simulators.conform import astm_receiver, astm_sender
from tests.conform.peers import Clock, Host, Sending
from tests.conform.test_kit import MESSAGE, clauses, failed, tried

QUERY_ANSWER = b"H|\\^&|||LAB\rP|1\rO|1|S1||^^^GLU|R\rL|1|N\r"


# ---- receivers --------------------------------------------------------------------------------------------------


class Strange(Host):
    """Judges the checksums by a rule of its own."""

    def sum(self, body: bytes) -> bytes:
        raise NotImplementedError

    def same(self, said: bytes, right: bytes) -> bool:
        return said == right

    def heard(self, data: bytes) -> None:
        """What it would take gets the checksum that the receiver behind it takes, and the other way round."""
        made = framing.opened(data)
        if made is not None:
            at = data.rfind(made.end) + 1
            taken = self.same(data[at : at + 2], self.sum(data[1:at]))
            right = framing.checksum(data[1:at])
            data = data[:at] + (right if taken else framing.checksum(right)) + data[at + 2 :]
        super().heard(data)


class SevenBits(Strange):
    """Adds up seven bits of each byte, as on a line of 7 data bits."""

    def sum(self, body: bytes) -> bytes:
        return framing.checksum(bytes(byte & 127 for byte in body))


class LowDigit(Strange):
    """Compares the second digit alone."""

    def sum(self, body: bytes) -> bytes:
        return framing.checksum(body)

    def same(self, said: bytes, right: bytes) -> bool:
        return said[1:] == right[1:]


class NoEnd(Host):
    """Hears EOT and takes frames all the same, until a new ENQ."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, answers=False)
        self.count = 0

    def heard(self, data: bytes) -> None:
        if self.receiver.state is not lis1a.State.FRAMES and self.count and framing.is_frame(data):
            self.out += framing.ACK
        else:
            super().heard(data)

    def message(self, made: lis1a.Assembled) -> None:
        super().message(made)
        self.count += 1

    def gone(self) -> None:
        super().gone()
        self.count = 0


class Twice(Host):
    """Answers each frame twice."""

    def one(self, event: lis1a.Event) -> None:
        super().one(event)
        if isinstance(event, lis1a.FrameArrived):
            self.out += framing.ACK


class AsksToStop(Host):
    """Accepts by EOT: it has something to say, and asks for the line (6.3.4.4)."""

    def one(self, event: lis1a.Event) -> None:
        super().one(event)
        if isinstance(event, lis1a.FrameArrived):
            self.out = self.out[:-1] + framing.EOT


RECEIVERS: dict[type[Host], set[object]] = {
    SevenBits: {astm_receiver.high_bytes},
    LowDigit: {astm_receiver.damaged},
    NoEnd: {astm_receiver.termination},
    Twice: {astm_receiver.two_pieces, astm_receiver.byte_by_byte, astm_receiver.glued, astm_receiver.one_reply,
            astm_receiver.wrong_number, astm_receiver.noise, astm_receiver.gives_up, astm_receiver.termination,
            astm_receiver.early_eot},
    AsksToStop: set(),
}  # fmt: skip


@pytest.mark.parametrize("broken", RECEIVERS, ids=lambda kind: kind.__name__)
def test_a_receiver_fails_where_it_is_broken_and_nowhere_else(broken: type[Host]) -> None:
    peer = broken(Clock())
    peer.answering = False
    assert failed(tried(peer)) == {(each.clause, each.done) for each in RECEIVERS[broken]}  # type: ignore[attr-defined]


def test_a_frame_accepted_by_eot_is_told() -> None:
    rows = tried(AsksToStop(Clock()), "generic_astm", True, False, "LL-34")
    assert rows[0].seen == "<ACK><ACK><ACK>, EOT taken for ACK: it asks us to stop (6.3.4.4)"


def test_a_host_that_has_orders_waiting_may_begin_by_itself() -> None:
    """LL-11: the link is neutral, and it has data. The cases it disturbs are not held against it."""

    class Pushes(Host):
        def open(self) -> Host:
            super().open()
            self.answers, self.pause = [QUERY_ANSWER], 1.0
            return self

    rows = [row for row in tried(Pushes(Clock())) if row.role == "receiver"]
    assert failed(rows) == set()
    disturbed = {row.clause for row in rows if "session of its own" in row.why}
    assert disturbed == {"LL-13", "LL-36", "LL-40"}


def test_an_enq_in_the_middle_of_a_session_is_no_excuse() -> None:
    class Interrupts(Host):
        def one(self, event: lis1a.Event) -> None:
            super().one(event)
            if isinstance(event, lis1a.FrameArrived):
                self.out = self.out[:-1] + framing.ENQ

    assert {"LL-10", "LL-26", "LL-34"} <= set(clauses(tried(Interrupts(Clock(), answers=False), quick=True)))


# ---- senders ----------------------------------------------------------------------------------------------------


class Cut(lis1a.Sender):
    """Its frames have no LF."""

    def __init__(self, frames: Sequence[bytes], role: lis1a.Role) -> None:
        super().__init__([frame[:-1] for frame in frames], role)


class LongTail(lis1a.Sender):
    """CR CR LF after each checksum."""

    def __init__(self, frames: Sequence[bytes], role: lis1a.Role) -> None:
        super().__init__([frame[:-1] + b"\r\n" for frame in frames], role)


class Lines(lis1a.Sender):
    """LF inside its texts."""

    def __init__(self, frames: Sequence[bytes], role: lis1a.Role) -> None:
        made = [framing.opened(frame) for frame in frames]
        super().__init__([framing.frame(f.number, f.text + b"\n", f.end) for f in made if f], role)


class NoEot(lis1a.Sender):
    """Falls silent after its last frame."""

    def receive(self, data: bytes) -> list[lis1a.SenderEvent]:
        made = super().receive(data)
        over = any(isinstance(event, lis1a.Sent) for event in made)
        return [event for event in made if not over or event != lis1a.Send(framing.EOT)]


SENDERS: dict[type[lis1a.Sender], object] = {
    Cut: astm_sender.form, LongTail: astm_sender.form, Lines: astm_sender.characters, NoEot: astm_sender.ends,
}  # fmt: skip


@pytest.mark.parametrize("broken", SENDERS, ids=lambda kind: kind.__name__)
def test_an_analyzer_fails_where_it_is_broken_and_nowhere_else(broken: type[lis1a.Sender]) -> None:
    class Broken(Sending):
        def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
            return broken(frames, lis1a.Role.ANALYZER)

    rows = tried(Broken(Clock(), [MESSAGE.replace(b"5.4", b"5.4" * 90)]), host=False)
    expected = SENDERS[broken]
    assert failed(rows) == {(expected.clause, expected.done)}  # type: ignore[attr-defined]


def test_an_enq_right_behind_the_last_eot_is_heard_by_the_next_case() -> None:
    """An analyzer with a queue: both in one write. Lost, it would wait 15 s for an answer, case after case."""

    class Queue(Sending):
        def told(self, events: Sequence[lis1a.SenderEvent]) -> None:
            super().told(events)
            if any(isinstance(event, lis1a.Sent) for event in events):
                self.out += self.sender.start()

    rows = tried(Queue(Clock(), [MESSAGE]), "generic_astm", False, True, "LL-20", "LL-26", "LL-27", "LL-29", "LL-40")
    sender = [row for row in rows if row.role == "sender"]
    assert [row.clause for row in sender if row.verdict == "pass"] == ["LL-20", "LL-26", "LL-27", "LL-29", "LL-40"]
    assert max(row.seconds for row in sender) < 10


def test_numbers_that_go_on_after_an_enq_fail_ll_23() -> None:
    class GoesOn(Sending):
        def told(self, events: Sequence[lis1a.SenderEvent]) -> None:
            super().told(events)
            if any(isinstance(event, lis1a.Sent) for event in events):
                self.sender = lis1a.Sender([framing.frame(2, MESSAGE)], lis1a.Role.ANALYZER)

    assert clauses(tried(GoesOn(Clock(), [MESSAGE]), "generic_astm", False, False, "LL-23")) == ["LL-23"]


def test_a_sender_that_says_one_frame_for_ever_is_given_up() -> None:
    class Stuck(lis1a.Sender):
        def receive(self, data: bytes) -> list[lis1a.SenderEvent]:
            again = self.state is lis1a.State.REPLY and data == framing.ACK
            return super().receive(framing.NAK if again else data)

    class Broken(Sending):
        def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
            return Stuck(frames, lis1a.Role.ANALYZER)

        def told(self, events: Sequence[lis1a.SenderEvent]) -> None:
            self.sender._attempts = 0
            super().told(events)

    rows = tried(Broken(Clock(), [MESSAGE]), "generic_astm", False, False, "LL-22", "LL-26")
    assert clauses(rows) == ["LL-22", "LL-26"]
    assert "the same frame 12 times" in rows[0].seen
