"""A disk that takes longer than an analyzer's patience: no reply may be taken for that to something else."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from middleware import journal_file, recorder
from middleware.transports import Wire
from tests.system.line_kit import ACK, ENQ, EOT, NAK, Analyzer, running
from tests.system.test_line_kept import FRAMES, XN, locked, say
from tests.system.test_line_query import RESULT


async def send_and_be_heard(monkeypatch: pytest.MonkeyPatch, far: Analyzer, *pieces: bytes) -> None:
    """Send each piece when the one before has come to the line: nothing waits in one read with another."""
    heard = bytearray()
    with monkeypatch.context() as listening:
        receive = Wire.data_received

        def received(wire: Wire, data: bytes) -> None:
            heard.extend(data)
            receive(wire, data)

        listening.setattr(Wire, "data_received", received)
        for count in range(1, len(pieces) + 1):
            far.writer.write(pieces[count - 1])
            while bytes(heard) != b"".join(pieces[:count]):
                await asyncio.sleep(0.002)


def unanswered(path: Path) -> int:
    """Replies that were not sent, because nobody waited for them any more."""
    with closing(sqlite3.connect(path)) as journal:
        notes = [note for (note,) in journal.execute("SELECT note FROM chunk")]
    return notes.count("not answered: the analyzer has given up waiting")


@pytest.mark.parametrize("busy", [20.0, 0.2])
async def test_ll_32_6_5_2_5_receiver_a_reply_that_nobody_waits_for_is_not_sent(
    busy: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk took longer than the analyzer's patience: it would take a late ACK or NAK for the answer to its new ENQ,
    and be one ahead from then on: its last frame acknowledged before it is stored."""
    path = tmp_path / "journal.sqlite"
    monkeypatch.setattr(journal_file, "BUSY", busy)
    monkeypatch.setattr(recorder, "LATE", 0)
    async with running(path, XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ) == ACK
        with locked(path):
            await send_and_be_heard(monkeypatch, far, FRAMES[0], EOT + ENQ)
            assert busy > 1 or await say(far, b"") == NAK, "to the ENQ alone"
        assert await say(far, b"" if busy > 1 else ENQ, *FRAMES) == ACK * 6
        far.writer.write(EOT)
        far.writer.write_eof()
        assert await far.reader.read() == b"", "as many replies as were waited for"
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    assert [(m.body, m.incomplete) for m in lines.messages][-1] == (RESULT, False)
    assert unanswered(path) == 1


GIVEN_UP = EOT + ENQ
BAD = FRAMES[0].replace(b"H|", b"h|")
STOPPED = {
    "at ENQ": (b"", ENQ + GIVEN_UP),
    "at ENQ, for a minute": (b"", ENQ + GIVEN_UP * 3),
    "at a frame": (ENQ, FRAMES[0] + GIVEN_UP),
    "at a frame, for a minute": (ENQ, FRAMES[0] + GIVEN_UP * 3),
    "at a repeat": (ENQ + FRAMES[0], FRAMES[0] + GIVEN_UP),
    "at a damaged frame": (ENQ, BAD + GIVEN_UP),
}


@pytest.mark.parametrize("when", STOPPED)
async def test_ll_31_6_5_2_3_receiver_what_was_given_up_while_we_were_stopped_is_not_answered(
    when: str, tmp_path: Path
) -> None:
    """SIGSTOP, or a computer that slept: when it goes on it finds in one read what was said in all that time."""
    before, meanwhile = STOPPED[when]
    async with running(tmp_path / "journal", XN) as lines:
        far = await lines.connect("xn")
        for said in filter(None, (before[:1], before[1:])):
            assert await say(far, said) == ACK
        assert await far.ask(meanwhile) == ACK, "to the last ENQ"
        assert await say(far, *FRAMES) == ACK * 5
        assert [m.incomplete for m in lines.reader.messages()].count(False) == 1, "stored before its last ACK"
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: not lines.states["xn"].connected)
    assert [m.body for m in lines.messages if not m.incomplete] == [RESULT]
    assert unanswered(lines.path) == meanwhile.count(GIVEN_UP)


async def test_ll_31_6_5_2_3_receiver_a_message_that_was_stored_and_given_up_comes_again_and_is_kept_both_times(
    tmp_path: Path,
) -> None:
    """As after a lost ACK: what was stored is never thrown away."""
    async with running(tmp_path / "journal", XN) as lines:
        far = await lines.connect("xn")
        assert await say(far, ENQ, *FRAMES[:-1]) == ACK * len(FRAMES)
        assert await far.ask(FRAMES[-1] + GIVEN_UP) == ACK
        assert await say(far, *FRAMES) == ACK * len(FRAMES)
        assert len(lines.reader.messages()) == 2
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(RESULT, False)] * 2
    assert unanswered(lines.path) == 1
