"""The outbox against a real report service over real HTTP: sent once, whatever the network and the service do."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from sqlalchemy import delete

from middleware import handover, notices
from middleware.actions import register, reports, results
from middleware.alarm_settings import AlarmKind, AlarmSettings
from middleware.alarms import raise_alarm
from middleware.lab import Lab
from middleware.schema import DeliveryState, HandoverRow
from middleware.store import change, table
from server.reports import delivery, intake, migrate
from server.reports.app import create_app
from server.reports.hub import Hub
from server.strings import Strings
from tests.labs import CONFIG, Desk
from tests.reports.conftest import FakeGateway

KEY = "this facility's key"
PATIENCE = 20.0  # seconds; only a broken test waits so long


@dataclass
class Service:
    """A report service that can be down; its port stays the same."""

    desk: Desk
    port: int
    gateway: FakeGateway

    @cached_property
    def client(self) -> httpx2.Client:
        """The outbox's own client, kept as the lab's process keeps it."""
        return handover.client_for(self.lab)

    @property
    def lab(self) -> Lab:
        """The laboratory, handing over to this service."""
        settings = self.desk.lab.settings
        hub = replace(settings.hub, url=f"http://127.0.0.1:{self.port}", key=KEY, retry_seconds=5)
        return replace(self.desk.lab, settings=replace(settings, hub=hub))

    @contextmanager
    def up(self) -> Iterator[Hub]:
        """The service, while it runs."""
        key = hashlib.sha256(KEY.encode()).hexdigest()
        ours = self.desk.lab.settings
        settings = replace(ours.reports, facility_keys={ours.lab.facility.code: key})
        app = create_app(
            settings, Strings.load(CONFIG), CONFIG, now=self.desk.clock, gateway=self.gateway, ticker=False
        )
        config = uvicorn.Config(app, "127.0.0.1", self.port, log_config=None, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        end = time.monotonic() + PATIENCE
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield app.state.hub
        finally:
            server.should_exit = True
            thread.join(PATIENCE)

    def run(self) -> int:
        """One tick of the outbox."""
        return handover.run_due(self.lab, self.client)

    def ask(self) -> int:
        """One tick of asking."""
        return handover.ask_deliveries(self.lab, self.client)


@pytest.fixture(scope="session")
def hub_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database of a report service, to be copied."""
    path = tmp_path_factory.mktemp("hub") / "reports.sqlite3"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def service(port: int, desk: Desk, hub_file: Path) -> Iterator[Service]:
    shutil.copy(hub_file, desk.lab.settings.reports.database_url.removeprefix("sqlite:///"))
    service = Service(desk, port, FakeGateway())
    yield service
    if "client" in vars(service):
        service.client.close()


def released(desk: Desk, **who: Any) -> Any:
    """A visit whose report is ready to go."""
    made, ids = desk.measured("HB=13.0 g/dL", **who)
    assert results.release(desk.lab, desk.technician, ids).reports == (made.report_no,)
    return made


def test_the_engineer_is_told_by_the_report_service_when_it_is_back(service: Service, desk: Desk) -> None:
    settings = service.lab.settings
    lab = replace(service.lab, settings=replace(settings, alarms=AlarmSettings(mobiles=("+919812345670",))))
    with lab.write() as conn:
        raise_alarm(lab, conn, AlarmKind.CLOCK, "bench", minutes=-125, unset=False)
    assert notices.run_due(lab, service.client) == 0  # it is down
    desk.clock.forward(minutes=1)
    with service.up() as hub:
        assert (notices.run_due(lab, service.client), notices.run_due(lab, service.client)) == (1, 0)
        delivery.run_due(hub)
    (sms,) = service.gateway.sent
    assert sms.to == "+919812345670" and ": Bench analyzer: clock is 2 h 5 min slow, since 22 Nov 1000 hrs." in sms.text


def states(desk: Desk) -> list[tuple[int, int, str, int]]:
    """(version, serial, state, attempts) of each row of the outbox."""
    return [(h["version"], h["serial"], h["state"], h["attempts"]) for h in desk.rows(HandoverRow)]


