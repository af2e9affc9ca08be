"""The API for hospital systems: the same actions, one shape of error, a registration that can be repeated."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from middleware.actions import results
from middleware.lab import Lab
from middleware.schema import AuditRow, Order, OrderTest, Patient, ResultRow
from tests.apps import app_of

KEY = "the key of a hospital system in a test"
ORDER = {
    "external_ref": "OPD-2211",
    "patient": {"name": "Kamla Devi", "sex": "F", "age": 45, "mobile": "9812345670", "mobile_owner": "self",
                "sms_consent": True, "uhid": "HIS-77"},
    "tests": ["HB", "GLUF"],
    "doctor": "Dr Singh",
    "ordered_at": "2026-11-22T09:30:00+05:30",
}  # fmt: skip


@pytest.fixture
def api(lab):
    """A client with the key of the hospital system "his"; `api.bare` has none."""
    keys = {"his": hashlib.sha256(KEY.encode()).hexdigest()}
    settings = replace(lab.settings, web=replace(lab.settings.web, api_keys=keys))
    app = app_of(Lab(lab.engine, settings, lab.now))
    with TestClient(app, base_url="http://lab.test", headers={"Authorization": f"Bearer {KEY}"}) as client:
        client.bare = TestClient(app, base_url="http://lab.test")
        yield client
        client.bare.close()


def error(answer) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"error"} and {"code", "message"} <= set(body["error"]), body
    return answer.status_code, body["error"]["code"]


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "Basic aGlzOmhpcw==", f"Token {KEY}"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/orders"), ("GET", "/orders/x"), ("GET", "/orders/x/results"), ("POST", "/orders/x/tests/HB/cancel"),
     ("GET", "/reports/x"), ("GET", "/reports/x.pdf")],
)  # fmt: skip
def test_nothing_without_a_key(api, world, header, method, path):
    headers = {"Authorization": header} if header else {}
    answer = api.bare.request(
        method, f"/api/v1{path}", headers=headers, json=ORDER if path == "/orders" else {"reason": "x"}
    )
    assert error(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer" and world.rows(Order) == []


def test_no_session_opens_the_api(app, client_as):
    assert error(client_as("admin").client.get("/api/v1/orders/x")) == (401, "unauthorized")


def test_registers_once_however_often_it_is_sent(api, world):
    first, again = (api.post("/api/v1/orders", json=ORDER) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    told = first.json()
    assert {k: told[k] for k in ("external_ref", "uhid", "complete", "withdrawn", "report_versions")} == {
        "external_ref": "OPD-2211", "uhid": "HIS-77", "complete": False, "withdrawn": False,
        "report_versions": []}  # fmt: skip
    assert [(s["container"], s["timing"], s["state"]) for s in told["samples"]] == [
        ("E", "", "registered"), ("F", "F", "registered")]  # fmt: skip
    assert [(t["code"], t["loinc"], t["state"]) for t in told["tests"]] == [
        ("HB", "718-7", "awaited"), ("GLUF", "1558-6", "awaited")]  # fmt: skip
    (order,) = world.rows(Order)
    assert (order["registered_by"], order["doctor"], order["sms_mobile"]) == ("API his", "Dr Singh", "+919812345670")
    for ref in (told["order_no"], told["report_no"], "OPD-2211"):
        assert api.get(f"/api/v1/orders/{ref}").json() == told


def test_a_known_uhid_is_that_patient_and_nobody_else(api, world):
    api.post("/api/v1/orders", json=ORDER)
    assert api.post("/api/v1/orders", json={**ORDER, "external_ref": "OPD-2212"}).status_code == 201
    assert len(world.rows(Patient)) == 1 and len(world.rows(Order)) == 2
    other = {**ORDER, "external_ref": "OPD-2213", "patient": {**ORDER["patient"], "name": "Sita Devi"}}
    assert error(api.post("/api/v1/orders", json=other)) == (409, "other_patient")
    assert len(world.rows(Order)) == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [({"tests": ["NOPE"]}, "tests"), ({"tests": []}, "tests"), ({"facility": "X"}, "facility"),
     ({"ordered_at": "2030-01-01T00:00:00Z"}, "ordered_at"), ({"surprise": 1}, "surprise"),
     ({"patient": {"name": "Kamla", "sex": "F"}}, "age"),
     ({"patient": {"name": "Kamla", "sex": "X", "age": 4}}, "patient.sex"),
     ({"patient": {"name": "Kamla", "sex": "F", "age": 4, "mobile": "123"}}, "mobile")],
)  # fmt: skip
def test_wrong_values_are_named_and_nothing_is_written(api, world, change, field):
    answer = api.post("/api/v1/orders", json={**ORDER, **change})
    assert error(answer) == (422, "invalid")
    assert list(answer.json()["error"]["fields"]) == [field]
    assert world.rows(Order) == [] and world.rows(Patient) == []


def test_not_json_not_there_not_allowed(api):
    assert error(api.post("/api/v1/orders", content=b"{")) == (422, "invalid")
    assert error(api.get("/api/v1/nothing")) == (404, "not_found")
    assert error(api.get("/api/v1/orders/none")) == (404, "not_found")
    assert error(api.delete("/api/v1/orders/none")) == (405, "method")
    assert error(api.get("/api/v1/reports/none")) == (404, "not_found")


def test_only_released_results_go_out(api, world):
    sample = world.order(tests=("HB", "PLT"), external_ref="R-1")
    world.result(sample, "HB", "12.9", state="released", released_at=world.lab.now())
    world.result(sample, "PLT", "8")
    told = api.get("/api/v1/orders/R-1/results").json()
    assert [(r["code"], r["value"], r["unit"], r["flag"]) for r in told["results"]] == [("HB", "12.9", "g/dL", "N")]
    assert (told["complete"], told["awaited"]) == (False, ["PLT"])


def test_cancel_once(api, world):
    world.order(tests=("HB", "PLT"), external_ref="R-1")
    url = "/api/v1/orders/R-1/tests/HB/cancel"
    assert error(api.post(url, json={"reason": ""})) == (422, "invalid")
    assert error(api.post("/api/v1/orders/R-1/tests/WBC/cancel", json={"reason": "x"})) == (404, "not_found")
    answer = api.post(url, json={"reason": "ordered by mistake"}).json()
    assert [(t["code"], t["state"], t["note"]) for t in answer["tests"]] == [
        ("HB", "cancelled", "ordered by mistake"), ("PLT", "awaited", "")]  # fmt: skip
    assert error(api.post(url, json={"reason": "again"})) == (409, "refused")
    assert {t["test"]: t["state"] for t in world.rows(OrderTest)} == {"HB": "cancelled", "PLT": "awaited"}
    assert [(a["who"], a["action"]) for a in world.rows(AuditRow)] == [("API his", "cancel test")]


def test_report_as_json_and_pdf_until_it_is_withdrawn(api, world, lab, actor, client_as):
    sample = world.order(tests=("HB",))
    (number,) = results.release(lab, actor("technician"), [world.result(sample, "HB")]).reports
    document = api.get(f"/api/v1/reports/{number}").json()
    assert (document["version"], document["lines"][0]["value"]) == (1, "12.9")
    pdf = api.get(f"/api/v1/reports/{number}.pdf?lang=hi")
    assert pdf.headers["content-type"] == "application/pdf" and pdf.content.startswith(b"%PDF")
    assert error(api.get(f"/api/v1/reports/{number}.pdf?lang=fr")) == (422, "invalid")
    client_as("pathologist").post(
        f"/reports/{number}/withdraw", {"withdraw_reason": "wrong patient", "withdraw_no": number}
    )
    ref = world.rows(Order)[0]["order_no"]
    for path in (f"reports/{number}", f"reports/{number}.pdf", f"orders/{ref}/results"):
        assert error(api.get(f"/api/v1/{path}")) == (409, "withdrawn")
    assert api.get(f"/api/v1/orders/{ref}").json()["withdrawn"] is True
    assert len(world.rows(ResultRow)) == 1


def test_a_fault_of_our_own_says_nothing_of_its_inside(lab, api, monkeypatch):
    monkeypatch.setattr("server.lab.api._order", lambda *_: 1 / 0)
    quiet = TestClient(api.app, base_url="http://lab.test", raise_server_exceptions=False)
    with quiet:
        answer = quiet.get("/api/v1/orders/x", headers={"Authorization": f"Bearer {KEY}"})
    assert error(answer) == (500, "broken") and "Zero" not in answer.text


def test_openapi_and_the_page_for_people(api, client_as):
    described = api.bare.get("/api/v1/openapi.json").json()
    assert sorted(described["paths"]) == [
        "/orders", "/orders/{ref}", "/orders/{ref}/results", "/orders/{ref}/tests/{code}/cancel",
        "/reports/{report_no}", "/reports/{report_no}.pdf",
    ]  # fmt: skip
    soup = client_as(None, "en").get("/api/docs")
    assert [h.text for h in soup.select("section h2")] == [
        "POST /api/v1/orders", "GET /api/v1/orders/{ref}", "GET /api/v1/orders/{ref}/results",
        "POST /api/v1/orders/{ref}/tests/{code}/cancel", "GET /api/v1/reports/{report_no}.pdf",
        "GET /api/v1/reports/{report_no}",
    ]  # fmt: skip
    linked = [el.get("src") or el.get("href") for el in soup.select("script, link")]
    assert all(url.startswith("/") for url in linked)
    assert soup.select_one("#NewPatient tbody th").text == "name"
