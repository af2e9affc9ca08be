"""HL7's Minimal Lower Layer Protocol, releases 1 and 2; ML numbers are those of the rule list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.wire import mllp
from drivers.wire.mllp import Block, Problem, Receiver, block
from tests.wire.line_kit import WAYS, pieces

BODY = b"MSH|^~\\&|A\rPID|1\r"

CASES: dict[str, tuple[bytes, list[bytes], list[str]]] = {
    "ML-01 one block": (block(BODY), [BODY], []),
    "ML-01 two blocks": (block(BODY) + block(b"B"), [BODY, b"B"], []),
    "ML-02 keep-alive and CR LF before a block": (b"\x02\x02\r\n" + block(BODY), [BODY], ["outside a block"]),
    "ML-02 a new VT drops the block before": (
        b"\x0bMSH|cut" + block(BODY), [BODY], ["block cut by the start of the next"],
    ),
    "ML-06 FS without CR": (block(BODY)[:-1] + block(b"B"), [BODY, b"B"], []),
    "ML-06 FS without CR at the end": (block(BODY)[:-1], [BODY], []),
    "ML-06 CR LF and LF segment ends are left alone": (block(b"MSH|\r\nPID|\n"), [b"MSH|\r\nPID|\n"], []),
    "ML-06 empty block": (block(b""), [b""], []),
    "ML-06 FS CR LF": (block(BODY) + b"\n" + block(b"B"), [BODY, b"B"], ["outside a block"]),
    "a block without its end": (b"\x0bMSH|", [], ["block without its end"]),
    "noise only": (b"hello", [], ["outside a block"]),
}  # fmt: skip


def read(stream: bytes, how: str) -> tuple[list[bytes], list[str], bytes]:
    receiver = Receiver()
    events = [event for piece in pieces(stream, how) for event in receiver.receive(piece)] + receiver.close()
    problems: list[str] = []
    for event in events:  # a CR that comes late, and noise in pieces, are one problem or none
        if isinstance(event, Problem) and event.raw != b"\r" and problems[-1:] != [event.what]:
            problems.append(event.what)
    return [e.body for e in events if isinstance(e, Block)], problems, b"".join(event.raw for event in events)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_cases_in_any_pieces(case: str, how: str) -> None:
    stream, bodies, problems = CASES[case]
    assert read(stream, how) == (bodies, problems, stream)


def test_ml_01_a_body_that_holds_a_mark_is_not_sent() -> None:
    for mark in (mllp.VT, mllp.FS):
        with pytest.raises(ValueError, match="marks the block"):
            block(b"a" + mark)


def test_ml_04_commit_replies_of_release_2() -> None:
    events = Receiver().receive(mllp.COMMIT + mllp.REJECT + block(BODY))
    assert [event.commit for event in events if isinstance(event, Block)] == [True, False, None]


def test_a_block_without_end_does_not_fill_the_memory() -> None:
    receiver = Receiver(max_block=1000)
    receiver.receive(b"\x0b")
    problems = [event for _ in range(100) for event in receiver.receive(b"x" * 100)]
    assert problems[0] == Problem(b"\x0b" + b"x" * 1000, "block over 1000 bytes")
    assert receiver.receive(block(BODY))[-1] == Block(BODY, block(BODY))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x02", block(BODY)]), st.binary(max_size=6))),
    st.integers(0, 10**6),
)
def test_any_bytes_in_any_pieces_give_the_same_blocks(parts: list[bytes], seed: int) -> None:
    stream = b"".join(parts)
    whole = read(stream, "whole")
    assert whole[2] == stream
    for how in ("bytes", f"random {seed}"):
        bodies, _, raw = read(stream, how)
        assert (bodies, raw) == (whole[0], stream)
