"""The generic HTTP gateway: described by data, believed by the body of the answer, silent about numbers."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from fastapi.testclient import TestClient

from server.reports.sms import Accepted, GatewayError, Kind, Outgoing, Told, http, masked, open_gateway
from server.reports.sms.console import ConsoleGateway
from simulators import sms_gateway

LAB_TOML = Path(__file__).parents[2] / "config" / "lab.toml"
HINDI = "आपकी जांच रिपोर्ट तैयार है: https://r.example/8K3F9QXZ2M7TWB4D -UPHLTH"
MESSAGE = Outgoing("m1", "+919876543210", HINDI, "1107160000000000001", "hi")
TABLE: dict[str, Any] = {
    "url": "https://sms.example.in/send",
    "fields": {"to": "{to}", "msg": "{text}", "tpl": "{template_id}", "from": "{header}", "ref": "{message_id}"},
    "success": {"regex": "^402,"},
}
Answer = Callable[[httpx2.Request], httpx2.Response]


def say(text: str, status: int = 200) -> Answer:
    return lambda request: httpx2.Response(status, text=text)


def fail(error: type[httpx2.TransportError]) -> Answer:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error("no", request=request)

    return answer


def send(answer: Answer, message: Outgoing = MESSAGE, **table: Any) -> Accepted:
    transport = httpx2.MockTransport(answer)
    gateway = http.HttpGateway(http.shape(TABLE | table), "UPHLTH", "https://r.example/sms/dlr/s", transport)
    try:
        return gateway.send(message)
    finally:
        gateway.close()


def sent(**table: Any) -> httpx2.Request:
    seen: list[httpx2.Request] = []
    send(lambda r: seen.append(r) or httpx2.Response(200, text="402,MsgID = 15msdgsms"), **table)
    return seen[0]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (fail(httpx2.ConnectError), Kind.TRANSPORT),
        (fail(httpx2.ConnectTimeout), Kind.TRANSPORT),
        (fail(httpx2.ReadTimeout), Kind.UNKNOWN),
        (fail(httpx2.WriteTimeout), Kind.UNKNOWN),
        (fail(httpx2.ReadError), Kind.UNKNOWN),
        (fail(httpx2.RemoteProtocolError), Kind.UNKNOWN),
        (say("upstream", 503), Kind.TRANSPORT),
        (say("402, says a page of a proxy", 502), Kind.TRANSPORT),
        (say("slow down", 429), Kind.THROTTLED),
        (say("forbidden", 403), Kind.REJECTED),
        (say("moved", 302), Kind.REJECTED),
        (say("411,invalid template"), Kind.REJECTED),
        (say("Error: too many requests"), Kind.THROTTLED),
        (say("<html>login</html>"), Kind.UNKNOWN),
        (say(""), Kind.UNKNOWN),
    ],
)
def test_what_an_answer_means(answer: Answer, kind: Kind) -> None:
    errors = [{"regex": "^411,", "kind": "rejected"}, {"regex": "too many", "kind": "throttled"}]
    with pytest.raises(GatewayError) as caught:
        send(answer, errors=errors)
    assert caught.value.kind is kind


def test_an_error_repeats_neither_number_nor_text_nor_secret() -> None:
    def echo(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            400, text=f"bad key s3cret for 919876543210 +919876543210 {HINDI} see https://x.example/k"
        )

    with pytest.raises(GatewayError) as caught:
        send(echo, secrets={"key": "s3cret"})
    said = str(caught.value)
    assert said.startswith("HTTP 400: bad key … for … ")
    assert [w for w in ("s3cret", "98765", "8K3F", "x.example", "जांच") if w in said] == []


@pytest.mark.parametrize(
    ("rule", "body", "provider_id"),
    [
        ({"regex": r"MsgID = (\S+)"}, "402,MsgID = 15msdgsms", "15msdgsms"),
        ({"regex": r"\d+msdgsms"}, "402,MsgID = 15msdgsms", "15msdgsms"),
        ({"path": "data.0.id"}, '402,{"data": 1}', "m1"),
        ({}, "402,", "m1"),
    ],
)
def test_the_gateways_own_id(rule: Any, body: str, provider_id: str) -> None:
    assert send(say(body), id=rule) == Accepted(provider_id)


def test_json_answers_are_read_by_path() -> None:
    table = {"success": {"path": "messages.0.status", "equals": "0"}, "id": {"path": "messages.0.id"}}
    assert send(say('{"messages": [{"status": 0, "id": 77}]}'), **table) == Accepted("77")
    with pytest.raises(GatewayError):
        send(say('{"messages": []}'), **table)


def test_a_form_a_query_and_json_carry_the_same_fields() -> None:
    expected = {"to": "919876543210", "msg": HINDI, "tpl": MESSAGE.template_id, "from": "UPHLTH", "ref": "m1"}
    assert {k: v[0] for k, v in parse_qs(sent().content.decode()).items()} == expected
    assert dict(sent(body="query", method="GET").url.params) == expected
    assert json.loads(sent(body="json").content) == expected


def test_nested_json_headers_callback_and_unicode_fields() -> None:
    request = sent(
        body="json", number="10", headers={"authkey": "{secret.key}"}, secrets={"key": "s3cret"},
        fields={"recipients": [{"mobiles": "{to}"}], "dlr": "{callback}", "count": 1}, unicode_fields={"type": "uc"},
    )  # fmt: skip
    assert json.loads(request.content) == {
        "recipients": [{"mobiles": "9876543210"}], "dlr": "https://r.example/sms/dlr/s", "count": 1, "type": "uc",
    }  # fmt: skip
    assert request.headers["authkey"] == "s3cret"


def test_text_as_entities_or_hex_and_the_hash_over_it() -> None:
    rule = {"key": {"algorithm": "sha512", "of": "user{header}{text}{secret.key}"}}
    fields = {"content": "{text}", "key": "{hash.key}"}
    request = sent(unicode="entities", fields=fields, hashes=rule, secrets={"key": "k"}, body="json")
    content = json.loads(request.content)
    assert content["content"].startswith("&#2310;&#2346;&#2325;&#2368; ")
    assert content["key"] == hashlib.sha512(f"userUPHLTH{content['content']}k".encode()).hexdigest()
    hexed = json.loads(sent(unicode="ucs2hex", body="json").content)["msg"]
    assert bytes.fromhex(hexed).decode("utf-16-be") == HINDI


def test_a_patients_text_cannot_fill_other_blanks() -> None:
    tricky = Outgoing("m2", "+919876543210", "slot {secret.key} {to}", "", "en")
    seen: list[Any] = []
    send(lambda r: seen.append(json.loads(r.content)) or httpx2.Response(200, text="402,"), tricky, body="json")
    assert seen[0]["msg"] == "slot {secret.key} {to}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": ""}, "sms.http.url is missing"),
        ({"urls": "x"}, "sms.http.urls is not a key; write one of url, fields,"),
        ({"body": "xml"}, "sms.http.body = 'xml'; write one of form, json, query"),
        ({"success": {"text": "ok"}}, "sms.http.success: write"),
        ({"success": {"regex": "("}}, "sms.http.success: '(' is no pattern"),
        ({"errors": [{"regex": "x", "kind": "bad"}]}, "sms.http.errors: kind 'bad'; write one of transport,"),
    ],
)
def test_a_mistake_in_the_table_is_named(change: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        http.shape(TABLE | change)
    assert str(caught.value).startswith(said)


def test_receipts_are_read_by_the_map_and_strangers_passed_over() -> None:
    rule = {
        "list": "results",
        "id": "mid",
        "status": "state",
        "code": "err",
        "map": {"DELIVRD": "delivered", "2": "failed"},
    }
    gateway = http.HttpGateway(http.shape(TABLE | {"receipt": rule}), "UPHLTH")
    body = {"results": [
        {"mid": "a", "state": "DELIVRD", "to": "919876543210", "new": {}}, {"mid": 7, "state": 2, "err": 12},
        {"mid": "b", "state": "BUFFERED"}, {"mid": "", "state": "DELIVRD"}, {"state": "DELIVRD"}, "x", None,
    ]}  # fmt: skip
    assert gateway.receipts(body) == [Told("a", "delivered", ""), Told("7", "failed", "12")]
    assert [gateway.receipts(b) for b in (None, [], "x", {"results": None})] == [[], [], [], []]
    gateway.close()


@pytest.fixture
def simulated() -> Iterator[tuple[TestClient, http.HttpGateway]]:
    """The demo's gateway, spoken to as lab.toml describes it."""
    table = tomllib.loads(LAB_TOML.read_text(encoding="utf-8"))["sms"]["http"]
    table["fields"].pop("callback", None)
    with TestClient(sms_gateway.create_app()) as phone:

        def pass_on(request: httpx2.Request) -> httpx2.Response:
            head = {"Content-Type": request.headers["content-type"]}
            answer = phone.request(request.method, request.url.path, content=request.content, headers=head)
            return httpx2.Response(answer.status_code, content=answer.content)

        gateway = http.HttpGateway(http.shape(table), "UPHLTH", "", httpx2.MockTransport(pass_on))
        yield phone, gateway
        gateway.close()


