"""Lines of blocks over a real socket: both sides acknowledge, answers wait their turn, what is refused comes again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import Driver, Message, MessageType, WorkOrder, load_driver
from drivers.wire.blocks import sum_hex
from middleware import block_sender, supervisor
from middleware.journal import JournalError
from middleware.recorder import Recorder
from middleware.settings import AnalyzerSettings
from tests.system.line_kit import ACK, ENQ, EOT, NAK, PATIENCE, Analyzer, analyzer, running

LISTEN = "tcp-listen://127.0.0.1:0"
TUBE, HEARD = "107632600408", "00111886"
SHARED = Path(__file__).parents[3] / "shared" / "captures" / "reference"


def fs(*fields: str) -> bytes:
    """A block of a Dimension."""
    text = "".join(f"{field}\x1c" for field in fields).encode()
    return b"\x02" + text + sum_hex(text) + b"\x03"


POLL, QUERY = fs("P", "DIM1", "0", "1", "0"), fs("I", TUBE)
RESULT = fs("R", "0", "A", TUBE, "1", "", "0", "313009221126", "1", "1", "1", "GLUC", "116", "mg/dL", "")
TAKEN, NOTHING = b"\x02M\x1cA\x1c\x1cE2\x03", b"\x02N\x1c6A\x03"


@pytest.fixture(autouse=True)
def orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lab would say: two tests on TUBE, one on the capture's tube, nothing on any other."""
    ordered = {TUBE: (("GLUC", "CREA"), "Asha Devi"), HEARD: (("GLUC",), "TEST PATIENT ONE")}

    def answerer(_analyzer: AnalyzerSettings, driver: Driver) -> Any:
        def answer(message: Message) -> list[bytes] | None:
            asked = driver.decode(message)
            if asked.type not in (MessageType.QUERY, MessageType.POLL):
                return None
            known = [
                WorkOrder(tube, ordered[tube][0], name=ordered[tube][1], query_raw=raw)
                for tube, raw in zip(asked.query_sample_ids, asked.query_raw, strict=True)
                if tube in ordered
            ]
            return driver.answer(asked, known)

        return answer

    monkeypatch.setattr(supervisor, "nothing_known", answerer)
    monkeypatch.setattr(block_sender, "QUIET", 0.05)


async def read(far: Analyzer, count: int) -> bytes:
    return await asyncio.wait_for(far.reader.readexactly(count), PATIENCE)


async def test_a_dimension_polls_asks_takes_its_order_and_reports(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("dim", LISTEN, "siemens_dimension")) as lines:
        far = await lines.connect("dim")
        assert await far.ask(POLL, 1 + len(NOTHING)) == ACK + NOTHING
        answer = await far.ask_until(ACK + QUERY, b"\x03")
        assert answer[:3] == ACK + b"\x02D" and b"\x1c2\x1cGLUC\x1cCREA\x1c" in answer
        assert await far.ask(ACK + fs("M", "A", "", "A", "1", "42")) == ACK
        assert await far.ask(RESULT, 1 + len(TAKEN)) == ACK + TAKEN
        assert await far.ask(ACK + fs("I", "107632600419"), 1 + len(NOTHING)) == ACK + NOTHING
        assert await far.ask(ACK + fs("C", "GLUC", "1"), 1 + len(TAKEN)) == ACK + TAKEN
        await far.close()
        await lines.until(lambda: len(lines.messages) == 6)
    assert [m.body for m in lines.messages][3] == RESULT


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not beside this repository")
async def test_the_hosts_side_of_a_dialogue_that_was_heard_is_ours(tmp_path: Path) -> None:
    """Every block that the host of the capture sent is what we send, byte for byte."""
    heard = json.loads((SHARED / "siemens_dimension_poll_query_results.dialogue.json").read_text(encoding="utf-8"))
    said: list[bytes] = []
    async with running(tmp_path / "journal", analyzer("dim", LISTEN, "siemens_dimension")) as lines:
        far = await lines.connect("dim")
        for one, following in zip(heard, [*heard[1:], {"from_": ""}], strict=True):
            if one["from_"] == "analyzer":
                end = b"\x03" if following["from_"] == "host" else ACK
                said.append((await far.ask_until(bytes.fromhex(one["hex"]), end)).lstrip(ACK))
                far.writer.write(ACK if end == b"\x03" else b"")
        await far.close()
    host = [bytes.fromhex(one["hex"]) for one in heard if one["from_"] == "host"]
    assert [block[1:2] for block in host] == [b"N", b"D", b"M", b"M"]
    assert [block for block in said if block] == host


