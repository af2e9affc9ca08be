"""Orders that are sent unasked, and questions, over HL7."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.driver import Driver, Message, Stamp, WorkOrder, load_driver
from drivers.wire import hl7, mllp
from middleware import connection_hl7
from middleware.downloads import Outcome
from middleware.settings import AnalyzerSettings
from tests.system.line_kit import ACK, PATIENCE, Analyzer, running
from tests.system.order_kit import HL7, LAW, XN, basket, order, outcomes, soon
from tests.system.test_line_query import QUERY, RESULT, away, quick

__all__ = ["quick", "soon"]


OUL = "MSH|^~\\&|BA400|Bio|||20261122101500||OUL^R22^OUL_R22|R1|P|2.5.1\rSPM|1|7\rOBR|1\rOBX|1|NM|GLU||5\r"
QBP = (
    "MSH|^~\\&|BA400|Bio|||20261122101500||QBP^Q11^QBP_Q11|Q1|P|2.5.1|||ER|AL\r"
    "QPD|WOS^Work Order Step^IHE_LABTF|T1|7\rRCP|I\r"
)


async def heard(far: Analyzer) -> list[hl7.Segment]:
    """The next message of the host."""
    block = await asyncio.wait_for(far.reader.readuntil(mllp.FS + b"\r"), PATIENCE)
    return hl7.parse(block.strip(mllp.VT + mllp.FS + b"\r"))


def reply(to: list[hl7.Segment], code: str = "AA", *, text: str = "", orders: str = "") -> bytes:
    head = f"MSH|^~\\&|BA400|Bio|||20261122101501||ORL^O34^ORL_O34|L{to[0]['10']}|P|2.5.1\r"
    return mllp.block(f"{head}MSA|{code}|{to[0]['10']}|{text}\r{orders}".encode())


def tube(message: list[hl7.Segment]) -> str:
    return next(segment["3"] or "" for segment in message if segment.type == "SAC")


async def nothing_more(far: Analyzer) -> bool:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(far.reader.read(1), 0.1)
    return True


@pytest.mark.parametrize("name", ["generic_hl7", "biosystems_ba400"])
def test_h7_03_2_9_sender_every_message_has_a_control_id_of_its_own(name: str) -> None:
    """A reply names its message by it, and by nothing else."""
    driver = load_driver(name)
    work = [WorkOrder(f"10763260042{number}", ("GLU", "UREA")) for number in range(9)]
    made = [*driver.push(work, Stamp("20261122100000", "D01")), *driver.push(work, Stamp("20261122100000", "D02"))]
    ids = [hl7.parse(message)[0]["10"] or "" for message in made]
    assert len(set(ids)) == len(ids) == 18 and all(0 < len(one) <= 20 for one in ids)


async def test_ml_03_sender_the_next_order_leaves_when_the_one_before_was_answered(tmp_path: Path) -> None:
    waits = basket(LAW, 1, 2)
    async with running(tmp_path / "journal", HL7, baskets={"ba": waits}) as lines:
        far = await lines.connect("ba")
        first = await heard(far)
        assert (tube(first), first[0]["9.1"], first[0]["16"]) == ("107632600421", "OML", "AL")
        assert await nothing_more(far)
        far.writer.write(mllp.block(OUL.encode()))
        assert (await heard(far))[1]["2"] == "R1", "a result in between is acknowledged"
        far.writer.write(reply(first))
        second = await heard(far)
        assert tube(second) == "107632600422"
        far.writer.write(reply(second))
        await lines.until(lambda: len(outcomes(waits)) == 2)
        await far.close()
    assert outcomes(waits) == [(1, Outcome.SENT, ""), (2, Outcome.SENT, "")]
    kinds = [b"|ORL^" in message.body for message in lines.messages]
    assert kinds == [False, True, True], "replies are kept and shown"


@pytest.mark.parametrize(
    ("answered", "why"),
    [
        (lambda to: reply(to, "AE", text="unknown test"), "AE unknown test"),
        (lambda to: reply(to, "AR"), "AR"),
        (lambda to: reply(to, "CR"), "CR"),
        (lambda to: reply(to, orders="ORC|OK|1\rORC|UA|2\r"), "1 tests the analyzer cannot take (UA)"),
    ],
)
async def test_h7_04_sender_an_order_that_is_refused_says_why_and_the_next_is_sent(
    tmp_path: Path, answered: Callable[[list[hl7.Segment]], bytes], why: str
) -> None:
    waits = basket(LAW, 1, 2)
    async with running(tmp_path / "journal", HL7, baskets={"ba": waits}) as lines:
        far = await lines.connect("ba")
        far.writer.write(answered(await heard(far)))
        far.writer.write(reply(await heard(far)))
        await lines.until(lambda: len(outcomes(waits)) == 2)
        await far.close()
    assert outcomes(waits) == [(1, Outcome.REFUSED, why), (2, Outcome.SENT, "")]


async def test_ml_05_sender_without_a_reply_it_fails_and_a_reply_to_something_else_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_hl7, "PATIENCE", 0.2)
    waits = basket(LAW, 1)
    async with running(tmp_path / "journal", HL7, baskets={"ba": waits}) as lines:
        far = await lines.connect("ba")
        message = await heard(far)
        message[0].fields[10] = "another"
        far.writer.write(reply(message))
        await lines.until(lambda: bool(outcomes(waits)))
        await far.close()
    assert outcomes(waits) == [(1, Outcome.FAILED, "no reply in 30 s")]


async def test_h7_02_2_9_3_sender_after_ca_the_word_on_the_content_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An analyzer that says CA and no more has taken it, but the next one waits as long as for a reply."""
    monkeypatch.setattr(connection_hl7, "PATIENCE", 0.3)
    waits = basket(LAW, 1, 2, 3)
    async with running(tmp_path / "journal", HL7, baskets={"ba": waits}) as lines:
        far = await lines.connect("ba")
        first = await heard(far)
        far.writer.write(reply(first, "CA"))
        assert await nothing_more(far)
        far.writer.write(reply(first, "AE", text="unknown test"))
        far.writer.write(reply(await heard(far), "CA"))
        far.writer.write(reply(await heard(far)))
        await lines.until(lambda: len(outcomes(waits)) == 3)
        await far.close()
    assert outcomes(waits) == [(1, Outcome.REFUSED, "AE unknown test"), (2, Outcome.SENT, ""), (3, Outcome.SENT, "")]


