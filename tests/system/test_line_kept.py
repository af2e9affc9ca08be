"""What a connection owes the analyzer and the laboratory whatever happens between: each law once, over a real socket.

Written after single conditions of `middleware/connection` had been turned round, for those that no test had noticed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from drivers.driver import Driver, Message
from drivers.wire import lis1a, mllp
from drivers.wire.lis1a_sender import Sender
from middleware import connection, journal_file
from middleware.garbage import HL7_HERE
from middleware.journal import Journal, JournalReader
from middleware.settings import AnalyzerSettings
from middleware.supervisor import Answers
from tests.system.line_kit import ACK, ENQ, EOT, NAK, ORU, Analyzer, analyzer, running
from tests.system.test_line_query import QUERY, RESULT, enq, quick, read_session

__all__ = ["quick"]
LISTEN = "tcp-listen://127.0.0.1:0"
XN = analyzer("xn", LISTEN)
FRAMES = lis1a.session([RESULT], one_record_a_frame=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "BUSY", 0.02)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def small(frame: bytes) -> bytes:
    """The same frame, its checksum in small letters."""
    return frame[:-4] + frame[-4:].lower()


async def say(far: Analyzer, *frames: bytes) -> bytes:
    return b"".join([await far.ask(frame) for frame in frames])


def telling(*texts: bytes) -> Answers:
    """Each question is answered by the next of these messages."""
    left = list(texts)

    def answers(_analyzer: AnalyzerSettings, _driver: Driver) -> connection.Answer:
        def answer(_message: Message) -> list[bytes]:
            return [left.pop(0)]

        return answer

    return answers


# ---- receiving ----------------------------------------------------------------------------------------------------


async def test_ll_34_6_3_2_receiver_every_frame_twice_is_one_message(path: Path) -> None:
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ, *(each for frame in FRAMES for each in (frame, frame))) == ACK * 11
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(RESULT, False)]


async def test_rc_12_5_4_1_receiver_frames_without_a_cr_are_records(path: Path) -> None:
    """Snibe ends each frame with ETX and no CR: it is put back, so that the next record is one of its own."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        frames = lis1a.session([RESULT], one_record_a_frame=True, bare=True)
        assert await say(far, ENQ, *frames) == ACK * 6
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert (lines.messages[0].body, lines.messages[0].incomplete) == (RESULT, False)


async def test_ll_34_6_3_2_receiver_a_repeat_is_none_after_a_crash_either(path: Path) -> None:
    """Its bytes may differ from the first: the text does not."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert small(FRAMES[2]) != FRAMES[2]
        assert await say(far, ENQ, *FRAMES[:3], small(FRAMES[2])) == ACK * 5
        crashed = path.with_name("crashed")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(crashed)) as copy:
            source.backup(copy)
        await far.close()
    journal = Journal.open(crashed)
    assert [message.body for message in journal.recover()] == [RESULT.partition(b"R|1")[0]]
    journal.close()


async def test_ll_27_6_3_4_3_receiver_a_frame_that_was_not_stored_comes_again_and_stands_once(path: Path) -> None:
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ, *FRAMES[:2]) == ACK * 3
        with locked(path):
            assert await say(far, FRAMES[2], FRAMES[2]) == NAK * 2
        assert await say(far, *FRAMES[2:]) == ACK * 3
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(RESULT, False)]


async def test_what_we_said_while_nothing_could_be_written_is_told_afterwards(path: Path) -> None:
    """The flight recorder holds both directions, the refusals too."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        heard = await say(far, ENQ, *FRAMES[:2])
        with locked(path):
            heard += await say(far, FRAMES[2], FRAMES[2])
        heard += await say(far, *FRAMES[2:])
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    told = [chunk.data for chunk in JournalReader(path).chunks(1) if chunk.direction == "out"]
    assert heard == ACK * 3 + NAK * 2 + ACK * 3
    assert b"".join(told) == heard


