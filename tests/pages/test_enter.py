"""Typing results: twice alike or not at all; coded tests from their list; held and marked typed."""

from __future__ import annotations

import pytest

from middleware.schema import AnalyzerState, ResultRow
from middleware.store import put


def connect(world, *names: str) -> None:
    with world.lab.write() as conn:
        for name in names:
            put(conn, AnalyzerState, analyzer=name, connected=True, since=world.lab.now(), messages_today=0,
                refused_today=0, trouble="", updated_at=world.lab.now())  # fmt: skip


@pytest.mark.parametrize(("role", "status"), [("technician", 200), ("pathologist", 200), ("reception", 403),
                                              ("engineer", 403), ("admin", 403)])  # fmt: skip
def test_who_types(client_as, world, role, status):
    sample = world.order(tests=("UPRO",))
    pk = world.tests[sample.id, "UPRO"]
    browser = client_as(role)
    for url in ("/enter", f"/enter/{pk}", f"/enter/sample/{sample.id}"):
        browser.get(url, status)
    browser.post(f"/enter/{pk}", {f"first-{pk}": "Trace", f"second-{pk}": "Trace"}, 303 if status == 200 else 403)
    assert len(world.rows(ResultRow)) == (status == 200)


def test_lists_what_no_connected_analyzer_brings(client_as, world):
    connect(world, "xn550", "xl640")
    world.order(tests=("HB", "ABO"))
    browser = client_as("technician")
    assert [td.text for td in browser.get("/enter").select("td[data-label=Tests]")] == ["ABO blood group"]
    with world.lab.write() as conn:
        conn.exec_driver_sql("UPDATE analyzer_state SET connected = 0 WHERE analyzer = 'xn550'")
    soup = browser.get("/enter")
    assert [td.text for td in soup.select("td[data-label=Tests]")] == ["Haemoglobin, ABO blood group"]
    assert "Not connected: Sysmex XN-550" in soup.text


def test_a_strip_is_typed_on_one_sheet(client_as, world):
    sample = world.order(tests=("UPRO", "UGLU", "USG"))
    a, b, c = (world.tests[sample.id, code] for code in ("UPRO", "UGLU", "USG"))
    browser = client_as("technician")
    url = f"/enter/sample/{sample.id}"
    form = {f"first-{a}": "Trace", f"second-{a}": "Trace", f"first-{c}": "1.020", f"second-{c}": "1.020",
            f"comment-{c}": "refractometer"}  # fmt: skip
    assert "Saved: 2" in browser.post_page(url, form).text
    told = [(r["test"], r["display"], r["state"], r["typed_by"], r["analyzer"]) for r in world.rows(ResultRow)]
    assert told == [("UPRO", "Trace", "held", "Technician Devi", ""), ("USG", "1.020", "held", "Technician Devi", "")]
    left = browser.get(url)
    assert [th.text.split()[-1] for th in left.select("tbody th")] == ["UGLU"]
    assert [o.text for o in left.select(f"[name=first-{b}] option")] == [
        "",
        "Negative",
        "Trace",
        "1+",
        "2+",
        "3+",
        "4+",
    ]


def test_two_entries_that_differ_store_nothing(client_as, world):
    sample = world.order(tests=("UPRO", "USG"))
    a, c = (world.tests[sample.id, code] for code in ("UPRO", "USG"))
    form = {f"first-{a}": "Trace", f"second-{a}": "Trace", f"first-{c}": "1.020", f"second-{c}": "1.002"}
    soup = client_as("technician").post_page(f"/enter/sample/{sample.id}", form, 422)
    assert world.rows(ResultRow) == []
    assert [w["id"] for w in soup.select(".wrong")] == [f"w-{c}"]
    assert "The two entries differ" in soup.select_one(".wrong").text
    assert soup.select_one(f"[name=second-{c}]")["value"] == "1.002"
    assert soup.select_one(f"[name=first-{a}] [selected]").text == "Trace"


def test_a_value_that_is_none_is_refused_beside_its_row(client_as, world):
    sample = world.order(tests=("USG",))
    pk = world.tests[sample.id, "USG"]
    soup = client_as("technician").post_page(f"/enter/{pk}", {f"first-{pk}": "abc", f"second-{pk}": "abc"}, 422)
    assert soup.select_one(".wrong") is not None and world.rows(ResultRow) == []


def test_nothing_typed_is_said(client_as, world):
    sample = world.order(tests=("USG",))
    assert "Nothing was typed" in client_as("technician").post_page(f"/enter/sample/{sample.id}", {}).text


def test_any_numeric_test_may_be_typed_alone_and_only_once(client_as, world):
    sample = world.order(tests=("HB",))
    pk = world.tests[sample.id, "HB"]
    browser = client_as("technician")
    browser.post(f"/enter/{pk}", {f"first-{pk}": "11.4", f"second-{pk}": "11.4"})
    assert [(r["display"], r["state"]) for r in world.rows(ResultRow)] == [("11.4", "held")]
    browser.get(f"/enter/{pk}", 404)
    browser.get("/enter/sample/999", 404)


def test_the_last_value_and_the_interval_stand_beside(client_as, world):
    patient = world.patient()
    world.result(world.order(patient, tests=("HB",)), "HB", "10.1", state="released", released_at=world.lab.now())
    sample = world.order(patient, tests=("HB",))
    row = client_as("technician", "hi").get(f"/enter/{world.tests[sample.id, 'HB']}").select_one("tbody tr")
    assert "10.1 (22-11-2026)" in row.text and "12.0 - 15.0" in row.text and "हीमोग्लोबिन" in row.text
