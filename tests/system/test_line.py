"""Running lines on real sockets: receive, journal, acknowledge; and when a disk or an analyzer fails."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import threading
from pathlib import Path

import astm
import hl7.client
import pytest

from drivers.wire import hl7 as wire_hl7
from drivers.wire import lis1a, mllp
from middleware import recorder, transports
from tests.system.line_kit import ACK, ENQ, EOT, LISTEN, MESSAGE, NAK, ORU, PATIENCE, analyzer, quick, running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


# ---- ASTM -------------------------------------------------------------------------------------------------------


async def test_every_frame_is_in_the_journal_before_its_ack(path: Path) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) == ACK
        for number, frame in enumerate(lis1a.frames(MESSAGE, one_record_a_frame=True), 1):
            assert await far.ask(frame) == ACK
            assert lines.reader.chunks(1)[-1].data == frame
            assert len(lines.reader.messages()) == (number == 5), "the commit of L's frame makes the message"
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: lines.states["xn"].messages == 1 and not lines.states["xn"].connected)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(MESSAGE, False)]
    assert lines.reader.unprocessed() == lines.messages
    told = [(c.direction, c.data) for c in lines.reader.chunks(lines.messages[0].id)]
    sent = [ENQ, *lis1a.frames(MESSAGE, one_record_a_frame=True)]
    assert told == [pair for data in sent for pair in (("in", data), ("out", ACK))] + [("in", EOT)]


async def test_a_damaged_frame_is_refused_journaled_and_counted(path: Path) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        (good,) = lis1a.frames(MESSAGE)
        bad = good.replace(b"5.4", b"3.4")
        assert await far.ask(ENQ) + await far.ask(bad) + await far.ask(good) == ACK + NAK + ACK
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: lines.states["xn"].refused == 1)
    assert [m.body for m in lines.messages] == [MESSAGE]
    noted = {c.data: c.note for c in lines.reader.chunks(1) if c.direction == "in"}
    assert noted == {ENQ: "ENQ", bad: "refused: wrong checksum", good: "frame 1", EOT: "EOT"}


async def test_frames_in_pieces_and_merged(path: Path) -> None:
    """LL-20: framing is by STX … LF, not by what one read gives."""
    (frame,) = lis1a.frames(MESSAGE)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) == ACK
        for byte in frame[:-1]:
            far.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await far.ask(frame[-1:]) == ACK
        assert await far.ask(EOT + ENQ + frame + EOT, 2) == ACK * 2
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert [m.body for m in lines.messages] == [MESSAGE, MESSAGE]


async def test_two_connections_of_one_analyzer_and_one_for_each_message(path: Path) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        one, two = await lines.connect("xn"), await lines.connect("xn")
        assert await one.ask(ENQ) == await two.ask(ENQ) == ACK
        texts = [MESSAGE.replace(b"S1", name) for name in (b"A", b"B", b"C", b"D")]
        for far, text in ((one, texts[0]), (two, texts[1])):
            assert await far.ask(lis1a.frames(text)[0]) == ACK
            far.writer.write(EOT)
        await one.close()
        assert lines.states["xn"].connected
        await two.close()
        for text in texts[2:]:
            far = await lines.connect("xn")
            await far.send(text)
            await far.close()
        await lines.until(lambda: len(lines.messages) == 4 and not lines.states["xn"].connected)
    assert sorted(m.body for m in lines.messages) == sorted(texts)
    assert [m.incomplete for m in lines.messages] == [False] * 4


@pytest.mark.parametrize("how", ["disconnect", "EOT"])
async def test_half_a_message_is_kept_as_incomplete(path: Path, how: str) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        first, second = lis1a.frames(MESSAGE, one_record_a_frame=True)[:2]
        assert await far.ask(ENQ) + await far.ask(first) + await far.ask(second) == ACK * 3
        far.writer.write(b"\x023O|1" if how == "disconnect" else EOT)
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(b"H|\\^&|||X^1\rP|1\r", True)]
    assert lines.reader.unprocessed() == lines.messages


async def test_silence_keeps_what_came_as_incomplete(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LL-36, with thirty seconds made short."""
    timers = {**lis1a.TIMERS, "frame": lis1a.Timer("frame", 0.05, "6.5.2.4")}
    real = lis1a.Receiver
    monkeypatch.setattr(lis1a, "Receiver", lambda free: real(free, timers))
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) + await far.ask(lis1a.frames(MESSAGE, size=30)[0]) == ACK * 2
        await lines.until(lambda: len(lines.messages) == 1)
        assert await far.send(MESSAGE) == ACK * 6, "the line goes on"
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(MESSAGE[:30], True), (MESSAGE, False)]


