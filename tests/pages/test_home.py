"""Home: today's numbers, what waits, big buttons by right, and whether anything is released without a person."""

from __future__ import annotations

import pytest


def numbers(soup):
    """{word: count} of the tiles."""
    return {a["href"]: int(a.select_one(".count").text) for a in soup.select(".tile")}


def test_counts_what_waits(client_as, world):
    sample = world.order(tests=("HB", "PLT", "WBC"))
    world.result(sample, "HB")
    world.result(sample, "PLT", "8", critical=True, flag="LL")
    world.result(sample, "WBC", "6.1", state="autoverified")
    world.unmatched()
    soup = client_as("technician").get("/")
    assert numbers(soup) == {
        "/critical": 1, "/worklist?show=held": 2, "/worklist?show=green": 1, "/unmatched": 1, "/analyzers": 0,
        "/analyzers#alarms": 0, "/reports": 0,
    }  # fmt: skip
    today = {d.dt.text: d.dd.text for d in soup.select(".facts div")}
    assert today["Results"] == "3" and today["Patients registered"] == "1" and today["Results released"] == "0"


@pytest.mark.parametrize(
    ("role", "first"), [("reception", "/register"), ("technician", "/worklist"), ("engineer", "/analyzers"),
                        ("admin", "/reports"), ("pathologist", "/worklist")]
)  # fmt: skip
def test_the_first_button_is_this_persons_work(client_as, role, first):
    assert client_as(role).get("/").select(".bigs a")[0]["href"] == first


def test_says_that_nothing_is_released_without_a_person(client_as):
    assert "Automatic release is off" in client_as("technician").get("/").text


def test_hindi_is_whole(client_as):
    soup = client_as("technician", "hi").get("/")
    assert soup.html["lang"] == "hi"
    assert soup.h1.text == "नमस्ते Technician Devi"
    assert "अपने आप जारी होना बंद है" in soup.text
