"""Codes: what analyzers sent and nobody knows, suggestions with reasons, a meaning given, what waits read again."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from datetime import timedelta

import pytest

from middleware import pipeline
from middleware.actions.analyzers import analyzers_now
from middleware.journal import Journal
from middleware.schema import AuditRow, ResultRow, UnmatchedRow
from tests.apps import app_of
from tests.pages.conftest import CONFIG

MESSAGE = (
    "H|\\^&|||XN-550^00-11^11001^^^^12345678||||||||E1394-97\rP|1\rO|1||^^{}^B|^^^^HGB|||||||N||||||||||||||F\r"
    "R|1|^^^^HGB2^1|12.9|g/dL||N||||||20261122100000\rL|1|N\r"
)


@pytest.fixture
def lab(lab, tmp_path):
    """The lab with a configuration of its own, which may be written, as the processes read it."""
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    lab = replace(lab, settings=replace(lab.settings, config=tmp_path / "config"))
    return replace(lab, settings=replace(lab.settings, analyzers=analyzers_now(lab)))


@pytest.fixture
def app(lab):
    return app_of(lab)


def file_of(lab):
    return tomllib.loads((lab.settings.config / "analyzers.toml").read_text())["analyzer"]


def say(lab, sample_id):
    """The XN measures the tube and names a code that its driver does not know."""
    journal = Journal.open(lab.settings.journal)
    message = journal.finish("xn550", None, MESSAGE.format(sample_id).encode(), False)
    journal.close()
    pipeline.process(lab, message)
    return message


def give(browser, status=303, **more):
    soup = browser.get("/codes")
    stamp = soup.select_one("[name=stamp]")["value"] if soup.select("[name=stamp]") else ""
    return browser.post_page("/codes", {"stamp": stamp, "analyzer": "xn550", "code": "HGB2", **more}, status)


@pytest.mark.parametrize(("role", "status"), [("engineer", 200), ("admin", 200), ("technician", 403),
                                              ("pathologist", 403), ("reception", 403)])  # fmt: skip
def test_who_gives_codes_a_meaning(client_as, role, status):
    browser = client_as(role)
    browser.get("/codes", status)
    if status == 403:
        browser.post("/codes", {"analyzer": "xn550", "code": "A", "pick": "HB", "stamp": ""}, 403)
    if role != "engineer":  # who may not see messages may not have them read again
        browser.post("/codes/replay", {"analyzer": "xn550"}, 403)


def test_nothing_unknown(client_as, world):
    world.unmatched(code="HGB")  # known: it waits for another reason
    assert "in the last 90 days" in client_as("engineer").get("/codes").select_one(".empty").text


def test_what_was_seen_with_reasons(client_as, world, clock):
    world.unmatched(code="718-7", name="Hemoglobin", value="13.9", unit="g/dL", rule="unknown_code")
    world.unmatched(code="718-7", name="Hemoglobin", value="12.1", unit="g/dL", rule="unknown_code", state="dismissed")
    world.unmatched(code="OLD", name="", rule="unknown_code", state="dismissed",
                    created_at=clock.at - timedelta(days=91))  # fmt: skip
    (card,) = client_as("engineer").get("/codes").select("section.card")
    assert "seen 2 times, last 22-11-2026 10:00" in card.text and "waiting in the tray: 1" in card.text
    assert [b.text for b in card.select("p strong")] == ["12.1 g/dL", "13.9 g/dL"]
    first = card.select_one("label.tick")
    assert "same LOINC" in first.text and "unit fits" in first.text and first.input["value"] == "HB"
    assert not card.select("[checked]")
    assert "वही LOINC" in client_as("engineer", "hi").get("/codes").text


def test_a_meaning_is_given_and_what_waits_is_read_again(client_as, app, lab, world):
    sample = world.order(tests=("HB",))
    say(lab, sample.sample_id)
    assert [r["rule"] for r in world.rows(UnmatchedRow)] == ["unknown_code"]
    browser = client_as("engineer")
    told = give(browser, pick="HB")
    assert "means HB from now on" in told.select_one(".notice").text
    assert file_of(lab)[0]["codes"] == {"HGB2": "HB"}
    (line,) = world.rows(AuditRow)
    assert (line["action"], line["detail"]) == ("change analyzer", {"code HGB2": "HB"})
    assert "Messages of Sysmex XN-550, haematology: 1" in told.text and not told.select("[name=pick]")
    assert not client_as("admin").get("/codes").select("form[action='/codes/replay'] button")
    again = browser.post_page("/codes/replay", {"analyzer": "xn550"})
    assert "Messages read again: 1. Rows still in the tray: 0." in again.text
    assert [(r["test"], r["display"], r["state"]) for r in world.rows(ResultRow)] == [("HB", "12.9", "autoverified")]
    assert not world.rows(UnmatchedRow, state="open")
    assert browser.get("/codes").select_one(".empty")


def test_one_of_several_by_the_order(client_as, lab, world):
    world.unmatched(code="HGB2", rule="unknown_code")
    give(client_as("admin"), other="GLUF | GLUR")
    assert file_of(lab)[0]["codes"] == {"HGB2": "GLUF|GLUR"}


REFUSED = [
    ({}, "Choose one suggestion"), ({"pick": "HB", "other": "PLT"}, "Choose one suggestion"),
    ({"other": "NONE"}, "No such code"), ({"pick": "HB", "stamp": "old"}, "changed"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "says"), REFUSED)
def test_a_refused_choice_is_said_beside_it(client_as, lab, world, sent, says):
    world.unmatched(code="HGB2", rule="unknown_code")
    before = file_of(lab)
    told = give(client_as("engineer"), 409, **sent)
    assert says in told.select_one("section.card .notice.bad").text and file_of(lab) == before
    if len(sent) < 2:
        assert told.select_one("[name=other]")["value"] == sent.get("other", "")


def test_where_nothing_may_be_written_the_lines_are_shown(client_as, lab, world, monkeypatch):
    world.unmatched(code="HGB2", rule="unknown_code")
    monkeypatch.setattr("middleware.analyzers_file.os.access", lambda *_: False)
    told = give(client_as("engineer"), 409, pick="HB")
    assert 'HGB2 = "HB"' in told.select_one("pre.raw").text and "codes" not in file_of(lab)[0]


def test_a_code_of_an_analyzer_that_is_gone_can_only_be_seen(client_as, world):
    world.unmatched(analyzer="gone", code="X1", rule="unknown_code")
    (card,) = client_as("engineer").get("/codes").select("section.card")
    assert "no longer in analyzers.toml" in card.text and not card.select("form")
    give(client_as("engineer"), 409, analyzer="gone", code="X1", pick="HB", stamp="x")


def test_a_name_instead_of_a_code_is_looked_up(client_as, world):
    world.unmatched(code="17", name="", rule="unknown_code")
    told = give(client_as("engineer"), 409, code="17", other="creatin")
    card = told.select_one("section.card")
    give(client_as("engineer"), code="17", other="creatin", pick="CREAT")
    assert "looked up" in card.text and "CREAT" in {p["value"] for p in card.select("[name=pick]")}