@pytest.mark.parametrize("how", ["eot", "enq", "timeout"])
async def test_a_conversation_that_ended_in_the_middle_has_its_end_in_the_journal(
    how: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next start would find it, and make its incomplete message a second time."""
    if how == "timeout":
        timers, real = {**lis1a.TIMERS, "frame": lis1a.Timer("frame", 0.2, "made short")}, lis1a.Receiver
        monkeypatch.setattr(lis1a, "Receiver", lambda free: real(free, timers))
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ, *FRAMES[:3]) == ACK * 4
        far.writer.write({"eot": EOT, "enq": ENQ, "timeout": b""}[how])
        await lines.until(lambda: len(lines.messages) == 1)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT how FROM session WHERE id = 1").fetchone() == (how,)
    journal = Journal.open(path)
    assert journal.recover() == []
    journal.close()


async def test_noise_before_a_session_is_a_conversation_with_an_end(path: Path) -> None:
    """Else it would be kept for ever: what has no end is never old."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await far.ask(b"noise" + ENQ) == ACK
        assert await say(far, *FRAMES) == ACK * 5
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    with closing(sqlite3.connect(path)) as conn:
        found = conn.execute("SELECT protocol, how FROM session ORDER BY id").fetchall()
    assert found == [("noise", "noise"), ("LIS2-A2", "eot")]


async def test_a_peer_that_hangs_up_while_its_frame_is_stored_is_gone(path: Path) -> None:
    """Its end came while nobody listened: the connection ends all the same, and is not kept for ever."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ) == ACK
        with locked(path):
            far.writer.write(FRAMES[0])
            await far.close()
            await lines.until(lambda: lines.journal.failing)
        await lines.until(lambda: not lines.states["xn"].connected)


async def test_half_a_message_proves_no_language(path: Path) -> None:
    """What was said of a line that makes no sense stands until a whole message came."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        far.writer.write(mllp.block(ORU))
        await lines.until(lambda: lines.states["xn"].garbage == HL7_HERE)
        assert await say(far, ENQ, *FRAMES[:2]) == ACK * 3
        far.writer.write(EOT)
        await lines.until(lambda: len(lines.messages) == 1)
        await lines.until(lambda: lines.states["xn"].messages == 1)
        assert lines.states["xn"].garbage == HL7_HERE
        await far.send(RESULT)
        await lines.until(lambda: lines.states["xn"].garbage == "")
        await far.close()


# ---- answering ----------------------------------------------------------------------------------------------------


async def test_a_question_that_was_cut_is_not_answered(path: Path) -> None:
    """The next H stands where its L should be."""
    async with running(path, XN, answers=telling(b"H|\\^&\rL|1\r")) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY.partition(b"L|")[0] + RESULT)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(far.reader.readexactly(1), 0.3)
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert [message.incomplete for message in lines.messages] == [True, False]


async def test_a_question_whose_records_end_with_lf_is_answered(path: Path) -> None:
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        question = QUERY.replace(b"\r", b"\n")
        assert await say(far, ENQ, lis1a.frame(1, b"", False)) == ACK * 2
        body = b"2" + question + b"\x03"
        assert await far.ask(b"\x02" + body + lis1a.checksum(body) + b"\r\n") == ACK
        far.writer.write(EOT)
        assert await enq(far) == ENQ
        await far.close()


async def test_an_answer_to_a_question_that_was_asked_anew_is_not_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what the last session asked: the tube before may be off the analyzer by now."""
    monkeypatch.setattr(connection, "ANSWER_DELAY", 0.3)
    old, new = b"H|\\^&|||OLD\rL|1\r", b"H|\\^&|||NEW\rL|1\r"
    async with running(path, XN, answers=telling(old, new)) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        await far.send(QUERY)
        assert await enq(far) == ENQ
        assert await read_session(far) == [new]
        await far.close()


async def test_ll_17_6_2_7_1_receiver_the_second_enq_of_one_read_is_answered(path: Path) -> None:
    """In contention we answer the analyzer's next ENQ, even when it came together with the first."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        assert await enq(far) == ENQ
        assert await far.ask(ENQ + ENQ) == ACK
        assert await say(far, *FRAMES) == ACK * 5
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)


