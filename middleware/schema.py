"""Every table of the lab database. States are written beside their column; their moves stand in `model`.

Turns nothing into nothing: it declares. Law: no queries here (see `store`), no state that can be derived.
One Alembic history (`migrations/`) makes these tables on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, Column, Date, DateTime, Dialect, Index, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as UTC; SQLite forgets zones, so UTC is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: times in Lab Mitra carry their zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware UTC datetime."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Exact(TypeDecorator[Decimal]):
    """A Decimal kept as its text: no float on the way, `7.10` stays `7.10`."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Store the decimal's own text."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Give back the decimal."""
        return None if value is None else Decimal(value)


class LabTable(SQLModel):
    """Base of all lab tables: its metadata is what Alembic compares with."""

    metadata = MetaData(naming_convention=NAMING)


def _at(**kw: Any) -> Any:
    return Field(sa_type=Instant, **kw)


def _text(**kw: Any) -> Any:
    return Field(sa_type=Text, **kw)


class User(LabTable, table=True):
    """A named person; nobody shares a login."""

    __tablename__ = "user_account"
    id: int | None = Field(default=None, primary_key=True)
    username: str = Field(unique=True, max_length=60)
    name: str = Field(max_length=120)
    qualification: str = Field(default="", max_length=120)
    role: str = Field(max_length=20)  # model.Role
    password_hash: str = Field(max_length=200)
    language: str = Field(default="en", max_length=2)
    active: bool = True
    must_change: bool = False  # a password given by somebody else is changed at first login
    session_epoch: int = 0  # raised to end every session of this person
    created_at: datetime = _at()


class Patient(LabTable, table=True):
    __tablename__ = "patient"
    id: int | None = Field(default=None, primary_key=True)
    uhid: str = Field(unique=True, max_length=40)  # given by the hospital, else allocated: <site>-P<number>
    name: str = Field(max_length=120)
    name_key: str = Field(index=True, max_length=120)  # casefolded, for search
    sex: str = Field(max_length=1)  # model.Sex
    birth_date: date = Field(sa_type=Date)
    birth_precision: str = Field(default="day", max_length=5)  # day · month · year
    guardian: str = Field(default="", max_length=120)
    mobile: str | None = Field(default=None, index=True, max_length=16)  # E.164
    mobile_owner: str = Field(default="none", max_length=8)  # model.MobileOwner
    sms_consent: bool = False
    language: str = Field(default="hi", max_length=2)
    abha: str | None = Field(default=None, max_length=14)
    created_at: datetime = _at()


class Order(LabTable, table=True):
    """What was asked for whom: one visit. Complete when none of its tests is awaited."""

    __tablename__ = "lab_order"
    id: int | None = Field(default=None, primary_key=True)
    order_no: str = Field(unique=True, max_length=30)
    report_no: str = Field(unique=True, max_length=40)  # <facility code>-<YYMMDD>-<serial>
    patient_id: int = Field(foreign_key="patient.id", index=True)
    facility_code: str = Field(max_length=20)
    doctor: str = Field(default="", max_length=120)
    department: str = Field(default="", max_length=80)
    external_ref: str | None = Field(default=None, unique=True, max_length=60)  # a hospital system's own order number
    ordered_at: datetime | None = _at(default=None)
    registered_at: datetime = _at(index=True)
    registered_by: str = Field(max_length=120)
    completed_at: datetime | None = _at(default=None)
    pin_hash: str | None = Field(default=None, max_length=200)
    access_serial: int = 0  # raised with each change of PIN, number or withdrawal
    sms_mobile: str | None = Field(default=None, max_length=16)  # frozen at registration, corrected at the counter
    sms_mode: str = Field(default="link", max_length=10)  # link · in_person · none
    language: str = Field(default="hi", max_length=2)
    withdrawn_at: datetime | None = _at(default=None)


class SlipToken(LabTable, table=True):
    """The QR on a paper slip, minted offline; only its SHA-256 is kept."""

    __tablename__ = "slip_token"
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="lab_order.id", index=True)
    sha256: str = Field(max_length=64)
    minted_at: datetime = _at()


class Sample(LabTable, table=True):
    """One tube with its number: 12 digits, unique within a lab and year (domain 8)."""

    __tablename__ = "sample"
    __table_args__ = (UniqueConstraint("sample_id", "year"),)
    id: int | None = Field(default=None, primary_key=True)
    sample_id: str = Field(index=True, max_length=12)
    year: int
    order_id: int = Field(foreign_key="lab_order.id", index=True)
    specimen: str = Field(max_length=60)
    container: str = Field(max_length=1)
    timing: str = Field(default="", max_length=10)  # F, PP, 2H: timed glucose tubes are separate specimens
    state: str = Field(max_length=12)  # model.SampleState
    registered_at: datetime = _at()
    collected_at: datetime | None = _at(default=None)
    collected_by: str = Field(default="", max_length=120)
    received_at: datetime | None = _at(default=None)
    received_by: str = Field(default="", max_length=120)
    rejected_at: datetime | None = _at(default=None)
    rejected_by: str = Field(default="", max_length=120)
    reject_reason: str = Field(default="", max_length=40)  # strings key after "reject."
    replaced_by_id: int | None = Field(default=None, foreign_key="sample.id")  # the new sample that was asked for


class SampleCounter(LabTable, table=True):
    """The last serial given on a day: sample ids are allocated offline, from here."""

    __tablename__ = "sample_counter"
    day: date = Field(sa_type=Date, primary_key=True)
    purpose: str = Field(primary_key=True, max_length=10)  # sample · report · order · uhid
    last: int


class OrderTest(LabTable, table=True):
    __tablename__ = "order_test"
    __table_args__ = (
        UniqueConstraint("order_id", "test"),
        Index(  # what is still to be measured: few of many
            "ix_order_test_awaited", "sample_pk", sqlite_where=text("state = 'awaited'"),
            postgresql_where=text("state = 'awaited'"),
        ),
    )  # fmt: skip
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="lab_order.id", index=True)
    sample_pk: int | None = Field(default=None, foreign_key="sample.id", index=True)
    test: str = Field(max_length=12)  # catalogue code
    panel: str = Field(default="", max_length=20)  # the panel it was asked with, "" when asked alone
    state: str = Field(max_length=10)  # model.TestState
    note: str = Field(default="", max_length=200)  # why rejected or cancelled


class AnalyzerMessage(LabTable, table=True):
    """What became of one message of the journal. Same id as there; the bytes stay there.

    Books: measurements = results + controls + unmatched + duplicates + not_reportable, and observations = measurements
    + suspects + images + details. `difference` is how many rows were astray when it was recorded: always 0.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index(
            "ix_message_difference", "analyzer", sqlite_where=text("difference <> 0"),
            postgresql_where=text("difference <> 0"),
        ),
    )  # fmt: skip
    id: str = Field(primary_key=True, max_length=40)
    analyzer: str = Field(index=True, max_length=40)
    received_at: datetime = _at(index=True)
    type: str = Field(max_length=16)  # drivers.MessageType
    state: str = Field(max_length=10)  # processed · failed
    error: str = _text(default="")
    sender: str | None = Field(default=None, max_length=120)
    problems: list[str] = Field(default_factory=list, sa_type=JSON)
    sample_ids: str = _text(default="")  # blank-separated, for search
    observations: int = 0
    measurements: int = 0
    results: int = 0
    controls: int = 0
    unmatched: int = 0
    duplicates: int = 0
    not_reportable: int = 0
    suspects: int = 0
    images: int = 0
    details: int = 0
    difference: int = 0
    processed_at: datetime = _at()


