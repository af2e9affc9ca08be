"""Whatever the line does to a message, what is stored is what was sent, or it is cleanly refused.

The whole way is driven as a connection drives it: Receiver, Assembler, driver.decode; at the far end a model analyzer
that repeats a refused frame and, when it gives up, the whole message (LIS01-A2 6.5.1.2, 6.5.2.3). The messages are the
captures', cut into frames anew.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decode import decode_file
from drivers.driver import DecodeError, Driver, Message, Observation, driver_names, load_driver
from drivers.wire import hl7, lis1a, lis2a, mllp
from tests.wire.line_kit import ENQ, EOT, Answering, Heard, Pair, examples, hear, hear_one_way
from tests.wire.test_lis1a_pair import DamageOnce
from tests.wire.test_mllp import read as read_blocks

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
CAPTURES = Path(__file__).parents[1] / "captures"
FORMS = {name: load_driver(name) for name in driver_names()}
ASTM = tuple(name for name, form in FORMS.items() if form.speaks == "LIS2-A2" and form.framing is None)
HL7 = tuple(name for name, form in FORMS.items() if form.speaks == "HL7")


@cache
def messages(name: str) -> tuple[bytes, ...]:
    """The whole messages of a driver's captures, without frames."""
    found: list[bytes] = []
    for path in sorted((CAPTURES / name).glob("*.raw")):
        data = path.read_bytes()
        if name in HL7:
            blocks = mllp.Receiver().receive(data)
            bare = [] if mllp.VT in data else [data]  # a capture may hold nothing but a cut block
            bodies = [event.body for event in blocks if isinstance(event, mllp.Block)] or bare
            found += [body for block in bodies for body in hl7.split(block)]
        elif b"\x02" in data:
            found += hear_one_way(data if ENQ in data[:3] else ENQ + data, "whole", free_numbering=True).messages
        else:
            found += [part.body.replace(b"\r\n", b"\r") for part in lis2a.split(data) if part.complete]
    return tuple(found)


def observed(driver: Driver, bodies: list[bytes] | tuple[bytes, ...]) -> list[Observation]:
    """Every row of these messages; one that is no message at all is a clean refusal."""
    rows: list[Observation] = []
    for body in bodies:
        try:
            rows += driver.decode(Message("1", "a", NOW, body)).observations
        except DecodeError:
            continue
    return rows


@pytest.mark.parametrize("name", (*ASTM, *HL7))
def test_the_captures_say_something(name: str) -> None:
    """What the properties below compare is not empty: rows, or tubes that are asked about."""
    said = [load_driver(name).decode(Message("1", "a", NOW, body)) for body in messages(name)]
    assert any(decoded.observations or decoded.query_sample_ids for decoded in said)


sessions = st.sampled_from(ASTM).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(st.sampled_from(messages(name)), min_size=1, max_size=3))
)
sizes = st.one_of(st.integers(20, 300), st.just(63_993))


@examples(60)
@given(sessions, sizes, st.booleans(), st.data())
def test_any_split_or_merge_gives_the_same_observations(
    said: tuple[str, list[bytes]], size: int, one_record_a_frame: bool, data: st.DataObject
) -> None:
    name, bodies = said
    stream = ENQ + b"".join(lis1a.session(bodies, size, one_record_a_frame)) + EOT
    heard = hear(stream)
    assert heard.messages == bodies
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    receiver = hear_cut(stream, cuts)
    driver = load_driver(name)
    assert observed(driver, receiver.messages) == observed(driver, bodies)


def hear_cut(stream: bytes, cuts: list[int]) -> Heard:
    """What a receiver makes of a stream cut at these places."""
    answering = Answering()
    for begin, end in pairwise([0, *sorted(cuts), len(stream)]):
        answering.receive(stream[begin:end])
    return answering.heard


def stored(heard: Heard, driver: Driver) -> list[Observation]:
    """As the lab stores: the same message a second time adds nothing."""
    return observed(driver, list(dict.fromkeys(heard.messages)))


