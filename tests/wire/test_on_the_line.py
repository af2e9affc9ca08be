"""Rules that only a running line can show: what is stored before it is acknowledged, and who is client and server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drivers.wire import hl7, lis1a, mllp
from middleware import serial_wire
from tests.system.line_kit import analyzer, running
from tests.wire.line_kit import ACK, ENQ, EOT, NAK

LISTEN = "tcp-listen://127.0.0.1:0"
MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
ORU = b"MSH|^~\\&|BC|LAB|||20260130101500||ORU^R01|17|P|2.3.1||||||UNICODE\rPID|1\rOBR|1||S1\rOBX|1|NM|HGB||13\r"


def test_ll_01_5_2_2_4_eight_data_bits_no_parity_one_stop_unless_said_otherwise() -> None:
    chosen = serial_wire._settings(serial_wire.OPTIONS)
    assert (chosen["bytesize"], chosen["parity"], chosen["stopbits"]) == (8, "N", 1)
    other = serial_wire._settings({**serial_wire.OPTIONS, "bits": "7", "parity": "E", "stop": "2"})
    assert (other["bytesize"], other["parity"], other["stopbits"]) == (7, "E", 2)


@pytest.mark.parametrize("baud", [1200, 2400, 4800, 9600, 19200, 115200])
def test_ll_02_5_2_3_every_speed_of_the_standard_and_others(baud: int) -> None:
    assert serial_wire._settings({**serial_wire.OPTIONS, "baud": str(baud)})["baudrate"] == baud


async def test_rc_05_4_2_1_receiver_stores_every_frame_before_its_ack(tmp_path: Path) -> None:
    """Stricter than the text: not when the level goes down, but at once. On TCP we are the server (LL-03)."""
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        far = await lines.connect("xn")
        assert await far.ask(ENQ) == ACK
        for frame in lis1a.frames(MESSAGE, one_record_a_frame=True):
            assert await far.ask(frame) == ACK
            assert lines.reader.chunks(1)[-1].data == frame
        far.writer.write(EOT)
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(MESSAGE, False)]


async def test_ll_03_8_2_1_1_on_tcp_we_are_the_server_and_speak_as_on_a_cable(tmp_path: Path) -> None:
    """The same phases, frames and replies; and many connections of one analyzer, one for each message."""
    bad = lis1a.frames(MESSAGE)[0].replace(b"5.4", b"3.4")
    async with running(tmp_path / "journal", analyzer("xn", LISTEN)) as lines:
        for count in (1, 2):
            far = await lines.connect("xn")
            assert await far.ask(ENQ) + await far.ask(bad) == ACK + NAK
            assert await far.ask(lis1a.frames(MESSAGE)[0]) == ACK
            far.writer.write(EOT)
            await far.close()
            await lines.until(lambda count=count: len(lines.messages) == count)
    assert [m.body for m in lines.messages] == [MESSAGE] * 2


async def test_ml_03_receiver_answers_each_message_in_a_block_of_its_own_once_it_is_stored(tmp_path: Path) -> None:
    """And H7-03: MSA-2 is the message's own MSH-10, ours is another each time."""
    async with running(tmp_path / "journal", analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        receiver, own = mllp.Receiver(), set()
        for number in (b"17", b"18", b"18"):
            reply = await far.ask_until(mllp.block(ORU.replace(b"|17|", b"|" + number + b"|")), b"\x1c\r")
            (block,) = receiver.receive(reply)
            assert isinstance(block, mllp.Block)
            msh, msa = hl7.parse(block.body)
            assert (msa["1"], msa["2"]) == ("AA", number.decode())
            own.add(msh["10"])
            assert len(lines.reader.messages()) == len(own), "stored first, then answered"
        assert len(own) == 3
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(far.reader.read(1), 0.05)
        await far.close()
        await lines.until(lambda: len(lines.messages) == 3)


async def test_ml_02_receiver_a_cut_block_is_kept_as_incomplete_and_not_acknowledged(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("bc", LISTEN, "generic_hl7")) as lines:
        far = await lines.connect("bc")
        assert b"MSA|AA|17" in await far.ask_until(b"\x0b" + ORU[:60] + mllp.block(ORU), b"\x1c\r")
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert [(m.body, m.incomplete) for m in lines.messages] == [(ORU[:60], True), (ORU, False)]
