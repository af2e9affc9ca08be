"""Add an analyzer: model, line, codes; the line and a message tried; looked at, written, and never over another's."""

from __future__ import annotations

import os
import shutil
import socket
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import serial

from middleware.journal import Journal
from middleware.schema import AuditRow
from tests.apps import app_of
from tests.pages.conftest import CONFIG

CAPTURES = Path(__file__).parents[1] / "captures"
MINIMAL = """H|\\^&|||X
P|1
O|1|107632600425
R|1|^^^NEW|1.5|%
R|2|^^^HGB|13.1|g/dL
L|1
"""


@pytest.fixture
def lab(lab, tmp_path):
    """The lab with a configuration of its own, which may be written."""
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    return replace(lab, settings=replace(lab.settings, config=tmp_path / "config"))


@pytest.fixture
def app(lab):
    return app_of(lab)


@pytest.fixture
def file(lab):
    return lab.settings.config / "analyzers.toml"


def stamp(soup):
    return soup.select_one("input[name=stamp]")["value"]


def typed(soup, **more):
    """What a browser would send of this form."""
    sent = {}
    for field in soup.select("#setup [name]"):
        kind = field.get("type", field.name)
        if field.name == "select":
            chosen = field.select_one("option[selected]") or field.select_one("option")
            sent[field["name"]] = chosen.get("value", "") if chosen else ""
        elif field.name == "button" or (kind in ("checkbox", "radio", "file") and not field.has_attr("checked")):
            continue
        elif field.name == "textarea":
            sent[field["name"]] = field.text
        else:
            sent[field["name"]] = field.get("value", "")
    return {**sent, **more}


def new(browser, driver="sysmex_xp", do="preview", status=200, **more):
    soup = browser.get(f"/add-analyzer?driver={driver}")
    given = {"name": "xp", "title": "Sysmex XP-100", "kind": "tcp-listen", "tcp-listen.port": "9204", "do": do}
    return browser.post_page("/add-analyzer", typed(soup, **{**given, **more}), status)


@pytest.mark.parametrize(("role", "status"), [("engineer", 200), ("admin", 200), ("technician", 403),
                                              ("pathologist", 403), ("reception", 403)])  # fmt: skip
def test_who_may_set_up(client_as, file, role, status):
    browser = client_as(role)
    before = file.read_bytes()
    for url in ("/add-analyzer", "/add-analyzer?driver=sysmex_xn", "/add-analyzer/xn550"):
        browser.get(url, status)
    if status == 403:
        browser.post("/add-analyzer", {"do": "save", "driver": "sysmex_xp"}, 403)
        browser.post("/add-analyzer/xn550", {"do": "save"}, 403)
        assert file.read_bytes() == before
    assert bool(browser.client.get("/analyzers").text.count("/add-analyzer")) is (status == 200)


def test_every_driver_is_offered_with_its_grade_and_limits(client_as):
    from drivers.driver import driver_names

    soup = client_as("engineer", "hi").get("/add-analyzer")
    assert {a["href"].partition("=")[2] for a in soup.select(".model h2 a")} == set(driver_names())
    xn = next(s for s in soup.select(".model") if s.h2.text == "Sysmex XN")
    assert "रिकॉर्ड संदेशों पर परखा" in xn.text and "fetch the pictures" in xn.text
    found = client_as("engineer").get("/add-analyzer?q=cobas+411").select(".model h2")
    assert [h.text for h in found] == ["Roche cobas e 411"]
    assert client_as("engineer").get("/add-analyzer?q=nothing-like-it").select_one(".empty")
    client_as("engineer").get("/add-analyzer?driver=nothing", 404)
    client_as("engineer").get("/add-analyzer/nothing", 404)


