"""Questions of analyzers: the answer goes back over the same line, in the host's role, and contention is theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drivers.driver import Message, load_driver
from drivers.wire import lis1a
from drivers.wire.lis1a import Sender
from middleware import connection
from middleware.answers import Answer, NotNow
from tests.system.line_kit import ACK, ENQ, EOT, NAK, PATIENCE, Analyzer, analyzer, running

LISTEN = "tcp-listen://127.0.0.1:0"
QUERY = b"H|\\^&|||X^1\rQ|1|^S1||ALL\rL|1|N\r"
RESULT = b"H|\\^&|||X^1\rP|1\rO|1|S1\rR|1|^^^GLU|5.4\rL|1|N\r"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_DELAY", 0.01)
    timers = {**lis1a.TIMERS}
    for name in ("busy", "contention_host"):
        timers[name] = lis1a.Timer(name, 0.05, "made short")
    monkeypatch.setattr(lis1a, "TIMERS", timers)
    real = lis1a.Sender
    monkeypatch.setattr(lis1a, "Sender", lambda frames, role: real(frames, role, timers))


def expected_answer(lines_message: Message) -> list[bytes]:
    driver = load_driver("generic_astm")
    return driver.answer(driver.decode(lines_message), ()) or []


async def read_session(far: Analyzer) -> list[bytes]:
    """Take what the host sends after its ENQ was seen; the messages."""
    assembler, receiver, made = lis1a.Assembler(), lis1a.Receiver(), []
    receiver.receive(ENQ)
    far.writer.write(receiver.accept())
    while True:
        for event in receiver.receive(await asyncio.wait_for(far.reader.read(4096), PATIENCE)):
            if isinstance(event, lis1a.SessionEnded):
                return made
            assert isinstance(event, lis1a.FrameArrived)
            made += [each.body for each in assembler.add(event.text, event.last)]
            far.writer.write(receiver.accept())


async def enq(far: Analyzer) -> bytes:
    return await asyncio.wait_for(far.reader.readexactly(1), PATIENCE)


async def test_a_query_is_answered_as_the_driver_says(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        assert await enq(far) == ENQ
        told = await read_session(far)
        assert await far.send(RESULT) == ACK * 6, "the line is neutral again"
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert told == expected_answer(lines.messages[0])
    sessions = [lines.reader.chunks(number) for number in (1, 2, 3)]
    assert next(c.data for c in sessions[1] if c.direction == "out") == ENQ
    assert b"".join(c.data for c in sessions[1] if c.direction == "out").endswith(EOT)


async def both_ask_at_once(far: Analyzer) -> None:
    """A question; the analyzer's ENQ meets that of our answer, it says a result, and we ask again."""
    await far.send(QUERY)
    assert await enq(far) == ENQ
    far.writer.write(ENQ)
    await asyncio.sleep(0.02)
    assert await far.send(RESULT) == ACK * 6
    assert await enq(far) == ENQ


async def test_6_2_7_1_contention_is_the_analyzers(tmp_path: Path) -> None:
    """LL-17: both send ENQ; ours gives way, takes the analyzer's message, and asks again afterwards."""
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await both_ask_at_once(far)
        assert await read_session(far) == expected_answer(lines.messages[0])
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert [m.body for m in lines.messages] == [QUERY, RESULT]


async def test_ll_18_6_5_2_2_sender_an_answer_waits_no_longer_than_the_analyzers_own_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 20 s of contention are for its ENQ: once that came, what it asked for follows its message at once."""
    timers = {**lis1a.TIMERS, "contention_host": lis1a.Timer("contention_host", 60, "longer than the test")}
    monkeypatch.setattr(lis1a, "Sender", lambda frames, role: Sender(frames, role, timers))
    monkeypatch.setattr(lis1a, "TIMERS", timers)
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await both_ask_at_once(far)
        assert await read_session(far) == expected_answer(lines.messages[0])
        await far.close()


async def test_rc_17_5_5_receiver_a_q_record_may_have_a_small_letter(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY.replace(b"\rQ|", b"\rq|"))
        assert await enq(far) == ENQ
        assert await read_session(far) == expected_answer(lines.messages[0])
        await far.close()


async def test_6_2_6_a_busy_analyzer_is_asked_again(tmp_path: Path) -> None:
    """LL-14."""
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        for _ in range(2):
            assert await enq(far) == ENQ
            far.writer.write(NAK)
        assert await enq(far) == ENQ
        assert await read_session(far) == expected_answer(lines.messages[0])
        await far.close()


async def test_6_5_1_2_an_answer_refused_six_times_is_given_up_and_the_line_goes_on(tmp_path: Path) -> None:
    """LL-30."""
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        for _ in range(connection.ANSWER_TRIES):
            assert await enq(far) == ENQ
            far.writer.write(ACK)
            for _ in range(lis1a.ATTEMPTS):
                assert (await asyncio.wait_for(far.reader.readuntil(b"\n"), PATIENCE))[:2] == b"\x021"
                far.writer.write(NAK)
            assert await enq(far) == EOT
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(far.reader.readexactly(1), 0.15)
        assert await far.send(RESULT) == ACK * 6
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)


async def test_a_result_is_answered_by_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await far.send(RESULT)
        await far.send(RESULT)
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
        assert await asyncio.wait_for(far.reader.read(), PATIENCE) == b""


async def test_two_questions_in_one_session_get_two_answers_in_one(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY, QUERY.replace(b"^S1", b"^S2"))
        assert await enq(far) == ENQ
        told = await read_session(far)
        assert told == [answer for message in lines.messages for answer in expected_answer(message)]
        assert len(told) == 2
        await far.close()


BOTH = RESULT.replace(b"L|1", b"Q|1|^S1||ALL\rL|1")


async def test_rc_01_4_1_receiver_a_question_beside_results_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.send(BOTH) == ACK * 7
        assert [message.body for message in lines.messages] == [BOTH], "handed on before it is answered"
        assert await enq(far) == ENQ
        assert await read_session(far) == expected_answer(lines.messages[0])
        await far.close()


def away(*_: object) -> Answer:
    """A laboratory whose database cannot be read."""

    def answer(_message: Message) -> list[bytes] | None:
        raise NotNow("the orders cannot be looked up now, ask again")

    return answer


async def test_a_question_that_cannot_be_answered_now_is_left_open_and_the_line_goes_on(tmp_path: Path) -> None:
    """Neither L-3 I, "no information", which would be a lie, nor the end of the connection."""
    async with running(tmp_path / "journal", analyzer("xn", LISTEN), answers=away) as lines:
        far = await lines.connect("xn")
        assert await far.send(QUERY) == ACK * 4
        assert await far.send(RESULT) == ACK * 6
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
        assert await asyncio.wait_for(far.reader.read(), PATIENCE) == b""
    assert [message.body for message in lines.messages] == [QUERY, RESULT]
    assert lines.states["xn"].trouble == ""