class ResultRow(LabTable, table=True):
    """One result. `identity` says "this very observation": a message sent twice gives the same rows."""

    __tablename__ = "result"
    __table_args__ = (
        Index("ix_result_order_test_state", "order_test_id", "state"),
        Index(  # a patient's earlier values; a result enters it with its release
            "ix_result_patient_released", "patient_id", "released_at",
            sqlite_where=text("released_at IS NOT NULL"), postgresql_where=text("released_at IS NOT NULL"),
        ),
    )  # fmt: skip
    id: int | None = Field(default=None, primary_key=True)
    identity: str = Field(unique=True, max_length=64)
    message_id: str | None = Field(default=None, index=True, max_length=40)
    ordinal: int = 0
    order_test_id: int = Field(foreign_key="order_test.id")
    sample_pk: int = Field(foreign_key="sample.id", index=True)
    patient_id: int = Field(foreign_key="patient.id")
    test: str = Field(max_length=12)
    analyzer: str = Field(default="", max_length=40)  # "" when typed
    typed_by: str = Field(default="", max_length=120)
    code: str = Field(default="", max_length=80)
    verbatim: str = Field(default="", max_length=400)
    value: Decimal | None = Field(default=None, sa_type=Exact)
    comparator: str = Field(default="", max_length=2)
    coded: str | None = Field(default=None, max_length=80)
    display: str = Field(max_length=80)
    unit: str = Field(default="", max_length=40)
    flag: str = Field(default="", max_length=2)
    ref_low: Decimal | None = Field(default=None, sa_type=Exact)
    ref_high: Decimal | None = Field(default=None, sa_type=Exact)
    analyzer_flags: list[str] = Field(default_factory=list, sa_type=JSON)
    comments: list[str] = Field(default_factory=list, sa_type=JSON)
    aspect: str | None = Field(default=None, max_length=20)
    observed_at: str | None = Field(default=None, max_length=20)
    state: str = Field(index=True, max_length=12)  # model.ResultState
    green: bool = False
    critical: bool = False
    rule_set: str = Field(default="", max_length=16)  # hash of the rules in force
    created_at: datetime = _at(index=True)
    released_at: datetime | None = _at(default=None, index=True)
    released_by: str = Field(default="", max_length=120)
    rejected_at: datetime | None = _at(default=None)
    rejected_by: str = Field(default="", max_length=120)
    reject_note: str = Field(default="", max_length=200)
    amends_id: int | None = Field(default=None, foreign_key="result.id")


