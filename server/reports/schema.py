"""Every table of the report service. States are written beside their column, their moves beside the enum.

Turns nothing into nothing: it declares. Law: no queries here (see `store`); a token is kept only as SHA-256, a clear
link only in an SMS that the gateway has not got yet. One Alembic history (`migrations/`) serves SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData, Text, UniqueConstraint
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Status(StrEnum):
    """One report version, one recipient, one channel, one status: the closed list of every gateway."""

    QUEUED = "queued"  # waits for its time, also between two tries
    SENT = "sent"  # claimed and given to the gateway; its answer is not recorded yet
    ACCEPTED = "accepted"  # the gateway took it; a receipt may follow
    DELIVERED = "delivered"  # the operator says it reached the phone; delivered is not read
    FAILED = "failed"  # refused for good (template, number, account): a person must look
    EXPIRED = "expired"  # nobody took it within 48 hours, or the operator gave up
    UNKNOWN = (
        "unknown"  # it may have gone out (time-out, crash, an answer nobody understands): never sent again blindly
    )
    IN_PERSON = "in_person"  # no number to send to: the patient collects the report
    SUPPRESSED = "suppressed"  # not sent on purpose: newer version, withdrawn, number corrected, opted out, interim


MOVES: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.SENT, Status.EXPIRED, Status.SUPPRESSED}),
    Status.SENT: frozenset({Status.QUEUED, Status.ACCEPTED, Status.FAILED, Status.UNKNOWN, Status.DELIVERED}),
    Status.ACCEPTED: frozenset({Status.DELIVERED, Status.FAILED, Status.EXPIRED, Status.UNKNOWN}),
    Status.UNKNOWN: frozenset({Status.ACCEPTED, Status.DELIVERED, Status.FAILED, Status.EXPIRED}),
    Status.DELIVERED: frozenset(),
    Status.FAILED: frozenset({Status.DELIVERED}),  # operators do report a failure and deliver after all
    Status.EXPIRED: frozenset({Status.DELIVERED}),
    Status.IN_PERSON: frozenset(),
    Status.SUPPRESSED: frozenset(),
}


class Outcome(StrEnum):
    """What came of one try to open a report."""

    OPENED = "opened"  # right PIN, report shown: the only one that counts as "opened"
    WRONG = "wrong"
    LOCKED = "locked"
    REVOKED = "revoked"
    IN_PERSON = "in_person"  # right PIN, but this report is never shown by link
    AGAIN = "again"  # within the 15 minutes after a right PIN: other language
    PDF = "pdf"


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as UTC; SQLite forgets zones, so UTC is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: times in Lab Mitra carry their zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give back an aware UTC datetime."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class HubTable(SQLModel):
    """Base of all tables of the report service: its metadata is what Alembic compares with."""

    metadata = MetaData(naming_convention=NAMING)


def _at(**kw: Any) -> Any:
    return Field(sa_type=Instant, **kw)


def _text(**kw: Any) -> Any:
    return Field(sa_type=Text, **kw)


class Facility(HubTable, table=True):
    """A laboratory that may hand reports over; of its key only SHA-256 hex is known here."""

    __tablename__ = "facility"
    code: str = Field(primary_key=True, max_length=40)
    key_sha256: str = Field(unique=True, max_length=64)
    active: bool = True


class HubReport(HubTable, table=True):
    """A report number, whose it is, and its newest version: what every link of it opens."""

    __tablename__ = "report"
    report_no: str = Field(primary_key=True, max_length=60)
    facility_code: str = Field(index=True, max_length=40)
    newest: int
    created_at: datetime = _at()


class ReportVersion(HubTable, table=True):
    """One frozen document as handed over; never changed, never deleted by this service."""

    __tablename__ = "report_version"
    __table_args__ = (UniqueConstraint("report_no", "version"),)
    id: int | None = Field(default=None, primary_key=True)
    report_no: str = Field(foreign_key="report.report_no", max_length=60)
    version: int
    document: str = _text()  # the JSON of model.Report
    sha256: str = Field(max_length=64)  # server.verify.digest
    status: str = Field(max_length=10)  # model.ReportStatus
    link: str = Field(max_length=10)  # model.LinkPolicy
    facility_en: str = _text()
    facility_hi: str = _text()
    issued_at: datetime = _at()
    stored_at: datetime = _at()


class AccessRow(HubTable, table=True):
    """How a report may be reached (model.Access); the highest serial wins. `mobile` is +91 and ten digits."""

    __tablename__ = "access"
    report_no: str = Field(primary_key=True, foreign_key="report.report_no", max_length=60)
    serial: int
    pin_hash: str | None = _text(default=None)  # argon2
    mobile: str | None = Field(default=None, max_length=16)
    language: str = Field(max_length=2)
    sms: str = Field(max_length=10)  # link · in_person · none
    withdrawn: bool = False
    withdrawn_reason: str = _text(default="")
    changed_at: datetime = _at()


class Gate(HubTable, table=True):
    """Wrong PINs of one report, counted over all its links; a newer access serial begins anew."""

    __tablename__ = "gate"
    report_no: str = Field(primary_key=True, foreign_key="report.report_no", max_length=60)
    run: int = 0  # since the last right PIN or lock
    total: int = 0
    locked_until: datetime | None = _at(default=None)
    revoked_at: datetime | None = _at(default=None)


class LinkToken(HubTable, table=True):
    """A link: SHA-256 hex of its token only. All of a report's tokens open its newest version."""

    __tablename__ = "link_token"
    id: int | None = Field(default=None, primary_key=True)
    report_no: str = Field(foreign_key="report.report_no", index=True, max_length=60)
    kind: str = Field(max_length=4)  # sms · slip
    sha256: str = Field(unique=True, max_length=64)
    created_at: datetime = _at()
    expires_at: datetime = _at()
    revoked_at: datetime | None = _at(default=None)


