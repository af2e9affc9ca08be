"""A line in trouble, from what is noticed to the row, the log, the notice and the end; on both databases."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from drivers.driver import Decoded, Message, MessageType, Observation
from middleware import notices, pipeline
from middleware.alarm_settings import AlarmKind, AlarmSettings
from middleware.alarms import Alarms, end_alarm, raise_alarm
from middleware.ears import Ears
from middleware.health import Health
from middleware.lab import Lab
from middleware.schema import AnalyzerMessage, AnalyzerState, Change, LineAlarm
from middleware.service import Lamps
from middleware.settings import AnalyzerSettings
from middleware.store import record as record_module
from middleware.store import table
from middleware.store.core import put_all
from middleware.supervisor import LineState
from middleware.work import Worker
from tests.labs import NOW, Clock, Desk

ON_SQLITE = pytest.mark.parametrize("lab_url", ["sqlite"], indirect=True)  # what no engine does differently
TCP = AnalyzerSettings("bench", "generic_astm", "Bench analyzer", "tcp-listen://127.0.0.1:0")
DIALLED = AnalyzerSettings("far", "generic_hl7", "Far analyzer", "tcp://127.0.0.1:1")


def with_alarms(lab: Lab, *analyzers: AnalyzerSettings, **changes: Any) -> Lab:
    alarms = replace(AlarmSettings(mobiles=("+919812345670",)), **changes)
    hub = replace(lab.settings.hub, url="http://hub.test", key="this facility's key")
    return replace(lab, settings=replace(lab.settings, analyzers=analyzers or (TCP, DIALLED), alarms=alarms, hub=hub))


@pytest.fixture
def here(desk: Desk) -> Lab:
    """The laboratory, with two analyzers and one engineer's number."""
    return with_alarms(desk.lab)


def alarm_rows(desk: Desk) -> list[tuple[str, str, bool]]:
    """(analyzer, kind, lasts) of each row."""
    return [(a["analyzer"], a["kind"], a["ended_at"] is None) for a in desk.rows(LineAlarm)]


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


@pytest.fixture
def watch(here: Lab, clock: Clock) -> Watch:
    return Watch(here, clock)


COUNTED = ("observations", "measurements", "results", "controls", "unmatched", "duplicates", "not_reportable",
           "suspects", "images", "details")  # fmt: skip
PROCESSED = {"analyzer": "bench", "type": "result", "state": "processed", "error": "", "problems": [], "sample_ids": "",
             **dict.fromkeys(COUNTED, 0)}  # fmt: skip


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


@ON_SQLITE
def test_a_line_of_ours_that_stays_down(watch: Watch, desk: Desk, clock: Clock) -> None:
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
def test_many_refusals_in_a_short_time(watch: Watch, desk: Desk) -> None:
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


def test_books_that_do_not_balance(here: Lab, desk: Desk, clock: Clock) -> None:
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


@ON_SQLITE
def test_what_the_lamps_are_told_of_messages(here: Lab, clock: Clock) -> None:
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


# ---- telling the engineer ---------------------------------------------------------------------------------------


