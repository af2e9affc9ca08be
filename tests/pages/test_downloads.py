"""Orders that analyzers are sent unasked: what waits and what was refused, on the pages that tell it and /metrics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from middleware.schema import AnalyzerState, OrderDownload
from middleware.store import put

REASON = "AR <b>no such tube</b>"


@pytest.fixture
def lab(lab):
    """Its chemistry analyzer is sent orders, its haematology analyzer asks."""
    xn, xl = lab.settings.analyzers
    return replace(lab, settings=replace(lab.settings, analyzers=(xn, replace(xl, orders="push"))))


@pytest.fixture
def told(lab):
    """`told(sample, state, …)` puts one download there; `told.up()` says that the line is connected."""

    def write(sample, state, minutes=5, **more) -> None:
        at = lab.now() - timedelta(minutes=minutes)
        values = {"wanted": {}, "told": {}, "tries": 0, "why": "", "since": at, "next_at": at, "sent_at": None, **more}
        with lab.write() as conn:
            put(conn, OrderDownload, analyzer="xl640", sample_pk=sample.id, state=state, **values)

    def up() -> None:
        now = lab.now()
        with lab.write() as conn:
            put(conn, AnalyzerState, analyzer="xl640", connected=True, since=now, messages_today=0, refused_today=0,
                trouble="", updated_at=now)  # fmt: skip

    write.up = up
    return write


def words(tag) -> str:
    return " ".join(tag.get_text(" ").split())


def card(soup) -> str:
    (shown,) = soup.select(".orders-out")
    return words(shown)


def test_nothing_waits(client_as, told):
    told.up()
    soup = client_as("technician").get("/analyzers")
    assert card(soup) == "Orders sent to it unasked everything has been sent", "one card: the other analyzer asks"
    assert card(client_as("technician", "hi").get("/analyzers/xl640")).endswith("सब भेज दिया गया है")
    assert client_as("technician").get("/analyzers/xn550").select(".orders-out") == []


def test_what_waits_and_since_when_and_that_the_line_is_down(client_as, world, told):
    told(world.order(), "pending", minutes=20)
    told(world.order(), "pending", minutes=3)
    shown = card(client_as("engineer").get("/analyzers/xl640"))
    assert "2 tubes wait to be sent, the oldest since 09:40" in shown and "The line is down" in shown
    told.up()
    assert "The line is down" not in card(client_as("engineer").get("/analyzers"))


def test_a_refusal_says_why_and_what_to_do_and_is_only_text(client_as, world, told):
    told.up()
    told(world.order(), "refused", minutes=9, why="old")
    told(world.order(), "refused", minutes=2, why=REASON)
    soup = client_as("technician").get("/analyzers")
    assert f"refused the orders of 2 tubes, the last at 09:58: {REASON}" in card(soup)
    assert "order it there by hand" in card(soup)
    assert soup.select(".orders-out b") == []
    assert "2 ट्यूब" in card(client_as("technician", "hi").get("/analyzers"))


@pytest.mark.parametrize(
    ("state", "more", "up", "shown"),
    [
        ("pending", {}, True, "waits to be sent to Erba XL-640"),
        ("pending", {}, False, "waits to be sent to Erba XL-640: the line is down"),
        ("refused", {"why": REASON}, True, f"! Erba XL-640 refused it: {REASON}"),
        ("sent", {"sent": True}, True, "sent to Erba XL-640, 22-11-2026 09:55"),
        ("done", {"sent": True}, True, "sent to Erba XL-640, 22-11-2026 09:55"),
        ("lapsed", {}, True, None),
    ],
)
def test_the_page_of_a_tube_says_where_it_was_sent(client_as, world, lab, told, state, more, up, shown):
    sample = world.order()
    if more.pop("sent", False):
        more["sent_at"] = lab.now() - timedelta(minutes=5)
    told(sample, state, **more)
    if up:
        told.up()
    facts = {d.dt.text: words(d.dd) for d in client_as("technician").get(f"/samples/{sample.id}").select(".facts div")}
    assert facts.get("Sent to analyzers") == shown


@pytest.mark.parametrize("url", ["/analyzers", "/analyzers/xl640"])
def test_who_may_not_see_it(client_as, world, told, url):
    told(world.order(), "refused", why=REASON)
    assert "no such tube" not in client_as("reception").get(url, 403).text


def test_metrics_count_what_waits_for_each_line_that_is_sent_orders(client_as, world, told):
    told(world.order(), "pending")
    told(world.order(), "pending")
    told(world.order(), "refused")
    lines = client_as(None).client.get("/metrics").text.splitlines()
    assert [line for line in lines if line.startswith("labmitra_line_orders_waiting{")] == [
        'labmitra_line_orders_waiting{analyzer="xl640",state="pending"} 2.0',
        'labmitra_line_orders_waiting{analyzer="xl640",state="refused"} 1.0',
    ]