def test_a_released_report_is_stored_there_and_its_delivery_is_followed(service: Service, desk: Desk) -> None:
    made = released(desk)
    register.mint_slip(desk.lab, desk.reception, made.order_id)  # a new PIN: the same version once more
    with service.up() as hub:
        assert (service.run(), service.run()) == (2, 0)
        assert states(desk) == [(1, 1, "sent", 1), (1, 2, "sent", 1)]
        assert {h["sent_at"] for h in desk.rows(HandoverRow)} == {desk.clock()}
        stored = intake.describe(hub, desk.lab.settings.lab.facility.code, made.report_no)
        assert stored is not None and [v["version"] for v in stored["versions"]] == [1]
        state = desk.one(DeliveryState)
        assert (state["report_no"], state["status"], state["opened"]) == (made.report_no, "queued", 0)
        assert service.ask() == 0  # nothing new
        delivery.run_due(hub)
        assert service.ask() == 1
        assert desk.one(DeliveryState)["status"] == "accepted"
    (sms,) = service.gateway.sent
    assert sms.to == "+919812345670" and "Sunita" not in sms.text
    assert handover.waiting(desk.lab) == 0


def test_down_all_day_then_up(service: Service, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "labmitra.handover")
    for number in range(3):
        released(desk, name=f"Patient {number}")
    assert service.run() == 0
    assert states(desk) == [(1, 1, "queued", 1), (1, 1, "queued", 0), (1, 1, "queued", 0)]  # stops at the first fault
    first = desk.rows(HandoverRow)[0]
    assert first["last_error"] == "report service not reached (ConnectError)"
    assert first["next_at"] == desk.clock() + timedelta(seconds=5)
    pauses = []
    for _ in range(48):  # eight hours
        desk.clock.forward(minutes=10)
        service.run()
        pauses.append(max(h["next_at"] for h in desk.rows(HandoverRow)) - desk.clock())
    assert max(pauses) == handover.LONGEST_PAUSE
    assert {s for _, _, s, _ in states(desk)} == {"queued"} and handover.waiting(desk.lab) == 3
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 3  # once a report, not once a try
    assert "Patient" not in caplog.text
    with service.up() as hub:
        desk.clock.at = min(h["next_at"] for h in desk.rows(HandoverRow))
        assert service.run() + service.run() == 3  # the first that arrives wakes the others
        delivery.run_due(hub)
    assert {s for _, _, s, _ in states(desk)} == {"sent"} and len(service.gateway.sent) == 3
    assert {h["last_error"] for h in desk.rows(HandoverRow)} == {""}


def test_a_clock_that_was_ahead_keeps_no_report_back(service: Service, desk: Desk) -> None:
    desk.clock.forward(days=3650)
    released(desk)
    assert service.run() == 0
    desk.clock.forward(days=-3650)
    with service.up() as hub:
        assert service.run() == 1
        desk.clock.forward(days=3650)
        released(desk, name="Patient 2")
        assert service.run() == 1
        desk.clock.forward(days=-3650)
        assert delivery.run_due(hub) == len(service.gateway.sent) == 2


def test_the_same_hand_over_twice_is_one_report_and_one_sms(service: Service, desk: Desk) -> None:
    made = released(desk)
    with service.up() as hub:
        service.run()
        with desk.lab.write() as conn:  # the answer was lost: the row waits as if never sent
            change(conn, HandoverRow, 1, state="queued")
        assert service.run() == 1
        delivery.run_due(hub)
        stored = intake.describe(hub, desk.lab.settings.lab.facility.code, made.report_no)
    assert stored is not None and len(stored["versions"]) == 1 and len(service.gateway.sent) == 1


def test_amended_resent_withdrawn_go_in_their_order(service: Service, desk: Desk) -> None:
    made = released(desk)
    with service.up() as hub:
        service.run()
        delivery.run_due(hub)
        (first,) = [r["id"] for r in desk.rows(HandoverRow)]
        results.amend(desk.lab, desk.pathologist, 1, "13.4", "13.4", "misread")
        reports.resend(desk.lab, desk.reception, made.report_no)
        reports.withdraw(desk.lab, desk.pathologist, made.report_no, "another Sunita")
        assert service.run() == 3
        stored = intake.describe(hub, desk.lab.settings.lab.facility.code, made.report_no)
    assert stored is not None and (stored["newest"], stored["delivery"]["withdrawn"]) == (2, True)
    assert states(desk) == [(1, 1, "sent", 1), (2, 2, "sent", 1), (2, 3, "sent", 1), (2, 4, "sent", 1)] and first == 1


def test_what_a_retry_cannot_change_is_shown_and_stops_nobody_else(service: Service, desk: Desk) -> None:
    made = released(desk)
    with service.up():
        service.run()
        with desk.lab.write() as conn:  # the same version with other content
            payload = desk.one(HandoverRow)["payload"]
            payload["document"]["patient_name"] = "Somebody else"
            payload["access"]["serial"] = 9
            change(conn, HandoverRow, 1, state="queued", payload=payload)
        released(desk, name="Rekha")
        assert service.run() == 1
    first, second = desk.rows(HandoverRow)
    assert (first["state"], second["state"]) == ("refused", "sent")
    assert first["last_error"].startswith("report service refused it (409): version 1 of this report is stored")
    assert "Somebody" not in first["last_error"]
    assert service.run() == 0  # it waits for a person
    assert reports.retry_now(desk.lab, desk.technician, made.report_no) == 1


