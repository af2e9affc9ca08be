"""The report document: ISO 15189 7.4.1.6 item by item, ages, intervals, units people read, lines that have no value."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from middleware.model import LinkPolicy, Report, ReportStatus
from middleware.report import OrderRows, age_text, alternative, compose, interval_text, link_policy
from middleware.settings import Facility, Settings
from tests.labs import NOW, settings_for

AT = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return settings_for(tmp_path, "")


ORDER = {
    "report_no": "VNS-DH-DDU-261122-0001", "department": "Gynae OPD", "doctor": "Dr S Singh", "ordered_at": None,
    "registered_at": NOW,
}  # fmt: skip
PATIENT = {
    "name": "Sunita Devi", "uhid": "107-0000001", "sex": "F", "birth_date": date(1981, 4, 2), "birth_precision": "day",
    "abha": "91234567891234",
}  # fmt: skip
TUBE = {
    "sample_id": "107632600017", "specimen": "EDTA whole blood", "timing": "", "state": "received",
    "collected_at": NOW, "received_at": NOW + timedelta(minutes=20), "reject_reason": "",
}  # fmt: skip


def ordered(id: int, test: str, state: str = "released", note: str = "") -> dict[str, Any]:
    return {"id": id, "test": test, "state": state, "note": note}


def result(id: int, shown: str, **more: Any) -> dict[str, Any]:
    base = {
        "id": id, "display": shown, "value": Decimal(shown) if shown[0].isdigit() else None,
        "comparator": "", "coded": None, "flag": "N",
        "ref_low": Decimal("12.0"), "ref_high": Decimal("15.0"), "analyzer": "bench", "typed_by": "", "comments": [],
        "released_by": "Dr A Verma, MD", "released_at": AT, "created_at": AT - timedelta(minutes=5),
    }  # fmt: skip
    return {**base, **more}


def rows(tests: list[dict[str, Any]], results: dict[int, dict[str, Any]], **more: Any) -> OrderRows:
    base = OrderRows(ORDER, PATIENT, [TUBE], tests, results, {}, None)
    return replace(base, **more)


def made(settings: Settings, given: OrderRows, status: ReportStatus = ReportStatus.FINAL, **more: Any) -> Report:
    lab = replace(settings.lab, licence="UP/123")
    version = more.pop("version", 1)
    return compose(given, status, version, lab, lab.facility, settings.catalogue, AT, **more)


def test_7_4_1_6_every_item_is_in_the_document(settings: Settings) -> None:
    report = made(settings, rows([ordered(1, "HB")], {1: result(11, "13.0")}), titles={"bench": "Bench analyzer"})
    ours = settings.lab.facility
    said = {f.name: getattr(report, f.name) for f in fields(report) if f.name not in ("lines", "samples")}
    assert said == {
        "report_no": "VNS-DH-DDU-261122-0001", "version": 1, "status": ReportStatus.FINAL,  # m, k
        "patient_name": "Sunita Devi", "uhid": "107-0000001", "sex": "F", "age_text": "45 y",  # a
        "abha_masked": "XX-XXXX-XXXX-1234", "issued_at": AT,
        "facility_code": ours.code, "facility_en": ours.name_en, "facility_hi": ours.name_hi,  # b
        "facility_address": settings.lab.address, "facility_phone": settings.lab.phone, "licence": "UP/123",
        "state_line": settings.lab.state_line,
        "department": "Gynae OPD", "doctor": "Dr S Singh", "ordered_at": None, "registered_at": NOW,  # c
        "released_by": "Dr A Verma, MD", "tested_at": AT - timedelta(minutes=5),  # j
        "link": LinkPolicy.YES, "comments": (), "amended_reason": "", "replaces_version": None,
        "replaces_issued_at": None, "verify_url": "",
    }  # fmt: skip
    (tube,) = report.samples  # a, d
    assert (tube.sample_id, tube.specimen, tube.collected_at, tube.received_at) == (
        "107632600017", "EDTA whole blood", NOW, NOW + timedelta(minutes=20),
    )  # fmt: skip
    (line,) = report.lines
    assert {f.name: getattr(line, f.name) for f in fields(line)} == {
        "test": "HB", "name_en": "Haemoglobin", "name_hi": "हीमोग्लोबिन", "panel": "CBC",  # e
        "specimen": "EDTA whole blood", "loinc": "718-7", "method": "",  # d, f
        "value": "13.0", "unit": "g/dL", "interval": "12.0 - 15.0", "ref_low": "12.0", "ref_high": "15.0",  # g, h
        "flag": "N", "status": "final", "note": "", "analyzer": "Bench analyzer", "typed": False,  # l, k
        "released_by": "Dr A Verma, MD", "released_at": AT, "previous": "",  # j
    }  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [("12.0", "15.0", "12.0 - 15.0"), (None, "5.0", "≤ 5.0"), ("40", None, "≥ 40"), (None, None, "")],
)
def test_an_interval_in_words(low: str | None, high: str | None, text: str) -> None:
    assert interval_text(low and Decimal(low), high and Decimal(high)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("test", "value", "comparator", "text"),
    [
        ("PLT", "150", "", "= 1.50 lakh/cumm"),
        ("PLT", "145", "", "= 1.45 lakh/cumm"),
        ("PLT", "9", "", "= 0.09 lakh/cumm"),
        ("PLT", "3", "<", "= <0.03 lakh/cumm"),
        ("WBC", "6.25", "", "= 6250 /cumm"),
        ("HB", "13.0", "", ""),
    ],
)
def test_the_unit_that_people_read(test: str, value: str, comparator: str, text: str, settings: Settings) -> None:
    row = result(1, value, comparator=comparator)
    assert alternative(settings.catalogue[test], row) == text
    line = made(settings, rows([ordered(1, test)], {1: row})).lines[0]
    assert line.note == text


@pytest.mark.parametrize(
    ("birth", "on", "precision", "text"),
    [
        ("2026-11-22", "2026-11-22", "day", "0 d"),
        ("2026-11-10", "2026-11-22", "day", "12 d"),
        ("2026-10-23", "2026-11-22", "day", "30 d"),
        ("2026-10-22", "2026-11-22", "day", "1 months"),
        ("2026-04-22", "2026-11-22", "month", "7 months"),
        ("2024-11-23", "2026-11-22", "day", "23 months"),
        ("2024-11-22", "2026-11-22", "day", "2 y"),
        ("1981-11-22", "2026-11-22", "day", "45 y"),
        ("1981-11-23", "2026-11-22", "day", "44 y"),
        ("1981-11-22", "2026-11-22", "year", "45 y"),
        ("1924-02-29", "2026-02-28", "day", "101 y"),
        ("2026-11-25", "2026-11-22", "day", "0 d"),
    ],
)
def test_ages_as_printed(birth: str, on: str, precision: str, text: str) -> None:
    assert age_text(date.fromisoformat(birth), date.fromisoformat(on), precision) == text


def test_the_age_is_that_of_the_day_of_collection_in_the_laboratorys_zone(settings: Settings) -> None:
    night = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)  # 00:30 on the 22nd
    given = rows([ordered(1, "HB")], {1: result(11, "13.0")}, samples=[{**TUBE, "collected_at": night}],
                 patient={**PATIENT, "birth_date": date(2026, 11, 22)})  # fmt: skip
    assert made(settings, given).age_text == "0 d"


def test_lines_without_a_value_say_why(settings: Settings) -> None:
    tests = [
        ordered(1, "WBC", "awaited"), ordered(2, "HB", "rejected", "reject.clotted"),
        ordered(3, "PLT", "cancelled", "asked twice"), ordered(4, "UREA", "released"),
    ]  # fmt: skip
    report = made(settings, rows(tests, {}), ReportStatus.INTERIM)
    said = {line.test: (line.status, line.note, line.value, line.interval) for line in report.lines}
    assert said == {
        "HB": ("rejected", "reject.clotted", "", ""), "WBC": ("pending", "", "", ""),
        "PLT": ("cancelled", "asked twice", "", ""), "UREA": ("pending", "", "", ""),
    }  # fmt: skip
    assert (report.released_by, report.tested_at) == ("", None)


def test_lines_stand_in_the_catalogues_order(settings: Settings) -> None:
    tests = [ordered(n, code, "awaited") for n, code in enumerate(("UREA", "PLT", "HB", "GLUF"))]
    codes = [line.test for line in made(settings, rows(tests, {})).lines]
    assert codes == sorted(codes, key=lambda c: settings.catalogue[c].sort)
    assert codes[0] == "HB"


def test_an_amended_line_names_the_old_value_and_the_new_document_the_old_one(settings: Settings) -> None:
    given = rows(
        [ordered(1, "HB"), ordered(2, "HBSAG")],
        {
            1: result(12, "14.0", typed_by="Technician Devi", comments=["sample mixed up", ""]),
            2: result(22, "Reactive", coded="Reactive", flag="A", comments=["seen twice"]),
        },
        replaced={12: result(11, "13.0"), 22: result(21, "Non-reactive")},
        last={"version": 3, "issued_at": NOW},
    )
    report = made(settings, given, ReportStatus.AMENDED, version=4, reason="sample mixed up")
    assert (report.version, report.replaces_version, report.replaces_issued_at) == (4, 3, NOW)
    assert report.amended_reason == "sample mixed up"
    hb, hbsag = report.lines
    assert (hb.status, hb.previous, hb.note, hb.typed) == ("amended", "13.0 g/dL", "sample mixed up", True)
    assert (hbsag.previous, hbsag.unit, hbsag.interval, hbsag.note) == ("Non-reactive", "", "Non-reactive", "")
    assert report.link is LinkPolicy.IN_PERSON


def test_a_version_that_is_not_amended_replaces_nothing(settings: Settings) -> None:
    given = rows([ordered(1, "HB")], {1: result(11, "13.0")}, last={"version": 1, "issued_at": NOW})
    assert made(settings, given, ReportStatus.INTERIM).replaces_version is None


def test_times_nobody_recorded_stay_empty_and_timed_tubes_say_so(settings: Settings) -> None:
    tube = {**TUBE, "specimen": "Fluoride plasma", "timing": "PP", "collected_at": None, "received_at": None}
    (found,) = made(settings, rows([ordered(1, "HB", "awaited")], {}, samples=[tube])).samples
    assert (found.specimen, found.collected_at, found.received_at) == ("Fluoride plasma (PP)", None, None)


def test_another_unit_is_named_before_the_ward(settings: Settings) -> None:
    other = Facility("CHC-X", "CHC Cholapur", "सीएचसी", "CHC", "Cholapur")
    given = rows([ordered(1, "HB", "awaited")], {})
    report = compose(given, ReportStatus.FINAL, 1, settings.lab, other, settings.catalogue, AT)
    assert report.department == "CHC Cholapur Gynae OPD"
    assert report.facility_code == settings.lab.facility.code  # the laboratory that answers for it


@pytest.mark.parametrize(
    ("codes", "policy"),
    [
        (["HB", "PLT"], LinkPolicy.YES), (["HB", "HBSAG"], LinkPolicy.IN_PERSON),
        (["HBSAG", "HIV", "HB"], LinkPolicy.NEVER), ([], LinkPolicy.YES),
    ],
)  # fmt: skip
def test_the_strictest_test_decides_about_the_link(codes: list[str], policy: LinkPolicy, settings: Settings) -> None:
    assert link_policy(codes, settings.catalogue) is policy
