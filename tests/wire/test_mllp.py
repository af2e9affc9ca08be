"""HL7's Minimal Lower Layer Protocol, releases 1 and 2; ML numbers are those of the rule list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wire import mllp
from drivers.wire.mllp import Block, Problem, Receiver, block
from tests.wire.line_kit import WAYS, examples, pieces

BODY = b"MSH|^~\\&|A\rPID|1\r"

CASES: dict[str, tuple[bytes, list[bytes], list[str]]] = {
    "ML-01 receiver: one block": (block(BODY), [BODY], []),
    "ML-01 receiver: two blocks": (block(BODY) + block(b"B"), [BODY, b"B"], []),
    "ML-02 receiver: keep-alive and CR LF before a block": (
        b"\x02\x02\r\n" + block(BODY), [BODY], ["outside a block"],
    ),
    "ML-02 receiver: junk before VT, between and after blocks": (
        b"junk" + block(BODY) + b"more" + block(BODY) + b"end", [BODY, BODY], ["outside a block"] * 3,
    ),
    "ML-02 receiver: a new VT cuts the block before it": (
        b"\x0bMSH|cut" + block(BODY), [BODY], ["block cut by the start of the next"],
    ),
    "ML-02 receiver: VT after VT": (
        b"\x0b\x0b\x0b" + block(BODY), [BODY], ["block cut by the start of the next"] * 3,
    ),
    "ML-02 receiver: what follows the first end is outside, and ends nothing": (
        b"\x0bMSH|a\x1cMSH|b\x1c\r", [b"MSH|a"], ["outside a block"],
    ),
    "ML-02 receiver: an end without a beginning": (b"x\x1c\r" + block(BODY), [BODY], ["outside a block"]),
    "ML-06 receiver: FS without CR": (block(BODY)[:-1] + block(b"B"), [BODY, b"B"], []),
    "ML-06 receiver: FS without CR at the end": (block(BODY)[:-1], [BODY], []),
    "ML-06 receiver: CR LF and LF segment ends are left alone": (
        block(b"MSH|\r\nPID|\n"), [b"MSH|\r\nPID|\n"], [],
    ),
    "ML-06 receiver: the last CR of the message missing": (block(b"MSH|\rPID|"), [b"MSH|\rPID|"], []),
    "ML-06 receiver: empty block": (block(b""), [b""], []),
    "ML-06 receiver: FS CR LF": (block(BODY) + b"\n" + block(b"B"), [BODY, b"B"], ["outside a block"]),
    "ML-02 receiver: a block without its end": (b"\x0bMSH|", [], ["block without its end"]),
    "ML-02 receiver: noise only": (b"hello", [], ["outside a block"]),
    "ML-01 receiver: a block of 64 000 characters": (block(b"x" * 64_000), [b"x" * 64_000], []),
}  # fmt: skip


def read_one_way(stream: bytes, how: str) -> tuple[list[bytes], list[str], bytes]:
    """Bodies, problems and every byte. Noise is one problem however many reads brought it; CR after FS is none."""
    receiver = Receiver()
    events = [event for piece in pieces(stream, how) for event in receiver.receive(piece)] + receiver.close()
    problems: list[str] = []
    before: Block | Problem | None = None
    for event in events:
        noise = isinstance(event, Problem) and event.what == "outside a block"
        if isinstance(event, Problem):
            late = isinstance(before, Block) and not event.raw.strip(b"\r")
            if late:
                continue
            if not (noise and isinstance(before, Problem) and before.what == event.what):
                problems.append(event.what)
        before = event
    return [e.body for e in events if isinstance(e, Block)], problems, b"".join(event.raw for event in events)


def read(stream: bytes) -> tuple[list[bytes], list[str]]:
    """What a receiver makes of a stream: whole, byte by byte and in random pieces, with one result."""
    whole, *others = (read_one_way(stream, how) for how in WAYS)
    assert whole[2] == stream, "every byte comes back in an event"
    for how, other in zip(WAYS[1:], others, strict=True):
        assert other == whole, f"fed in {how}, the stream gives something else"
    return whole[:2]


@pytest.mark.parametrize("case", CASES)
def test_receiver_case(case: str) -> None:
    stream, bodies, problems = CASES[case]
    assert read(stream) == (bodies, problems)


def test_ml_01_sender_a_body_that_holds_a_mark_is_not_sent() -> None:
    for mark in (mllp.VT, mllp.FS):
        with pytest.raises(ValueError, match="marks the block"):
            block(b"a" + mark)


def test_ml_06_sender_is_strict() -> None:
    """VT, the message, FS CR: nothing before, between or after."""
    assert block(BODY) == b"\x0b" + BODY + b"\x1c\x0d"
    assert block(b"") == b"\x0b\x1c\x0d"


def test_ml_04_receiver_commit_replies_of_release_2() -> None:
    events = Receiver().receive(mllp.COMMIT + mllp.REJECT + block(BODY))
    assert [event.commit for event in events if isinstance(event, Block)] == [True, False, None]


def test_ml_02_receiver_a_block_without_end_does_not_fill_the_memory() -> None:
    receiver = Receiver(max_block=1000)
    receiver.receive(b"\x0b")
    problems = [event for _ in range(100) for event in receiver.receive(b"x" * 100)]
    assert problems[0] == Problem(b"\x0b" + b"x" * 1000, "block over 1000 bytes")
    assert receiver.receive(block(BODY))[-1] == Block(BODY, block(BODY))


PARTS = st.lists(st.one_of(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x02", block(BODY)]), st.binary(max_size=6)))


@examples(150)
@given(PARTS)
def test_any_bytes_in_any_pieces_give_the_same_blocks(parts: list[bytes]) -> None:
    read(b"".join(parts))