def disk_full(_batch: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


async def test_ml_03_receiver_a_reply_that_cannot_be_stored_is_not_answered_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An acknowledgement of an acknowledgement would never end. The order is sent again: nothing says it was taken."""
    monkeypatch.setattr(connection_hl7, "PATIENCE", 0.3)
    waits = basket(LAW, 1)
    async with running(tmp_path / "journal", HL7, baskets={"ba": waits}) as lines:
        far = await lines.connect("ba")
        first = await heard(far)
        with monkeypatch.context() as broken:
            broken.setattr(lines.journal, "_write", disk_full)
            far.writer.write(reply(first))
            await lines.until(lambda: bool(outcomes(waits)))
            assert await nothing_more(far)
        await far.close()
    assert outcomes(waits) == [(1, Outcome.FAILED, "no reply in 30 s")]


async def test_an_unanswered_order_stays_pending_when_the_line_breaks(tmp_path: Path) -> None:
    waits = basket(LAW, 1)
    async with running(tmp_path / "journal", HL7, baskets={"ba": waits}) as lines:
        far = await lines.connect("ba")
        first = await heard(far)
        await far.close()
        await lines.until(lambda: not lines.states["ba"].connected)
        assert outcomes(waits) == []
        waits.fill([order(LAW, 1)])
        again = await lines.connect("ba")
        assert tube(await heard(again)) == tube(first)
        await again.close()


def two_tubes(_analyzer: AnalyzerSettings, driver: Driver) -> Callable[[Message], list[bytes] | None]:
    """A laboratory that knows two tubes for every question."""
    works = [WorkOrder(number, ("GLU",), query_raw="") for number in ("7", "8")]
    return lambda message: driver.answer(driver.decode(message), works)


async def test_law_03_the_answers_second_oml_waits_for_the_orl_of_the_first(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", HL7, answers=two_tubes) as lines:
        far = await lines.connect("ba")
        far.writer.write(mllp.block(QBP.encode()))
        kinds = [(await heard(far))[0]["9.1"]]
        first = await heard(far)
        assert [*kinds, first[0]["9.1"], tube(first)] == ["RSP", "OML", "7"]
        assert await nothing_more(far)
        far.writer.write(reply(first, "AE"))
        assert tube(await heard(far)) == "8", "a tube that is refused does not hold up another"
        await far.close()


# ---- results only -------------------------------------------------------------------------------------------------


async def test_ml_03_sender_what_needs_no_reply_leaves_while_another_message_waits_for_its_own(tmp_path: Path) -> None:
    """The analyzer asks about the next tube before it has answered the orders of the first."""
    async with running(tmp_path / "journal", HL7, answers=two_tubes) as lines:
        far = await lines.connect("ba")
        far.writer.write(mllp.block(QBP.encode()))
        assert [(await heard(far))[0]["9.1"], (await heard(far))[0]["9.1"]] == ["RSP", "OML"]
        far.writer.write(mllp.block(QBP.encode()))
        assert (await heard(far))[0]["9.1"] == "RSP"
        assert await nothing_more(far)
        await far.close()


async def test_h7_02_2_9_3_receiver_a_question_is_acknowledged_and_answered_as_it_asks(tmp_path: Path) -> None:
    """MSH-15 AL: CA first; the answer itself is the application's acknowledgement."""
    async with running(tmp_path / "journal", HL7, answers=two_tubes) as lines:
        far = await lines.connect("ba")
        far.writer.write(mllp.block(QBP.replace("ER|AL", "AL|AL").encode()))
        accepted, answer = await heard(far), await heard(far)
        assert [(said[0]["9.1"], said[1]["1"]) for said in (accepted, answer)] == [("ACK", "CA"), ("RSP", "AA")]
        assert accepted[0]["10"] != answer[0]["10"]
        await far.close()


@pytest.mark.parametrize("kind", ["ACK^R01", "ORR^O02", "ORL^O34", "RSP^K11", "DSR^Q03", "MCF", "QCK^Q02"])
async def test_ml_03_receiver_a_reply_is_stored_and_answered_by_nothing(kind: str, tmp_path: Path) -> None:
    async with running(tmp_path / "journal", HL7) as lines:
        far = await lines.connect("ba")
        far.writer.write(mllp.block(f"MSH|^~\\&|BA400|Bio|||2026||{kind}|7|P|2.5.1\rMSA|AA|1\r".encode()))
        assert await nothing_more(far)
        await lines.until(lambda: len(lines.messages) == 1)
        await far.close()


async def test_results_only_a_question_is_stored_and_nothing_is_said(tmp_path: Path) -> None:
    silent = replace(XN, orders="none")
    async with running(tmp_path / "journal", silent, answers=lambda *_: lambda _: None) as lines:
        far = await lines.connect("xn")
        assert await far.send(QUERY) == ACK * 4
        assert await nothing_more(far)
        assert await far.send(RESULT) == ACK * 6
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)


