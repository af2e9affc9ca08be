"""Turns the rows of one order into a frozen Report. Pure: everything it needs is handed to it.

Law: an interval, a flag, a name is frozen as it was at release; a time nobody recorded stays None.
Source: ISO 15189:2022 7.4.1.6 to 7.4.1.8 (what a report must say), domain of the house 1.3 and 1.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from middleware.model import (
    CatalogueTest,
    LinkPolicy,
    Report,
    ReportLine,
    ReportSample,
    ReportStatus,
    Sex,
    TestState,
)
from middleware.settings import Facility, LabSettings

STRICTNESS = (LinkPolicy.YES, LinkPolicy.IN_PERSON, LinkPolicy.NEVER)


@dataclass(frozen=True, slots=True)
class OrderRows:
    """All rows of one order as read from the database, each a mapping of column to value."""

    order: Mapping[str, Any]
    patient: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    tests: Sequence[Mapping[str, Any]]
    results: Mapping[int, Mapping[str, Any]]  # order_test id → its released result
    replaced: Mapping[int, Mapping[str, Any]]  # result id → the released result it took the place of
    last: Mapping[str, Any] | None  # the newest report row, None for the first version


def link_policy(codes: Sequence[str], catalogue: Mapping[str, CatalogueTest]) -> LinkPolicy:
    """The strictest link policy among these tests: one HIV test keeps the whole report off the link."""
    return max((catalogue[c].link for c in codes if c in catalogue), key=STRICTNESS.index, default=LinkPolicy.YES)


def age_text(birth: date, on: date, precision: str = "day") -> str:
    """Age as printed: "45 y", "7 months", "12 d"; days for newborns because intervals depend on them."""
    days = max(0, (on - birth).days)
    months = max(0, (on.year - birth.year) * 12 + on.month - birth.month - (on.day < birth.day))
    if days < 31 and precision == "day":
        return f"{days} d"
    if months < 24 and precision != "year":
        return f"{months} months"
    return f"{months // 12} y"


def interval_text(low: Decimal | None, high: Decimal | None) -> str:
    """A reference interval as printed: "12.0 - 15.0", "≤ 5.0", "≥ 40" or "" when there is none."""
    if low is not None and high is not None:
        return f"{low} - {high}"
    if high is not None:
        return f"≤ {high}"
    return f"≥ {low}" if low is not None else ""


def alternative(test: CatalogueTest, result: Mapping[str, Any]) -> str:
    """The value in the other unit people read ("1.45 lakh/cumm"), "" when the test has none."""
    if test.alt_unit is None or test.alt_factor is None or result["value"] is None:
        return ""
    step = Decimal(1).scaleb(-test.alt_decimals)
    value = (Decimal(result["value"]) * test.alt_factor).quantize(step, ROUND_HALF_UP)
    return f"= {result['comparator']}{value} {test.alt_unit}"


def compose(
    rows: OrderRows,
    status: ReportStatus,
    version: int,
    lab: LabSettings,
    facility: Facility,
    catalogue: Mapping[str, CatalogueTest],
    at: datetime,
    reason: str = "",
    titles: Mapping[str, str] | None = None,
) -> Report:
    """The document for one order at this moment; lines in the catalogue's order, never sorted by value.

    `titles` gives an analyzer's name as people know it; without it the configured short name is printed.
    """
    ordered = sorted(rows.tests, key=lambda t: _place(t, catalogue))
    lines = tuple(_titled(_line(t, rows, catalogue), titles or {}) for t in ordered)
    last = rows.last
    return Report(
        **_laboratory(lab),
        **_asked(rows.order, lab, facility),
        **_patient(rows, lab),
        version=version,
        status=status,
        samples=tuple(_sample(s) for s in rows.samples),
        lines=lines,
        issued_at=at,
        released_by=", ".join(dict.fromkeys(line.released_by for line in lines if line.released_by)),
        link=link_policy([t["test"] for t in rows.tests], catalogue),
        amended_reason=reason,
        replaces_version=last["version"] if last and status is ReportStatus.AMENDED else None,
        replaces_issued_at=last["issued_at"] if last and status is ReportStatus.AMENDED else None,
        tested_at=max((r["created_at"] for r in rows.results.values()), default=None),
    )


def _laboratory(lab: LabSettings) -> dict[str, Any]:
    """Which laboratory issued it (ISO 15189 7.4.1.6 b)."""
    return {
        "facility_code": lab.facility.code,
        "facility_en": lab.facility.name_en,
        "facility_hi": lab.facility.name_hi,
        "facility_address": lab.address,
        "facility_phone": lab.phone,
        "state_line": lab.state_line,
        "licence": lab.licence,
    }


def _asked(order: Mapping[str, Any], lab: LabSettings, facility: Facility) -> dict[str, Any]:
    """Who asked for it, when (7.4.1.6 c); the unit is named when it is not the laboratory's own."""
    ward = order["department"] if facility == lab.facility else f"{facility.name_en} {order['department']}"
    return {
        "report_no": order["report_no"],
        "department": ward,
        "doctor": order["doctor"],
        "ordered_at": order["ordered_at"],
        "registered_at": order["registered_at"],
    }