class ReasonRow(LabTable, table=True):
    """Why a rule held a result, with the values it used. Kept for ever."""

    __tablename__ = "reason"
    id: int | None = Field(default=None, primary_key=True)
    result_id: int = Field(foreign_key="result.id", index=True)
    rule: str = Field(max_length=40)
    severity: str = Field(max_length=10)  # hold · critical · block · note
    text: str = _text()
    text_hi: str = _text()
    values: dict[str, str] = Field(default_factory=dict, sa_column=Column("rule_values", JSON, nullable=False))


class UnmatchedRow(LabTable, table=True):
    """The tray: rows that are nobody's until a person links or dismisses them, with a reason."""

    __tablename__ = "unmatched"
    id: int | None = Field(default=None, primary_key=True)
    identity: str = Field(unique=True, max_length=64)
    message_id: str = Field(index=True, max_length=40)
    ordinal: int
    analyzer: str = Field(max_length=40)
    sample_id: str | None = Field(default=None, index=True, max_length=80)
    sample_pk: int | None = Field(default=None, foreign_key="sample.id")
    code: str | None = Field(default=None, max_length=80)
    name: str | None = Field(default=None, max_length=120)
    value: str | None = _text(default=None)
    raw: str | None = _text(default=None)
    unit: str | None = Field(default=None, max_length=80)
    flags: list[str] = Field(default_factory=list, sa_type=JSON)
    observed_at: str | None = Field(default=None, max_length=20)
    rule: str = Field(max_length=40)
    text: str = _text()
    text_hi: str = _text()
    state: str = Field(default="open", index=True, max_length=10)  # open → linked | dismissed
    created_at: datetime = _at()
    closed_at: datetime | None = _at(default=None)
    closed_by: str = Field(default="", max_length=120)
    closed_note: str = Field(default="", max_length=200)
    result_id: int | None = Field(default=None, foreign_key="result.id")


