"""The kit on HL7 lines blames the clause that is broken and no other, and reads whatever a peer answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from drivers.wire import hl7, mllp
from simulators import framing
from simulators.conform import hl7_cases
from tests.conform.peers import Clock, Hl7Host, SendingHl7
from tests.conform.test_kit import ORU, clauses, failed, tried, verdicts


class Commits(Hl7Host):
    """Release 2: each block is answered by a commit reply first (ML-04)."""

    def say(self, body: bytes) -> None:
        self.out += mllp.block(framing.ACK)
        super().say(body)


class LfEnds(Hl7Host):
    """Its segments end with LF."""

    def say(self, body: bytes) -> None:
        self.out += mllp.block(body.replace(b"\r", b"\n"))


class NoCr(Hl7Host):
    """Its blocks end with FS."""

    def say(self, body: bytes) -> None:
        self.out += mllp.block(body)[:-1]


class Untidy(Hl7Host):
    """LF between its blocks: ignored (ML-02)."""

    def say(self, body: bytes) -> None:
        self.out += mllp.block(body) + b"\n"


RECEIVERS: dict[type[Hl7Host], set[str]] = {Commits: set(), LfEnds: {"ML-01"}, NoCr: {"ML-01"}, Untidy: set()}


@pytest.mark.parametrize("peer", RECEIVERS, ids=lambda kind: kind.__name__)
def test_an_hl7_receiver_fails_where_it_is_broken_and_nowhere_else(peer: type[Hl7Host]) -> None:
    assert set(clauses(tried(peer(Clock()), "generic_hl7"))) == RECEIVERS[peer]


def test_a_host_that_hangs_up_after_each_answer_fails_where_it_does() -> None:
    class HangsUp(Hl7Host):
        def heard(self, data: bytes) -> None:
            if self.over:
                raise ConnectionError("closed")
            super().heard(data)
            self.over = bool(self.out) and data.endswith(b"\r")

        def open(self) -> Hl7Host:
            super().open()
            self.over = False
            return self

        def read(self, seconds: float) -> bytes:
            if self.over and not self.out:
                raise ConnectionError("closed")
            return super().read(seconds)

    assert failed(tried(HangsUp(Clock()), "generic_hl7")) == {
        (each.clause, each.done) for each in (hl7_cases.in_turn, hl7_cases.not_waiting)
    }


@pytest.mark.parametrize("said", [mllp.block(b""), mllp.block(b"x"), b"x\x1c\r"])
def test_an_answer_too_short_to_be_one_is_a_failure_and_no_crash(said: bytes) -> None:
    class Short(Hl7Host):
        def acknowledgement(self, asked: Sequence[hl7.Segment], code: str) -> bytes:
            return b""

        def say(self, body: bytes) -> None:
            self.out += said

    assert "H7-03" in clauses(tried(Short(Clock()), "generic_hl7"))


def test_a_message_without_vt_is_a_failure_and_no_crash() -> None:
    class NoVt(SendingHl7):
        def expired(self) -> None:
            super().expired()
            self.out = self.out.replace(mllp.VT, b"")

    assert failed(tried(NoVt(Clock(), ORU), "generic_hl7", host=False)) == {("ML-01", hl7_cases.sends_a_block.done)}


def test_an_analyzer_that_never_says_a_message_again_fails_ml_05() -> None:
    class Once(SendingHl7):
        def seconds(self) -> float | None:
            return None if self.waiting else 1.0

    rows = tried(Once(Clock(), ORU), "generic_hl7", host=False)
    assert failed(rows) == {("ML-05", hl7_cases.sender_repeats.done)}
    assert verdicts(rows, rows[0].verdict) == ["H7-03", "ML-01", "ML-03"]
