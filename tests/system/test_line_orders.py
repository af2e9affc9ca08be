"""Orders that go out unasked, on real sockets: the line must be quiet, contention is lost, what was not taken waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drivers.wire import lis1a
from drivers.wire.lis1a import Sender
from middleware.downloads import Basket, Outcome, Told
from tests.system.line_kit import ACK, ENQ, EOT, NAK, PATIENCE, running
from tests.system.order_kit import ASTM, XN, basket, order, outcomes, soon
from tests.system.test_line_query import QUERY, RESULT, enq, expected_answer, quick, read_session

__all__ = ["quick", "soon"]


# ---- ASTM ---------------------------------------------------------------------------------------------------------


async def test_6_2_3_orders_leave_one_after_the_other_on_a_quiet_line(tmp_path: Path) -> None:
    waits = basket(ASTM, 1, 2)
    async with running(tmp_path / "journal", XN, baskets={"xn": waits}) as lines:
        far = await lines.connect("xn")
        for key in (1, 2):
            assert await enq(far) == ENQ
            assert await read_session(far) == list(order(ASTM, key).messages)
        await lines.until(lambda: len(outcomes(waits)) == 2)
        assert await far.send(RESULT) == ACK * 6, "the line is neutral again"
        await far.close()
    assert outcomes(waits) == [(1, Outcome.SENT, ""), (2, Outcome.SENT, "")]
    assert not waits.waiting


async def test_6_2_7_1_an_order_gives_way_and_is_sent_afterwards(tmp_path: Path) -> None:
    """LL-17: the analyzer's result first, whole; then the same order again."""
    waits = basket(ASTM, 1)
    async with running(tmp_path / "journal", XN, baskets={"xn": waits}) as lines:
        far = await lines.connect("xn")
        assert await enq(far) == ENQ
        far.writer.write(ENQ)
        await asyncio.sleep(0.02)
        assert await far.send(RESULT) == ACK * 6
        assert await enq(far) == ENQ
        assert await read_session(far) == list(order(ASTM, 1).messages)
        await lines.until(lambda: bool(outcomes(waits)))
        await far.close()
    assert [message.body for message in lines.messages] == [RESULT]
    assert outcomes(waits) == [(1, Outcome.SENT, "")]


async def test_6_5_1_2_an_order_refused_six_times_fails_and_the_line_goes_on(tmp_path: Path) -> None:
    """LL-30: EOT; the order is kept for later by the lab database."""
    waits = basket(ASTM, 1)
    async with running(tmp_path / "journal", XN, baskets={"xn": waits}) as lines:
        far = await lines.connect("xn")
        assert await enq(far) == ENQ
        far.writer.write(ACK)
        for _ in range(lis1a.ATTEMPTS):
            assert (await asyncio.wait_for(far.reader.readuntil(b"\n"), PATIENCE))[:2] == b"\x021"
            far.writer.write(NAK)
        assert await enq(far) == EOT
        assert await far.send(RESULT) == ACK * 6
        await far.close()
    assert outcomes(waits) == [(1, Outcome.FAILED, "frame 1 refused 6 times")]


@pytest.mark.parametrize("speaks", [False, True])
async def test_ll_28_6_3_5_sender_after_an_interrupt_the_line_is_the_analyzers(
    speaks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EOT instead of ACK: the order is taken, the next one waits 15 s or until the analyzer has sent its message."""
    timers = {**lis1a.TIMERS, "interrupt": lis1a.Timer("interrupt", 60, "longer than the test")}
    monkeypatch.setattr(lis1a, "Sender", lambda frames, role: Sender(frames, role, timers))
    waits = basket(ASTM, 1, 2)
    async with running(tmp_path / "journal", XN, baskets={"xn": waits}) as lines:
        far = await lines.connect("xn")
        assert await enq(far) == ENQ
        far.writer.write(ACK)
        await asyncio.wait_for(far.reader.readuntil(b"\n"), PATIENCE)
        assert await far.ask(EOT) == EOT
        await lines.until(lambda: bool(outcomes(waits)))
        if speaks:
            assert await far.send(RESULT) == ACK * 6
            assert await enq(far) == ENQ
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(far.reader.readexactly(1), 0.2)
        await far.close()
    assert outcomes(waits) == [(1, Outcome.SENT, "")]


async def test_6_2_6_an_analyzer_that_is_always_busy_is_left_alone_for_now(tmp_path: Path) -> None:
    """LL-14, LL-15."""
    waits = basket(ASTM, 1)
    async with running(tmp_path / "journal", XN, baskets={"xn": waits}) as lines:
        far = await lines.connect("xn")
        for _ in range(lis1a.ATTEMPTS):
            assert await enq(far) == ENQ
            far.writer.write(NAK)
        await lines.until(lambda: bool(outcomes(waits)))
        assert await far.send(RESULT) == ACK * 6
        await far.close()
    assert outcomes(waits) == [(1, Outcome.FAILED, "ENQ refused 6 times")]
    assert waits.woke(), "it connected, and spoke"


async def test_an_order_waits_for_the_line_and_for_the_next_one_when_that_breaks(tmp_path: Path) -> None:
    waits = basket(ASTM, 1)
    async with running(tmp_path / "journal", XN, baskets={"xn": waits}) as lines:
        far = await lines.connect("xn")
        assert await enq(far) == ENQ
        far.writer.write(ACK)
        await asyncio.wait_for(far.reader.readuntil(b"\n"), PATIENCE)
        await far.close()  # in the middle of it
        await lines.until(lambda: not lines.states["xn"].connected)
        assert (outcomes(waits), waits.waiting) == ([], False)
        waits.fill([order(ASTM, 1)])  # as the order desk does, for it is pending still
        again = await lines.connect("xn")
        assert await enq(again) == ENQ
        assert await read_session(again) == list(order(ASTM, 1).messages)
        await lines.until(lambda: bool(outcomes(waits)))
        await again.close()
    assert outcomes(waits) == [(1, Outcome.SENT, "")]


async def test_a_question_is_answered_before_an_order_that_waits(tmp_path: Path) -> None:
    waits = Basket()
    async with running(tmp_path / "journal", XN, baskets={"xn": waits}) as lines:
        far = await lines.connect("xn")
        await far.ask(ENQ)
        waits.fill([order(ASTM, 1)])
        for frame in lis1a.session([QUERY], one_record_a_frame=True):
            await far.ask(frame)
        far.writer.write(EOT)
        assert await enq(far) == ENQ
        assert await read_session(far) == expected_answer(lines.messages[0])
        assert await enq(far) == ENQ
        assert await read_session(far) == list(order(ASTM, 1).messages)
        await far.close()


def test_a_basket_never_gives_out_what_is_on_its_way() -> None:
    waits = basket(ASTM, 1, 2)
    taken = waits.take()
    assert taken is not None and taken.key == 1
    waits.fill([order(ASTM, 1), order(ASTM, 2)])
    assert [one.key for one in (waits.take(), waits.take()) if one] == [2]
    waits.tell(taken, Outcome.SENT)
    waits.fill([order(ASTM, 1)])
    assert waits.take() is None, "the lab database does not know yet"
    waits.settled([Told(taken, Outcome.SENT)])
    waits.fill([order(ASTM, 1)])
    assert waits.take() is not None