class Hub:
    """A report service as the lab sees it: what it was told, and how it answers."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.answer: Callable[[], httpx2.Response] = lambda: httpx2.Response(200, json={"stored": True})

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer this facility's key"
        answer = self.answer()
        if answer.status_code == 200:
            self.told.append(json.loads(request.content))
            self.ids.append(request.url.path.removeprefix("/api/v1/notices/"))
        return answer


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx2.Client]:
    headers = {"Authorization": "Bearer this facility's key"}
    with httpx2.Client(transport=httpx2.MockTransport(hub), base_url="http://hub.test", headers=headers) as client:
        yield client


def begin(lab: Lab, kind: AlarmKind = AlarmKind.CLOCK, analyzer: str = "bench", **args: Any) -> None:
    with lab.write() as conn:
        raise_alarm(lab, conn, kind, analyzer, **(args or {"minutes": -125, "unset": False}))


def notice_states(desk: Desk) -> list[str]:
    return [a["notice_state"] for a in desk.rows(LineAlarm)]


def test_an_alarm_is_told_once(here: Lab, desk: Desk, hub: Hub, client: httpx2.Client, clock: Clock) -> None:
    begin(here)
    assert [notices.run_due(here, client), notices.run_due(here, client)] == [1, 0]
    assert hub.told == [{
        "mobiles": ["+919812345670"], "facility": here.settings.lab.facility.name_en, "analyzer": "Bench analyzer",
        "alarm": "clock is 2 h 5 min slow", "since": "22 Nov 1000 hrs",
    }]  # fmt: skip
    row = desk.one(LineAlarm)
    assert hub.ids == [row["notice_id"]] and (row["notice_state"], row["told_at"]) == ("sent", clock())
    begin(here, minutes=-130, unset=False)  # it lasts, and grows
    assert notices.run_due(here, client) == 0


@ON_SQLITE
def test_the_words_fit_the_slot_of_the_registered_text(here: Lab, hub: Hub, client: httpx2.Client) -> None:
    for kind in AlarmKind:
        begin(here, kind, minutes=100_000, unset=kind is AlarmKind.GARBAGE)
    begin(here, AlarmKind.CLOCK, "far", minutes=3, unset=True)
    begin(here, AlarmKind.JOURNAL, "")
    notices.run_due(here, client)
    clocks = [body["alarm"] for body in hub.told if body["alarm"].startswith("clock")]
    assert clocks == ["clock is 69 days fast", "clock is not set"]
    assert hub.told[-1]["analyzer"] == "all analyzers"
    for body in hub.told:
        assert len(body["alarm"]) <= 40 and body["alarm"].replace(" ", "").replace(",", "").isalnum()


@ON_SQLITE
@pytest.mark.parametrize("changes", [{"mobiles": ()}, {"sms_kinds": frozenset({AlarmKind.SILENCE})}])
def test_nobody_is_told_without_a_number_or_of_other_kinds(
    desk: Desk, hub: Hub, client: httpx2.Client, changes: dict[str, Any]
) -> None:
    lab = with_alarms(desk.lab, **changes)
    begin(lab)
    assert (notices.run_due(lab, client), hub.told, notice_states(desk)) == (0, [], ["none"])


@pytest.mark.parametrize(
    ("hour", "begin_at", "end_at", "quiet"),
    [(20, 21, 7, False), (21, 21, 7, True), (3, 21, 7, True), (7, 21, 7, False), (3, 5, 5, False), (13, 12, 14, True)],
)
def test_quiet_hours(hour: int, begin_at: int, end_at: int, quiet: bool) -> None:
    assert notices.is_quiet(NOW.replace(hour=hour), begin_at, end_at) is quiet


def test_what_still_lasts_in_the_morning_is_told_then(
    here: Lab, desk: Desk, hub: Hub, client: httpx2.Client, clock: Clock
) -> None:
    to(clock, here, 22, 22)
    begin(here)
    begin(here, AlarmKind.DOWN, "far", since="x")
    assert notices.run_due(here, client) == 0
    with here.write() as conn:
        end_alarm(here, conn, AlarmKind.DOWN, "far")
    to(clock, here, 23, 7)
    assert notices.run_due(here, client) == 1
    assert hub.told[0]["analyzer"] == "Bench analyzer" and notice_states(desk) == ["sent", "over"]


@ON_SQLITE
def test_at_most_so_many_a_day(desk: Desk, hub: Hub, client: httpx2.Client, clock: Clock) -> None:
    lab = with_alarms(desk.lab, most_a_day=2)
    for kind in (AlarmKind.CLOCK, AlarmKind.DOWN, AlarmKind.GARBAGE):
        begin(lab, kind)
    assert [notices.run_due(lab, client), notices.run_due(lab, client)] == [2, 0]
    clock.forward(hours=3)
    assert notices.run_due(lab, client) == 0
    to(clock, lab, 23, 8)  # the next day, and it still lasts
    assert notices.run_due(lab, client) == 1
    assert notice_states(desk) == ["sent", "sent", "sent"]


@ON_SQLITE
def test_what_a_clock_that_was_ahead_put_off_or_told_keeps_nobody_from_being_told(
    desk: Desk, hub: Hub, client: httpx2.Client, clock: Clock
) -> None:
    lab = with_alarms(desk.lab, most_a_day=1)
    clock.forward(days=3650)
    begin(lab)
    assert notices.run_due(lab, client) == 1
    begin(lab, AlarmKind.DOWN, "far", since="x")
    clock.forward(days=-3650)
    assert (notices.run_due(lab, client), notice_states(desk)) == (1, ["sent", "sent"])


def away() -> httpx2.Response:
    raise httpx2.ConnectError("no route")


@ON_SQLITE
def test_a_hub_that_is_away_is_told_when_it_is_back(
    here: Lab, desk: Desk, hub: Hub, client: httpx2.Client, clock: Clock, caplog: Any
) -> None:
    hub.answer = away
    begin(here)
    begin(here, AlarmKind.DOWN, "far", since="x")
    pauses = []
    for _ in range(7):
        assert (notices.run_due(here, client), notices.run_due(here, client)) == (0, 0)
        pauses.append(int((desk.rows(LineAlarm)[0]["notice_next_at"] - clock()).total_seconds()))
        clock.forward(seconds=pauses[-1])
    assert pauses == [30, 60, 120, 240, 480, 900, 900]
    assert desk.rows(LineAlarm)[0]["notice_error"] == "report service not reached (ConnectError)"
    hub.answer = lambda: httpx2.Response(200, json={"stored": True})
    clock.forward(minutes=15)
    assert notices.run_due(here, client) == 2 and notice_states(desk) == ["sent", "sent"]
    assert len([r for r in caplog.records if "waits and is tried again" in r.getMessage()]) == 2  # once each


def test_after_a_day_nobody_is_told_any_more(
    here: Lab, desk: Desk, hub: Hub, client: httpx2.Client, clock: Clock
) -> None:
    hub.answer = away
    begin(here)
    notices.run_due(here, client)
    clock.forward(hours=24, seconds=1)
    hub.answer = lambda: httpx2.Response(200, json={"stored": True})
    assert (notices.run_due(here, client), hub.told, notice_states(desk)) == (0, [], ["late"])


@ON_SQLITE
@pytest.mark.parametrize(
    ("status", "body", "state", "error"),
    [
        (401, {"detail": "the key"}, "queued", "report service does not know this facility's key (401)"),
        (422, {"detail": "mobiles: 1 to 5"}, "refused", "report service refused it (422): mobiles: 1 to 5"),
        (403, {"detail": "foreign"}, "refused", "report service refused it (403): foreign"),
        (404, {"detail": "Not Found"}, "queued", "report service answered 404"),  # an older hub
        (200, {"login": "please"}, "queued", "report service answered 200"),  # a hospital's log-in page
        (503, {}, "queued", "report service answered 503"),
    ],
)
def test_other_answers(
    here: Lab, desk: Desk, hub: Hub, client: httpx2.Client, status: int, body: Any, state: str, error: str
) -> None:
    hub.answer = lambda: httpx2.Response(status, json=body)
    begin(here)
    assert notices.run_due(here, client) == 0
    row = desk.one(LineAlarm)
    assert (row["notice_state"], row["notice_error"], row["told_at"]) == (state, error, None)
