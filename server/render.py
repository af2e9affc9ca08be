"""Turns a Report into PDF (typst) and HTML, a slip into PDF, a text into a QR code.

Law: pure. What a person typed is data for typst and escaped text for HTML, never markup; the same input gives the
same bytes; a withdrawn report is refused. Source: ISO 15189:2022 7.4.1.6 to 7.4.1.8, domain 1.3.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import segno
import typst
from markupsafe import Markup

from middleware.model import Report
from server import sheet
from server.report_page import REPORT_CSS, page
from server.sheet import Tongue, age
from server.strings import Strings

__all__ = ["REPORT_CSS", "Slip", "pdf", "qr_svg", "report_html", "report_pdf", "slip_pdf"]

HERE = Path(__file__).parent
TEMPLATES = HERE / "typst"
FONTS = HERE / "fonts"
OVERLONG = re.compile(r"[^\s/]{24}(?<!\u094d)(?=[^\s/\u0900-\u0903\u093a-\u094f])")  # never inside a Hindi letter
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
SLIP_STRINGS = (
    "slip.title", "slip.keep", "patient.name", "report.agesex", "report.no", "slip.order", "slip.registered",
    "slip.tests", "slip.samples", "slip.pin", "slip.expected", "slip.how", "slip.step1", "slip.step2", "slip.step3",
    "slip.share", "link.inperson",
)  # fmt: skip
MOST_TESTS = 14  # on a slip; the report says them all


def report_pdf(
    report: Report, lang: str, verify_url: str, strings: Strings, printed_at: datetime | None = None
) -> bytes:
    """The report as PDF in "en" or "hi". ValueError when it is withdrawn; KeyError for another language.

    The QR code holds `verify_url`, a page that proves the report genuine and opens nothing. `printed_at` is an input,
    because the same report printed for the same moment has the same bytes.
    """
    words = sheet.compose(report, lang, strings, printed_at)
    data = asdict(words) | {
        "page_of": strings.t("page.xofy", lang, x="{x}", y="{y}"),
        "qr": qr_svg(verify_url) if verify_url else "",
        "qr_alt": strings.t("report.qr", lang),
        "verify": strings.t("report.verify", lang, url=verify_url) if verify_url else "",
    }
    return pdf("report", data)


def report_html(report: Report, lang: str, strings: Strings) -> Markup:
    """The body of a report page: one <article>, no script, everything escaped. ValueError when it is withdrawn."""
    return page(sheet.compose(report, lang, strings))


@dataclass(frozen=True, slots=True)
class Slip:
    """The paper a patient takes home at registration. `pin` and `url` are clear text: never stored, printed once."""

    facility_en: str
    facility_hi: str
    patient_name: str
    age_text: str
    sex: str  # M, F, O
    report_no: str
    order_no: str
    registered_at: datetime
    tests: tuple[tuple[str, str], ...]  # (English, Hindi)
    samples: tuple[str, ...]  # pretty: SSS-YDDD-NNNN-C
    pin: str
    url: str  # "" when the report may only be collected in person
    phone: str
    expected_at: datetime | None = None


def slip_pdf(slip: Slip, lang: str, strings: Strings) -> bytes:
    """The slip as an A5 page, always in both languages with Hindi first; `lang` names the document's language."""
    both = {key: [strings.t(key, "hi"), strings.t(key, "en")] for key in SLIP_STRINGS}
    return pdf("slip", {"lang": lang, "s": both} | _slip_words(slip, strings))


def _slip_words(slip: Slip, strings: Strings) -> dict[str, object]:
    """What stands on one slip, besides the sentences that stand on all."""
    hindi, english = Tongue(strings, "hi"), Tongue(strings, "en")
    sexes = [f"{age(slip.age_text, t)} / {t(f'sex.{slip.sex}')}" for t in (hindi, english)]
    more = len(slip.tests) - MOST_TESTS
    return {
        "facility": [slip.facility_hi, slip.facility_en],
        "name": slip.patient_name,
        "agesex": sexes,
        "report_no": slip.report_no,
        "order_no": slip.order_no,
        "registered": hindi.when(slip.registered_at),
        "expected": [t.when(slip.expected_at) if slip.expected_at else t("slip.ask") for t in (hindi, english)],
        "tests": [[hi, en] for en, hi in slip.tests[:MOST_TESTS]],
        "more": [t("slip.more", n=more) for t in (hindi, english)] if more > 0 else [],
        "samples": slip.samples,
        "pin": slip.pin,
        "url": slip.url,
        "qr": qr_svg(slip.url) if slip.url else "",
        "qr_alt": hindi("slip.qr"),
        "help": [t("help.phone", phone=slip.phone) for t in (hindi, english)] if slip.phone else [],
    }


def qr_svg(text: str) -> str:
    """The text as a QR code in SVG, black on white with its quiet zone, sized by who shows it."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", border=4, xmldecl=False, svgns=True, omitsize=True, dark="#000", light="#fff"
    )
    return out.getvalue().decode()


def pdf(template: str, data: Mapping[str, object]) -> bytes:
    """One of the templates filled with data. The data is JSON in one input string, so nothing in it can be markup."""
    made = typst.compile(
        str(TEMPLATES / f"{template}.typ"),
        root=str(TEMPLATES),  # nothing outside can be read
        font_paths=[str(FONTS)],
        ignore_system_fonts=True,  # the same on every machine
        sys_inputs={"data": json.dumps(_printable(data), ensure_ascii=False)},
        format="pdf",
    )
    assert isinstance(made, bytes)
    return made


def _printable(value: object) -> object:
    """The same data without letters that print nothing or turn the line round, and with a place to break in every
    overlong word, so that no name runs out of its box."""
    if isinstance(value, str):
        seen = UNSEEN.sub(" ", value)
        return seen if seen.startswith(("<svg", "http")) else OVERLONG.sub("\\g<0>\u200b", seen)
    if isinstance(value, Mapping):
        return {key: _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(inner) for inner in value]
    return value
