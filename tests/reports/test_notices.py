"""Notices to a laboratory's engineer: told once, by the registered text, at any hour, to the facility's key alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from server.reports import delivery, outbox
from server.reports.sms import GatewayError, Kind
from tests.reports.conftest import KEY, OTHER_KEY

ID = "0123456789abcdef0123456789abcdef"
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what no engine does differently
BODY: dict[str, Any] = {
    "mobiles": ["+919812345670", "98765 43210"], "facility": "DDU Government Hospital",
    "analyzer": "Sysmex XN-550, haematology", "alarm": "clock is 2 h 5 min slow", "since": "22 Nov 0912 hrs",
}  # fmt: skip


def put(service: Any, notice_id: str = ID, key: str = KEY, **changes: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    return service.client.put(f"/api/v1/notices/{notice_id}", json={**BODY, **changes}, headers=headers)


def statuses(service: Any) -> list[str]:
    with service.hub.db.read() as conn:
        return list(conn.execute(select(outbox.sms.c.status).order_by(outbox.sms.c.id)).scalars())


def test_a_notice_is_told_once_to_each_number(service: Any) -> None:
    answer = put(service)
    assert (answer.status_code, answer.json()) == (200, {
        "notice_id": ID, "stored": True,
        "sms": [{"to": "98xxxxxx70", "status": "queued"}, {"to": "98xxxxxx10", "status": "queued"}],
    })  # fmt: skip
    first = service.send()
    assert [m.to for m in first] == ["+919812345670", "+919876543210"]
    assert {m.text for m in first} == {
        "Lab line alarm, DDU Government Hospital: Sysmex XN 550 haematology: clock is 2 h 5 min slow, since "
        "22 Nov 0912 hrs. See the analyzers page. -UPHLTH"
    }
    again = put(service, alarm="clock is 2 h 6 min slow", mobiles=["9811111112"])  # its words moved on meanwhile
    assert [sms["status"] for sms in again.json()["sms"]] == ["accepted", "accepted"]
    assert service.send() == []


@ON_SQLITE
def test_the_quiet_hours_of_patients_are_not_the_engineers(service: Any) -> None:
    service.clock.forward(hours=10)  # 22:00
    service.put()
    put(service)
    assert [m.template_id for m in service.send()] == ["", ""]
    assert statuses(service) == ["queued", "accepted", "accepted"]  # the patient's waits for the morning
    service.clock.forward(hours=9)
    assert len(service.send()) == 1


def test_the_wrong_key_is_refused(service: Any) -> None:
    assert put(service, key="somebody's").status_code == 401
    assert put(service).status_code == 200
    assert put(service, key=OTHER_KEY).status_code == 403
    assert statuses(service) == ["queued", "queued"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"mobiles": []}, "mobiles"),
        ({"mobiles": ["9812345670"] * 6}, "mobiles"),
        ({"mobiles": ["12345"]}, "mobiles.0"),
        ({"alarm": ""}, "alarm"),
        ({"analyzer": "x" * 121}, "analyzer"),
        ({"since": "x" * 41}, "since"),
        ({"patient": "Rekha"}, "patient"),
        ({"facility": None}, "facility"),
    ],
)
def test_what_cannot_be_told_is_named(service: Any, changes: dict[str, Any], where: str) -> None:
    answer = put(service, **changes)
    assert (answer.status_code, [f["where"] for f in answer.json()["faults"]]) == (422, [where])
    assert statuses(service) == []


@ON_SQLITE
def test_a_strange_id_or_body_is_named(service: Any) -> None:
    assert put(service, notice_id="7").json()["faults"][0]["where"] == "notice_id"
    headers = {"Authorization": f"Bearer {KEY}"}
    assert service.client.put(f"/api/v1/notices/{ID}", content=b"[", headers=headers).status_code == 422


@ON_SQLITE
def test_a_gateway_that_is_away_is_tried_again_for_a_day(service: Any) -> None:
    put(service, mobiles=["9812345670"])
    service.gateway.trouble = [GatewayError(Kind.TRANSPORT, "down")] * 100
    for _ in range(26):
        delivery.run_due(service.hub)
        service.clock.forward(hours=1)
    assert statuses(service) == ["expired"]
    assert 20 < 100 - len(service.gateway.trouble) < 30


def test_a_phone_that_wants_no_sms_gets_none(service: Any) -> None:
    from server.reports import store

    with service.hub.db.write() as conn:
        store.add_opt_out(conn, service.hub.keyed("number", "+919812345670"), service.clock())
    put(service)
    assert statuses(service) == ["suppressed", "queued"]


def test_receipts_and_the_yearly_forgetting_reach_notices_too(service: Any) -> None:
    put(service, mobiles=["9812345670"])
    service.send()
    service.client.post(f"/sms/dlr/{service.hub.receipt_secret}", json={"id": "gw-1", "status": "delivered"})
    assert put(service).json()["sms"] == [{"to": "98xxxxxx70", "status": "delivered"}]
    service.clock.at += timedelta(days=400)
    delivery.tidy(service.hub)
    assert put(service).json()["sms"] == [{"to": "", "status": "delivered"}]