class ControlTarget(LabTable, table=True):
    """Mean and SD in force for one control lot, analyzer and test; history is kept by `valid_from`."""

    __tablename__ = "control_target"
    __table_args__ = (UniqueConstraint("analyzer", "lot", "test", "valid_from"),)
    id: int | None = Field(default=None, primary_key=True)
    analyzer: str = Field(max_length=40)
    lot: str = Field(max_length=80)
    level: str = Field(default="", max_length=20)
    test: str = Field(max_length=12)
    mean: Decimal = Field(sa_type=Exact)
    sd: Decimal = Field(sa_type=Exact)
    provisional: bool = True
    expires: date | None = Field(default=None, sa_type=Date)
    valid_from: datetime = _at()
    set_by: str = Field(default="", max_length=120)
    note: str = Field(default="", max_length=200)


class ControlRow(LabTable, table=True):
    """One control measurement, with the target in force when it was measured."""

    __tablename__ = "control_result"
    __table_args__ = (Index("ix_control_result_analyzer_lot_test", "analyzer", "lot", "test"),)
    id: int | None = Field(default=None, primary_key=True)
    identity: str = Field(unique=True, max_length=64)
    message_id: str = Field(index=True, max_length=40)
    ordinal: int
    analyzer: str = Field(max_length=40)
    lot: str = Field(max_length=80)
    code: str = Field(max_length=80)
    test: str | None = Field(default=None, max_length=12)
    verbatim: str = Field(default="", max_length=400)
    value: Decimal | None = Field(default=None, sa_type=Exact)
    unit: str | None = Field(default=None, max_length=40)
    observed_at: str | None = Field(default=None, max_length=20)
    received_at: datetime = _at()
    target_id: int | None = Field(default=None, foreign_key="control_target.id")
    excluded: bool = False
    excluded_note: str = Field(default="", max_length=200)


class CriticalCall(LabTable, table=True):
    """Who was told of a critical result, when, and that it was read back (ISO 15189 7.4.1.3)."""

    __tablename__ = "critical_call"
    id: int | None = Field(default=None, primary_key=True)
    result_id: int = Field(foreign_key="result.id", index=True)
    told: str = Field(max_length=120)
    phone: str = Field(default="", max_length=20)
    at: datetime = _at()
    read_back: bool
    reached: bool = True
    note: str = Field(default="", max_length=200)
    called_by: str = Field(max_length=120)


class ReportRow(LabTable, table=True):
    """One frozen version of a report; old versions stay retrievable."""

    __tablename__ = "report"
    __table_args__ = (UniqueConstraint("report_no", "version"),)
    id: int | None = Field(default=None, primary_key=True)
    report_no: str = Field(index=True, max_length=40)
    version: int
    order_id: int = Field(foreign_key="lab_order.id", index=True)
    status: str = Field(max_length=10)  # model.ReportStatus
    document: dict[str, Any] = Field(sa_type=JSON)
    issued_at: datetime = _at(index=True)
    issued_by: str = Field(max_length=120)
    reason: str = Field(default="", max_length=200)


class HandoverRow(LabTable, table=True):
    """The outbox to the report service: written in the transaction of the release, sent until acknowledged."""

    __tablename__ = "handover"
    __table_args__ = (UniqueConstraint("report_no", "version", "serial"),)
    id: int | None = Field(default=None, primary_key=True)
    report_no: str = Field(index=True, max_length=40)
    version: int
    serial: int
    payload: dict[str, Any] = Field(sa_type=JSON)
    state: str = Field(default="queued", index=True, max_length=10)  # queued → sent | refused
    attempts: int = 0
    next_at: datetime = _at()
    last_error: str = _text(default="")
    created_at: datetime = _at()
    sent_at: datetime | None = _at(default=None)


class DeliveryState(LabTable, table=True):
    """What the report service last said of a report: its SMS and how often it was opened."""

    __tablename__ = "delivery_state"
    report_no: str = Field(primary_key=True, max_length=40)
    status: str = Field(default="", max_length=20)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    opened: int = 0
    checked_at: datetime = _at()


