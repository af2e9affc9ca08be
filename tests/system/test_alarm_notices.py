"""An alarm is told to the engineer: once, in words that fit, not at night, not too often, when the hub is back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from middleware import notices
from middleware.alarm_settings import AlarmKind
from middleware.alarms import end_alarm, raise_alarm
from middleware.lab import Lab
from middleware.schema import LineAlarm
from tests.conftest import ON_SQLITE
from tests.labs import NOW, Clock, Desk
from tests.system.alarm_kit import to, with_alarms


@pytest.fixture
def here(desk: Desk) -> Lab:
    return with_alarms(desk.lab)


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
def test_quiet_hours_may_last_past_midnight_and_equal_ends_are_none(
    hour: int, begin_at: int, end_at: int, quiet: bool
) -> None:
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
def test_at_most_so_many_are_told_a_day_the_others_the_next(
    desk: Desk, hub: Hub, client: httpx2.Client, clock: Clock
) -> None:
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
def test_what_the_hub_refuses_is_refused_and_what_it_cannot_take_waits(
    here: Lab, desk: Desk, hub: Hub, client: httpx2.Client, status: int, body: Any, state: str, error: str
) -> None:
    hub.answer = lambda: httpx2.Response(status, json=body)
    begin(here)
    assert notices.run_due(here, client) == 0
    row = desk.one(LineAlarm)
    assert (row["notice_state"], row["notice_error"], row["told_at"]) == (state, error, None)
