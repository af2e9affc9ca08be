"""An analyzer that says nothing in its own hours, and a clock that is off; never because ours was moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from middleware.alarm_settings import AlarmKind
from middleware.alarms import raise_alarm
from middleware.lab import Lab
from middleware.schema import AnalyzerMessage, LineAlarm
from middleware.store import table
from tests.conftest import ON_SQLITE
from tests.labs import Clock, Desk
from tests.system.alarm_kit import DIALLED, PROCESSED, TCP, Watch, alarm_rows, past, to, with_alarms


@pytest.fixture
def here(desk: Desk) -> Lab:
    return with_alarms(desk.lab)


@pytest.fixture
def watch(here: Lab, clock: Clock) -> Watch:
    return Watch(here, clock)


# ---- silence ----------------------------------------------------------------------------------------------------


def test_silence_begins_in_its_hours_and_ends_with_the_next_message(here: Lab, desk: Desk, clock: Clock) -> None:
    to(clock, here, 23, 11)  # a Monday
    past(here, clock)
    watch = Watch(here, clock)
    assert watch.look(minutes=20) == set()
    assert watch.look(hours=1) == {("bench", "silence")}
    (row,) = desk.rows(LineAlarm)
    assert row["args"]["since"] == "2026-11-23T05:30:00+00:00" and 5 <= row["args"]["usual"] / 60 <= 30
    assert watch.look(hours=8) == {("bench", "silence")}  # it lasts through the night, told once
    watch.set("bench", message_at=clock())
    assert watch.look() == set()
    assert alarm_rows(desk) == [("bench", "silence", False)]


@ON_SQLITE
def test_silence_of_the_weekend_and_while_we_were_away_is_none(here: Lab, clock: Clock) -> None:
    to(clock, here, 20, 17)  # Friday evening
    past(here, clock)
    watch = Watch(here, clock)
    assert all(watch.look(hours=9) == set() for _ in range(7))  # to Monday, 8:00
    to(clock, here, 23, 13)
    assert Watch(here, clock).look(minutes=15) == set()  # started at 13:00: nobody could speak before
    assert watch.look() == {("bench", "silence")}  # the one that was there all the time


@ON_SQLITE
def test_a_clock_of_ours_that_was_ahead_leaves_no_silence_behind(here: Lab, desk: Desk, clock: Clock) -> None:
    now = to(clock, here, 23, 11)
    past(here, clock)
    ahead = {"id": "ahead", "received_at": now + timedelta(days=3650), "processed_at": now, **PROCESSED}
    with here.write() as conn:
        conn.execute(table(AnalyzerMessage).insert(), [ahead])
        raise_alarm(here, conn, AlarmKind.SILENCE, "bench", now + timedelta(days=3650), since="x", usual=1)
    watch = Watch(here, clock)
    assert watch.look() == set() and watch.health.beside("bench")["rhythm"] == "learned"
    watch.set("bench", message_at=now + timedelta(days=3650))
    assert watch.look(hours=2) == {("bench", "silence")}, "messages of the future hide no silence"


@ON_SQLITE
def test_a_clock_that_is_set_or_a_computer_that_slept_is_no_silence(here: Lab, clock: Clock) -> None:
    """A battery is dead: it begins in 2020, until the network tells the time."""
    now = to(clock, here, 23, 11)
    past(here, clock)
    clock.forward(days=-2000)
    watch = Watch(here, clock)
    assert watch.look(minutes=1) == set()
    clock.at = now + timedelta(hours=2)
    watch.ticks = lambda: (now + timedelta(days=-2000, minutes=2)).timestamp()
    assert watch.look() == set()
    watch.ticks = lambda: (clock() + timedelta(days=-2000)).timestamp()
    watch.look(seconds=15)
    assert watch.look(minutes=20) == set()
    assert watch.health.beside("bench")["rhythm"] == "learned"
    assert watch.look(minutes=40) == {("bench", "silence")}


@ON_SQLITE
def test_silence_can_be_switched_off_and_is_not_known_of_a_new_analyzer(here: Lab, clock: Clock, desk: Desk) -> None:
    to(clock, here, 23, 11)
    past(here, clock)
    watch = Watch(here, clock)
    assert watch.look(hours=2) == {("bench", "silence")}
    assert watch.health.beside("bench")["rhythm"] == "learned" and watch.health.beside("far")["rhythm"] == "learning"
    quiet = with_alarms(desk.lab, replace(TCP, silence="off"), DIALLED)
    off = Watch(quiet, clock)
    assert off.look() == set() and off.health.beside("bench")["rhythm"] == "off"


# ---- clocks -----------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_a_clock_that_drifts_is_told_in_minutes_and_ends_when_it_is_set(watch: Watch, desk: Desk) -> None:
    for _ in range(3):
        watch.says("bench", -125)
        watch.says("far", 4)
    assert watch.look() == {("bench", "clock")}
    assert desk.one(LineAlarm)["args"] == {"minutes": -125, "unset": False}
    assert watch.health.beside("far")["drift_seconds"] == 240
    for _ in range(3):
        watch.says("bench", 0.2)
    assert watch.look() == set()


@ON_SQLITE
def test_a_clock_about_the_limit_does_not_raise_an_alarm_each_time(watch: Watch, desk: Desk) -> None:
    for minutes in (5.2, 5.2, 5.2, 4.9, 4.9, 4.9, 5.2, 5.2, 5.2):
        watch.says("bench", minutes)
        watch.look(seconds=30)
    assert alarm_rows(desk) == [("bench", "clock", True)]


@ON_SQLITE
def test_the_clock_alarm_can_be_switched_off(desk: Desk, clock: Clock) -> None:
    watch = Watch(with_alarms(desk.lab, replace(TCP, clock_minutes=0)), clock)
    for _ in range(4):
        watch.says("bench", -600)
    assert watch.look() == set()