class AnalyzerState(LabTable, table=True):
    """Four lamps of one line, written by the middleware: socket up, handshake seen, message parsed, result filed.

    Beside them what its own past says: how far its clock is off, and how often it usually sends.
    """

    __tablename__ = "analyzer_state"
    analyzer: str = Field(primary_key=True, max_length=40)
    connected: bool = False
    since: datetime | None = _at(default=None)
    handshake_at: datetime | None = _at(default=None)
    message_at: datetime | None = _at(default=None)
    parsed_at: datetime | None = _at(default=None)  # a message was read
    failed_at: datetime | None = _at(default=None)  # a message could not be read
    result_at: datetime | None = _at(default=None)  # a patient's result or a control was filed
    unfiled_at: datetime | None = _at(default=None)  # measurements came and none could be filed
    drift_seconds: int | None = None  # its clock is so far ahead of ours, negative: behind
    rhythm: str = Field(default="", max_length=10)  # off · learning · learned; "" until the middleware has looked
    rhythm_days: int = 0  # of history
    usual_gap_seconds: int | None = None  # its usual longest silence at this hour; none when it is usually idle now
    messages_today: int = 0
    refused_today: int = 0
    trouble: str = _text(default="")  # one sentence, "" when all is well
    updated_at: datetime = _at()


class OrderDownload(LabTable, table=True):
    """What one analyzer is told unasked of one tube. `told` is what it knows, `wanted` what it should know: catalogue
    test → [the analyzer's code, the number of the last result that is to be measured again, 0 when there was none].

    pending → sent | refused; each change of what is wanted makes it pending again; done: nothing of it is left to be
    measured; lapsed: the tube is too old to be run.
    """

    __tablename__ = "order_download"
    __table_args__ = (UniqueConstraint("analyzer", "sample_pk"), Index(None, "state", "analyzer"))
    id: int | None = Field(default=None, primary_key=True)
    analyzer: str = Field(max_length=40)
    sample_pk: int = Field(foreign_key="sample.id", index=True)
    state: str = Field(max_length=10)
    wanted: dict[str, list[Any]] = Field(default_factory=dict, sa_type=JSON)
    told: dict[str, list[Any]] = Field(default_factory=dict, sa_type=JSON)
    tries: int = 0  # since it became pending
    why: str = Field(default="", max_length=200)  # it was refused or did not get there
    since: datetime = _at()  # in this state
    next_at: datetime = _at()  # not to be tried before
    sent_at: datetime | None = _at(default=None)  # taken by the analyzer, the last time


class LineAlarm(LabTable, table=True):
    """One trouble of one line from its begin to its end; `analyzer` is "" when it is every line's (the journal).

    One of a kind lasts at a time. `notice_state`, the SMS to the engineer: none, or queued → sent · refused (a person
    must look) · late (a day went by) · over (it ended before anybody could be told).
    """

    __tablename__ = "line_alarm"
    __table_args__ = (
        Index(
            "uq_line_alarm_lasting", "analyzer", "kind", unique=True, sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )  # fmt: skip
    id: int | None = Field(default=None, primary_key=True)
    analyzer: str = Field(default="", max_length=40)
    kind: str = Field(max_length=10)  # alarm_settings.AlarmKind
    began_at: datetime = _at(index=True)
    ended_at: datetime | None = _at(default=None)
    args: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # what its words are filled with
    notice_id: str = Field(unique=True, max_length=32)
    notice_state: str = Field(default="none", index=True, max_length=10)
    notice_attempts: int = 0
    notice_next_at: datetime = _at()
    notice_error: str = _text(default="")
    told_at: datetime | None = _at(default=None)


class AuditRow(LabTable, table=True):
    """One line per change, chained by hash: a line cannot be altered or dropped unseen."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject_subject_id", "subject", "subject_id"),)
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _at(index=True)
    who: str = Field(max_length=120)
    role: str = Field(default="", max_length=20)
    action: str = Field(max_length=40)
    subject: str = Field(max_length=20)  # patient, order, sample, result, report, user, unmatched, message, control
    subject_id: str = Field(max_length=60)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    chain: str = Field(max_length=64)


class Change(LabTable, table=True):
    """A counter per topic, raised in the transaction of a change: the pages' live updates watch it."""

    __tablename__ = "change"
    topic: str = Field(primary_key=True, max_length=20)  # results · unmatched · analyzers · reports · controls · orders
    counter: int = 0


class LockedOut(LabTable, table=True):
    """Failed logins, counted so that they survive a restart."""

    __tablename__ = "login_failure"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True, max_length=80)
    at: datetime = _at()
