"""The paper slip: one A5 page, both languages, a code that opens nothing without the PIN beside it."""

import contextlib
from dataclasses import replace

import pypdfium2
import pytest

from server.render import slip_pdf
from tests.unit.printed import HOSTILE, SLIP, STRINGS, codes, text, texts


@pytest.mark.parametrize("lang", ["en", "hi"])
def test_the_slip_is_one_a5_page_in_both_languages(lang: str) -> None:
    made = slip_pdf(SLIP, lang, STRINGS)
    with contextlib.closing(pypdfium2.PdfDocument(made)) as opened:
        assert len(opened) == 1
        assert [round(side / 72 * 25.4) for side in opened[0].get_size()] == [148, 210]
    found = text(made)
    for said in (
        "CHC Cholapur", "Savitri Devi", "45 years / Female", "VNS-CHC-CHP-261122-0042", "261122-0042",
        "22-11-2026 09:20", "Expected by 22-11-2026 16:00", "107-6326-0042-4", "107-6326-0043-2", SLIP.url,
        "Dengue NS1 antigen", "Enter the 6-digit PIN printed here.", "Help: call 0542-2500000",
        "Do not show or send this PIN to anyone you do not trust.",
    ):  # fmt: skip
        assert said in found, said
    assert "402817" in found.replace(" ", "")
    assert "यहांछपा6अंकोंकापिनडालें" in found.replace(" ", "")
    assert codes(made) == [SLIP.url]
    assert made == slip_pdf(SLIP, lang, STRINGS)


def test_a_report_that_never_goes_by_link_has_a_slip_without_code_and_pin() -> None:
    made = slip_pdf(replace(SLIP, url="", expected_at=None), "hi", STRINGS)
    assert codes(made) == []
    found = text(made)
    assert "Please collect this report from the hospital." in found
    assert "402817" not in found.replace(" ", "")
    assert "Ask at the counter" in found


def test_forty_tests_and_a_long_name_still_fit_one_page() -> None:
    long = replace(SLIP, tests=SLIP.tests * 20, patient_name="Savitri " * 14, samples=SLIP.samples * 4)
    pages = texts(slip_pdf(long, "hi", STRINGS))
    assert len(pages) == 1
    assert "and 26 more" in pages[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_on_a_slip_is_markup(name: str) -> None:
    bad = replace(SLIP, patient_name=name, facility_en=name, tests=((name, name),), order_no=name, phone=name)
    assert text(slip_pdf(bad, "hi", STRINGS)).replace(" ", "").count(name.replace(" ", "")) == 7