async def test_ll_14_6_2_6_sender_rests_before_it_asks_again_after_a_failure(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that was refused six times is not forced on the analyzer at once."""
    timers = {**lis1a.TIMERS, "busy": lis1a.Timer("busy", 0.5, "made short")}
    monkeypatch.setattr(lis1a, "TIMERS", timers)
    loop = asyncio.get_running_loop()
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        assert await enq(far) == ENQ
        far.writer.write(ACK)
        for _ in range(lis1a.ATTEMPTS):
            await asyncio.wait_for(far.reader.readuntil(b"\n"), 20)
            far.writer.write(NAK)
        assert await enq(far) == EOT
        ended = loop.time()
        assert await enq(far) == ENQ
        assert loop.time() - ended > 0.3
        await far.close()


# ---- noise is ignored, and moves no timer ---------------------------------------------------------------------------


async def murmur(far: Analyzer, until: Callable[[], bool]) -> None:
    """A byte that means nothing every 50 ms, as a network box sends to keep its connection alive."""
    async with asyncio.timeout(20):
        while not until():
            far.writer.write(b"\x00")
            await asyncio.sleep(0.05)


async def test_ll_36_6_5_2_4_receiver_noise_is_no_frame(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timers, real = {**lis1a.TIMERS, "frame": lis1a.Timer("frame", 0.3, "made short")}, lis1a.Receiver
    monkeypatch.setattr(lis1a, "Receiver", lambda free: real(free, timers))
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ, *FRAMES[:2]) == ACK * 3
        await murmur(far, lambda: bool(lines.messages))
        assert await say(far, ENQ, *FRAMES) == ACK * 6, "the line is neutral"
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert [message.incomplete for message in lines.messages] == [True, False]


async def test_ll_36_6_5_2_4_receiver_a_frame_in_crumbs_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow line is not a silent one."""
    timers, real = {**lis1a.TIMERS, "frame": lis1a.Timer("frame", 0.3, "made short")}, lis1a.Receiver
    monkeypatch.setattr(lis1a, "Receiver", lambda free: real(free, timers))
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ) == ACK
        for at in range(0, len(FRAMES[0]) - 1, 2):
            far.writer.write(FRAMES[0][:-1][at : at + 2])
            await asyncio.sleep(0.06)
        assert await far.ask(b"\n") == ACK
        await far.close()


async def test_ll_16_6_5_2_1_sender_noise_is_no_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an order would hang for ever on a line that is never quiet."""
    timers = {**lis1a.TIMERS, "establish": lis1a.Timer("establish", 0.3, "made short")}
    monkeypatch.setattr(lis1a, "Sender", lambda frames, role: Sender(frames, role, timers))
    heard: list[bytes] = []

    async def listen(far: Analyzer) -> None:
        heard.append(await enq(far))

    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        assert await enq(far) == ENQ
        listening = asyncio.create_task(listen(far))
        await murmur(far, lambda: bool(heard))
        await listening
        await far.close()
    assert heard == [EOT]


@pytest.mark.parametrize(("said", "answer"), [(EOT + ENQ, ACK), (FRAMES[0][:-4] + b"00\r\n", NAK)])
async def test_ll_36_6_5_2_4_receiver_a_new_session_and_a_refused_frame_begin_the_time_anew(
    said: bytes, answer: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when EOT and the next ENQ came in one read."""
    timers, real = {**lis1a.TIMERS, "frame": lis1a.Timer("frame", 1.0, "made short")}, lis1a.Receiver
    monkeypatch.setattr(lis1a, "Receiver", lambda free: real(free, timers))
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ) == ACK
        await asyncio.sleep(0.7)
        assert await say(far, said) == answer
        await asyncio.sleep(0.7)
        assert await say(far, *FRAMES) == ACK * 5
        await far.close()


async def test_ll_14_6_2_6_sender_noise_is_no_refusal(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An analyzer that was busy once, on a noisy line, is asked again."""
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        await far.send(QUERY)
        assert await enq(far) == ENQ
        far.writer.write(NAK)
        for _ in range(2 * lis1a.ATTEMPTS):
            await asyncio.sleep(0.002)
            far.writer.write(b"x")
        assert await enq(far) == ENQ
        assert len(await read_session(far)) == 1
        await far.close()
    assert "did not take the answer" not in caplog.text


# ---- HL7 ----------------------------------------------------------------------------------------------------------


async def test_ml_04_receiver_a_commit_block_is_no_message_and_is_not_answered(path: Path) -> None:
    async with running(path, analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        far.writer.write(mllp.COMMIT + mllp.REJECT)
        assert (await far.ask_until(mllp.block(ORU), b"\x1c\r")).count(b"MSA|AA|17") == 1
        await far.close()
        await lines.until(lambda: not lines.states["bc"].connected)
    assert [message.body for message in lines.messages] == [ORU]


async def test_h7_11_5_receiver_a_query_that_was_answered_is_handed_on_too(path: Path) -> None:
    """At once: it is a message like any other, and stands on the messages page."""
    query = ORU.replace(b"ORU^R01", b"QRY^Q02")
    async with running(path, analyzer("bc", LISTEN, "generic_hl7"), answers=telling(ORU)) as lines:
        far = await lines.connect("bc")
        assert await far.ask_until(mllp.block(query), b"\x1c\r") == mllp.block(ORU)
        await far.close()
        await lines.until(lambda: not lines.states["bc"].connected)
    assert [message.body for message in lines.messages] == [query]
