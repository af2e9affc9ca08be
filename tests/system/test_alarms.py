"""A line in trouble, from what is noticed to the row and the log, until it ends; on both databases."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from drivers.driver import Message
from middleware import pipeline
from middleware.alarm_settings import AlarmKind
from middleware.alarms import Alarms, end_alarm, raise_alarm
from middleware.lab import Lab
from middleware.schema import AnalyzerMessage, Change, LineAlarm
from middleware.store import record as record_module
from middleware.store import table
from middleware.store.core import put_all
from tests.conftest import ON_SQLITE
from tests.labs import Clock, Desk
from tests.system.alarm_kit import Watch, alarm_rows, with_alarms


@pytest.fixture
def here(desk: Desk) -> Lab:
    return with_alarms(desk.lab)


@pytest.fixture
def watch(here: Lab, clock: Clock) -> Watch:
    return Watch(here, clock)


# ---- rows -------------------------------------------------------------------------------------------------------


def test_an_alarm_begins_once_and_ends_once(here: Lab, desk: Desk, clock: Clock, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "labmitra.line")
    with here.write() as conn:
        assert raise_alarm(here, conn, AlarmKind.CLOCK, "bench", minutes=-125, unset=False)
        assert not raise_alarm(here, conn, AlarmKind.CLOCK, "bench", minutes=-126, unset=False)
        assert raise_alarm(here, conn, AlarmKind.CLOCK, "far", minutes=7, unset=False)
    clock.forward(minutes=5)
    with here.write() as conn:
        assert end_alarm(here, conn, AlarmKind.CLOCK, "bench")
        assert not end_alarm(here, conn, AlarmKind.CLOCK, "bench")
        assert raise_alarm(here, conn, AlarmKind.CLOCK, "bench", minutes=9, unset=False)
    first, *others = desk.rows(LineAlarm)
    assert (first["args"]["minutes"], first["ended_at"] - first["began_at"]) == (-126, timedelta(minutes=5))
    assert [(a["analyzer"], a["ended_at"]) for a in others] == [("far", None), ("bench", None)]
    assert [r.getMessage() for r in caplog.records] == [
        "bench: alarm begins: clock (minutes -125, unset False)",
        "far: alarm begins: clock (minutes 7, unset False)",
        "bench: alarm ends: clock",
        "bench: alarm begins: clock (minutes 9, unset False)",
    ]
    assert desk.one(Change, topic="analyzers")["counter"] >= 4


def test_what_cannot_be_written_yet_is_written_in_order_later(here: Lab, desk: Desk, clock: Clock) -> None:
    alarms = Alarms(here)
    gone = replace(here, engine=_Gone())
    alarms._lab = gone
    began = clock()
    alarms.begin(AlarmKind.JOURNAL)
    clock.forward(minutes=3)
    alarms.end(AlarmKind.JOURNAL)
    alarms.begin(AlarmKind.DOWN, "far", since="x")
    with pytest.raises(OperationalError):
        alarms.write()
    alarms._lab = here
    clock.forward(minutes=10)
    alarms.write()
    alarms.write()
    journal, down = desk.rows(LineAlarm)
    assert (journal["began_at"], journal["ended_at"]) == (began, began + timedelta(minutes=3))
    assert (down["began_at"], down["ended_at"]) == (began + timedelta(minutes=3), None)


class _Gone:
    """A database that is not there."""

    def connect(self) -> Any:
        raise OperationalError("connect", {}, Exception("gone"))


def test_a_new_process_goes_on_with_the_alarms_of_the_last(here: Lab, desk: Desk) -> None:
    before = Alarms(here)
    before.begin(AlarmKind.GARBAGE, "bench")
    before.write()
    after = Alarms(here)
    after.refresh()
    after.begin(AlarmKind.GARBAGE, "bench")
    after.write()
    assert alarm_rows(desk) == [("bench", "garbage", True)]
    after.end(AlarmKind.GARBAGE, "bench")
    after.write()
    assert alarm_rows(desk) == [("bench", "garbage", False)]


# ---- what is noticed --------------------------------------------------------------------------------------------


@ON_SQLITE
def test_a_line_of_ours_that_stays_down_is_told_after_a_quarter_of_an_hour(watch: Watch, desk: Desk) -> None:
    watch.set("far", connected=False, trouble="Connection refused")
    watch.set("bench", connected=False)  # it dials us when it has something to say
    assert [watch.look(), watch.look(minutes=14)] == [set(), set()]
    assert watch.look(minutes=1) == {("far", "down")}
    watch.set("bench", trouble="Address already in use")
    watch.look()
    assert watch.look(minutes=15) == {("far", "down"), ("bench", "down")}
    watch.set("far", connected=True, trouble="")
    assert watch.look() == {("bench", "down")}
    assert alarm_rows(desk) == [("far", "down", False), ("bench", "down", True)]


@ON_SQLITE
def test_many_refusals_in_a_short_time_are_told_and_one_now_and_then_is_not(watch: Watch, desk: Desk) -> None:
    for n in range(9):
        watch.set("bench", refused=n)
        assert watch.look(minutes=5) == set()  # one in five minutes: a bad cable, no alarm
    watch.set("bench", refused=30)
    assert watch.look(seconds=15) == {("bench", "refused")}
    assert watch.look(minutes=15) == {("bench", "refused")}
    watch.set("bench", refused=0)  # midnight
    watch.look(minutes=1)
    assert watch.look(minutes=31) == set()
    assert desk.one(LineAlarm)["args"] == {"count": 23}


def test_books_that_do_not_balance_are_told_until_they_do(here: Lab, desk: Desk, clock: Clock) -> None:
    watch = Watch(here, clock)
    good = desk.say("nobody", "HB=13.0 g/dL")
    assert (good, watch.look()) == ([], set())
    desk.say("nobody", "HB=13.0 g/dL", "PLT=200 10*3/uL")
    rows, m = table(AnalyzerMessage), AnalyzerMessage
    with here.write() as conn:
        conn.execute(rows.update().where(m.measurements == 2).values(unmatched=0, difference=1))
    assert watch.look(seconds=15) == {("bench", "books")}
    desk.say("nobody", "HB=13.0 g/dL", at="20261122100100")
    assert watch.look(seconds=15) == {("bench", "books")} == watch.look(seconds=15)
    assert desk.one(LineAlarm)["args"] == {"count": 1}
    with here.write() as conn:
        conn.execute(rows.update().where(m.measurements == 2).values(unmatched=1, difference=0))
    assert watch.look(seconds=15) == set()


def test_the_books_are_looked_at_whatever_the_messages_are_called(
    here: Lab, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of a message from a file is a hash; one that came while the clock was behind sorts before all others."""
    watch = Watch(here, clock)
    body = desk.message("nobody", "HB=13.0 g/dL").body
    pipeline.process(here, Message("f" * 32, "bench", clock(), body))
    for _ in range(3):
        assert watch.look(seconds=15) == set()
    with monkeypatch.context() as broken:
        broken.setattr(record_module, "put_all", lambda conn, row, rows: put_all(conn, row, rows[:-1]))
        late = Message("0" * 32, "bench", clock() - timedelta(days=3), body.replace(b"13.0", b"14.0"))
        assert pipeline.process(here, late).difference == 1
    assert watch.look(seconds=15) == {("bench", "books")} == watch.look(hours=23)
    assert watch.look(hours=1) == set()


@ON_SQLITE
def test_garbage_is_told_until_a_message_makes_sense(watch: Watch) -> None:
    watch.set("far", garbage="the baud rate looks wrong")
    assert watch.look() == {("far", "garbage")}
    watch.set("far", garbage="")
    assert watch.look() == set()


@ON_SQLITE
def test_the_journal_is_every_lines_alarm(watch: Watch, desk: Desk) -> None:
    watch.failing = True
    assert watch.look() == {("", "journal")}
    watch.failing = False
    assert watch.look() == set()
    assert alarm_rows(desk) == [("", "journal", False)]


@ON_SQLITE
def test_an_analyzer_taken_out_has_no_alarm(watch: Watch, desk: Desk) -> None:
    watch.alarms.begin(AlarmKind.GARBAGE, "gone")
    watch.alarms.write()
    assert watch.look() == set()