async def test_results_only_in_hl7_a_question_is_rejected_and_is_no_trouble(tmp_path: Path) -> None:
    silent = replace(HL7, orders="none")
    async with running(tmp_path / "journal", silent, answers=lambda *_: lambda _: None) as lines:
        far = await lines.connect("ba")
        far.writer.write(mllp.block(QBP.replace("|||ER|AL", "").encode()))
        told = (await heard(far))[1]
        assert (told["1"], told["2"], told["3"]) == ("AR", "Q1", "orders are not served here")
        await far.close()
        await lines.until(lambda: len(lines.messages) == 1)
    assert lines.states["ba"].refused == 0


@pytest.mark.parametrize(
    ("asked", "codes"),
    [("", ["AE"]), ("|||ER|AL", ["AE"]), ("|||AL|AL", ["CA", "AE"]), ("|||SU|ER", ["CA", "AE"]), ("|||NE|SU", [])],
)
async def test_h7_04_receiver_a_question_that_cannot_be_answered_now_is_an_error_and_comes_again(
    asked: str, codes: list[str], tmp_path: Path
) -> None:
    """AR would say that it is not served here. As a message it is taken and stored, so CA stays CA."""
    async with running(tmp_path / "journal", HL7, answers=away) as lines:
        far = await lines.connect("ba")
        far.writer.write(mllp.block(QBP.replace("|||ER|AL", asked).encode()))
        told = [await heard(far) for _ in codes]
        assert [said[1]["1"] for said in told] == codes
        assert {said[1]["2"] for said in told} <= {"Q1"} and len({said[0]["10"] for said in told}) == len(codes)
        assert not told or told[-1][1]["3"] == "the orders cannot be looked up now, ask again"
        far.writer.write(mllp.block(OUL.encode()))
        assert (await heard(far))[1]["1"] == "AA"
        await far.close()
        await lines.until(lambda: len(lines.messages) == 2)
    assert lines.states["ba"].trouble == ""
    assert [len(message.body) for message in lines.reader.unprocessed()] == [len(m.body) for m in lines.messages]
