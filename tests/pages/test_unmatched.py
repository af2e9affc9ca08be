"""The tray: what is nobody's is shown with its reason and only a person, with a reason, gives it to a tube."""

from __future__ import annotations

import pytest

from middleware.sample_id import damm
from middleware.schema import ResultRow, UnmatchedRow
from server.lab.pages.unmatched import near


def words(tag):
    return " ".join(tag.text.split())


def wrong_digit(number: str) -> str:
    """The number with its tenth digit misread."""
    return number[:9] + str((int(number[9]) + 1) % 10) + number[10:]


def test_rows_are_grouped_by_message_and_number(client_as, world):
    for name, value in (("HGB", "11.2"), ("PLT", "210")):
        world.unmatched(name=name, code=name, value=value)
    world.unmatched(message_id="m2", sample_id="", name="GLU", value="98")
    soup = client_as("technician").get("/unmatched")
    assert [(words(s.h2), words(s.select_one(".values"))) for s in soup.select(".tray")] == [
        ("The analyzer sent number 107-6326-0042-5", "HGB 11.2 g/dL PLT 210 g/dL"),
        ("The analyzer sent no number", "GLU 98 g/dL"),
    ]
    assert "No sample has this number." in soup.text


def test_the_tube_with_one_misread_digit_is_suggested_and_not_chosen(client_as, world):
    sample = world.order(world.patient("Ram Lal"), tests=("HB",))
    row = world.unmatched(sample_id=wrong_digit(sample.sample_id), code="HGB")
    soup = client_as("technician").get(f"/unmatched/{row}")
    (suggestion,) = soup.select(".choose li")
    assert "one digit differs" in words(suggestion) and "Ram Lal" in words(suggestion)
    assert suggestion.input["value"] == str(sample.id) and not soup.select(".choose [checked]")


def test_tubes_that_wait_for_the_test_are_suggested(client_as, world):
    waiting = world.order(world.patient("Waits"), tests=("HB",))
    world.order(world.patient("Other"), tests=("PLT",))
    row = world.unmatched(sample_id="7", code="HGB")
    soup = client_as("technician").get(f"/unmatched/{row}")
    assert [i["value"] for i in soup.select(".choose input")] == [str(waiting.id)]


def test_scanning_the_tube_puts_it_on_top(client_as, world):
    world.order(world.patient("Waits"), tests=("HB",))
    mine = world.order(world.patient("Mine"), tests=("WBC",))
    row = world.unmatched(sample_id="7", code="HGB")
    browser = client_as("technician")
    browser.post(f"/unmatched/{row}/find", {"q": mine.sample_id})
    soup = browser.get(f"/unmatched/{row}")
    assert words(soup.select_one(".choose li strong")).replace("-", "") == mine.sample_id
    browser.post(f"/unmatched/{row}/find", {"q": "000"})
    assert "No usable sample has this number" in browser.get(f"/unmatched/{row}").text


def test_link_files_a_held_result_with_the_reason(client_as, world):
    sample = world.order(tests=("HB",))
    row = world.unmatched(sample_id="7", code="HGB")
    form = {"row": row, f"test{row}": "HB", "sample": sample.id, "reason": "label read by eye"}
    soup = client_as("technician").post_page(f"/unmatched/{row}/link", form)
    assert "1 linked. They wait on the worklist." in soup.text
    (result,) = world.rows(ResultRow)
    assert (result["sample_pk"], result["test"], result["display"], result["state"]) == (
        sample.id,
        "HB",
        "11.2",
        "held",
    )
    (tray,) = world.rows(UnmatchedRow)
    assert (tray["state"], tray["closed_by"], tray["closed_note"], tray["result_id"]) == (
        "linked", "Technician Devi", "label read by eye", result["id"],
    )  # fmt: skip


def test_an_unknown_code_asks_for_the_test(client_as, world):
    sample = world.order(tests=("HB",))
    row = world.unmatched(sample_id=sample.sample_id, sample_pk=sample.id, code="NEW1", name="NEW1")
    browser = client_as("technician")
    soup = browser.get(f"/unmatched/{row}")
    select = soup.select_one(f"select[name=test{row}]")
    assert select.option["value"] == "" and len(select.select("option")) > 100
    form = {"row": row, f"test{row}": "", "sample": sample.id, "reason": "x"}
    soup = browser.post_page(f"/unmatched/{row}/link", form, status=409)
    assert "Choose the test of every ticked row." in soup.select_one("[role=alert]").text
    assert world.rows(ResultRow) == []


def test_what_cannot_be_filed_stays_with_the_reason(client_as, world):
    sample = world.order(tests=("HB",))
    good, bad = world.unmatched(sample_id="7", code="HGB"), world.unmatched(sample_id="7", code="PLT")
    form = {"row": [good, bad], f"test{good}": "HB", f"test{bad}": "PLT", "sample": sample.id, "reason": "seen"}
    soup = client_as("technician").post_page(f"/unmatched/{good}/link", form, status=409)
    assert soup.select_one("[role=alert]").text.strip("‼ ") != ""
    assert {r["id"]: r["state"] for r in world.rows(UnmatchedRow)} == {good: "linked", bad: "open"}


@pytest.mark.parametrize(
    ("missing", "said"),
    [("sample", "Choose the tube first."), ("row", "Tick at least one row."), ("reason", "check this field: Reason")],
)
def test_nothing_is_linked_with_a_part_missing(client_as, world, missing, said):
    sample = world.order(tests=("HB",))
    row = world.unmatched()
    form = {"row": row, f"test{row}": "HB", "sample": sample.id, "reason": "seen"}
    del form[missing]
    response = client_as("technician").post(f"/unmatched/{row}/link", form, 422 if missing == "reason" else 409)
    assert said in response.text and world.rows(ResultRow) == []


def test_dismiss_keeps_the_row_with_the_reason(client_as, world):
    rows = [world.unmatched(), world.unmatched()]
    soup = client_as("technician").post_page(f"/unmatched/{rows[0]}/dismiss", {"row": rows, "reason": "washing"})
    assert "2 dismissed." in soup.text and "The tray is empty" in soup.text
    assert {(r["state"], r["closed_note"]) for r in world.rows(UnmatchedRow)} == {("dismissed", "washing")}
    assert "washing" in soup.select_one("#closed ~ table").text


def test_near_knows_the_four_slips():
    number = "10763260042" + damm("10763260042")
    assert near(wrong_digit(number))[number] == "digit"
    assert near(number[:4] + number[5] + number[4] + number[6:])[number] == "swap"
    assert near(number[:5] + number[6:])[number] == "missing"
    assert near(number[:5] + "9" + number[5:])[number] == "extra"
    assert near("abc") == near(None) == near("12") == {}


def test_closed_or_unknown_rows(client_as, world):
    row = world.unmatched(state="dismissed", closed_by="X", closed_note="rinse", closed_at=world.lab.now())
    browser = client_as("technician")
    assert "rinse" in browser.get(f"/unmatched/{row}").text and not browser.get(f"/unmatched/{row}").select("#act")
    browser.get("/unmatched/999", 404)


@pytest.mark.parametrize("role", ["reception", "engineer", "admin"])
def test_who_may_not(client_as, world, role):
    row = world.unmatched()
    client_as(role).get("/unmatched", 403)
    client_as(role).post(f"/unmatched/{row}/dismiss", {"row": row, "reason": "x"}, status=403)
