"""HL7 messages whose MSH breaks the rules: kept, shown, and answered so that the analyzer does not repeat for ever."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import hl7 as other  # nobody here wrote it
import pytest

from drivers.driver import DecodeError, load_driver
from drivers.wire import hl7, mllp
from tests.system.line_kit import PATIENCE, Analyzer, analyzer, running

BC = analyzer("bc", "tcp-listen://127.0.0.1:0", "generic_hl7")
BOM = b"\xef\xbb\xbf"
ORU = b"MSH|^~\\&|BC|LAB|||20260130101500||ORU^R01|17|P|2.3.1\rPID|1\rOBR|1||S1\rOBX|1|NM|HGB||13\r"
NEXT = ORU.replace(b"|17|", b"|next|")


def marked(marks: bytes) -> bytes:
    return ORU.replace(b"^~\\&", marks)


async def told(far: Analyzer, body: bytes) -> list[tuple[str, str]]:
    """MSA-1 and MSA-2 of what is answered to a block, up to the answer to a right one after it."""
    far.writer.write(mllp.block(body) + mllp.block(NEXT))
    replies: list[tuple[str, str]] = []
    while True:
        block = await asyncio.wait_for(far.reader.readuntil(mllp.FS + b"\r"), PATIENCE)
        read = other.parse(block.strip(mllp.VT + mllp.FS + b"\r").decode())
        msa = read.segment("MSA")
        reply = (str(msa[1]), str(msa[2]) if len(msa) > 2 else "")
        if reply == ("AA", "next"):
            return replies
        replies.append(reply)


BROKEN = {
    "the escape character doubled": marked(b"^~\\\\&"),
    "characters repeated": marked(b"^^^^"),
    "MSH-2 empty": marked(b""),
    "letters for delimiters": marked(b"abcd"),
    "small letters": b"msh" + ORU[3:],
    "something before it": b"x" + ORU,
    "its second message too": marked(b"^~\\\\&").replace(b"\rPID", b"\rNTE|1||MSH\rPID"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_h7_04_receiver_an_msh_that_breaks_the_rules_is_an_error_in_content(case: str, tmp_path: Path) -> None:
    """AE in the usual delimiters, MSA-2 as sent; the message is kept as it came and fails for a person to look at."""
    async with running(tmp_path / "journal", BC) as lines:
        far = await lines.connect("bc")
        assert await told(far, BROKEN[case]) == [("AE", "17")]
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert lines.messages[0].body == BROKEN[case] and not lines.messages[0].incomplete
    with pytest.raises(DecodeError):
        load_driver("generic_hl7").decode(lines.messages[0])
    assert lines.states["bc"].refused == 1


ODD = {
    "MSH and nothing else": (b"MSH\r", [("AE", "")]),
    "a blank for MSH-1": (b"MSH ^~\\& BC", [("AE", "")]),
    "only MSH": (ORU[: ORU.index(b"\r") + 1], [("AA", "17")]),
    "MSH-2 of one character": (marked(b"^"), [("AA", "17")]),
    "MSH-2 of version 2.7": (marked(b"^~\\&#"), [("AA", "17")]),
    "no MSH-10": (ORU.replace(b"|17|", b"||"), [("AA", "")]),
    "no MSH-10, broken": (marked(b"^^^^").replace(b"|17|", b"||"), [("AE", "")]),
    "cut before MSH-9": (b"MSH|^~\\&|BC\r", [("AR", "")]),
    "MSH-9 in one component": (ORU.replace(b"ORU^R01", b"ORU_R01"), [("AA", "17")]),
    "MSH-9 repeated": (ORU.replace(b"ORU^R01", b"ORU~ORU"), [("AA", "17")]),
    "MSH-9 without a kind": (ORU.replace(b"ORU^R01", b"^R01"), [("AR", "17")]),
    "blank lines before it": (b"\r\n\r\n" + ORU, [("AA", "17")]),
    "another segment before it": (b"PID|1\r" + ORU, [("AA", "17")]),
    "a byte order mark": (BOM + ORU, [("AA", "17")]),
    "a byte order mark, and a charset of its own": (
        BOM + ORU.replace(b"|2.3.1\r", b"|2.3.1||||||8859/1\r"), [("AA", "17")],
    ),
    "two, each with a byte order mark": (BOM + ORU + BOM + ORU.replace(b"|17|", b"|18|"), [("AA", "17"), ("AA", "18")]),
    "two, the second broken": (ORU + marked(b"^^^^").replace(b"|17|", b"|18|"), [("AA", "17"), ("AE", "18")]),
    "enhanced, accept only": (marked(b"^^^^").replace(b"2.3.1", b"2.5.1|||AL|NE"), [("CA", "17")]),
    "enhanced, both": (marked(b"^^^^").replace(b"2.3.1", b"2.5.1|||AL|AL"), [("CA", "17"), ("AE", "17")]),
    "a broken reply": (marked(b"^^^^").replace(b"ORU^R01", b"ACK^R01"), []),
    "a broken reply without its type": (marked(b"^^^^").replace(b"ORU^R01", b"") + b"MSA|AA|1\r", []),
    "a reply without its type": (b"MSH|^~\\&|BC||||2026|||5|P|2.3.1\rMSA|AA|1\r", []),
    "a word that begins like it": (b"MSHELL\r", []),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
async def test_h7_06_2_6_receiver_an_odd_msh_is_answered_once_for_each_message(case: str, tmp_path: Path) -> None:
    body, replies = ODD[case]
    async with running(tmp_path / "journal", BC) as lines:
        far = await lines.connect("bc")
        assert await told(far, body) == replies
        await far.close()
    assert lines.states["bc"].trouble == ""


async def test_h7_04_receiver_a_broken_message_that_cannot_be_stored_is_to_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(_batch: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with running(tmp_path / "journal", BC) as lines:
        far = await lines.connect("bc")
        with monkeypatch.context() as broken:
            broken.setattr(lines.journal, "_write", disk_full)
            reply = await far.ask_until(mllp.block(marked(b"^^^^")), b"\x1c\r")
        assert b"\rMSA|AE|17|not stored, send again\r" in reply
        await far.close()
    assert lines.messages == []


def test_h7_06_2_6_receiver_the_reply_to_a_broken_head_names_delimiters_that_work() -> None:
    for sent in (b"MSH|^^^^|A||||2026||ORU^R01|7", b"MSH^||||^A^^^^2026^^ORU|R01^7", b"MSH~^", b"msh", b"MSH\x00"):
        (head,) = hl7.rough_head(sent)
        answer = hl7.parse(hl7.acknowledge([head], "AE", at="20261103120000", control_id="1", text="no"))
        assert [segment.type for segment in answer] == ["MSH", "MSA"]
        assert answer[1]["2"] == ("7" if b"7" in sent else "")
