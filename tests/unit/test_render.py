"""Reports and slips on paper: every item of ISO 15189:2022 7.4.1.6 to 7.4.1.8 is there, and no name is markup."""

import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pypdfium2
import pytest
import typst
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.model import LinkPolicy, Report, ReportLine, ReportSample, ReportStatus, Sex
from server.render import Slip, pdf, qr_svg, report_pdf, slip_pdf
from server.strings import Strings

STRINGS = Strings.load(Path(__file__).parents[2] / "config")
VERIFY = "https://r.example.gov.in/verify/VNS-CHC-CHP-261122-0042?v=1&h=0123456789abcdef"
HOSTILE = (
    '#panic("x")',
    '#read("/etc/passwd")',
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x")',
    "$x$ *b* _i_ `c`",
)


def at(hour: int, minute: int) -> datetime:
    """A moment of 22 November 2026, given in UTC: 5 h 30 min earlier than printed."""
    return datetime(2026, 11, 22, hour, minute, tzinfo=UTC)


PRINTED = at(9, 0)
HB = ReportLine(
    test="HB",
    name_en="Haemoglobin",
    name_hi="हीमोग्लोबिन",
    panel="CBC",
    specimen="EDTA whole blood",
    loinc="718-7",
    method="Cyanide-free",
    value="6.8",
    unit="g/dL",
    flag="LL",
    interval="12.0 - 15.0",
    status="final",
    analyzer="xn550",
    released_by="Dr. Anita Verma, MD (Pathology)",
    released_at=at(8, 10),
)
PLT = replace(
    HB,
    test="PLT",
    name_en="Platelet count",
    name_hi="प्लेटलेट",
    loinc="26515-7",
    value="412",
    unit="10^3/µL",
    flag="H",
    interval="150 - 410",
    note="= 4.12 lakh/cumm",
)
NS1 = replace(
    HB,
    test="DENNS1",
    name_en="Dengue NS1 antigen",
    name_hi="डेंगू NS1",
    panel="SERO",
    specimen="Serum",
    loinc="75377-2",
    method="Rapid card",
    value="Negative",
    unit="",
    flag="N",
    interval="Negative",
    typed=True,
    analyzer="",
    released_by="Sunil Kumar, DMLT",
    released_at=at(8, 20),
)


def undone(code: str, name: str, status: str, note: str = "") -> ReportLine:
    return replace(
        NS1, test=code, name_en=name, value="", flag="", interval="", status=status, note=note, typed=False,
        released_by="", released_at=None,
    )  # fmt: skip


REPORT = Report(
    report_no="VNS-CHC-CHP-261122-0042",
    version=1,
    status=ReportStatus.FINAL,
    facility_code="VNS-CHC-CHP",
    facility_en="CHC Cholapur",
    facility_hi="सामुदायिक स्वास्थ्य केंद्र, चोलापुर",
    facility_address="Cholapur, Varanasi 221101",
    facility_phone="0542-2500000",
    department="Medicine OPD",
    doctor="Dr. R. K. Singh",
    patient_name="Savitri Devi",
    uhid="107-P000123",
    sex=Sex.FEMALE,
    age_text="45 y",
    ordered_at=at(3, 30),
    registered_at=at(3, 50),
    samples=(
        ReportSample("107632600424", "EDTA whole blood", at(4, 10), at(4, 35)),
        ReportSample("107632600432", "Serum", at(4, 12), at(4, 35)),
        ReportSample("107632600440", "Fluoride plasma (PP)", None, at(4, 36), "rejected", "hemolysed"),
    ),
    lines=(
        HB,
        PLT,
        NS1,
        undone("GLUF", "Glucose, fasting", "rejected", "hemolysed"),
        undone("UREA", "Urea", "rejected", "analyzer out of order"),
        undone("GLUPP", "Glucose, 2 h after meal", "cancelled", "patient did not return"),
    ),
    issued_at=at(8, 35),
    released_by="Dr. Anita Verma, MD (Pathology), Sunil Kumar, DMLT",
    link=LinkPolicy.YES,
    comments=("Critical haemoglobin told to Dr. R. K. Singh at 13:20; read back.",),
    tested_at=at(6, 0),
    abha_masked="XX-XXXX-XXXX-1234",
    state_line="Department of Medical, Health & Family Welfare, Uttar Pradesh",
    licence="UP-123",
)
INTERIM = replace(REPORT, status=ReportStatus.INTERIM, lines=(HB, undone("TSH", "TSH", "pending")))
AMENDED = replace(
    REPORT,
    version=2,
    status=ReportStatus.AMENDED,
    lines=(replace(HB, value="11.7", flag="L", status="amended", previous="6.8 g/dL"), PLT),
    amended_reason="A clot was found in the first tube",
    replaces_version=1,
    replaces_issued_at=at(7, 0),
    issued_at=at(9, 40),
)


def printed(report: Report, lang: str = "en", verify: str = VERIFY) -> bytes:
    return report_pdf(report, lang, verify, STRINGS, PRINTED)


def texts(document: bytes) -> list[str]:
    """The text of each page, blanks as one blank, places to break taken out."""
    with contextlib.closing(pypdfium2.PdfDocument(document)) as opened:
        found = [page.get_textpage().get_text_bounded() for page in opened]
    return [" ".join(text.replace("\u200b", "").replace("\ufffe", "").split()) for text in found]


def text(document: bytes) -> str:
    return " ".join(texts(document))


def codes(document: bytes) -> list[str]:
    """What a phone's camera reads on the first page."""
    with contextlib.closing(pypdfium2.PdfDocument(document)) as opened:
        bitmap = opened[0].render(scale=150 / 72, grayscale=True)
        raw = b"".join(bytes(bitmap.buffer)[y * bitmap.stride :][: bitmap.width] for y in range(bitmap.height))
        pixels = memoryview(raw).cast("B", (bitmap.height, bitmap.width))
    return [code.text for code in zxingcpp.read_barcodes(pixels)]


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


# ---- the slip ---------------------------------------------------------------------------------------------------

SLIP = Slip(
    facility_en="CHC Cholapur",
    facility_hi="सामुदायिक स्वास्थ्य केंद्र, चोलापुर",
    patient_name="Savitri Devi",
    age_text="45 y",
    sex="F",
    report_no="VNS-CHC-CHP-261122-0042",
    order_no="261122-0042",
    registered_at=at(3, 50),
    tests=(("Complete blood count (CBC)", "खून की पूरी जांच (CBC)"), ("Dengue NS1 antigen", "डेंगू NS1")),
    samples=("107-6326-0042-4", "107-6326-0043-2"),
    pin="402817",
    url="https://r.example.gov.in/8K3F9QXZ2M7TWB4D",
    phone="0542-2500000",
    expected_at=at(10, 30),
)


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