async def test_the_line_lives_on_after_an_aborted_frame(path: Path) -> None:
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) == ACK
        assert await far.ask(b"\x021H|\\^&||" + ENQ) == ACK, "quiet after ENQ: a restart"
        assert await far.ask(lis1a.frames(MESSAGE)[0]) == ACK
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert [m.body for m in lines.messages] == [MESSAGE]


async def test_a_line_that_sends_for_ever_without_framing_fills_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "NOISE", 10_000)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        for _ in range(40):
            far.writer.write(b"\x80\x00garbage " * 1000)
            await far.writer.drain()
        assert await far.send(MESSAGE) == ACK * 6
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    kept = sum(len(chunk.data) for chunk in lines.reader.chunks(1))
    assert 0 < kept < 10_000 + transports.FULL * 2


async def test_who_sends_without_waiting_is_heard_a_piece_in_each_turn_of_the_loop(path: Path) -> None:
    """4 KiB of ENQ and EOT are thousands of sessions: all that a mad sender has in the network's buffers, handled at
    once, kept every other analyzer waiting for longer than it waits."""
    near, far = socket.socketpair()
    far.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, wire = await loop.create_connection(transports.Wire, sock=near)
    said, turns = bytes(range(256)) * 78, 0
    pieces: list[tuple[int, bytes | None]] = []
    wire.flow(lambda data: pieces.append((turns, data)))
    await loop.sock_sendall(far, said)
    far.close()
    async with asyncio.timeout(PATIENCE):
        while not pieces or pieces[-1][1] != b"":
            turns += 1
            await asyncio.sleep(0)
    assert b"".join(data or b"" for _, data in pieces) == said
    assert max(len(data or b"") for _, data in pieces) <= transports.PIECE
    busy = [turn for turn, data in pieces if data]
    assert len(set(busy)) == len(busy) >= 5, "others have their turn between"
    transport.close()


async def test_an_independent_analyzer_astm_2025(path: Path) -> None:
    """A client nobody here wrote; it ends with an empty session of its own."""
    records = [["H", [[None], [None, "&"]], None, None, "sim"], ["P", "1"], ["O", "1", "S1"],
               ["R", "1", [None, None, None, "GLU"], "5.4" * 150], ["L", "1", "N"]]  # fmt: skip

    def emitter():
        for record in records:
            assert (yield record)

    async with running(path, analyzer("xn", LISTEN)) as lines:
        host, port = await lines.address("xn")

        def play() -> None:
            astm.client.Client(emitter, host=host, port=port, timeout=None, chunk_size=240).run(timeout=0.05)

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        await lines.until(lambda: len(lines.messages) == 1 and not lines.states["xn"].connected)
        await asyncio.to_thread(thread.join, PATIENCE)
    assert [m.incomplete for m in lines.messages] == [False]
    assert lines.messages[0].body.split(b"\r")[1:] == [
        b"P|1", b"O|1|S1", b"R|1|^^^GLU|" + b"5.4" * 150, b"L|1|N", b""
    ]  # fmt: skip
    assert lines.states["xn"].refused == 0


# ---- the journal fails ------------------------------------------------------------------------------------------


