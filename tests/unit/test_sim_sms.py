"""The simulated SMS gateway: accepts, reports delivery, shows the phone, and misbehaves on demand."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient

from simulators.sms_gateway import create_app

SMS = {
    "to": "+919800000001",
    "text": "रिपोर्ट: https://r.example/l/abc123. UPHLTH",
    "template_id": "T1",
    "message_id": "m1",
}


@pytest.fixture
def reports() -> list[tuple[str, dict[str, str]]]:
    return []


@pytest.fixture
def client(tmp_path: Path, reports: list[tuple[str, dict[str, str]]]) -> Iterator[TestClient]:
    def take(request: httpx2.Request) -> httpx2.Response:
        reports.append((str(request.url), json.loads(request.content)))
        return httpx2.Response(204)

    transport = httpx2.MockTransport(take)
    app = create_app(tmp_path / "inbox", callback="http://hub/dlr", dlr_seconds=0, slow_seconds=0, transport=transport)
    with TestClient(app) as made:
        yield made


def inbox(client: TestClient, to: str = "") -> list[str]:
    return [sms["message_id"] for sms in client.get("/inbox.json", params={"to": to}).json()]


@pytest.mark.parametrize("how", ["json", "data", "params"])
def test_json_form_and_query_are_taken_alike(client: TestClient, how: str) -> None:
    answer = client.post("/send", **{how: SMS})
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted", "id": "SIM000001"})
    (kept,) = client.get("/inbox.json").json()
    assert kept.pop("at")
    assert kept == {"id": "SIM000001", **SMS}


def test_a_delivery_report_follows(client: TestClient, reports: list[tuple[str, dict[str, str]]]) -> None:
    client.post("/send", json=SMS)
    ((url, report),) = reports
    assert report.pop("at")
    assert (url, report) == ("http://hub/dlr", {"id": "SIM000001", "message_id": "m1", "status": "DELIVERED"})
    client.post("/send?mode=refuse-dlr", json={**SMS, "message_id": "m2", "callback": "http://other/"})
    assert [(address, sent["status"]) for address, sent in reports[1:]] == [("http://other/", "FAILED")]


def test_the_same_message_twice_is_one_sms(client: TestClient) -> None:
    answers = [client.post("/send", json=SMS).json()["id"] for _ in range(2)]
    assert answers == ["SIM000001", "SIM000001"]
    assert inbox(client) == ["m1"]


def test_messages_without_an_id_are_each_their_own(client: TestClient) -> None:
    bare = {"to": SMS["to"], "text": "x"}
    assert [client.post("/send", json=bare).json()["id"] for _ in range(2)] == ["SIM000001", "SIM000002"]


def test_what_is_missing_is_named(client: TestClient) -> None:
    answer = client.post("/send", json={"to": "+919800000001"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "missing: text")


@pytest.mark.parametrize(
    ("mode", "code", "status"), [("down", 503, "error"), ("lying", 200, "error"), ("slow", 200, "accepted")]
)
def test_bad_days(client: TestClient, mode: str, code: int, status: str) -> None:
    assert client.post("/settings", json={"mode": mode}).json()["mode"] == mode
    answer = client.post("/send", json=SMS)
    assert (answer.status_code, answer.json()["status"]) == (code, status)
    assert inbox(client) == (["m1"] if status == "accepted" else [])
    assert client.post("/send?mode=ok", json=SMS).json()["status"] == "accepted"


def test_a_number_can_be_rejected(client: TestClient) -> None:
    client.post("/settings", json={"rejected": ["+919800000001"]})
    assert client.post("/send", json=SMS).json()["status"] == "rejected"
    assert client.post("/settings", json={"mode": "unheard-of"}).status_code == 422


def test_the_phone_shows_newest_first_with_links_and_by_number(client: TestClient) -> None:
    client.post("/send", json=SMS)
    client.post("/send", json={"to": "+919800000002", "text": "<b>bold</b>", "message_id": "m2"})
    page = BeautifulSoup(client.get("/inbox").text, "html.parser")
    assert [item.select_one(".text").get_text() for item in page.select("li")] == ["<b>bold</b>", SMS["text"]]  # type: ignore[union-attr]
    assert [link["href"] for link in page.select("li a")] == ["https://r.example/l/abc123"]
    assert page.select_one('meta[http-equiv="refresh"]') is not None
    assert inbox(client, "0001") == ["m1"]
    one = BeautifulSoup(client.get("/inbox", params={"to": "98000 00002"}).text, "html.parser")
    assert len(one.select("li")) == 1


def test_the_file_is_read_again(client: TestClient, tmp_path: Path) -> None:
    client.post("/send", json=SMS)
    with TestClient(create_app(tmp_path / "inbox")) as again:
        assert inbox(again) == ["m1"]
        assert again.post("/send", json=SMS).json()["id"] == "SIM000001"
        assert again.post("/send", json={**SMS, "message_id": "m2"}).json()["id"] == "SIM000002"


def test_a_callback_that_is_down_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no", request=request)

    app = create_app(callback="http://hub/dlr", dlr_seconds=0, transport=httpx2.MockTransport(refuse))
    with TestClient(app) as client:
        assert client.post("/send", json=SMS).status_code == 200
    assert "SIM000001 not taken: ConnectError" in caplog.text
    assert SMS["to"] not in caplog.text
