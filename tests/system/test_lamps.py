"""The lamps of an analyzer: when it last made sense, failed, filed a result, and what is learned of its rhythm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from drivers.driver import Decoded, Message, MessageType, Observation
from middleware import pipeline
from middleware.alarms import Alarms
from middleware.ears import Ears
from middleware.health import Health
from middleware.lab import Lab
from middleware.schema import AnalyzerState
from middleware.service import Lamps
from middleware.supervisor import LineState
from middleware.work import Worker
from tests.conftest import ON_SQLITE
from tests.labs import Clock, Desk
from tests.system.alarm_kit import alarm_rows, past, to, with_alarms


@pytest.fixture
def here(desk: Desk) -> Lab:
    return with_alarms(desk.lab)


@ON_SQLITE
def test_the_lamps_are_told_when_a_message_made_sense_failed_or_filed_nothing(here: Lab, clock: Clock) -> None:
    ears, at = Ears(here.settings.lab.timezone), clock()
    row = Observation("1", "HB", "Hb", "13", "13", "g/dL")
    health = Health(here, ears, Alarms(here), lambda: False)
    assert health.beside("bench") == {}  # an earlier run's lamps stay as they are
    said: Callable[..., Decoded] = lambda *rows: Decoded(MessageType.RESULT, None, None, rows)  # noqa: E731
    ears.read(Message("a", "bench", at, b""), said(row), True, at)
    clock.forward(minutes=1)
    ears.read(Message("b", "bench", at, b""), said(row), False, clock())
    clock.forward(minutes=1)
    ears.read(Message("c", "bench", at, b""), said(), False, clock())  # a query files nothing, and owes nothing
    ears.failed(Message("d", "bench", at, b""), clock())
    assert health.beside("bench") == {
        "parsed_at": at + timedelta(minutes=2), "failed_at": at + timedelta(minutes=2), "result_at": at,
        "unfiled_at": at + timedelta(minutes=1),
    }  # fmt: skip


def test_the_lamps_are_written_with_what_was_heard_and_learned(here: Lab, desk: Desk, clock: Clock) -> None:
    to(clock, here, 23, 11)
    past(here, clock)
    worker = Worker(here, journal := _Journal())  # type: ignore[arg-type]
    lamps = Lamps(here, worker.ears, journal)  # type: ignore[arg-type]
    lamps.set(LineState("bench", connected=True, since=clock(), message_at=clock(), refused=2))
    made = desk.register("HB")
    message = desk.message(desk.sample_id(made), "HB=13.0 g/dL")
    worker._heard(message, pipeline.process(here, message))
    worker._heard(message, pipeline.process(here, replace(message, id="broken", body=b"x")))
    journal.failing = True
    for _ in range(2):  # an analyzer is learned at each turn
        lamps._turn()
    row = desk.one(AnalyzerState)
    assert {row[k] for k in ("parsed_at", "failed_at", "result_at")} == {clock()} and row["unfiled_at"] is None
    assert (row["rhythm"], row["rhythm_days"], row["refused_today"], row["connected"]) == ("learned", 28, 2, True)
    assert row["usual_gap_seconds"] > 0 and alarm_rows(desk) == [("", "journal", True)]
    lamps._turn()
    clock.forward(hours=13)  # the next day in the laboratory: every lamp is written anew
    lamps._turn()
    assert desk.one(AnalyzerState)["updated_at"] == clock() and desk.one(AnalyzerState)["messages_today"] == 0


class _Journal:
    """A journal of which only its trouble matters."""

    failing = False
