"""The SMS outbox: one message each, retried only when it surely did not go out, nothing of the patient in any."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from middleware.model import LinkPolicy, ReportStatus
from server.reports import delivery, outbox
from server.reports.schema import MOVES, Status
from server.reports.sms import GatewayError, Kind

SECRETS = ("Rekha", "Devi", "7.1", "aemoglobin", "HGB", "CBC", "Gynae", "Singh", "107-0000001", "45", "402817")


def rows(service: Any) -> list[Any]:
    with service.hub.db.read() as conn:
        return list(conn.execute(select(outbox.sms).order_by(outbox.sms.c.id)))


def receipt(service: Any, body: Any, secret: str | None = None) -> Any:
    return service.client.post(f"/sms/dlr/{secret or service.hub.receipt_secret}", json=body)


@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize("link", list(LinkPolicy))
@pytest.mark.parametrize("mode", ["link", "in_person"])
def test_no_sms_says_anything_of_the_patient(service: Any, language: str, link: LinkPolicy, mode: str) -> None:
    access = service.access(language=language, sms=mode)
    service.put(service.report(link=link), access)
    told = service.send()
    service.put(service.report(link=link, version=2, status=ReportStatus.AMENDED), access)
    told += service.send()
    assert len(told) == 2
    for message in told:
        rest = re.sub(r"https://r\.example/[0-9A-Z]{16}", "", message.text)
        assert [word for word in SECRETS if word in rest] == []
        assert ("https://" in message.text) == (link is LinkPolicy.YES and mode == "link")
        assert "undefined" not in rest and "#" not in rest


def test_the_clear_link_is_gone_once_the_gateway_has_it(service: Any) -> None:
    service.put()
    before = rows(service)[0]
    token = before.link.rsplit("/", 1)[1]
    message = service.send()[0]
    after = rows(service)[0]
    assert token in message.text
    assert (after.status, after.link, after.provider_id, after.parts, after.attempts) == (
        "accepted",
        None,
        "gw-1",
        2,
        1,
    )
    assert token not in repr(after)
    assert service.send() == []


@pytest.mark.parametrize("kind", [Kind.TRANSPORT, Kind.THROTTLED])
def test_what_surely_did_not_go_out_is_tried_again_with_growing_waits(service: Any, kind: Kind) -> None:
    service.put()
    service.gateway.trouble = [GatewayError(kind, "no connection")] * 4
    tried_at = []
    for _ in range(25 * 60):
        if delivery.run_due(service.hub):
            tried_at.append(int((service.clock() - datetime(2026, 11, 22, 6, 30, tzinfo=UTC)) / timedelta(minutes=1)))
        service.clock.forward(minutes=1)
        if service.gateway.sent:
            break
    assert tried_at == [0, 1, 3, 8, 23]
    assert (len(service.gateway.sent), rows(service)[0].status, rows(service)[0].attempts) == (1, "accepted", 5)


@pytest.mark.parametrize(("kind", "status"), [(Kind.REJECTED, "failed"), (Kind.UNKNOWN, "unknown")])
def test_what_was_refused_or_may_have_gone_out_is_never_sent_again(service: Any, kind: Kind, status: str) -> None:
    service.put()
    service.gateway.trouble = [GatewayError(kind, "template not registered")]
    for _ in range(60):
        delivery.run_due(service.hub)
        service.clock.forward(hours=1)
    row = rows(service)[0]
    assert (row.status, row.link, row.attempts, service.gateway.sent) == (status, None, 1, [])
    assert service.state()["delivery"]["sms"][0]["error"] == f"{kind}: template not registered"


def test_after_48_hours_nobody_tries_any_more(service: Any) -> None:
    service.put()
    service.gateway.trouble = [GatewayError(Kind.TRANSPORT, "down")] * 1000
    for _ in range(50):
        delivery.run_due(service.hub)
        service.clock.forward(hours=1)
    assert (rows(service)[0].status, rows(service)[0].link) == ("expired", None)
    service.put(access=service.access(serial=2, resend=True))  # the counter can ask again
    service.gateway.trouble = []
    assert len(service.send()) == 1


def test_a_crash_between_sending_and_recording_is_unknown_not_sent_twice(service: Any) -> None:
    service.put()

    def crash() -> None:
        raise KeyboardInterrupt  # the process dies while the gateway has the message

    service.gateway.before = crash
    with pytest.raises(KeyboardInterrupt):
        delivery.run_due(service.hub)
    assert rows(service)[0].status == "sent"
    service.gateway.before = lambda: None
    service.clock.forward(minutes=9)
    assert service.send() == []
    service.clock.forward(minutes=2)
    assert service.send() == []
    assert (rows(service)[0].status, rows(service)[0].link) == ("unknown", None)
    receipt(service, {"id": rows(service)[0].message_id, "status": "delivered"})  # it had gone out after all
    assert rows(service)[0].status == "delivered"


def test_many_workers_send_each_message_once(service: Any) -> None:
    for n in range(12):
        service.put(service.report(report_no=f"DDU-261122-{n:04}"), service.access(slip_tokens=()))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: delivery.run_due(service.hub), range(4)))
    assert len({m.message_id for m in service.gateway.sent}) == len(service.gateway.sent) == 12


@pytest.mark.parametrize(
    ("hour", "begin", "end", "quiet"),
    [(20, 21, 7, False), (21, 21, 7, True), (3, 21, 7, True), (7, 21, 7, False), (3, 5, 5, False), (13, 12, 14, True)],
)
def test_quiet_hours_are_those_of_india(hour: int, begin: int, end: int, quiet: bool) -> None:
    now = datetime(2026, 11, 22, hour, 15, tzinfo=UTC) - timedelta(hours=5, minutes=30)
    assert delivery.is_quiet(now, begin, end) is quiet


def test_a_report_of_the_night_is_told_in_the_morning(service: Any) -> None:
    service.clock.forward(hours=10)  # 22:00
    service.put()
    assert service.send() == []
    service.clock.forward(hours=9)
    assert len(service.send()) == 1


def test_a_newer_version_overtakes_an_sms_that_has_not_gone_out(service: Any) -> None:
    service.put()
    service.put(service.report(version=2, status=ReportStatus.AMENDED), service.access(serial=2))
    assert service.sms() == [(1, "ready", "suppressed"), (2, "ready", "queued")]  # nobody was told: not "corrected"
    assert len(service.send()) == 1


def test_an_interim_report_is_not_told(service: Any) -> None:
    service.put(service.report(status=ReportStatus.INTERIM))
    assert (service.sms(), service.state()["delivery"]["status"]) == ([], "suppressed")
    service.put(service.report(version=2), service.access(serial=2))
    assert service.sms() == [(2, "ready", "queued")]


def test_a_resend_is_one_more_message_with_a_fresh_link(service: Any) -> None:
    service.put()
    first = service.send()
    again = service.access(serial=2, resend=True)
    service.put(access=again)
    service.put(access=again)
    second = service.send()
    tokens = [service.token(m) for m in first + second]
    assert len(tokens) == len(set(tokens)) == 2
    assert [service.client.get(f"/{t}").status_code for t in tokens] == [200, 200]


def test_a_resend_while_one_is_waiting_does_not_double_it(service: Any) -> None:
    service.put()
    service.put(access=service.access(serial=2, resend=True))
    assert service.sms() == [(1, "ready", "suppressed"), (1, "ready", "queued")]


@pytest.mark.parametrize("mobile", ["12345", "9999999999", "0542 2345678", "+1 202 555 0100", "९८७६५४३२१०"])
def test_a_number_that_cannot_be_is_shown_to_the_lab(service: Any, mobile: str) -> None:
    assert service.put(access=service.access(mobile=mobile)).status_code == 200
    assert service.sms() == [(1, "ready", "failed")]
    assert "not an Indian mobile number" in service.state()["delivery"]["sms"][0]["error"]


@pytest.mark.parametrize("mobile", ["9876543210", "09876543210", "+91 98765-43210", "919876543210", "00919876543210"])
def test_numbers_are_understood_as_people_write_them(service: Any, mobile: str) -> None:
    service.put(access=service.access(mobile=mobile))
    assert [m.to for m in service.send()] == ["+919876543210"]


def test_receipts_move_a_message_once_and_never_back(service: Any) -> None:
    service.put()
    service.send()
    assert receipt(service, {"id": "gw-1", "status": "failed", "code": "absent"}).json() == {"kept": 1}
    assert (
        receipt(service, [{"id": "gw-1", "status": "delivered"}, {"id": "gw-1", "status": "delivered"}]).status_code
        == 200
    )
    receipt(service, {"id": "gw-1", "status": "failed", "code": "absent"})
    receipt(service, {"id": "gw-1", "status": "accepted"})
    assert service.sms() == [(1, "ready", "delivered")]


def test_a_receipt_faster_than_the_gateways_answer_is_kept(service: Any) -> None:
    service.put()
    service.gateway.before = lambda: receipt(service, {"id": "gw-1", "status": "delivered"})
    service.send()
    assert service.sms() == [(1, "ready", "delivered")]


def test_a_forged_receipt_is_not_found(service: Any) -> None:
    service.put()
    service.send()
    assert receipt(service, {"id": "gw-1", "status": "delivered"}, "guess").status_code == 404
    assert receipt(service, {"id": "gw-unknown", "status": "delivered"}).status_code == 200
    assert service.sms() == [(1, "ready", "accepted")]


def test_a_year_later_nobody_knows_whose_phone_it_was(service: Any) -> None:
    service.put()
    service.send()
    service.try_pin()
    service.clock.forward(days=367)
    delivery.tidy(service.hub)
    with service.hub.db.read() as conn:
        assert "98765" not in repr(list(conn.execute(select(outbox.sms))))
    assert service.state()["delivery"]["sms"][0]["to"] == ""
    assert service.state()["delivery"]["opened"] == 0  # the log's year is over


def test_a_text_that_would_not_match_its_template_is_not_sent(service: Any) -> None:
    service.put(service.report(facility_en="डीडीयू"), service.access(language="en"))  # nothing left for #alphanumeric#
    assert service.send() == []
    assert rows(service)[0].status == "failed"


def test_moves_lead_only_where_the_table_says(service: Any) -> None:
    service.put()
    row = rows(service)[0]
    for begin in Status:
        for end in Status:
            with service.hub.db.write() as conn:
                conn.execute(update(outbox.sms).values(status=begin.value))
                assert outbox.move(conn, row.id, end, service.clock()) is (end in MOVES[begin])


def test_the_ticker_works_off_the_outbox_by_itself(service: Any) -> None:
    service.put()
    _wait_for(service, lambda: bool(service.gateway.sent))
    assert len(service.gateway.sent) == 1


def test_told_to_end_it_sends_the_sms_in_hand_and_begins_no_other(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow gateway and a long queue: the process ends after one message, not after a hundred."""
    for number in range(3):
        slips = (f"{number}" * 64,)
        assert service.put(
            service.report(report_no=f"DDU-261122-000{number}"), service.access(slip_tokens=slips)
        ).is_success
    send = service.gateway.send

    def slow(message: Any) -> Any:
        service.hub.ending.set()
        return send(message)

    monkeypatch.setattr(service.gateway, "send", slow)
    assert delivery.run_due(service.hub) == 1
    assert sorted(row.status for row in rows(service)) == ["accepted", "queued", "queued"]


def _wait_for(service: Any, done: Callable[[], bool]) -> None:
    import time

    ticker = delivery.start_ticker(service.hub, seconds=0.02)
    try:
        end = time.monotonic() + 10
        while not done() and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        ticker.shutdown(wait=True)
