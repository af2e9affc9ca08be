"""A line in trouble in a test: the laboratory with two analyzers and an engineer, and a look at made-up lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from drivers.driver import Decoded, Message, MessageType
from middleware.alarm_settings import AlarmSettings
from middleware.alarms import Alarms
from middleware.ears import Ears
from middleware.health import Health
from middleware.lab import Lab
from middleware.schema import AnalyzerMessage, LineAlarm
from middleware.settings import AnalyzerSettings
from middleware.store import table
from middleware.supervisor import LineState
from tests.labs import Clock, Desk

TCP = AnalyzerSettings("bench", "generic_astm", "Bench analyzer", "tcp-listen://127.0.0.1:0")
DIALLED = AnalyzerSettings("far", "generic_hl7", "Far analyzer", "tcp://127.0.0.1:1")
COUNTED = ("observations", "measurements", "results", "controls", "unmatched", "duplicates", "not_reportable",
           "suspects", "images", "details")  # fmt: skip
PROCESSED = {"analyzer": "bench", "type": "result", "state": "processed", "error": "", "problems": [], "sample_ids": "",
             **dict.fromkeys(COUNTED, 0)}  # fmt: skip


def with_alarms(lab: Lab, *analyzers: AnalyzerSettings, **changes: Any) -> Lab:
    """The laboratory, with these analyzers or two usual ones, and one engineer's number."""
    alarms = replace(AlarmSettings(mobiles=("+919812345670",)), **changes)
    hub = replace(lab.settings.hub, url="http://hub.test", key="this facility's key")
    return replace(lab, settings=replace(lab.settings, analyzers=analyzers or (TCP, DIALLED), alarms=alarms, hub=hub))


def alarm_rows(desk: Desk) -> list[tuple[str, str, bool]]:
    """(analyzer, kind, lasts) of each row."""
    return [(a["analyzer"], a["kind"], a["ended_at"] is None) for a in desk.rows(LineAlarm)]


class Watch:
    """A look at two made-up lines, with the clock in the test's hand."""

    def __init__(self, lab: Lab, clock: Clock) -> None:
        self.lab, self.clock, self.failing = lab, clock, False
        self.ticks: Callable[[], float] = lambda: clock().timestamp()
        self.ears, self.alarms = Ears(lab.settings.lab.timezone), Alarms(lab)
        self.health = Health(lab, self.ears, self.alarms, lambda: self.failing, lambda: self.ticks())
        self.states = {a.name: LineState(a.name, connected=True, since=clock()) for a in lab.settings.analyzers}

    def set(self, name: str, **values: Any) -> None:
        self.states[name] = replace(self.states[name], **values)

    def look(self, **forward: float) -> set[tuple[str, str]]:
        """Time goes by; which alarms last then."""
        self.clock.forward(**forward)
        while self.health.learn_next():
            pass
        self.health.look(self.states)
        self.alarms.write()
        return {(name, kind.value) for kind, name in self.alarms.lasting()}

    def says(self, name: str, minutes_off: float) -> None:
        """A message whose head is so far ahead of our clock."""
        at = self.clock()
        text = (at + timedelta(minutes=minutes_off)).astimezone(self.lab.settings.lab.timezone).strftime("%Y%m%d%H%M%S")
        self.ears.read(Message("m", name, at, b""), Decoded(MessageType.RESULT, None, text), True, at)


def past(lab: Lab, clock: Clock, weeks: int = 4, every: int = 20) -> None:
    """Weekdays from 9 to 17, a message every few minutes, until now."""
    zone = lab.settings.lab.timezone
    at = (clock().astimezone(zone) - timedelta(weeks=weeks)).replace(hour=0, minute=0)
    rows = []
    while (at := at + timedelta(minutes=every)) <= clock():
        if at.weekday() < 5 and 9 <= at.hour < 17:
            rows.append({"id": f"p{at:%m%d%H%M}", "received_at": at, "processed_at": at, **PROCESSED})
    with lab.write() as conn:
        conn.execute(table(AnalyzerMessage).insert(), rows)


def to(clock: Clock, lab: Lab, day: int, hour: int) -> datetime:
    """Set the clock to an hour of November 2026 in the laboratory."""
    clock.at = datetime(2026, 11, day, hour, tzinfo=lab.settings.lab.timezone)
    return clock.at