@examples(120)
@given(sessions, sizes, st.sampled_from(["out", "back"]), st.integers(0, 10**6), st.integers(0, 255))
def test_any_single_damaged_byte_gives_the_same_observations(
    said: tuple[str, list[bytes]], size: int, direction: str, at: int, to: int
) -> None:
    """Damaged on the way out or back: the analyzer repeats, and nothing is lost, changed or stored twice."""
    name, bodies = said
    frames = lis1a.session(bodies, size)
    length = sum(map(len, frames)) + 2 if direction == "out" else len(frames) + 1
    pair = Pair(frames, line=DamageOnce(direction, at % length, to))
    heard, driver = pair.run(), load_driver(name)
    assert isinstance(pair.outcomes[-1], lis1a.Sent)
    assert stored(heard, driver) == observed(driver, list(dict.fromkeys(bodies)))


class RepeatOnce:
    """An analyzer that did not see a reply: it sends a frame a second time though it was accepted."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def __call__(self, direction: str, data: bytes) -> bytes:
        self.passed += direction == "out"
        return data * 2 if direction == "out" and self.passed == self.at and data[:1] == b"\x02" else data


@examples(60)
@given(sessions, sizes, st.integers(2, 40))
def test_any_repeated_frame_gives_the_same_observations(said: tuple[str, list[bytes]], size: int, at: int) -> None:
    name, bodies = said
    pair = Pair(lis1a.session(bodies, size), line=RepeatOnce(at))
    heard, driver = pair.run(), load_driver(name)
    assert stored(heard, driver) == observed(driver, list(dict.fromkeys(bodies)))


@examples(150)
@given(st.sampled_from(ASTM).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(messages(name)))), st.data())
def test_reordered_frames_are_refused_or_reported(said: tuple[str, bytes], data: st.DataObject) -> None:
    """Frames of one message in any other order, with up to seven between: never read as another message unseen.

    Eight frames further the numbers are the same again (6.3.2.1): no receiver can tell, and no sender that waits for
    its reply can do it.
    """
    name, body = said
    frames = lis1a.frames(body, max(20, -(-len(body) // 7)))
    order = data.draw(st.permutations(range(len(frames))))
    heard = hear_one_way(ENQ + b"".join(frames[at] for at in order) + EOT, "whole")
    odd = [said for said in heard.said if said[0] == "refused" or (said[0] == "frame" and said[5])]
    if list(order) == sorted(order):
        assert (heard.messages, odd) == ([body], [])
    else:
        assert odd, "nobody was told"
        driver = load_driver(name)
        if all(said[0] == "refused" for said in odd):
            assert set(stored(heard, driver)) <= set(observed(driver, [body]))


# ---- HL7: no checksum, so a damaged block may not be told from a whole one; its neighbours are untouched -----------

hl7_pairs = st.sampled_from(HL7).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(messages(name))))


@examples(60)
@given(hl7_pairs, st.integers(1, 3), st.booleans())
def test_any_split_or_merge_of_blocks_gives_the_same_observations(
    said: tuple[str, bytes], count: int, in_one_block: bool
) -> None:
    name, body = said
    stream = mllp.block(body * count) if in_one_block else mllp.block(body) * count
    bodies, problems = read_blocks(b"\x02\r\n" + stream)
    driver = load_driver(name)
    assert problems == ["outside a block"]
    found = [message for block in bodies for message in hl7.split(block)]
    assert observed(driver, found) == observed(driver, [body] * count)


@examples(150)
@given(hl7_pairs, st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_byte_of_a_block_leaves_the_next_block_as_it_was(said: tuple[str, bytes], at: int, to: int) -> None:
    name, body = said
    block = mllp.block(body)
    at %= len(block)
    bodies, _ = read_blocks(block[:at] + bytes([to]) + block[at + 1 :] + block)
    assert bodies[-1] == body
    driver = load_driver(name)
    for each in bodies:
        observed(driver, [each])


@examples(60)
@given(st.sampled_from((*ASTM, *HL7)), st.data())
def test_a_file_of_a_line_and_the_line_itself_are_read_alike(name: str, data: st.DataObject) -> None:
    """`labmitra decode` and the middleware use the same receivers: the same messages, the same rows."""
    body = data.draw(st.sampled_from(messages(name)))
    driver = load_driver(name)
    if name in HL7:
        stream = mllp.block(body)
    else:
        stream = ENQ + b"".join(lis1a.frames(body, data.draw(st.integers(20, 300)))) + EOT
    read = decode_file(stream, name)["messages"]
    assert isinstance(read, list)
    assert [row["raw"] for said in read for row in said["observations"]] == [o.raw for o in observed(driver, [body])]
