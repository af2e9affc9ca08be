"""Critical results: whom to call, what is recorded, and that only then the result can be released."""

from __future__ import annotations

import pytest

from middleware.schema import CriticalCall, ResultRow


@pytest.fixture
def critical(world):
    sample = world.order(world.patient("Ram Lal"), tests=("PLT", "HB"))
    return (
        sample,
        world.result(sample, "PLT", "8", critical=True, flag="LL"),
        world.result(sample, "HB", "4.0", critical=True, flag="LL"),
    )


def call(sample, *results, **more):
    return {"sample": sample.id, "result": list(results), "told": "Dr Singh", "phone": "0542-1", "read_back": "1",
            "reached": "yes", **more}  # fmt: skip


def test_shows_whom_to_call(client_as, critical):
    sample, *_ = critical
    soup = client_as("technician").get("/critical")
    card = soup.select_one(f"#s{sample.id}")
    assert [" ".join(li.text.split()) for li in card.select(".values li")] == [
        "Platelet count 8 10^3/µL ▼▼Critical low", "Haemoglobin 4.0 g/dL ▼▼Critical low",
    ]  # fmt: skip
    assert {d.dt.text: d.dd.text for d in card.select(".facts div")} == {
        "Doctor": "Dr Singh", "Department / ward": "OPD 4", "Facility": "DDU Government Hospital",
        "Patient's phone": "+919812345670",
    }  # fmt: skip


def test_a_long_wait_is_said(client_as, critical, clock):
    clock.forward(minutes=31)
    assert "waiting 31 min - call now" in client_as("technician").get("/critical").text


def test_one_call_tells_of_all_ticked_and_lets_them_be_released(client_as, world, critical):
    sample, plt, hb = critical
    browser = client_as("technician")
    browser.post("/worklist/release", {"release": plt}, status=409)
    soup = browser.post_page("/critical", call(sample, plt, hb))
    assert "The result can be released now." in soup.text
    assert {(c["result_id"], c["told"], c["read_back"], c["called_by"]) for c in world.rows(CriticalCall)} == {
        (plt, "Dr Singh", True, "Technician Devi"), (hb, "Dr Singh", True, "Technician Devi"),
    }  # fmt: skip
    browser.post("/worklist/release", {"release": f"{plt},{hb}"})
    assert {r["state"] for r in world.rows(ResultRow)} == {"released"}
    assert len(browser.get("/critical").select("#history ~ table tbody tr")) == 2


def test_without_read_back_nothing_is_saved_and_the_typing_stays(client_as, world, critical):
    sample, plt, _ = critical
    soup = client_as("technician").post_page("/critical", call(sample, plt, read_back="", note="busy"), status=409)
    assert "read the result back" in soup.select_one("[role=alert]").text
    assert soup.select_one("[name=told]")["value"] == "Dr Singh" and soup.select_one("[name=note]")["value"] == "busy"
    assert world.rows(CriticalCall) == []


def test_nobody_reached_is_kept_and_releases_nothing(client_as, critical):
    sample, plt, hb = critical
    browser = client_as("technician")
    soup = browser.post_page("/critical", call(sample, plt, hb, reached="no", read_back=""))
    assert "Call the next person" in soup.text
    assert "Dr Singh not reached (0542-1)" in soup.select_one(f"#s{sample.id}").text
    browser.post("/worklist/release", {"release": plt}, status=409)


def test_nothing_ticked(client_as, critical):
    sample, *_ = critical
    assert "Tick at least one" in client_as("technician").post_page("/critical", call(sample), status=409).text


def test_empty(client_as):
    assert "No critical result waits." in client_as("technician").get("/critical").text


def test_hindi(client_as, critical):
    assert client_as("technician", "hi").get("/critical").h1.text == "गंभीर नतीजे - तुरंत बताएं"


@pytest.mark.parametrize("role", ["reception", "engineer", "admin"])
def test_who_may_not(client_as, role, critical):
    sample, plt, _ = critical
    client_as(role).get("/critical", 403)
    client_as(role).post("/critical", call(sample, plt), status=403)
