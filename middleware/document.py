"""The report as a document: frozen, numbered, versioned; what crosses from the lab to the report service.

Turns nothing into nothing: frozen values that pydantic can write as JSON and read back. Law: a time nobody recorded
is None; nothing here is computed. Source: ISO 15189:2022 7.4.1.6 to 7.4.1.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Sex(StrEnum):
    MALE = "M"
    FEMALE = "F"
    OTHER = "O"


class ReportStatus(StrEnum):
    INTERIM = "interim"
    FINAL = "final"
    AMENDED = "amended"
    WITHDRAWN = "withdrawn"


class LinkPolicy(StrEnum):
    """May a report with this test be opened by link?"""

    YES = "yes"
    IN_PERSON = "in_person"  # by default not; the patient collects it
    NEVER = "never"  # HIV Act 2017: no setting changes it


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One test of a report, frozen at release."""

    test: str
    name_en: str
    name_hi: str
    panel: str
    specimen: str
    loinc: str
    method: str
    value: str  # display text, "<5.00", "Negative"; "" when not done
    unit: str
    flag: str
    interval: str  # "12.0 - 15.0" in the display unit, or normal values of a coded test
    status: str  # final · pending · rejected · cancelled · amended
    note: str = ""  # why rejected, comment, alternative unit
    analyzer: str = ""
    typed: bool = False
    released_by: str = ""
    released_at: datetime | None = None
    ref_low: str | None = None
    ref_high: str | None = None
    previous: str = ""  # the value this one replaces, when amended


@dataclass(frozen=True, slots=True)
class ReportSample:
    """One tube behind the report. A time that nobody recorded is None and printed "not recorded"."""

    sample_id: str
    specimen: str
    collected_at: datetime | None
    received_at: datetime | None
    state: str = "received"
    reject_reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The frozen, numbered, versioned document that crosses from the lab to the report service (ISO 15189 7.4.1.6)."""

    report_no: str
    version: int
    status: ReportStatus
    facility_code: str
    facility_en: str
    facility_hi: str
    facility_address: str
    facility_phone: str
    department: str
    doctor: str
    patient_name: str
    uhid: str
    sex: Sex
    age_text: str  # "45 y", "7 months", "12 d"
    ordered_at: datetime | None
    registered_at: datetime
    samples: tuple[ReportSample, ...]
    lines: tuple[ReportLine, ...]
    issued_at: datetime
    released_by: str  # names and qualifications of those who released
    link: LinkPolicy  # the strictest of its tests
    comments: tuple[str, ...] = ()
    amended_reason: str = ""
    replaces_version: int | None = None
    replaces_issued_at: datetime | None = None
    tested_at: datetime | None = None
    abha_masked: str = ""
    verify_url: str = ""  # page that proves the report genuine; no token that opens it
    state_line: str = ""  # "Department of Medical, Health & Family Welfare, Uttar Pradesh", above the facility
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """How a report may be reached: it travels beside the document, may change without a new version.

    `serial` grows with every change (new PIN, corrected number, withdrawal); an older serial never overwrites a newer.
    `sms` is "link", "in_person" or "none". `pin_hash` is argon2 of the slip's 6-digit PIN. `slip_tokens` are SHA-256
    hex of the slips' QR tokens. `resend` asks for one more SMS with a fresh token for this serial.
    """

    serial: int
    mobile: str | None
    language: str
    sms: str
    pin_hash: str | None
    slip_tokens: tuple[str, ...] = ()
    withdrawn: bool = False
    withdrawn_reason: str = ""
    resend: bool = False


@dataclass(frozen=True, slots=True)
class Handover:
    """The body of PUT /api/v1/reports/{report_no}/versions/{n}."""

    document: Report
    access: Access
