"""A network that fragments, delays, resets and swallows: what is acknowledged is stored, and everything once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.wire import lis1a
from middleware import connection, pipeline
from middleware.lab import Lab
from middleware.schema import ResultRow, Sample
from middleware.settings import AnalyzerSettings
from tests.conftest import ON_SQLITE
from tests.labs import Desk
from tests.system import bad_network as far
from tests.system.bad_network import bad_network
from tests.system.line_kit import Running, analyzer, running

LISTEN = "tcp-listen://127.0.0.1:0"
TUBES = 8  # of each analyzer
ORU = (
    "MSH|^~\\&|BC|LAB|||20261122100000||ORU^R01|%s|P|2.3.1||||||UNICODE\rPID|1\rOBR|1||%s\r"
    "OBX|1|NM|HB||12.9|g/dL|||||F|||20261122100000\r"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty seconds of silence made short: the far end of a vanished connection is left to it."""
    real = lis1a.Receiver
    timers = {**lis1a.TIMERS, "frame": lis1a.Timer("frame", 0.5, "6.5.2.4")}
    monkeypatch.setattr(lis1a, "Receiver", lambda free: real(free, timers))
    monkeypatch.setattr(connection, "ANSWER_DELAY", 0.01)


async def play(lines: Running, name: str, speak, messages: list[bytes], seed: int) -> list[str]:
    """One analyzer's day on a bad network; the fates of its connections."""
    async with bad_network(await lines.address(name), seed, calm=12) as network:
        async for message in speak(network.address, messages):
            stored = {m.body for m in lines.messages if not m.incomplete}
            assert message in stored, "acknowledged: it must be on disk"
        await asyncio.sleep(0.05)
    return network.fates


@ON_SQLITE
@pytest.mark.parametrize("seed", [1, 2])
async def test_acknowledged_is_stored_and_everything_once(lab: Lab, desk: Desk, tmp_path: Path, seed: int) -> None:
    tubes = [desk.sample_id(desk.register("HB")) for _ in range(2 * TUBES)]
    astm = [desk.message(tube, "HB=12.9 g/dL").body for tube in tubes[:TUBES]]
    hl7 = [(ORU % (number, tube)).encode() for number, tube in enumerate(tubes[TUBES:])]
    async with running(tmp_path / "j", analyzer("bench", LISTEN), analyzer("block", LISTEN, "generic_hl7")) as lines:
        fates = await asyncio.gather(
            play(lines, "bench", far.astm, astm, seed), play(lines, "block", far.hl7, hl7, seed + 100)
        )
        waiting = lines.reader.unprocessed(10_000)
    assert all(fate.count("reset") >= 3 and fate.count("vanishes") >= 3 for fate in fates)
    whole = Counter(m.body for m in waiting if not m.incomplete)
    assert set(whole) == {*astm, *hl7}
    unit = AnalyzerSettings("block", "generic_hl7", "Block", LISTEN)
    here = replace(lab, settings=replace(lab.settings, analyzers=(*lab.settings.analyzers, unit)))
    for message in waiting:
        pipeline.process(here, message)
    number = {row["id"]: row["sample_id"] for row in desk.rows(Sample)}
    got = Counter((number[row["sample_pk"]], row["test"], row["display"]) for row in desk.rows(ResultRow))
    assert got == Counter((tube, "HB", "12.9") for tube in tubes), "repeats are no second results"
