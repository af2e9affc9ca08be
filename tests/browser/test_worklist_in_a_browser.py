"""The worklist in a real browser: keys, live updates that never take the focus, and the same without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from middleware.schema import ResultRow
from middleware.store import touch
from tests.pages.conftest import PASSWORD


@pytest.fixture
def three(world):
    """A held, a critical and two green results on two tubes; their ids."""
    one, two = world.order(world.patient("Ram Lal"), tests=("HB", "PLT")), world.order(tests=("HB", "WBC"))
    return {
        "critical": world.result(one, "PLT", "8", critical=True, flag="LL", reasons=[("Very low.", "critical")]),
        "held": world.result(one, "HB", "6.1", flag="L", reasons=[("Fell.", "hold")]),
        "green": world.result(two, "HB", state="autoverified"),
        "green2": world.result(two, "WBC", "6.0", state="autoverified"),
    }


def states(world):
    return {row["id"]: row["state"] for row in world.rows(ResultRow)}


def marked(page):
    return page.evaluate("document.activeElement?.dataset?.row")


def test_work_by_keys(log_in, world, three, accessible):
    page = log_in("technician", path="/worklist")
    page.locator("#q").press("Escape")
    page.keyboard.press("j")
    assert marked(page) == str(three["critical"])
    page.keyboard.press("r")  # refused: nobody was told
    expect(page.locator(f"#r{three['critical']} [role=alert]")).to_contain_text("first record who was told")
    page.keyboard.press("j")
    assert marked(page) == str(three["held"])
    page.keyboard.press("r")
    expect(page.locator(f"#r{three['held']}")).to_have_count(0)
    expect(page.locator("main > .notice")).to_contain_text("1 released.")
    assert states(world)[three["held"]] == "released"
    page.keyboard.press("?")
    expect(page.locator("dialog#help")).to_be_visible()
    accessible(page)
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.wait_for_url("**/worklist/green")
    expect(page.locator("form[action='/worklist/green'] button.primary")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/worklist")
    assert states(world) == {three["critical"]: "held", three["held"]: "released", three["green"]: "released",
                             three["green2"]: "released"}  # fmt: skip


def test_reject_by_keys_and_enter_never_releases(log_in, world, three):
    page = log_in("technician", path="/worklist")
    page.locator("#q").press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.type("clot; r j a")
    page.keyboard.press("Enter")
    expect(page.locator(f"#r{three['held']}")).to_have_count(0)
    (row,) = world.rows(ResultRow, id=three["held"])
    assert (row["state"], row["reject_note"]) == ("rejected", "clot; r j a")
    assert states(world)[three["critical"]] == "held"


def test_new_results_come_by_themselves_or_are_offered(log_in, world, three, lab):
    page = log_in("technician", path="/worklist")
    expect(page.locator("tr[data-row]")).to_have_count(4)
    sample = world.order(world.patient("New Patient"), tests=("HB", "PLT"))
    world.result(sample, "HB")
    with lab.write() as conn:
        touch(conn, "results")
    expect(page.locator("tr[data-row]")).to_have_count(5)  # nobody worked in the list: drawn anew
    page.locator("#q").press("Escape")
    page.keyboard.press("j")
    before = marked(page)
    world.result(sample, "PLT", "210")
    with lab.write() as conn:
        touch(conn, "results")
    expect(page.locator("#news button")).to_have_text("1 new result: show")
    assert marked(page) == before
    expect(page.locator("tr[data-row]")).to_have_count(5)
    page.keyboard.press("n")
    expect(page.locator("tr[data-row]")).to_have_count(6)
    assert marked(page) == before


def test_a_list_that_a_release_has_overtaken_is_not_shown(log_in, world, three, lab):
    """It was made before the release and comes after it: it would offer the released row as a new one."""
    held = []

    def hold(route):
        held.append((route, route.fetch()))

    def looks_again():
        with page.expect_response(lambda answer: answer.request.headers.get("x-live") == "1"), lab.write() as conn:
            touch(conn, "results")

    page = log_in("technician", path="/worklist")
    page.route(lambda url: url.endswith("/worklist"), hold, times=1)
    with lab.write() as conn:
        touch(conn, "results")
    while not held:
        page.wait_for_timeout(20)
    page.locator(f"#r{three['held']} button[name=release]").click()
    expect(page.locator(f"#r{three['held']}")).to_have_count(0)
    route, answer = held[0]
    route.fulfill(response=answer)
    looks_again()
    looks_again()
    expect(page.locator("tr[data-row]")).to_have_count(3)
    expect(page.locator("#news")).to_be_hidden()


def test_all_of_it_without_javascript(browser, site, world, three):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/login?next=/worklist")
    page.fill("[name=username]", "technician")
    page.fill("[name=password]", PASSWORD)
    page.click("button.primary")
    page.click(f"#r{three['held']} button")
    assert states(world)[three["held"]] == "released"
    page.click(f"#r{three['critical']} button")
    assert "first record who was told" in page.inner_text(f"#r{three['critical']} [role=alert]")
    page.click(f"#r{three['green']} summary")
    page.fill(f"#r{three['green']} [name=note]", "clot")
    page.click(f"#r{three['green']} .danger")
    page.click("[data-key=a]")
    page.click("form[action='/worklist/green'] button")
    assert [states(world)[three[k]] for k in ("critical", "held", "green", "green2")] == [
        "held", "released", "rejected", "released",
    ]  # fmt: skip
    context.close()
