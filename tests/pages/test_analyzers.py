"""Analyzers: four lamps in words, counts of today, the trouble's sentence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from middleware.schema import AnalyzerMessage, AnalyzerState
from middleware.store import put


@pytest.fixture
def spoke(lab):
    """`spoke("xn550", …)` writes the lamps of a line; `spoke.message(…)` one processed message."""

    class Spoke:
        def __call__(self, analyzer: str, **more) -> None:
            now = lab.now()
            values = {"connected": True, "since": now - timedelta(hours=2), "handshake_at": now - timedelta(minutes=3),
                      "message_at": now - timedelta(minutes=3), "result_at": None, "messages_today": 4,
                      "refused_today": 2, "trouble": "", "updated_at": now}  # fmt: skip
            with lab.write() as conn:
                put(conn, AnalyzerState, analyzer=analyzer, **{**values, **more})

        def message(self, message_id: str, analyzer: str = "xn550", **more) -> None:
            values = {"received_at": lab.now(), "type": "result", "state": "processed", "error": "", "sender": None,
                      "problems": [], "sample_ids": "107632600016", "observations": 5, "measurements": 4, "results": 2,
                      "controls": 0, "unmatched": 1, "duplicates": 1, "not_reportable": 0, "suspects": 0, "images": 1,
                      "details": 0, "processed_at": lab.now()}  # fmt: skip
            with lab.write() as conn:
                put(conn, AnalyzerMessage, id=message_id, analyzer=analyzer, **{**values, **more})

    return Spoke()


@pytest.mark.parametrize(("role", "status"), [("engineer", 200), ("technician", 200), ("pathologist", 200),
                                              ("admin", 200), ("reception", 403)])  # fmt: skip
def test_who_sees_analyzers(client_as, role, status):
    client_as(role).get("/analyzers", status)
    client_as(role).get("/analyzers/xn550", status)


def lamps(card) -> dict[str, str]:
    return {li.span.text: " ".join(li.find_all("span", recursive=False)[1].text.split()) for li in card.select("li")}


def test_lamps_in_words(client_as, spoke):
    spoke("xn550", trouble="The analyzer sends an id that is not its own.")
    up, down = client_as("engineer").get("/analyzers").select("section.card")
    assert lamps(up) == {"Line": "✓connected 2 h", "Last handshake": "3 min 09:57", "Last message": "3 min 09:57",
                         "Last result": "not yet"}  # fmt: skip
    assert up.select_one(".notice.warn").text.strip("! \n") == "The analyzer sends an id that is not its own."
    assert lamps(down) == {"Line": "‼never connected", "Last handshake": "not yet", "Last message": "not yet",
                           "Last result": "not yet"}  # fmt: skip


def test_counts_since_midnight(client_as, lab, spoke):
    spoke("xn550")
    spoke.message("today-1")
    spoke.message("today-2", state="failed", error="no L", results=0, unmatched=0)
    spoke.message("yesterday", received_at=lab.now() - timedelta(hours=11))
    card = client_as("technician").get("/analyzers").select_one("section.card")
    counts = {d.dt.text: d.dd.text for d in card.select(".facts div")}
    assert counts == {"Messages": "2", "Results": "2", "Controls": "0", "Without a patient": "1", "Not readable": "1",
                      "Refused": "2"}  # fmt: skip


def test_one_analyzer_with_its_messages(client_as, spoke):
    spoke("xn550")
    spoke.message("m-1")
    assert client_as("engineer").get("/analyzers/xn550").select("a[href='/messages/m-1']")
    soup = client_as("technician", "hi").get("/analyzers/xn550")
    assert not soup.select("a[href^='/messages']")  # technicians see that messages came, engineers open them
    assert "tcp-listen://127.0.0.1:0" in soup.text and "4 मापे: 2 नतीजे" in soup.text
    client_as("engineer").get("/analyzers/nobody", 404)
