"""Reports on paper: every item of ISO 15189:2022 7.4.1.6 to 7.4.1.8 is there, and no name is markup."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.model import ReportSample, ReportStatus
from server.render import pdf, qr_svg, slip_pdf
from tests.unit.printed import AMENDED, HB, HOSTILE, INTERIM, REPORT, SLIP, STRINGS, VERIFY, codes, printed, text, texts

# ---- 7.4.1.6 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "said"),
    {
        "a patient": ("Savitri Devi", "45 years / Female", "107-P000123", "XX-XXXX-XXXX-1234"),
        "a collected": ("Sample collected 22-11-2026 09:40 to 09:42",),
        "a issued": ("Report issued 22-11-2026 14:05",),
        "b laboratory": ("CHC Cholapur", "Cholapur, Varanasi 221101", "Phone 0542-2500000", "Licence UP-123"),
        "b state": ("Department of Medical, Health & Family Welfare, Uttar Pradesh",),
        "c requester": ("Referred by Dr. R. K. Singh", "Department/Ward Medicine OPD"),
        "d specimen": ("107-6326-0042-4 EDTA whole blood", "107-6326-0043-2 Serum", "Fluoride plasma (PP)"),
        "e examined": ("Complete blood count (CBC)", "Haemoglobin", "Dengue NS1 antigen"),
        "f method": ("Cyanide-free · LOINC 718-7 · xn550", "Rapid card · LOINC 75377-2 · typed by hand"),
        "g result, unit": ("6.8", "g/dL", "412", "10³/µL", "= 4.12 lakh/cumm"),
        "h interval": ("12.0 - 15.0", "150 - 410"),
        "j released": ("Dr. Anita Verma, MD (Pathology) 22-11-2026 13:40", "Sunil Kumar, DMLT 22-11-2026 13:50"),
        "k status": ("Final report",),
        "l critical": ("LL Critical: Very low - see a doctor now",),
        "m one number": ("VNS-CHC-CHP-261122-0042 · Version 1", "Page 1 of 1", "End of report"),
        "times": ("Ordered 22-11-2026 09:00", "Tested 22-11-2026 11:30", "Report released 22-11-2026 13:50"),
        "times 2": ("Received in lab 22-11-2026 10:05 to 10:06", "Printed on 22-11-2026 14:30", "UTC +05:30"),
        "not recorded": ("not recorded 22-11-2026 10:06 Could not be used: Blood cells broke in the tube",),
        "not done": (
            "Sample could not be used: Blood cells broke in the tube (haemolysed). Please give a new sample.",
        ),
        "not done 2": ("This test could not be done: analyzer out of order",),
        "cancelled": ("Test cancelled: patient did not return",),
        "comments": ("Critical haemoglobin told to Dr. R. K. Singh at 13:20; read back.",),
        "relates": ("Results relate only to the sample received.", "Please show this report to your doctor."),
        "genuine": (VERIFY,),
    }.items(),
)
def test_7_4_1_6_every_item_is_printed(item: str, said: tuple[str, ...]) -> None:
    found = text(printed(REPORT))
    assert [s for s in said if s not in found] == [], item


def test_7_4_1_6_a_m_seventy_tests_carry_patient_and_number_on_every_page() -> None:
    lines = tuple(replace(HB, test=f"T{n}", name_en=f"Test number {n}", panel=f"P{n // 9}") for n in range(70))
    pages = texts(printed(replace(REPORT, lines=lines)))
    assert len(pages) >= 3
    for number, page in enumerate(pages, 1):
        for said in (
            f"Page {number} of {len(pages)}",
            "CHC Cholapur",
            "Name Savitri Devi",
            "45 years / Female",
            "107-P000123",
            "VNS-CHC-CHP-261122-0042 · Version 1",
            "Sample collected 22-11-2026 09:40 to 09:42",
            "Report issued 22-11-2026 14:05",
            "Final report",
        ):
            assert said in page, (number, said)
        assert ("Test Result Status Unit Normal range" in page) == ("LOINC" in page)
    assert [n for n in range(70) if " ".join(pages).count(f"Test number {n} ") != 1] == []
    assert [page.count("Test number") - page.count("Cyanide-free") for page in pages] == [0] * len(pages)  # none is cut
    assert ["End of report" in page for page in pages] == [False] * (len(pages) - 1) + [True]


def test_abnormal_is_bold_and_a_letter_and_a_word_never_colour_alone() -> None:
    assert "Haemoglobin हीमोग्लोबिन" in text(printed(REPORT))
    usual = text(printed(replace(REPORT, lines=(replace(HB, flag="N"),))))
    assert "6.8 Normal g/dL 12.0 - 15.0" in usual
    for flag, word in (("H", "High"), ("L", "Low"), ("A", "Not normal")):
        assert f"6.8 {flag} {word} g/dL" in text(printed(replace(REPORT, lines=(replace(HB, flag=flag),))))


def test_no_interval_no_flag_no_word() -> None:
    bare = text(printed(replace(REPORT, lines=(replace(HB, flag="", interval=""),))))
    assert "6.8 g/dL" in bare
    assert "Normal g/dL" not in bare


def test_one_tube_has_one_time_and_a_missing_one_is_said() -> None:
    one = replace(REPORT, samples=(replace(REPORT.samples[0], collected_at=None),), doctor="", tested_at=None)
    found = text(printed(one))
    for said in ("Sample collected not recorded", "Received in lab 22-11-2026 10:05", "Tested not recorded"):
        assert said in found
    assert "Referred by not recorded" in found


def test_a_result_released_by_approved_rules_says_so() -> None:
    found = text(printed(replace(REPORT, lines=(replace(HB, released_by="auto"),))))
    assert "Released by computer rules approved by the laboratory 22-11-2026 13:40" in found


# ---- interim, amended, withdrawn --------------------------------------------------------------------------------


def test_an_interim_report_says_so_on_every_page_and_names_what_is_awaited() -> None:
    found = text(printed(INTERIM))
    for said in (
        "Interim report - some results are awaited",
        "Preliminary: printed for the doctor. A final report follows.",
        "INTERIM",
        "Rapid card · LOINC 75377-2 Test is going on",
    ):
        assert said in found
    assert "Final report" not in found


def test_7_4_1_8_an_amended_report_names_reason_change_and_original() -> None:
    found = text(printed(AMENDED))
    for said in (
        "Corrected report - replaces the earlier report of 22-11-2026 12:30",
        "Reason: A clot was found in the first tube",
        "Version 2 replaces version 1 of 22-11-2026 12:30",
        "Haemoglobin (हीमोग्लोबिन) · Corrected: 6.8 g/dL → 11.7 g/dL",
        "VNS-CHC-CHP-261122-0042 · Version 2",
    ):
        assert said in found


def test_a_withdrawn_report_is_refused() -> None:
    with pytest.raises(ValueError, match="withdrawn"):
        printed(replace(REPORT, status=ReportStatus.WITHDRAWN))


# ---- Hindi ------------------------------------------------------------------------------------------------------


def test_the_hindi_report_says_the_same() -> None:
    """Extraction of Hindi may set stray blanks between letters, so blanks are left out."""
    found = "".join(text(printed(REPORT, "hi")).split())
    for said in (
        "जांच", "नतीजा", "सामान्य सीमा", "45 वर्ष / महिला", "खून", "हीमोग्लोबिन", "पृष्ठ 1 / 1", "Haemoglobin",
        "22-11-2026 09:40 से 09:42", "दर्ज नहीं", "हाथ से भरा गया", "निगेटिव (नहीं पाया गया)",
    ):  # fmt: skip
        assert said.replace(" ", "") in found, said
    assert not re.search("[०-९]", found)


def test_hindi_is_drawn_with_joined_letters_and_no_empty_boxes() -> None:
    """Conjuncts take less room than their letters with a visible halant between (a ZWNJ keeps them apart)."""

    def ink(name: str) -> int:
        with contextlib.closing(pypdfium2.PdfDocument(slip_pdf(replace(SLIP, patient_name=name), "hi", STRINGS))) as d:
            return sum(255 - byte for byte in bytes(d[0].render(scale=2, grayscale=True).buffer))

    nobody = ink("")
    joined, apart, box = (ink(n) - nobody for n in ("क्षत्रस्त्री", "क्\u200cषत्\u200cरस्\u200cत्\u200cरी", "\U0010ffff" * 4))
    assert 0 < joined != apart > 0
    assert joined != box


# ---- names are data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_and_nothing_else(name: str) -> None:
    line = replace(HB, name_en=name, name_hi=name, method=name, value=name, note=name, unit=name, interval=name)
    sample = ReportSample(name, name, None, None, "rejected", name)
    report = replace(
        REPORT, patient_name=name, doctor=name, department=name, facility_en=name, facility_hi=name, uhid=name,
        facility_address=name, age_text=name, comments=(name,), lines=(line,), samples=(sample,),
    )  # fmt: skip
    assert text(printed(report)).replace(" ", "").count(name.replace(" ", "")) >= 12


@settings(max_examples=12, deadline=None)
@given(st.text(max_size=150))
def test_any_name_can_be_printed(name: str) -> None:
    assert printed(replace(REPORT, patient_name=name, lines=(HB,))).startswith(b"%PDF-")


def test_a_name_that_turns_the_line_round_is_printed_straight() -> None:
    assert "Name 12 34" in text(printed(replace(REPORT, patient_name="12\u202e34")))


def test_long_names_do_not_push_the_head_off_the_page() -> None:
    name = "W" * 120
    found = texts(printed(replace(REPORT, patient_name=name, facility_en="Hospital of many names " * 8)))
    assert all(page.replace(" ", "").count(name) == 2 for page in found)  # in the head and at the foot


def test_a_template_cannot_read_outside_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "typst").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr("server.render.TEMPLATES", tmp_path / "typst")
    (tmp_path / "typst/probe.typ").write_text('#read("../secret.txt")')
    with pytest.raises(typst.TypstError, match="escape the project root"):
        pdf("probe", {})


# ---- bytes ------------------------------------------------------------------------------------------------------


def test_a_comment_longer_than_a_page_is_printed_whole() -> None:
    words = [f"word{n}" for n in range(900)]
    found = text(printed(replace(REPORT, lines=(replace(HB, note=" ".join(words)),), comments=(" ".join(words),))))
    assert [word for word in words if len(re.findall(rf"\b{word}\b", found)) != 2] == []


@pytest.mark.parametrize("lang", ["en", "hi"])
def test_the_same_report_is_the_same_bytes(lang: str) -> None:
    first = printed(REPORT, lang)
    assert first == printed(REPORT, lang)
    assert first != printed(replace(REPORT, version=2), lang)
    assert len(first) < 150_000


def test_the_qr_code_opens_the_page_that_proves_the_report_genuine() -> None:
    assert codes(printed(REPORT)) == [VERIFY]
    assert codes(printed(INTERIM, verify="")) == []
    assert "http" not in text(printed(INTERIM, verify=""))


def test_a_qr_code_is_plain_svg() -> None:
    made = qr_svg(VERIFY)
    assert made.startswith("<svg")
    assert "viewBox" in made
    assert not re.search("script|style=|href", made)