def locked(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_astm_is_refused_while_the_journal_cannot_be_written(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """NAK for the frame, NAK for the next ENQ; then all is well on the same connection, and nothing is lost."""
    caplog.set_level(logging.INFO)
    async with running(path, analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        frame = lis1a.frames(MESSAGE)[0]
        assert await far.ask(ENQ) == ACK
        other = locked(path)
        assert await far.ask(frame) == NAK
        assert await far.ask(frame) == NAK
        far.writer.write(EOT)
        assert await far.ask(ENQ) == NAK
        other.execute("ROLLBACK")
        other.close()
        assert await far.ask(ENQ) + await far.ask(frame) == ACK * 2
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(MESSAGE, False)]
    assert [r.levelname for r in caplog.records if r.name == "labmitra.journal"] == ["ERROR", "INFO"]
    assert lines.states["xn"].refused == 3


async def test_hl7_is_answered_ae_while_the_journal_cannot_be_written(path: Path) -> None:
    async with running(path, analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        other = locked(path)
        assert b"\rMSA|AE|17|" in await far.ask_until(mllp.block(ORU), b"\x1c\r")
        other.execute("ROLLBACK")
        other.close()
        assert b"\rMSA|AA|17\r" in await far.ask_until(mllp.block(ORU), b"\x1c\r")
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert [m.body for m in lines.messages] == [ORU]


# ---- HL7 --------------------------------------------------------------------------------------------------------


async def test_hl7_is_stored_then_acknowledged(path: Path) -> None:
    async with running(path, analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        reply = await far.ask_until(b"\x02\x02\r\n" + mllp.block(ORU)[:-1], b"\x1c\r")  # keep-alive; no CR after FS
        assert [m.size for m in lines.reader.messages()] == [len(ORU)]
        acknowledgement = wire_hl7.parse(reply[1:-2])
        assert [s.type for s in acknowledgement] == ["MSH", "MSA"]
        assert (acknowledgement[1]["1"], acknowledgement[1]["2"]) == ("AA", "17")
        assert len(acknowledgement[0]["10"] or "") <= 20
        assert len(acknowledgement[0]["7"] or "") == 14
        await far.close()
        await lines.until(lambda: not lines.states["bc"].connected)
    chunks = lines.reader.chunks(lines.messages[0].id)
    assert [(c.direction, c.data) for c in chunks] == [("in", mllp.block(ORU)[:-1]), ("out", reply)]


ASKED = {
    "ADT is not served": (ORU.replace(b"ORU^R01", b"ADT^A01"), [b"AR"]),
    "H7-04: no type is no reason to be silent": (ORU.replace(b"ORU^R01", b""), [b"AR"]),
    "a type with padding and in small letters": (ORU.replace(b"ORU^R01", b"oru ^R01"), [b"AA"]),
    "an ACK is never acknowledged": (ORU.replace(b"ORU^R01", b"ACK^R01"), []),
    "enhanced: accept and application": (ORU.replace(b"2.3.1||||||", b"2.5.1|||AL|AL||"), [b"CA", b"AA"]),
    "enhanced: on error only": (ORU.replace(b"2.3.1||||||", b"2.5.1|||ER|AL||"), [b"AA"]),
    "enhanced: never": (ORU.replace(b"2.3.1||||||", b"2.5.1|||NE|NE||"), []),
    "a query nobody answers": (ORU.replace(b"ORU^R01", b"QRY^Q02"), [b"AR"]),
    "two messages in one block": (ORU + ORU, [b"AA", b"AA"]),
    "no HL7 at all": (b"hello", []),
}


@pytest.mark.parametrize("case", ASKED)
async def test_hl7_answers_as_it_is_asked(path: Path, case: str) -> None:
    """H7-01 … H7-05; everything is stored whatever the answer."""
    body, codes = ASKED[case]
    async with running(path, analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        far.writer.write(mllp.block(body))
        far.writer.write(mllp.block(ORU))
        replies: list[mllp.Event] = []
        receiver = mllp.Receiver()
        while len(replies) < len(codes) + 1:
            replies += receiver.receive(await asyncio.wait_for(far.reader.read(4096), PATIENCE))
        await far.close()
        await lines.until(lambda: not lines.states["bc"].connected)
    told = [reply.body.partition(b"MSA|")[2][:2] for reply in replies if isinstance(reply, mllp.Block)]
    assert told == [*codes, b"AA"]
    assert b"".join(m.body for m in lines.messages) == body + ORU


async def test_a_block_cut_off_is_kept_as_incomplete_and_not_acknowledged(path: Path) -> None:
    async with running(path, analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        far.writer.write(b"\x0b" + ORU[:60])
        assert b"MSA|AA|17" in await far.ask_until(mllp.block(ORU), b"\x1c\r")
        far.writer.write(b"\x0b" + ORU[:50])
        await far.close()
        await lines.until(lambda: len(lines.messages) == 3)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(ORU[:60], True), (ORU, False), (ORU[:50], True)]


async def test_a_vt_among_garbage_begins_no_message(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong baud rate makes any byte, and would make incomplete messages without an end."""
    monkeypatch.setattr(recorder, "NOISE", 10_000)
    async with running(path, analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        for _ in range(40):
            far.writer.write(b"\x0b\x80\x93MSI|" * 2000)
            await far.writer.drain()
        assert b"MSA|AA|17" in await far.ask_until(mllp.block(ORU), b"\x1c\r")
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(ORU, False)]
    kept = sum(len(chunk.data) for chunk in lines.reader.chunks(1))
    assert 0 < kept < 10_000 + transports.FULL * 2


async def test_an_independent_hl7_client(path: Path) -> None:
    async with running(path, analyzer("bc", LISTEN, "generic_hl7")) as lines:
        host, port = await lines.address("bc")

        def send() -> bytes:
            with hl7.client.MLLPClient(host, port) as client:
                return bytes(client.send_message(ORU))

        reply = await asyncio.to_thread(send)
        await lines.until(lambda: len(lines.messages) == 1)
    assert str(hl7.parse(reply[1:-2].decode()).segment("MSA")) == "MSA|AA|17"