def _patient(rows: OrderRows, lab: LabSettings) -> dict[str, Any]:
    """Whose it is (7.4.1.6 a); the age is that of the day of collection."""
    patient, collected = rows.patient, _collected(rows)
    on = (min(collected) if collected else rows.order["registered_at"]).astimezone(lab.timezone).date()
    return {
        "patient_name": patient["name"],
        "uhid": patient["uhid"],
        "sex": Sex(patient["sex"]),
        "age_text": age_text(patient["birth_date"], on, patient["birth_precision"]),
        "abha_masked": f"XX-XXXX-XXXX-{patient['abha'][-4:]}" if patient["abha"] else "",
    }


def _titled(line: ReportLine, titles: Mapping[str, str]) -> ReportLine:
    return replace(line, analyzer=titles.get(line.analyzer, line.analyzer))


def _collected(rows: OrderRows) -> list[datetime]:
    return [s["collected_at"] for s in rows.samples if s["collected_at"] is not None]


def _place(row: Mapping[str, Any], catalogue: Mapping[str, CatalogueTest]) -> tuple[int, str]:
    test = catalogue.get(row["test"])
    return (test.sort if test else 10_000, row["test"])


def _sample(row: Mapping[str, Any]) -> ReportSample:
    return ReportSample(
        sample_id=row["sample_id"],
        specimen=row["specimen"] + (f" ({row['timing']})" if row["timing"] else ""),
        collected_at=row["collected_at"],
        received_at=row["received_at"],
        state=row["state"],
        reject_reason=row["reject_reason"],
    )


def _line(row: Mapping[str, Any], rows: OrderRows, catalogue: Mapping[str, CatalogueTest]) -> ReportLine:
    test = catalogue[row["test"]]
    base: dict[str, Any] = {
        "test": test.code,
        "name_en": test.name_en,
        "name_hi": test.name_hi,
        "panel": test.panel,
        "specimen": test.specimen,
        "loinc": test.loinc,
        "method": test.method,
    }
    result = rows.results.get(row["id"])
    if row["state"] != TestState.RELEASED.value or result is None:
        state = "pending" if row["state"] in (TestState.AWAITED.value, TestState.RELEASED.value) else row["state"]
        return ReportLine(**base, value="", unit="", flag="", interval="", status=state, note=row["note"])
    return ReportLine(**base, **_said(test, result, rows))


def _said(test: CatalogueTest, result: Mapping[str, Any], rows: OrderRows) -> dict[str, Any]:
    old = rows.replaced.get(result["id"])
    notes = [alternative(test, result), *(c for c in result["comments"] if c and result["typed_by"])]
    interval = "/".join(test.normal) if test.coded else interval_text(result["ref_low"], result["ref_high"])
    return {
        "value": result["display"],
        "unit": "" if test.coded else test.display_unit,
        "flag": result["flag"],
        "interval": interval,
        "status": "amended" if old else "final",
        "note": "; ".join(n for n in notes if n),
        "analyzer": result["analyzer"],
        "typed": bool(result["typed_by"]),
        "released_by": result["released_by"],
        "released_at": result["released_at"],
        "ref_low": None if result["ref_low"] is None else str(result["ref_low"]),
        "ref_high": None if result["ref_high"] is None else str(result["ref_high"]),
        "previous": f"{old['display']} {'' if test.coded else test.display_unit}".strip() if old else "",
    }