def test_a_wrong_key_waits_until_it_is_right(service: Service, desk: Desk) -> None:
    released(desk)
    with service.up():
        settings = service.lab.settings
        wrong = replace(service.lab, settings=replace(settings, hub=replace(settings.hub, key="another key")))
        with handover.client_for(wrong) as client:
            assert handover.run_due(wrong, client) == 0
        row = desk.one(HandoverRow)
        assert (row["state"], row["last_error"]) == ("queued", "report service does not know this facility's key (401)")
        desk.clock.forward(minutes=1)
        assert service.run() == 1


Answer = Callable[[httpx2.Request], httpx2.Response]
ELSE = {
    "500": lambda _: httpx2.Response(500, json={"detail": "later"}),
    "502 of a proxy": lambda _: httpx2.Response(502, text="<html>Bad gateway</html>"),
    "503": lambda _: httpx2.Response(503),
    "429": lambda _: httpx2.Response(429, json={"detail": "slow down"}),
    "404 of another server": lambda _: httpx2.Response(404, json={"detail": "Not Found"}),
    "403 of a proxy": lambda _: httpx2.Response(403, text="<html>Blocked by policy</html>"),
    "the network's log-in page": lambda _: httpx2.Response(200, text="<html>Hospital Wi-Fi: log in</html>"),
    "sent to the log-in page": lambda _: httpx2.Response(302, headers={"location": "http://wifi.example/"}),
    "something else in JSON": lambda _: httpx2.Response(200, json=["ok"]),
    "not stored": lambda _: httpx2.Response(200, json={"stored": False}),
}


@pytest.mark.parametrize("answer", ELSE.values(), ids=ELSE)
def test_only_the_services_own_word_counts(answer: Answer, service: Service, desk: Desk) -> None:
    released(desk)
    asked: list[str] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        return answer(request)

    with httpx2.Client(base_url="http://reports.example", transport=httpx2.MockTransport(reply)) as client:
        assert handover.run_due(desk.lab, client) == 0
        assert states(desk) == [(1, 1, "queued", 1)]
        with desk.lab.write() as conn:
            change(conn, HandoverRow, 1, state="sent")
        assert handover.ask_deliveries(desk.lab, client) == 0
    assert desk.rows(DeliveryState) == []
    report_no = desk.one(HandoverRow)["report_no"]
    assert asked == [f"PUT /api/v1/reports/{report_no}/versions/1", f"GET /api/v1/reports/{report_no}"]


def test_a_slow_service_holds_no_transaction(service: Service, desk: Desk) -> None:
    """While the call is under way, people go on registering."""
    released(desk)

    def slow(request: httpx2.Request) -> httpx2.Response:
        desk.register("HB")
        raise httpx2.ReadTimeout("no answer", request=request)

    with httpx2.Client(base_url="http://reports.example", transport=httpx2.MockTransport(slow)) as client:
        assert handover.run_due(desk.lab, client) == 0
    assert desk.one(HandoverRow)["last_error"] == "report service not reached (ReadTimeout)"


def test_reports_never_asked_for_come_first(service: Service, desk: Desk) -> None:
    made = [released(desk, name=f"Patient {n}").report_no for n in range(3)]
    asked: list[str] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path.rsplit("/", 1)[1])
        return httpx2.Response(200, json={"delivery": {"status": "delivered", "opened": 1}})

    d = table(DeliveryState)
    with desk.lab.write() as conn:
        for row in desk.rows(HandoverRow):
            change(conn, HandoverRow, row["id"], state="sent")
        conn.execute(delete(d))
        for report_no, minutes in ((made[0], 5), (made[1], 9)):
            at = desk.clock() - timedelta(minutes=minutes)
            conn.execute(d.insert().values(report_no=report_no, status="queued", detail={}, opened=0, checked_at=at))
    with httpx2.Client(base_url="http://reports.example", transport=httpx2.MockTransport(reply)) as client:
        assert handover.ask_deliveries(desk.lab, client, limit=2) == 2
    assert asked == [made[2], made[1]]


def test_without_a_report_service_the_outbox_waits(desk: Desk) -> None:
    released(desk)
    settings = desk.lab.settings
    lab = replace(desk.lab, settings=replace(settings, hub=replace(settings.hub, url="")))
    with handover.client_for(lab) as client:
        assert handover.run_due(lab, client) == 0
    assert handover.waiting(lab) == 1
