"""Each page in a real browser: axe finds nothing serious, nothing is cut off on a phone, nothing leaves the lab."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import grave

SIZES = ((1366, 768), (390, 844), (360, 740))


@pytest.fixture
def day(world):
    """A day with something to show on every page; the paths by role."""
    now = world.lab.now()
    person = world.patient("श्रीमती गायत्री त्रिपाठी", guardian="Ram Lal")
    for n, value in enumerate(("9.1", "10.4")):
        world.result(world.order(person, tests=("HB",)), "HB", value, flag="L", state="released",
                     released_at=now - timedelta(days=60 - n), released_by="Dr Mishra, MD")  # fmt: skip
    sample = world.order(person, tests=("HB", "PLT", "WBC", "RBC"))
    world.result(sample, "HB", "6.8", flag="L", reasons=[("Fell from 10.4.", "hold"), ("Flag H.", "note")])
    world.result(sample, "PLT", "8", critical=True, flag="LL", reasons=[("Very low.", "critical")])
    world.result(sample, "WBC", "99999999999", verbatim="9" * 60, reasons=[("Cannot be.", "block")])
    world.result(world.order(tests=("HB",)), "HB", state="autoverified")
    row = world.unmatched(sample_id=sample.sample_id, sample_pk=sample.id, code="NEW", name="NEW")
    return {
        "technician": ("/", "/worklist", "/worklist/green", f"/samples/{sample.id}", "/critical", "/unmatched",
                       f"/unmatched/{row}", "/password", "/users", "/nothing"),
        "admin": ("/", "/users", "/audit"),
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize("role", ["technician", "admin"])
def test_accessible_and_whole_at_every_size(log_in, site, day, accessible, role, language):
    page = log_in(role, language)
    for path in day[role]:
        page.set_viewport_size({"width": 1366, "height": 768})
        page.goto(site + path)
        accessible(page)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert too_wide <= 0, f"{path} at {width}: {too_wide} px too wide"


def test_what_is_wrong_is_found(page):
    """The check that all others rely on can fail."""
    page.set_content('<html lang="en"><title>a</title><main><h1>b</h1><img src="data:,"><p style="color:#eee">pale</p>')
    assert [found.partition(":")[0] for found in grave(page)] == ["color-contrast", "image-alt"]


@pytest.mark.parametrize("language", ["en", "hi"])
def test_the_door(page, site, accessible, language):
    page.goto(f"{site}/login")
    if language == "hi":
        page.click(".language button")
    assert page.locator("html").get_attribute("lang") == language
    page.fill("[name=username]", "technician")
    page.fill("[name=password]", "wrong")
    page.click("button.primary")
    expect(page.locator("[role=alert]")).to_be_visible()
    page.wait_for_load_state()
    accessible(page)


def test_an_idle_page_leaves_the_screen(log_in, site, page):
    page.clock.install()
    log_in("technician", path="/worklist")
    page.clock.run_for(14 * 60_000)
    assert "/worklist" in page.url
    page.clock.run_for(2 * 60_000)
    page.wait_for_url("**/login?next=/worklist")
