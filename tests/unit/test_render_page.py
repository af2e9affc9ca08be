"""The report as HTML: says what the paper says, is small, needs no script, and nothing typed becomes markup."""

import re
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup, Tag

from middleware.model import ReportSample, ReportStatus
from server.render import REPORT_CSS, report_html
from tests.unit.printed import AMENDED, HB, HOSTILE, INTERIM, REPORT, STRINGS

TAGS = {
    "article", "header", "h1", "h2", "h3", "p", "span", "small", "b", "i", "section", "dl", "div", "dt", "dd", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong",
}  # fmt: skip
ATTRIBUTES = {"class", "lang", "role", "scope", "colspan", "data-l"}


def page(report: object = REPORT, lang: str = "en") -> BeautifulSoup:
    return BeautifulSoup(report_html(report, lang, STRINGS), "html.parser")


def said(tag: Tag) -> str:
    return tag.get_text(" ", strip=True)


def rows(soup: BeautifulSoup) -> list[list[str]]:
    return [[said(cell) for cell in row.find_all(["th", "td"])] for row in soup.select("tbody tr")]


def test_the_rows_of_the_table_are_the_lines_of_the_report() -> None:
    name = "हीमोग्लोबिन Cyanide-free · LOINC 718-7 · xn550"
    critical = "LL Critical: Very low - see a doctor now"
    rapid = "डेंगू NS1 Rapid card · LOINC 75377-2"
    unusable = "Sample could not be used: Blood cells broke in the tube (haemolysed). Please give a new sample."
    assert rows(page()) == [
        [f"Haemoglobin {name}", "6.8", critical, "g/dL", "12.0 - 15.0"],
        [
            "Platelet count प्लेटलेट Cyanide-free · LOINC 26515-7 · xn550",
            "412 = 4.12 lakh/cumm",
            "H High",
            "10³/µL",
            "150 - 410",
        ],
        [f"Dengue NS1 antigen {rapid} · typed by hand", "Negative", "Normal", "", "Negative"],
        [f"Glucose, fasting {rapid}", unusable],
        [f"Urea {rapid}", "This test could not be done: analyzer out of order"],
        [f"Glucose, 2 h after meal {rapid}", "Test cancelled: patient did not return"],
    ]


@pytest.mark.parametrize(
    "words",
    [
        "CHC Cholapur सामुदायिक स्वास्थ्य केंद्र, चोलापुर",
        "Name Savitri Devi Age / Sex 45 years / Female UHID / OPD No. 107-P000123",
        "Report No. VNS-CHC-CHP-261122-0042 · Version 1",
        "Sample collected 22-11-2026 09:40 to 09:42 Report issued 22-11-2026 14:05",
        "Please see a doctor now: Haemoglobin",
        "2 of 3 results are outside the normal range.",
        "Referred by Dr. R. K. Singh Department/Ward Medicine OPD ABHA number XX-XXXX-XXXX-1234",
        "Checked and released by Dr. Anita Verma, MD (Pathology) · 22-11-2026 13:40 Sunil Kumar, DMLT",
        "UTC +05:30",
        "107-6326-0044-0",
        "End of report",
    ],
)
def test_the_page_says_what_the_paper_says(words: str) -> None:
    assert words in said(page())


def test_the_page_does_not_speak_of_printing() -> None:
    assert "Printed on" not in said(page())


def test_hindi_first_for_the_patient() -> None:
    soup = page(lang="hi")
    assert [article["lang"] for article in soup.find_all("article")] == ["hi"]
    found = said(soup)
    for words in ("कृपया तुरंत डॉक्टर को दिखाएं: हीमोग्लोबिन", "3 में से 2 नतीजे", "45 वर्ष / महिला", "निगेटिव (नहीं पाया गया)"):
        assert words in found
    assert not re.search("[०-९]", found)


def test_interim_and_corrected_reports_open_with_a_banner() -> None:
    assert said(page(INTERIM).select(".lm-banner.lm-interim")[0]).startswith(
        "Interim report - some results are awaited"
    )
    assert said(page(AMENDED).select(".lm-banner.lm-amended")[0]) == (
        "Corrected report - replaces the earlier report of 22-11-2026 12:30 Reason: A clot was found in the first tube"
        " Version 2 replaces version 1 of 22-11-2026 12:30"
        " Haemoglobin (हीमोग्लोबिन) · Corrected: 6.8 g/dL → 11.7 g/dL"
    )
    assert page().select(".lm-banner") == []


def test_nothing_outside_the_interval_is_said_too() -> None:
    usual = page(replace(REPORT, lines=(replace(HB, flag="N"),)))
    assert "No result is outside the normal range." in said(usual)
    assert usual.select(".lm-urgent") == []


def test_a_withdrawn_report_is_refused() -> None:
    with pytest.raises(ValueError, match="withdrawn"):
        page(replace(REPORT, status=ReportStatus.WITHDRAWN))


@pytest.mark.parametrize("lang", ["en", "hi"])
def test_no_script_no_style_no_address(lang: str) -> None:
    soup = page(lang=lang)
    assert {tag.name for tag in soup.find_all(True)} <= TAGS
    assert {name for tag in soup.find_all(True) for name in tag.attrs} <= ATTRIBUTES
    assert "http" not in report_html(REPORT, lang, STRINGS)


@pytest.mark.parametrize("name", [*HOSTILE, '" onmouseover="x', "</article>{0}{x}"])
def test_a_name_is_text_and_nothing_else(name: str) -> None:
    line = replace(HB, name_en=name, name_hi=name, method=name, value=name, note=name, unit=name, interval=name)
    sample = ReportSample(name, name, None, None, "rejected", name)
    report = replace(
        AMENDED, patient_name=name, doctor=name, department=name, facility_en=name, facility_hi=name, uhid=name,
        facility_address=name, age_text=name, comments=(name,), lines=(replace(line, previous=name),),
        samples=(sample,), amended_reason=name,
    )  # fmt: skip
    soup = page(report)
    assert {tag.name for tag in soup.find_all(True)} <= TAGS
    assert {key for tag in soup.find_all(True) for key in tag.attrs} <= ATTRIBUTES
    assert soup.get_text().count(name) >= 15


def test_sixty_tests_are_small_enough_for_a_slow_phone() -> None:
    hindi, flags = "लाल कण में हीमोग्लोबिन की सघनता", ("N", "H", "L", "N", "LL")
    lines = tuple(replace(HB, test=f"T{n}", panel=f"P{n // 9}", name_hi=hindi, flag=flags[n % 5]) for n in range(60))
    for lang in ("en", "hi"):
        assert len(report_html(replace(REPORT, lines=lines), lang, STRINGS).encode()) < 40_000
    assert len(REPORT_CSS.encode()) <= 6_000
    assert not re.search(r"@import|url\(|[<]", REPORT_CSS)