async def test_an_analyzer_that_goes_on_without_a_word_on_our_answer_has_priority(tmp_path: Path) -> None:
    """What we had to say is given up: its result is taken, and told so, at once."""
    async with running(tmp_path / "journal", analyzer("dim", LISTEN, "siemens_dimension")) as lines:
        far = await lines.connect("dim")
        assert (await far.ask_until(QUERY, b"\x03")).startswith(ACK + b"\x02D")
        assert await far.ask(RESULT, 1 + len(TAKEN)) == ACK + TAKEN
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)


async def test_what_the_analyzer_refused_is_sent_again_and_at_last_given_up(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("dim", LISTEN, "siemens_dimension")) as lines:
        far = await lines.connect("dim")
        assert await far.ask(RESULT, 1 + len(TAKEN)) == ACK + TAKEN
        for _ in range(block_sender.REPEATS):
            assert await far.ask(NAK, len(TAKEN)) == TAKEN
        far.writer.write(NAK)
        assert await far.ask(POLL, 1 + len(NOTHING)) == ACK + NOTHING
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
        sent = b"".join(c.data for n in range(1, 9) for c in lines.reader.chunks(n) if c.direction == "out")
    assert sent.count(TAKEN) == 1 + block_sender.REPEATS, "the journal holds every repetition"


async def test_a_result_that_cannot_be_stored_is_refused_and_not_accepted_by_m(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise JournalError("full")

    async with running(tmp_path / "journal", analyzer("dim", LISTEN, "siemens_dimension")) as lines:
        far = await lines.connect("dim")
        with monkeypatch.context() as patch:
            patch.setattr(Recorder, "append", broken)
            assert await far.ask(RESULT) == NAK
        assert await far.ask(RESULT, 1 + len(TAKEN)) == ACK + TAKEN
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)


# ---- ENQ before and EOT after what we send ------------------------------------------------------------------------

MAGLUMI = f"H|\\^&||PSWD|X8 User|||||Lis||P|E1394-97|20261122\rQ|1|^{TUBE}||ALL||||||||O\rL|1|N\r".encode()


def simple(name: str = "mag") -> Any:
    return replace(analyzer(name, LISTEN, "snibe_maglumi"), framing="simple")


async def test_a_maglumi_in_its_simple_framing_is_answered_when_its_turn_has_ended(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", simple()) as lines:
        far = await lines.connect("mag")
        assert await far.ask(ENQ) == ACK
        assert await far.ask(b"\x02" + MAGLUMI + b"\x03") == ACK
        assert await far.ask(EOT) == ENQ
        answer = await far.ask_until(ACK, b"\x03")
        assert answer.startswith(b"\x02H|\\^&||PSWD|X8 User|") and answer.endswith(b"||^^^CREA|R\rL|1|N\r\x03")
        assert await far.ask(NAK, len(answer)) == answer
        assert await far.ask(ACK) == EOT
        assert await far.ask(ENQ) == ACK, "the line is the analyzer's again"
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    form = load_driver("snibe_maglumi").at_site(framing="simple")
    assert form.decode(lines.messages[0]).query_sample_ids == (TUBE,)


async def test_without_an_eot_silence_ends_the_analyzers_turn_and_contention_is_the_analyzers(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", simple()) as lines:
        far = await lines.connect("mag")
        assert await far.ask(b"\x02" + MAGLUMI + b"\x03", 2) == ACK + ENQ
        assert await far.ask(ENQ) == ACK, "both want to send: the analyzer does"
        assert await far.ask(b"\x02" + MAGLUMI + b"\x03", 2) == ACK + ENQ, "and asks again"
        await far.close()


async def test_an_au_line_of_enq_and_eot(tmp_path: Path) -> None:
    unit = replace(analyzer("au", LISTEN, "beckman_au"), framing="enq")
    async with running(tmp_path / "journal", unit) as lines:
        far = await lines.connect("au")
        assert await far.ask(ENQ + ENQ, 2) == ACK + ACK
        assert await far.ask(f"R 000301N0095{TUBE:>20}".encode() + EOT) == ACK
        assert await read(far, 1) == ENQ
        assert await far.ask_until(ACK, EOT) == f"S 000301 0095{TUBE:>20}    EGLUCCREA".encode() + EOT
        far.writer.write(ACK)
        assert await far.ask(ENQ) == ACK
        far.writer.write(b"D 000301 0095")
        await far.close()  # cut: refused, and nobody's result
        await lines.until(lambda: lines.states["au"].refused == 1)
    assert [load_driver("beckman_au").decode(m).type for m in lines.messages] == [MessageType.QUERY]
