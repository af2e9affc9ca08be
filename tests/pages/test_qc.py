"""Controls: every run stays, judged by the target of its day; chart, figures, points left out with a cause."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from middleware.schema import ControlRow, ControlTarget
from middleware.store import put, qc_view

URL = "/qc/xn550/QC-1234%2FA/HB"


@pytest.fixture
def runs(lab):
    """`runs("12.1", …)` stores control runs of HB on one lot, an hour apart; values that are no number too."""

    def store(*values: str, target: int | None = None, test: str | None = "HB", lot: str = "QC-1234/A") -> None:
        with lab.write() as conn:
            for n, value in enumerate(values):
                number = Decimal(value) if value.replace(".", "", 1).isdigit() else None
                put(
                    conn, ControlRow, identity=f"{lot}-{test}-{n}", message_id="m1", ordinal=n, analyzer="xn550",
                    lot=lot, code="HGB", test=test, verbatim=value, value=number, unit="g/dL", observed_at=None,
                    received_at=lab.now() + timedelta(hours=n), target_id=target, excluded=False, excluded_note="",
                )  # fmt: skip

    return store


@pytest.mark.parametrize(("role", "see", "edit"), [
    ("technician", 200, 403), ("pathologist", 200, 303), ("engineer", 200, 403), ("reception", 403, 403),
    ("admin", 403, 403)])  # fmt: skip
def test_who_sees_and_who_edits(client_as, world, runs, role, see, edit):
    runs("12.1")
    browser = client_as(role)
    for url in ("/qc", URL):
        browser.get(url, see)
    browser.post(f"{URL}/target", {"mean": "12", "sd": "0.2", "note": "insert"}, edit)
    browser.post("/qc/exclude/1", {"note": "bubble"}, edit)
    assert [c["excluded"] for c in world.rows(ControlRow)] == [edit == 303]
    assert len(world.rows(ControlTarget)) == (edit == 303)


def test_the_list_shows_the_newest_run_of_each(client_as, runs):
    runs("12.1", "12.9")
    runs("77", test=None, lot="OTHER")
    soup = client_as("technician").get("/qc")
    rows = [[" ".join(td.text.split()) for td in tr.select("th,td")] for tr in soup.select("tbody tr")]
    assert rows == [["HGB code not mapped", "77 g/dL", "–", "not set", "1", "22-11-2026 10:00"],
                    ["Haemoglobin HB", "12.9 g/dL", "–", "not set", "2", "22-11-2026 11:00"]]  # fmt: skip


def test_target_gives_chart_figures_and_distance(client_as, world, runs):
    runs("12.0", "12.2", "13.0", "invalid")
    browser = client_as("pathologist")
    assert not browser.get(URL).select("svg")
    form = {"mean": "12.0", "sd": "0.2", "level": "L2", "expires": "2026-12-05", "provisional": "1", "note": "insert"}
    assert "Target set." in browser.post_page(f"{URL}/target", form).text
    (target,) = world.rows(ControlTarget)
    kept = {k: target[k] for k in ("analyzer", "lot", "level", "test", "mean", "sd", "provisional", "set_by", "note")}
    assert kept == {"analyzer": "xn550", "lot": "QC-1234/A", "level": "L2", "test": "HB", "mean": Decimal("12.0"),
                    "sd": Decimal("0.2"), "provisional": True, "set_by": "Pathologist Devi",
                    "note": "insert"}  # fmt: skip
    soup = browser.get(URL)
    svg = soup.select_one(".chart svg")
    assert svg.title.text.startswith("Haemoglobin · QC-1234/A") and len(svg.select("circle, path")) == 3
    points = [[" ".join(td.text.split()) for td in tr.select("td")[1:3]] for tr in soup.select("tbody tr")]
    assert points == [["invalid g/dL", "–"], ["13.0 g/dL", "‼+5.00"], ["12.2 g/dL", "✓+1.00"], ["12.0 g/dL", "✓+0.00"]]
    facts = {d.dt.text: d.dd.text.strip() for d in soup.select(".facts div")}
    assert facts == {"n": "3", "Mean": "12.400", "SD": "0.529", "CV": "4.3 %", "Bias": "+3.3 %",
                     "Target": "12.0 ± 0.2 g/dL (provisional)"}  # fmt: skip
    assert "Days until this lot expires: 13" in soup.text


def test_a_point_left_out_stays_visible_and_does_not_count(client_as, world, runs):
    runs("12.0", "12.2", "19.0")
    browser = client_as("pathologist")
    browser.post(f"{URL}/target", {"mean": "12.0", "sd": "0.2", "note": "insert"})
    browser.post("/qc/exclude/3", {"note": ""}, 422)
    soup = browser.post_page("/qc/exclude/3", {"note": "wrong level in the rack"})
    facts = {d.dt.text: d.dd.text.strip() for d in soup.select(".facts div")}
    assert (facts["n"], facts["Mean"]) == ("2", "12.100")
    assert "left out: wrong level in the rack" in soup.select_one("tbody tr").text
    assert len(soup.select(".chart svg circle, .chart svg path")) == 3


@pytest.mark.parametrize(
    ("field", "value"), [("mean", "x"), ("mean", "NaN"), ("sd", "0"), ("sd", "-1"), ("expires", "soon"), ("note", "")]
)
def test_a_wrong_target_is_said_beside_its_field(client_as, world, runs, field, value):
    runs("12.0")
    form = {"mean": "12", "sd": "0.2", "expires": "", "note": "insert", field: value}
    soup = client_as("pathologist").post_page(f"{URL}/target", form, 422)
    assert [w["id"] for w in soup.select(".wrong")] == [f"{field}-wrong"]
    assert soup.select(f".stack [name={field}]")[0].get("value", "") == value
    assert world.rows(ControlTarget) == []


def test_a_point_keeps_the_target_of_its_day(client_as, lab, runs, clock):
    runs("12.0")
    browser = client_as("pathologist")
    browser.post(f"{URL}/target", {"mean": "12.0", "sd": "0.2", "note": "insert"})
    clock.forward(days=1)
    browser = client_as("pathologist")
    browser.post(f"{URL}/target", {"mean": "12.4", "sd": "0.1", "note": "own 20 points"})
    with lab.read() as conn:
        run = qc_view.run(conn, "xn550", "QC-1234/A", "HB")
    assert [p.z for p in run.points] == [Decimal(0)] and run.target.mean == Decimal("12.4")
    assert [t.mean for t in run.targets] == [Decimal("12.4"), Decimal("12.0")]


def test_unknown_controls(client_as, runs):
    runs("12.0")
    browser = client_as("pathologist")
    for url in ("/qc/xn550/NONE/HB", "/qc/xn550/QC-1234%2FA/NONE"):
        browser.get(url, 404)
    browser.post("/qc/nobody/QC-1/HB/target", {"mean": "1", "sd": "1", "note": "x"}, 404)
    browser.post("/qc/exclude/99", {"note": "x"}, 404)


def test_hindi_and_empty(client_as):
    soup = client_as("technician", "hi").get("/qc")
    assert soup.select_one(".empty").text == "अभी कोई कंट्रोल नहीं चला है।"
