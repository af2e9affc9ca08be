"""The whole way in a browser: register at the counter, the analyzer sends, release on the worklist, read the report.

Once in English, once in Hindi; the clicks are a person's, only the tube's run on the analyzer is played in.
"""

from __future__ import annotations

from typing import Any

import pytest

from middleware import pipeline
from middleware.journal import Journal
from middleware.sample_id import normalise

MESSAGE = (
    "H|\\^&|||XN-550^00-11^11001^^^^12345678||||||||E1394-97\rP|1\rO|1||^^    {}^B|^^^^HGB|||||||N||||||||||||||F\r"
    "R|1|^^^^HGB^1|9.4|g/dL||N||||||20261122100000\rL|1|N\r"
)
WORDS = {
    "en": {"name": "Kamla Devi", "female": "Female", "title": "Laboratory Report", "test": "Haemoglobin", "low": "Low"},
    "hi": {"name": "कमला देवी", "female": "महिला", "title": "जांच रिपोर्ट", "test": "हीमोग्लोबिन", "low": "कम"},
}


def play(lab: Any, sample_id: str) -> None:
    """The analyzer measures the tube."""
    journal = Journal.open(lab.settings.journal)
    session = journal.session("xn550", "LIS2-A2", "10.0.0.7")
    body = MESSAGE.format(sample_id).encode()
    message = journal.message(session, body)
    journal.append(session, b"\x021" + body + b"\x033F\r\n", "frame 1", frame=True, messages=(message,))
    journal.close()
    pipeline.process(lab, message)


@pytest.mark.parametrize("language", ["en", "hi"])
def test_register_to_report(log_in, site, page, lab, accessible, language):
    words = WORDS[language]
    log_in("technician", language, "/register")
    page.locator("[name=name]").fill(words["name"])
    page.get_by_label(words["female"], exact=True).check()
    page.locator("[name=age]").fill("45")
    page.locator("[data-filter]").fill("haemo" if language == "en" else "हीमोग्लोबिन")
    page.locator("label:has([name=tests][value=HB])").click()
    assert "1" in page.locator("[data-count]").inner_text()
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/orders/*")
    order = page.url
    assert page.locator("h1").inner_text().split()[-1].startswith("107-")

    sample_id = normalise(page.locator("table tbody th").first.inner_text().replace("-", ""))
    page.locator("form[action$='/receive'] button").click()
    play(lab, sample_id)

    page.goto(f"{site}/worklist")
    row = page.locator("tr[data-row]")
    assert "9.4" in row.inner_text()
    accessible(page)
    row.locator("button[name=release]").click()
    page.wait_for_selector("tr[data-row]", state="detached")

    page.goto(order)
    page.locator("a[href^='/reports/']").last.click()
    for lang, said in WORDS.items():
        if page.locator(".preview article").get_attribute("lang") != lang:
            page.locator(f".head ~ .columns a[lang={lang}]").click()
            page.wait_for_selector(f".preview article[lang={lang}]")
        sheet = page.locator(".preview article").inner_text()
        assert {w for w in (said["title"], said["test"], said["low"], "9.4", words["name"]) if w not in sheet} == set()
    accessible(page)

    with page.expect_popup() as opened:
        page.locator("a[href*='print.pdf?lang=hi']").click()
    opened.value.close()
    printed = page.request.get(site + page.locator("a[href*='print.pdf?lang=hi']").get_attribute("href"))
    assert printed.body().startswith(b"%PDF")
