"""The page of one tube: everything about it in one place, and what can be done with it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest

from drivers.driver import Message
from middleware import pipeline
from middleware.journal import Journal
from middleware.schema import OrderTest, ResultRow, Sample
from middleware.settings import AnalyzerSettings
from server.charts import curve_svg
from server.lab.pages import sample as sample_page
from server.lab.pages.sample import visible


def words(tag):
    return " ".join(tag.text.split())


def facts(soup):
    return {d.dt.text: words(d.dd) for d in soup.select(".facts div")}


def test_head_says_whose_it_is_and_where_it_is(client_as, world):
    sample = world.order(world.patient("Sunita Devi", guardian="Ram Lal"))
    soup = client_as("technician").get(f"/samples/{sample.id}")
    assert words(soup.h1) == "Sunita Devi 45 years · Female"
    assert facts(soup) == {
        "UHID": "107-P1", "Father / husband": "Ram Lal", "Referred by": "Dr Singh · OPD 4",
        "Registered": "22-11-2026 10:00 Reception Devi", "Collected": "22-11-2026 10:00",
        "Received in lab": "22-11-2026 10:00",
    }  # fmt: skip


def test_every_result_stays_in_view(client_as, world, clock):
    sample = world.order()
    world.result(sample, "HB", "4.1", state="rejected", rejected_at=clock(), rejected_by="T", reject_note="clot")
    world.result(sample, "HB", "12.9", reasons=[("Fell.", "hold")])
    world.result(sample, "PLT", "210", state="released", released_at=clock(), released_by="Dr P, MD")
    soup = client_as("technician").get(f"/samples/{sample.id}")
    lines = {
        words(tr.select_one(".value")): words(tr.select_one(".why")) for tr in soup.select("#results ~ div tr[id]")
    }
    assert lines == {
        "12.9 g/dL ✓Normal": "Held !Held Fell.",
        "4.1 g/dL ✓Normal": "Rejected 22-11-2026 10:00 T: clot",
        "210 10^3/µL ✓Normal": "Released 22-11-2026 10:00 Dr P, MD",
    }


def test_earlier_values_make_a_chart(client_as, world, clock):
    person = world.patient()
    for n, value in enumerate(("10.1", "11.0", "11.8")):
        world.result(world.order(person, tests=("HB",)), "HB", value, state="released",
                     released_at=clock() - timedelta(days=90 - n))  # fmt: skip
    sample = world.order(person)
    world.result(sample, "HB", "12.0")
    svg = client_as("technician").get(f"/samples/{sample.id}").select_one(".spark svg")
    assert [c.text for c in svg.select("circle title, path title") if c.text][-1].endswith("11.8")


def test_receive_a_tube(client_as, world):
    sample = world.order(sample_state="registered")
    browser = client_as("technician")
    soup = browser.get(f"/samples/{sample.id}")
    assert [f["action"] for f in soup.select("form[action$=collect], form[action$=receive]")] == [
        f"/samples/{sample.id}/collect", f"/samples/{sample.id}/receive"
    ]  # fmt: skip
    browser.post(f"/samples/{sample.id}/collect")
    soup = browser.post_page(f"/samples/{sample.id}/receive")
    assert "Tube received." in soup.text and not soup.select("form[action$=receive]")
    (row,) = world.rows(Sample, id=sample.id)
    assert (row["state"], row["received_by"]) == ("received", "Technician Devi")


def test_reject_a_tube_and_ask_for_a_new_one(client_as, world):
    sample = world.order()
    world.result(sample, "HB")
    browser = client_as("technician")
    soup = browser.post_page(f"/samples/{sample.id}/reject", {"reason": "clotted", "ask_new": "1"})
    assert "A new sample is asked for" in soup.text and "Blood has clotted" in soup.text
    new = soup.select_one(".notice.bad a")["href"]
    assert "Awaited" in words(browser.get(new).select_one("#awaited ~ table"))
    assert [r["state"] for r in world.rows(ResultRow)] == ["rejected"]


def test_awaited_tests_can_be_typed_closed_or_cancelled(client_as, world):
    sample = world.order(tests=("HB", "PLT"))
    browser = client_as("technician")
    soup = browser.get(f"/samples/{sample.id}")
    hb, plt = (world.tests[sample.id, code] for code in ("HB", "PLT"))
    assert [a["href"] for a in soup.select("#awaited ~ table a.button")] == [f"/enter/{hb}", f"/enter/{plt}"]
    browser.post(f"/samples/{sample.id}/close", {"test": hb, "note": "no reagent"})
    soup = browser.post_page(f"/samples/{sample.id}/cancel", {"test": plt, "note": "not wanted"})
    assert "Test cancelled." in soup.text
    assert {(t["test"], t["state"], t["note"]) for t in world.rows(OrderTest)} == {
        ("HB", "rejected", "no reagent"), ("PLT", "cancelled", "not wanted"),
    }  # fmt: skip


def test_a_row_of_the_tray_is_pointed_to(client_as, world):
    sample = world.order()
    row = world.unmatched(sample_id=sample.sample_id, sample_pk=sample.id, name="XYZ", text="Unknown code XYZ.")
    link = client_as("technician").get(f"/samples/{sample.id}").select_one("#tray ~ ul a")
    assert link["href"] == f"/unmatched/{row}"


def test_the_raw_message_shows_its_control_characters(client_as, world, monkeypatch, clock):
    class Reader:
        def __init__(self, path):
            pass

        def message(self, message_id):
            return Message(message_id, "xn550", clock(), b"H|\\^&|\rL|1|N\r")

    monkeypatch.setattr(sample_page, "JournalReader", Reader)
    sample = world.order()
    world.result(sample, "HB", message_id="m7")
    pre = client_as("technician").get(f"/samples/{sample.id}").select_one("pre.raw")
    assert pre.text == "H|\\^&|<CR>\nL|1|N<CR>\n"


@pytest.mark.parametrize(
    ("body", "text"),
    [(b"\x0bMSH|\r\x1c\r", "<VT>MSH|<CR>\n<FS><CR>\n"), (b"a\r\nb", "a<CR><LF>\nb"), (b"\xe9\x01", "é<01>"),
     ("µL".encode(), "µL")],
)  # fmt: skip
def test_visible(body, text):
    assert visible(body) == text


def test_amend_needs_the_same_value_twice(client_as, world, clock):
    sample = world.order(tests=("HB",))
    result = world.result(sample, "HB", state="released", released_at=clock())
    browser = client_as("technician")
    form = {"result": result, "first": "11.1", "second": "11.2", "reason": "wrong tube"}
    soup = browser.post_page(f"/samples/{sample.id}/amend", form, status=409)
    assert "The two entries differ" in soup.text
    assert [r["display"] for r in world.rows(ResultRow)] == ["12.9"]


def test_what_was_done_is_told(client_as, world):
    sample = world.order(sample_state="registered")
    browser = client_as("technician")
    browser.post(f"/samples/{sample.id}/receive")
    line = browser.get(f"/samples/{sample.id}").select_one(".audit li")
    assert words(line).startswith("22-11-2026 10:00 Technician Devi received the tube tube: 1076326")


def test_unknown_tube_and_wrong_address(client_as):
    browser = client_as("technician")
    assert "Not found" in browser.get("/samples/77", 404).text
    assert "address" in browser.get("/samples/abc", 422).text


@pytest.mark.parametrize("role", ["reception", "engineer", "admin"])
def test_who_may_not_see_it(client_as, world, role):
    client_as(role).get(f"/samples/{world.order().id}", 403)


def test_a_pathologist_does_not_receive_tubes(client_as, world):
    sample = world.order(sample_state="registered")
    browser = client_as("pathologist")
    assert not browser.get(f"/samples/{sample.id}").select("form[action$=receive]")
    browser.post(f"/samples/{sample.id}/receive", status=403)


PIXEL = b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little") + bytes(44)
WITH_PICTURES = (
    "H|\\^&|||MEK-1305^1^00984^V02-13|||||||P|LIS02-A2|20261122100000\rP|1\rO|1|^M^1|{mine}|^^^CBC\r"
    "R|1|^^^HGB|13.1|g/dL^9^0|12.00-18.00\rR|2|^^^HIST_RBC|{bmp}\rR|3|^^^HIST_PLT|unknown\r"
    "O|2|^M^2|{other}|^^^CBC\rR|1|^^^HGB|9.1|g/dL^9^0|12.00-18.00\rR|2|^^^HIST_RBC|{bmp}\rL|1\r"
)


@pytest.fixture
def pictured(lab, app, world):
    """Two tubes of one message, each with a picture; the lab, the message and the tubes."""
    unit = AnalyzerSettings("mek", "nihonkohden_celltac", "Celltac", "tcp-listen://127.0.0.1:9155")
    lab = app.state.lab = replace(lab, settings=replace(lab.settings, analyzers=(unit,)))
    mine, other = world.order(tests=("HB",)), world.order(tests=("HB",))
    body = WITH_PICTURES.format(mine=mine.sample_id, other=other.sample_id, bmp=b64encode(PIXEL).decode())
    journal = Journal.open(lab.settings.journal)
    message = journal.finish("mek", None, body.encode(), False)
    journal.close()
    pipeline.process(lab, message)
    return message, mine, other


def test_pictures_of_this_tube_and_no_other(client_as, pictured):
    message, mine, other = pictured
    browser = client_as("technician", "hi")
    soup = browser.get(f"/samples/{mine.id}")
    figures = soup.select(".pictures figure")
    assert len(figures) == 1
    assert figures[0].img["alt"] == "मशीन का चित्र HIST_RBC" and figures[0].img["loading"] == "lazy"
    (other_one,) = soup.select("#pictures ~ details li")
    assert "HIST_PLT" in other_one.text and "नहीं दिखाया जा सकता" in other_one.text
    url = figures[0].img["src"]
    answer = browser.client.get(url)
    assert (answer.content, answer.headers["content-type"]) == (PIXEL, "image/bmp")
    said = [answer.headers[h] for h in ("x-content-type-options", "content-security-policy", "cache-control")]
    assert said == ["nosniff", "default-src 'none'; sandbox", "no-store"]
    assert browser.get(f"/samples/{other.id}").select_one("img")["src"] not in (url, "")
    theirs = url.replace(f"/{mine.id}/", f"/{other.id}/")
    for wrong in (theirs, url[:-1] + "1", url[:-1] + "99", url.replace(message.id, "x")):
        browser.get(wrong, 404)


def test_a_picture_is_for_those_who_see_results(client_as, pictured):
    message, mine, _ = pictured
    for role, status in (("reception", 403), ("engineer", 403), ("admin", 403), ("pathologist", 200)):
        assert client_as(role).client.get(f"/samples/{mine.id}/pictures/{message.id}/2").status_code == status


def test_a_curve_is_drawn_with_words(app):
    drawn = curve_svg((0.0, 5.0, 9.0, 5.0), "WBC <b>", "en", app.state.strings)
    assert "Curve WBC &lt;b&gt;: 4 points, highest at point 3" in drawn and drawn.count("<polyline") == 1
    assert curve_svg((1.0,), "x", "en", app.state.strings) == ""
