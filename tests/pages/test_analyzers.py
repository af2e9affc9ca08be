"""Analyzers: four lamps in words, alarms and what to do, counts of today, the trouble's sentence, /metrics."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from middleware.alarm_settings import AlarmKind
from middleware.alarms import end_alarm, raise_alarm
from middleware.schema import AnalyzerMessage, AnalyzerState, LineAlarm
from middleware.store import put
from tests.apps import app_of


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
    assert lamps(up) == {"Line": "✓connected 2 h, 08:00", "Handshake": "✓seen 3 min, 09:57",
                         "Message read": "·not yet", "Result filed": "·not yet"}  # fmt: skip
    assert up.select_one(".notice.warn").text.strip("! \n") == "The analyzer sends an id that is not its own."
    assert lamps(down) == {"Line": "‼never connected", "Handshake": "·not yet", "Message read": "·not yet",
                           "Result filed": "·not yet"}  # fmt: skip


def ago(lab, **by):
    return lab.now() - timedelta(**by)


def test_each_lamp_says_its_own_state(client_as, lab, spoke):
    spoke("xn550", connected=False, since=ago(lab, minutes=5), parsed_at=ago(lab, hours=1),
          failed_at=ago(lab, minutes=9), result_at=ago(lab, days=3), unfiled_at=ago(lab, minutes=7))  # fmt: skip
    spoke("xl640", since=ago(lab, minutes=1), handshake_at=ago(lab, hours=1), parsed_at=ago(lab, hours=1),
          failed_at=ago(lab, hours=2), result_at=ago(lab, hours=1), unfiled_at=ago(lab, hours=2))  # fmt: skip
    first, second = client_as("technician").get("/analyzers").select("section.card")
    assert lamps(first) == {"Line": "‼not connected 5 min, 09:55", "Handshake": "✓seen 3 min, 09:57",
                            "Message read": "!last one could not be read 9 min, 09:51",
                            "Result filed": "!last ones belong to nobody yet 7 min, 09:53"}  # fmt: skip
    assert lamps(second) == {"Line": "✓connected 1 min, 09:59", "Handshake": "·not since it connected 1 h, 09:00",
                             "Message read": "✓read without fault 1 h, 09:00",
                             "Result filed": "✓filed 1 h, 09:00"}  # fmt: skip


def test_a_result_of_days_ago_has_its_date(client_as, lab, spoke):
    spoke("xn550", result_at=ago(lab, days=3))
    card = client_as("technician").get("/analyzers").select_one("section.card")
    assert lamps(card)["Result filed"] == "✓filed 3 days, 19-11-2026 10:00"


KNOWN = [
    ({}, "not known yet", "not yet"),
    ({"drift_seconds": 20, "rhythm": "learning", "rhythm_days": 5}, "right", "still learning: 5 of 21 days"),
    ({"drift_seconds": -7500, "rhythm": "learned", "usual_gap_seconds": 1500}, "2 h 5 min slow", "25 min"),
    ({"drift_seconds": 90, "rhythm": "learned"}, "2 min fast", "usually not used at this hour"),
    ({"drift_seconds": 3 * 86400, "rhythm": "off"}, "3 days fast", "silence alarm switched off"),
]


def test_what_is_known_of_clock_and_rhythm(client_as, lab, spoke):
    browser, state = client_as("engineer"), AnalyzerState.__table__
    for beside, its_clock, silence in KNOWN:
        with lab.write() as conn:
            conn.execute(state.delete())
        spoke("xn550", **beside)
        facts = {d.dt.text: d.dd.text for d in browser.get("/analyzers/xn550").select(".facts div")}
        assert (facts["Its clock"], facts["Longest usual silence now"]) == (its_clock, silence)


ARGS = {
    AlarmKind.SILENCE: {"since": "2026-11-22T03:42:00+00:00", "usual": 1500},
    AlarmKind.CLOCK: {"minutes": -125, "unset": False},
    AlarmKind.REFUSED: {"count": 14},
    AlarmKind.DOWN: {"since": "2026-11-22T03:42:00+00:00"},
}


@pytest.mark.parametrize("language", ["en", "hi"])
def test_every_alarm_has_words_and_what_to_do(client_as, lab, language):
    with lab.write() as conn:
        for kind in AlarmKind:
            raise_alarm(lab, conn, kind, "xn550", **ARGS.get(kind, {}))
    browser = client_as("engineer", language)
    told = {browser.client.app.state.strings.t(f"alarm.{kind.value}.do", language) for kind in AlarmKind}
    for url in ("/analyzers", "/analyzers/xn550"):
        notices = browser.get(url).select(".alarm")
        assert {n.find_all("p")[1].text for n in notices} == told
        for notice in notices:
            said = notice.p.strong
            assert said.select_one(".icon").text in "!‼" and "{" not in notice.text and len(said.text) > 10


def test_alarms_in_words(client_as, lab, clock):
    with lab.write() as conn:
        for kind in (AlarmKind.SILENCE, AlarmKind.CLOCK):
            raise_alarm(lab, conn, kind, "xn550", **ARGS[kind])
        raise_alarm(lab, conn, AlarmKind.CLOCK, "xl640", minutes=3, unset=True)
        raise_alarm(lab, conn, AlarmKind.JOURNAL)
    clock.forward(minutes=4)
    soup = client_as("technician").get("/analyzers")
    said = [" ".join(n.strong.text.split()) for n in soup.select(".alarm")]
    assert said == [
        "‼ The journal cannot be written: every analyzer is refused and keeps its results.",
        "! Its clock is 2 h 5 min slow.",
        "‼ Silent since 09:12. At this hour it is usually never silent for more than 25 min.",
        "! Its clock was never set: it sends a year long past.",
    ]
    assert soup.select_one(".alarm .small").text == "alarm since 10:00, 4 min"
    assert client_as("technician").get("/").select_one("a[href='/analyzers#alarms'] .count").text == "4"


def test_ended_alarms_are_the_history(client_as, lab, clock):
    with lab.write() as conn:
        raise_alarm(lab, conn, AlarmKind.DOWN, "xn550", **ARGS[AlarmKind.DOWN])
        raise_alarm(lab, conn, AlarmKind.DOWN, "xl640", **ARGS[AlarmKind.DOWN])
    clock.forward(minutes=30)
    with lab.write() as conn:
        end_alarm(lab, conn, AlarmKind.DOWN, "xn550")
        conn.execute(LineAlarm.__table__.update().where(LineAlarm.analyzer == "xn550").values(
            notice_state="sent", told_at=lab.now()))  # fmt: skip
    soup = client_as("engineer").get("/analyzers/xn550")
    assert soup.select(".alarm") == []
    rows = [[td.text for td in tr.select("td")] for tr in soup.select("section.card")[-1].select("tbody tr")]
    assert rows == [["22-11-2026 10:00", "22-11-2026 10:30", "The line is down.",
                     "The engineer's SMS was handed over 22-11-2026 10:30."]]  # fmt: skip
    assert "No alarm so far." in client_as("engineer").get("/analyzers/xl640").text


def test_an_alarm_of_another_version_is_shown_by_its_name(client_as, lab):
    with lab.write() as conn:
        put(conn, LineAlarm, analyzer="xn550", kind="steam", began_at=lab.now(), args={}, notice_id="x",
            notice_state="none", notice_next_at=lab.now())  # fmt: skip
    assert "An alarm named steam." in client_as("engineer").get("/analyzers").text


def test_without_analyzers_the_page_says_so(client_as, app, lab):
    app.state.lab = replace(lab, settings=replace(lab.settings, analyzers=()))
    assert client_as("engineer").get("/analyzers").select_one(".empty").text == "No analyzer is configured."


def gauges(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("labmitra_line_"))
    return {name.removeprefix("labmitra_line_"): float(value) for name, _, value in lines}


def test_metrics_of_the_lines(client_as, lab, spoke):
    spoke("xn550", parsed_at=ago(lab, minutes=2), drift_seconds=-7500)
    spoke.message("today")
    with lab.write() as conn:
        raise_alarm(lab, conn, AlarmKind.CLOCK, "xn550", **ARGS[AlarmKind.CLOCK])
    said = gauges(client_as(None).client.get("/metrics").text)
    alarms = {name: value for name, value in said.items() if name.startswith("alarm")}
    assert {name for name, value in alarms.items() if value} == {'alarm{analyzer="xn550",kind="clock"}'}
    assert len(alarms) == 2 * 6 + 1 and 'alarm{analyzer="",kind="journal"}' in alarms
    assert {name: value for name, value in said.items() if name not in alarms} == {
        'connected{analyzer="xn550"}': 1.0,
        'seconds_since{analyzer="xn550",what="handshake"}': 180.0,
        'seconds_since{analyzer="xn550",what="message"}': 180.0,
        'seconds_since{analyzer="xn550",what="parsed"}': 120.0,
        'refused_today{analyzer="xn550"}': 2.0,
        'clock_drift_seconds{analyzer="xn550"}': -7500.0,
        'messages_today{analyzer="xn550"}': 1.0,
        'messages_today{analyzer="xl640"}': 0.0,
    }


def test_metrics_ask_for_their_key_where_one_is_set(lab):
    key = hashlib.sha256(b"prometheus").hexdigest()
    guarded = replace(lab, settings=replace(lab.settings, web=replace(lab.settings.web, metrics_key=key)))
    with TestClient(app_of(guarded), base_url="http://lab.test") as client:
        for given in ({}, {"Authorization": "Bearer prometheu"}, {"Authorization": f"Bearer {key}"}):
            answer = client.get("/metrics", headers=given)
            assert (answer.status_code, "labmitra_" in answer.text) == (401, False)
        assert "labmitra_line_alarm" in client.get("/metrics", headers={"Authorization": "Bearer prometheus"}).text


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
