"""One report of everything that can stand on a report, the slip of the same visit, and what can be read off a PDF."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pypdfium2
import zxingcpp

from middleware.model import LinkPolicy, Report, ReportLine, ReportSample, ReportStatus, Sex
from server.render import Slip, report_pdf
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