def test_a_new_analyzer_is_looked_at_then_written(client_as, app, file, world):
    browser, before = client_as("engineer"), file.read_text()
    seen = new(browser, code0="GLUX", test0="GLUR", tests="HB, GLUR")
    assert 'name = "xp"' in seen.select_one("pre.raw").text and file.read_text() == before
    browser.post("/add-analyzer", typed(seen, do="save"))
    written = file.read_text()
    assert written.startswith(before.rstrip())
    assert tomllib.loads(written)["analyzer"][-1] == {
        "name": "xp", "driver": "sysmex_xp", "title": "Sysmex XP-100", "line": "tcp-listen://0.0.0.0:9204",
        "enabled": True, "auto_release": False, "tests": ["HB", "GLUR"], "codes": {"GLUX": "GLUR"},
    }  # fmt: skip
    (kept,) = file.parent.glob("analyzers.toml.*")
    assert kept.name == "analyzers.toml.20261122-100000" and kept.read_text() == before
    page = browser.get("/analyzers/xp")
    assert kept.name in page.select_one(".notice").text and "systemctl restart" in page.text
    (line,) = world.rows(AuditRow)
    assert (line["action"], line["subject_id"], line["who"]) == ("add analyzer", "xp", "Engineer Devi")
    assert line["detail"]["code GLUX"] == "GLUR" and line["detail"]["line"] == "tcp-listen://0.0.0.0:9204"


def test_a_change_touches_nothing_else(client_as, file):
    browser, before = client_as("admin"), file.read_text()
    soup = browser.get("/add-analyzer/e411")
    assert soup.select_one("[name=code0]")["value"] == "1" and soup.select_one("[name=test0]")["value"] == "B12"
    assert not soup.select("[name=name]")
    browser.post("/add-analyzer/e411", typed(soup, do="save", title="e 411, room 3", test0="FERR"))
    old, new_text = before.splitlines(), file.read_text().splitlines()
    assert [(a, b) for a, b in zip(old, new_text, strict=True) if a != b] == [
        ('title = "Roche cobas e 411, immunoassay"', 'title = "e 411, room 3"'),
        ('1 = "B12"', '1 = "FERR"'),
    ]
    browser.post("/add-analyzer/e411", typed(browser.get("/add-analyzer/e411"), do="save"))
    assert file.read_text().splitlines() == new_text


def test_what_it_is_told_of_orders_is_chosen_where_its_driver_can(client_as, file):
    browser = client_as("engineer")

    def written():
        return next(a for a in tomllib.loads(file.read_text())["analyzer"] if a["name"] == "e411").get("orders")

    def offered(name):
        return [o["value"] for o in browser.get(f"/add-analyzer/{name}").select("[name=orders] option")]

    assert (offered("e411"), offered("xn550")) == (["answer", "push", "none"], ["answer", "none"])
    for orders in ("push", "none", "answer"):
        browser.post("/add-analyzer/e411", typed(browser.get("/add-analyzer/e411"), do="save", orders=orders))
        assert written() == orders
        assert browser.get("/add-analyzer/e411").select_one("[name=orders] option[selected]")["value"] == orders
    browser.post("/add-analyzer/xn550", typed(browser.get("/add-analyzer/xn550"), do="save", orders="push"))
    assert "orders" not in next(a for a in tomllib.loads(file.read_text())["analyzer"] if a["name"] == "xn550")


@pytest.mark.parametrize("name", ["xn550", "xl640", "bc5150", "e411"])
def test_a_form_sent_back_as_it_came_changes_nothing(client_as, file, name):
    browser, before = client_as("engineer"), file.read_bytes()
    browser.post(f"/add-analyzer/{name}", typed(browser.get(f"/add-analyzer/{name}"), do="save"))
    assert file.read_bytes() == before


def test_of_two_people_the_second_is_refused(client_as, file):
    first, second = client_as("engineer"), client_as("admin")
    soup = second.get("/add-analyzer/xn550")
    first.post("/add-analyzer/xn550", typed(first.get("/add-analyzer/xn550"), do="save", title="Mine"))
    mine = file.read_text()
    told = second.post_page("/add-analyzer/xn550", typed(soup, do="save", title="Yours"), 409)
    assert "changed meanwhile" in told.select_one(".notice.bad").text and file.read_text() == mine
    assert told.select_one("[name=title]")["value"] == "Yours"


