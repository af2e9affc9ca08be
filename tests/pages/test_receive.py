"""Receiving: one scan, one tube; a wrong number changes nothing."""

from __future__ import annotations

import pytest

from middleware.sample_id import pretty
from middleware.schema import Sample


@pytest.mark.parametrize(("role", "status"), [("reception", 200), ("technician", 200), ("pathologist", 403),
                                              ("engineer", 403), ("admin", 403)])  # fmt: skip
def test_who_receives(client_as, role, status):
    client_as(role).get("/receive", status)
    client_as(role).post("/receive", {"code": "1"}, 303 if status == 200 else 403)


@pytest.mark.parametrize("shape", [str, pretty, lambda s: f"  {s} ", lambda s: f"00{s}"])
def test_a_scan_marks_the_tube_received(client_as, world, shape):
    sample = world.order(world.patient(name="Sunita Devi"), sample_state="collected")
    soup = client_as("technician").post_page("/receive", {"code": shape(sample.sample_id)})
    assert world.rows(Sample)[0]["state"] == "received"
    assert soup.select_one(".notice").text.split() == ["✓", pretty(sample.sample_id), "received."]
    assert "Sunita Devi" in soup.select_one(".said").text and "EDTA whole blood" in soup.select_one(".said").text


def test_scanned_twice(client_as, world):
    sample = world.order()
    soup = client_as("technician").post_page("/receive", {"code": sample.sample_id})
    assert "was received before" in soup.select_one(".notice.warn").text


def test_rejected_unknown_and_damaged(client_as, world):
    sample = world.order(sample_state="rejected")
    browser = client_as("technician")
    wrong_digit = sample.sample_id[:-1] + str((int(sample.sample_id[-1]) + 1) % 10)
    said = [browser.post_page("/receive", {"code": code}).select_one(".notice.bad").text.strip()
            for code in (sample.sample_id, wrong_digit, "HELLO", "107632600424")]  # fmt: skip
    assert [s.split(" ", 2)[2].split(".")[0] for s in said] == [
        "was rejected",
        "is not one of our sample numbers, or a digit is wrong",
        "is not one of our sample numbers, or a digit is wrong",
        "sample has the number 107-6326-0042-4",
    ]
    assert world.rows(Sample)[0]["state"] == "rejected"


def test_what_is_on_the_way(client_as, world):
    world.order(sample_state="registered")
    world.order(sample_state="collected")
    world.order(sample_state="received")
    soup = client_as("technician", "hi").get("/receive")
    assert soup.select_one("#waiting").text == "लैब में आने बाकी (2)"
    assert soup.select_one("[name=code]").has_attr("autofocus")