def test_lab_toml_speaks_to_the_simulated_gateway(simulated: Any) -> None:
    phone, gateway = simulated
    accepted = gateway.send(MESSAGE)
    inbox = phone.get("/inbox.json").json()
    assert [(m["id"], m["to"], m["text"]) for m in inbox] == [(accepted.provider_id, "+919876543210", HINDI)]
    told = gateway.receipts({"id": accepted.provider_id, "status": "DELIVERED", "message_id": MESSAGE.message_id})
    assert told == [Told(MESSAGE.message_id, "delivered", "")], "our own id: it settles an SMS without an answer too"


@pytest.mark.parametrize(("mode", "kind"), [("down", Kind.TRANSPORT), ("lying", Kind.REJECTED)])
def test_the_simulated_gateways_bad_days(simulated: Any, mode: str, kind: Kind) -> None:
    phone, gateway = simulated
    phone.post("/settings", json={"mode": mode})
    with pytest.raises(GatewayError) as caught:
        gateway.send(MESSAGE)
    assert caught.value.kind is kind
    assert phone.get("/inbox.json").json() == []


def test_the_console_shows_the_text_and_half_the_number(capsys: pytest.CaptureFixture[str]) -> None:
    gateway = open_gateway("console", {}, "UPHLTH")
    assert isinstance(gateway, ConsoleGateway)
    assert gateway.send(MESSAGE) == Accepted("console-m1")
    assert (gateway.receipts({}), gateway.close()) == ([], None)
    assert capsys.readouterr().out == f"SMS to 98xxxxxx10: {HINDI}\n"
    with pytest.raises(ValueError, match="pigeon"):
        open_gateway("pigeon", {}, "UPHLTH")


def test_masks() -> None:
    assert [masked(n) for n in ("+919876543210", "", "x17")] == ["98xxxxxx10", "", ""]