WRONG = [
    ({"name": "XP 1"}, "name", "Small letters"), ({"name": "xn550"}, "name", "Another analyzer"),
    ({"title": " "}, "title", "Write a name"), ({"tcp-listen.port": "99999"}, "tcp-listen.port", "1 to 65535"),
    ({"kind": "tcp", "tcp.host": "a b", "tcp.port": "1"}, "tcp.host", "192.168.1.20"),
    ({"kind": "serial"}, "serial.path", "path"), ({"tests": "HB, NONE"}, "tests", "catalogue"),
    ({"code0": "A", "test0": "NONE"}, "test0", "No such code"), ({"test0": "HB"}, "code0", "that the analyzer sends"),
    ({"code0": "A", "test0": "HB", "code1": "A", "test1": "PLT"}, "code1", "twice"),
    ({"kind": "folder", "folder.path": "/x", "folder.more": "quiet=abc"}, "folder.more", "understood"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "field", "says"), WRONG)
def test_what_is_wrong_stands_beside_its_field(client_as, file, sent, field, says):
    before = file.read_bytes()
    soup = new(client_as("engineer"), do="save", status=422, **sent)
    at = soup.select_one(f'[name="{field}"]')
    assert at["aria-invalid"] == "true" and says in soup.find(id=at["aria-describedby"]).text
    assert soup.select_one("[name=name]")["value"] == sent.get("name", "xp")  # what was typed stays
    assert file.read_bytes() == before


def test_what_check_would_refuse_is_not_written(client_as, file):
    before = file.read_bytes()
    told = new(client_as("engineer"), **{"tcp-listen.port": "9101"})
    assert "port 9101 is taken by analyzer xn550" in told.text and not told.select("button[value=save]")
    new(client_as("engineer"), do="save", status=409, **{"tcp-listen.port": "9101"})
    assert file.read_bytes() == before and not list(file.parent.glob("analyzers.toml.*"))


def test_where_nothing_may_be_written_the_lines_are_shown(client_as, file, monkeypatch):
    monkeypatch.setattr("middleware.analyzers_file.os.access", lambda *_: False)
    told = new(client_as("engineer"))
    assert "Copy the lines" in told.text and "[[analyzer]]" in told.select_one("pre.raw").text
    assert not told.select("button[value=save]")


def test_lines_are_tried(port, client_as, tmp_path, lab):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        (tmp_path / "one.hl7").write_bytes(b"")
        taken, other = busy.getsockname()[1], port
        cases = [
            ("tcp-listen", {"host": "127.0.0.1", "port": other}, "good", "is free"),
            ("tcp-listen", {"host": "127.0.0.1", "port": taken}, "bad", "another program"),
            ("tcp-listen", {"host": "192.0.2.1", "port": other}, "bad", "no address of this computer"),
            ("tcp", {"host": "127.0.0.1", "port": taken}, "good", "answers"),
            ("tcp", {"host": "127.0.0.1", "port": other}, "bad", "nothing waits"),
            ("serial", {"path": str(lab.settings.config / "rules.toml")}, "bad", "cannot be used"),
            ("serial", {"path": str(tmp_path / "ttyX")}, "bad", "There is no"),
            ("folder", {"path": str(tmp_path), "pattern": "*.HL7"}, "good", "now: 1"),
            ("folder", {"path": str(tmp_path / "none"), "pattern": "*"}, "bad", "Make it"),
        ]
        browser = client_as("engineer")
        for kind, fields, tone, says in cases:
            soup = new(browser, do="line", kind=kind, **{f"{kind}.{k}": str(v) for k, v in fields.items()})
            said = soup.select_one("#tried")
            assert tone in said["class"] and says in said.text, said.text
            assert not soup.select("[aria-invalid]")