class Opening(HubTable, table=True):
    """One try to open a report; kept one year."""

    __tablename__ = "opening"
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _at(index=True)
    report_no: str = Field(index=True, max_length=60)
    token_id: int
    version: int
    outcome: str = Field(max_length=10)
    agent: str = Field(max_length=40)  # coarse: "Android Chrome"
    ip: str = Field(max_length=45)


class Notice(HubTable, table=True):
    """What a laboratory's engineer is told of a line in trouble: words for the slots of one registered text.

    No patient stands behind it; its SMS are rows of `sms` without a report.
    """

    __tablename__ = "notice"
    notice_id: str = Field(primary_key=True, max_length=32)
    facility_code: str = Field(index=True, max_length=40)
    facility: str = Field(max_length=120)
    analyzer: str = Field(max_length=120)
    alarm: str = Field(max_length=120)
    since: str = Field(max_length=40)
    stored_at: datetime = _at()


class Sms(HubTable, table=True):
    """The SMS outbox: written in the transaction that stores the report (or the notice), worked off by `delivery`."""

    __tablename__ = "sms"
    __table_args__ = (
        UniqueConstraint("report_no", "version", "recipient", "template", "round"),
        UniqueConstraint("notice_id", "recipient"),
    )
    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(unique=True, max_length=32)
    report_no: str | None = Field(default=None, foreign_key="report.report_no", index=True, max_length=60)
    version: int | None = None
    notice_id: str | None = Field(default=None, foreign_key="notice.notice_id", max_length=32)  # then no report
    recipient: str = Field(max_length=16)  # "" when there is no number; dropped after one year
    template: str = Field(max_length=20)  # a key of sms_templates.toml
    language: str = Field(max_length=2)
    round: int = 0  # 0, or the access serial that asked for the message again
    link: str | None = _text(default=None)  # clear text, erased as soon as the message leaves "queued" for good
    token_id: int | None = Field(default=None, foreign_key="link_token.id")
    status: str = Field(index=True, max_length=10)
    attempts: int = 0
    created_at: datetime = _at()
    next_at: datetime = _at(index=True)
    claimed_at: datetime | None = _at(default=None)
    changed_at: datetime = _at()
    provider_id: str | None = Field(default=None, index=True, max_length=200)
    error: str = _text(default="")
    parts: int = 0


class Receipt(HubTable, table=True):
    """What an operator said later of a message; kept also when it arrives before the gateway's own answer is stored."""

    __tablename__ = "sms_receipt"
    __table_args__ = (UniqueConstraint("provider_id", "status"),)
    id: int | None = Field(default=None, primary_key=True)
    provider_id: str = Field(max_length=200)
    status: str = Field(max_length=10)
    code: str = Field(default="", max_length=60)
    at: datetime = _at()


class OptOut(HubTable, table=True):
    """A phone that wants no more SMS: a keyed hash of its number, not the number."""

    __tablename__ = "sms_opt_out"
    number_key: str = Field(primary_key=True, max_length=64)
    at: datetime = _at()


class Complaint(HubTable, table=True):
    """Somebody pressed "Not your report? Tell us": shown to the laboratory, once for each link."""

    __tablename__ = "complaint"
    token_id: int = Field(primary_key=True, foreign_key="link_token.id")
    report_no: str = Field(index=True, max_length=60)
    at: datetime = _at()
