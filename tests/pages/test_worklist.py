"""The worklist: what is shown, in which order, and what a person can do from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from drivers.decode import found_in
from drivers.driver import load_driver
from middleware import pipeline
from middleware.journal import Journal
from middleware.schema import AuditRow, ResultRow
from middleware.settings import AnalyzerSettings
from middleware.settings_loader import read_settings
from tests.pages.conftest import CONFIG


def rows(soup):
    """Each result row as (test, value with unit and flag, interval, before, why)."""
    words = lambda cell: " ".join(cell.text.split())  # noqa: E731
    return [tuple(words(cell) for cell in tr.find_all(["th", "td"])[:5]) for tr in soup.select("tr[data-row]")]


def names(soup):
    return [h.contents[0].strip() for h in soup.select(".tube h2")]


def test_a_held_result_says_everything_in_words(client_as, world, clock):
    person = world.patient()
    earlier = world.order(person, tests=("HB",))
    world.result(earlier, "HB", "11.8", state="released", released_at=clock() - timedelta(days=30))
    sample = world.order(person)
    world.result(sample, "HB", "6.1", flag="L", reasons=[("Fell from 11.8 to 6.1 in 30 days.", "hold")])
    soup = client_as("technician").get("/worklist")
    assert rows(soup) == [
        ("Haemoglobin Sysmex XN-550", "6.1 g/dL ▼Low", "12.0 – 15.0", "11.8 23-10-2026",
         "!Held Fell from 11.8 to 6.1 in 30 days.")
    ]  # fmt: skip
    header = " ".join(soup.select_one(".tube header").text.split())
    assert header.startswith("Sunita Devi 45 years · Female")
    assert "107-6326-0002-" in header and "1 more awaited" in header


def test_within_a_tube_critical_then_held_then_green(client_as, world):
    sample = world.order(tests=("HB", "PLT", "WBC", "RBC"))
    green = world.result(sample, "HB", state="autoverified")
    held = world.result(sample, "WBC", "3.0")
    critical = world.result(sample, "PLT", "8", critical=True)
    also = world.result(sample, "RBC", "3.1")
    shown = [int(tr["data-row"]) for tr in client_as("technician").get("/worklist").select("tr[data-row]")]
    assert shown == [critical, held, also, green]


def test_the_same_in_hindi(client_as, world):
    world.result(world.order(), "HB", "6.1", flag="L", reasons=[("Fell.", "hold")])
    why = client_as("technician", "hi").get("/worklist").select_one(".why")
    assert " ".join(why.text.split()) == "!रुका हिन्दी: Fell."


def test_critical_then_held_then_green_the_oldest_first(client_as, world, clock):
    for name, more in [
        ("Green Old", {"state": "autoverified"}), ("Held Old", {}), ("Held New", {}),
        ("Green New", {"state": "autoverified"}), ("Critical", {"critical": True}),
    ]:  # fmt: skip
        clock.forward(minutes=1)
        world.result(world.order(world.patient(name), tests=("HB",)), "HB", **more)
    soup = client_as("technician").get("/worklist")
    assert names(soup) == ["Critical", "Held Old", "Held New", "Green Old", "Green New"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [("show=held", ["A"]), ("show=green", ["B"]), ("show=critical", ["A"]), ("analyzer=xl640", ["B"]),
     ("facility=VNS-DH-DDU", ["A", "B"]), ("facility=nowhere", []), ("show=nonsense&page=77", ["A", "B"])],
)  # fmt: skip
def test_filters(client_as, world, query, shown):
    world.result(world.order(world.patient("A"), tests=("HB",)), "HB", critical=True)
    world.result(world.order(world.patient("B"), tests=("HB",)), "HB", state="autoverified", analyzer="xl640")
    assert names(client_as("technician").get(f"/worklist?{query}")) == shown


def test_search_by_name_stays_out_of_the_address(client_as, world):
    for name in ("Ram Lal", "Sita Ram", "Mohan"):
        world.result(world.order(world.patient(name), tests=("HB",)), "HB")
    browser = client_as("technician")
    response = browser.post("/worklist/find", {"q": "ram", "from": "/worklist"})
    assert response.headers["location"] == "/worklist"
    assert names(browser.get("/worklist")) == ["Ram Lal", "Sita Ram"]
    browser.post("/worklist/find", {"q": "", "from": "/worklist"})
    assert len(names(browser.get("/worklist"))) == 3


def test_scanning_a_tube_shows_it_alone_and_one_without_open_results_opens(client_as, world):
    world.result(world.order(world.patient("A"), tests=("HB",)), "HB")
    wanted = world.order(world.patient("B"), tests=("HB",))
    world.result(wanted, "HB")
    quiet = world.order(world.patient("C"), tests=("HB",))
    browser = client_as("technician")
    assert names(browser.post_page("/worklist/find", {"q": wanted.sample_id})) == ["B"]
    assert browser.post("/worklist/find", {"q": quiet.sample_id}).headers["location"] == f"/samples/{quiet.id}"


def test_release_one(client_as, world):
    sample = world.order()
    one, other = world.result(sample, "HB"), world.result(sample, "PLT", "210")
    browser = client_as("technician")
    soup = browser.post_page("/worklist/release", {"release": one, "sample": sample.id, "from": "/worklist?show=held"})
    assert "1 released." in soup.select_one(".notice").text
    states = {r["id"]: (r["state"], r["released_by"]) for r in world.rows(ResultRow)}
    assert states == {one: ("released", "Technician Devi"), other: ("held", "")}
    assert ("release", "result", str(one)) in {
        (a["action"], a["subject"], a["subject_id"]) for a in world.rows(AuditRow)
    }


def test_release_all_of_a_tube_names_the_report(client_as, world):
    sample = world.order()
    ids = [world.result(sample, "HB"), world.result(sample, "PLT", "210")]
    browser = client_as("technician")
    button = browser.get("/worklist").select_one(f"#rel{sample.id} button")
    assert button["value"] == ",".join(map(str, ids))
    soup = browser.post_page("/worklist/release", {"release": button["value"], "from": "/worklist"})
    assert "2 released. Report complete: VNS-DH-DDU-261122-0001" in soup.text
    assert "Nothing waits" in soup.text


def test_a_critical_result_without_a_call_is_refused_at_its_row(client_as, world):
    sample = world.order()
    critical = world.result(sample, "PLT", "8", critical=True, flag="LL")
    fine = world.result(sample, "HB")
    soup = client_as("technician").post_page(
        "/worklist/release", {"release": f"{critical},{fine}", "from": "/worklist"}, status=409
    )
    assert "first record who was told" in soup.select_one(f"#r{critical} [role=alert]").text
    assert soup.select_one(f"#r{fine}") is None
    assert [n.text.strip() for n in soup.select("#live > .notice")] == [
        "✓ 1 released.", "‼ 1 not released. The reason stands at each row below."
    ]  # fmt: skip


def test_reject_needs_a_note_and_leaves_the_test_awaited(client_as, world):
    result = world.result(world.order(), "HB")
    browser = client_as("technician")
    assert "check this field: Note" in browser.post_page("/worklist/reject", {"result": result}, status=422).text
    assert "run it again" in browser.post_page("/worklist/reject", {"result": result, "note": "clot seen"}).text
    assert [(r["state"], r["reject_note"]) for r in world.rows(ResultRow)] == [("rejected", "clot seen")]


def test_release_all_green_is_looked_over_first(client_as, world):
    sample = world.order(tests=("HB", "PLT", "WBC"))
    world.result(sample, "HB", state="autoverified")
    world.result(sample, "WBC", "6.0", state="autoverified")
    held = world.result(sample, "PLT", "90", reasons=[("Low.", "hold")])
    browser = client_as("technician")
    link = browser.get("/worklist").select_one("[data-key=a]")
    assert "Release all green (2)" in link.text
    soup = browser.get(link["href"])
    assert "Haemoglobin 12.9 g/dL" in " ".join(soup.select_one("tbody").text.split())
    form = soup.select_one("form[action='/worklist/green']")
    done = browser.post_page(
        "/worklist/green", {i["name"]: i["value"] for i in form.select("input") if i["name"] != "csrf"}
    )
    assert "2 released." in done.text
    assert [r["id"] for r in world.rows(ResultRow, state="held")] == [held]


def test_500_results_come_in_pages(client_as, world, lab):
    for n in range(60):
        world.result(world.order(world.patient(f"P{n:02}"), tests=("HB",)), "HB")
    browser = client_as("technician")
    first = browser.get("/worklist")
    assert len(names(first)) == 25 and first.select_one(".pager span").text == "Page 1 of 3"
    assert len(names(browser.get(first.select_one("a[rel=next]")["href"]))) == 25
    assert len(names(browser.get("/worklist?page=9"))) == 10


def test_markup_in_a_name_is_text(client_as, world):
    world.result(world.order(world.patient("<script>alert(1)</script>"), tests=("HB",)), "HB")
    soup = client_as("technician").get("/worklist")
    assert names(soup) == ["<script>alert(1)</script>"]


@pytest.mark.parametrize(
    ("role", "status"), [("reception", 403), ("engineer", 403), ("admin", 403), ("pathologist", 200)]
)
def test_who_may_see_it(client_as, role, status):
    client_as(role).get("/worklist", status)


def test_nobody_releases_without_the_right_or_without_the_token(client_as, world):
    result = world.result(world.order(), "HB")
    client_as("reception").post("/worklist/release", {"release": result}, status=403)
    browser = client_as("technician")
    assert browser.client.post("/worklist/release", data={"release": result}).status_code == 403
    assert browser.client.post("/worklist/release", data={"release": result, "csrf": "guess"}).status_code == 403
    assert [r["state"] for r in world.rows(ResultRow)] == ["held"]


def test_anonymous_goes_to_login_and_back(client_as):
    response = client_as(None).client.get("/worklist?show=held")
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=/worklist%3Fshow%3Dheld")


CAPTURES = Path(__file__).parents[1] / "captures"


def hear(app, lab, world, unit, capture, tests, said):
    """The capture of an analyzer comes over its line, as measured on a tube with these tests."""
    rules = read_settings(CONFIG, {}, make_secrets=False)[0].rules
    app.state.lab = lab = replace(lab, settings=replace(lab.settings, analyzers=(unit,), rules=rules))
    sample = world.order(tests=tests)
    journal = Journal.open(lab.settings.journal)
    for found in found_in(load_driver(unit.driver), (CAPTURES / unit.driver / f"{capture}.raw").read_bytes()):
        body = found.body.replace(said.encode(), sample.sample_id.encode())
        pipeline.process(lab, journal.finish(unit.name, None, body, False))
    journal.close()
    return sample


@pytest.mark.parametrize(("language", "says"), [("en", "its controls were not right when it measured INR"),
                                                ("hi", "उसके कंट्रोल ठीक नहीं थे")])  # fmt: skip
def test_invalid_controls_reach_the_technician_and_hold(client_as, app, lab, world, language, says):
    unit = AnalyzerSettings("sta", "stago_sta", "Stago STA", "tcp-listen://127.0.0.1:9150")
    sample = hear(app, lab, world, unit, "satellite_max_two_runs", ("PT", "INR", "APTT"), "000009465")
    assert {r["state"] for r in world.rows(ResultRow)} == {"held"}
    browser = client_as("technician", language)
    for url in ("/worklist", f"/samples/{sample.id}"):
        page = browser.get(url).text
        assert says in page and "36^Test Co 44 controls are invalid." in page and "Stirring defect" in page


@pytest.mark.parametrize(("language", "says"), [
    ("en", "90412.66: Positive."), ("hi", "90412.66 पर मशीन की अपनी राय: Positive।"),
])  # fmt: skip
def test_an_interpretation_reaches_the_technician_beside_its_number(client_as, app, lab, world, language, says):
    unit = AnalyzerSettings("i1000", "abbott_architect", "ARCHITECT", "tcp-listen://127.0.0.1:9151",
                            codes={"651": "TSH"})  # fmt: skip
    sample = hear(app, lab, world, unit, "aspects_resent_control", ("TSH",), "107632600419")
    browser = client_as("technician", language)
    for url in ("/worklist", f"/samples/{sample.id}"):
        assert says in browser.get(url).text and "dilution 1:15" in browser.get(url).text