def test_a_line_of_the_middleware_is_never_touched(client_as, app, lab):
    held = tuple(replace(a, line="tcp-listen://0.0.0.0:9101") for a in lab.settings.analyzers[:1])
    app.state.lab = replace(lab, settings=replace(lab.settings, analyzers=held))
    soup = new(client_as("engineer", "hi"), do="line", **{"tcp-listen.port": "9101"})
    assert "Sysmex XN-550" in soup.select_one("#tried").text and "मिडलवेयर" in soup.select_one("#tried").text


def test_a_pasted_message_is_read_and_its_unknown_codes_become_rows(client_as):
    soup = new(client_as("engineer"), "generic_astm", do="read", paste=MINIMAL)
    rows = [[td.get_text(" ", strip=True) for td in tr.select("td")] for tr in soup.select("#message tbody tr")]
    assert rows[0][:3] == ["107632600425", "NEW", "1.5 %"] and "code not known" in rows[0][3]
    assert soup.select_one("[name=code0]")["value"] == "NEW"
    picks = soup.select("[name=pick1]")
    assert soup.select_one("[name=code1]")["value"] == "HGB" and picks[0]["value"] == "HB"
    assert not any(p.has_attr("checked") for p in picks)  # never chosen by itself
    seen = new(client_as("engineer"), "generic_astm", code0="HGB", pick0="HB")
    assert 'HGB = "HB"' in seen.select_one("pre.raw").text


def test_a_file_and_a_stored_message_are_read(client_as, lab):
    raw = next((CAPTURES / "mindray_bc").glob("*.raw")).read_bytes()
    browser = client_as("engineer")
    sent = typed(browser.get("/add-analyzer?driver=mindray_bc"), do="read", name="bc")
    answer = browser.client.post("/add-analyzer", data={"csrf": "token", **sent}, files={"file": ("a.raw", raw)})
    assert answer.status_code == 200 and "result, when ordered" in answer.text
    journal = Journal.open(lab.settings.journal)
    message = journal.finish("xn550", None, MINIMAL.replace("\n", "\r").encode(), False)
    journal.close()
    soup = new(browser, "generic_astm", do="read", stored=message.id)
    assert "code not known" in soup.select_one("#message").text
    new(client_as("admin"), "generic_astm", do="read", stored=message.id, status=403)
    assert not client_as("admin").get("/add-analyzer?driver=sysmex_xn").select("[name=stored]")


def test_what_cannot_be_read_says_why(client_as):
    soup = new(client_as("engineer"), "mindray_bc", do="read", paste="hello")
    assert "Nothing can be read here" in soup.text and "speaks HL7" in soup.text


def test_enter_in_a_field_looks_and_never_writes(client_as):
    soup = new(client_as("engineer"))
    assert soup.select("button[value=save]") and soup.select_one("#setup button")["value"] == "preview"


def test_a_name_instead_of_a_code_is_looked_up(client_as):
    soup = new(client_as("engineer"), status=422, code0="17", test0="creatin")
    assert "looked up" in soup.find(id="test0-wrong").text
    assert "CREAT" in {p["value"] for p in soup.select("[name=pick0]")}
    assert 'line = "' in new(client_as("engineer"), code0="17", test0="creatin", pick0="CREAT").select_one("pre").text


def test_a_cable_is_opened_and_left_alone(client_as, lab):
    ours, theirs = os.openpty()
    path, browser = os.ttyname(theirs), client_as("engineer")
    try:
        said = new(browser, do="line", kind="serial", **{"serial.path": path}).select_one("#tried")
        assert "good" in said["class"] and "9600" in said.text
        with serial.Serial(path, exclusive=True):  # as the middleware or a terminal program has it
            said = new(browser, do="line", kind="serial", **{"serial.path": path}).select_one("#tried")
        assert "bad" in said["class"] and "another program" in said.text
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):  # nothing was sent
            os.read(ours, 1)
    finally:
        os.close(ours)
        os.close(theirs)
