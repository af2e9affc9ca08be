"""Every SQL statement of the report service but the outbox's, one function each, named by a verb.

Turns questions into rows and facts into rows. Law: takes a Connection inside a transaction; decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text, update

from server.reports.schema import HubTable, Outcome

_TABLES = HubTable.metadata.tables
facility, report, version = _TABLES["facility"], _TABLES["report"], _TABLES["report_version"]
access, gate, token = _TABLES["access"], _TABLES["gate"], _TABLES["link_token"]
opening, complaint, opt_out = _TABLES["opening"], _TABLES["complaint"], _TABLES["sms_opt_out"]
notice = _TABLES["notice"]


def keep_facilities(conn: Connection, keys: Mapping[str, str]) -> None:
    """Make the table say what the settings say: code → SHA-256 hex of its key; who is not named is inactive.

    Replicas that start together do it one after the other."""
    lock_report(conn, "facilities")
    conn.execute(update(facility).values(active=False))
    known = set(conn.execute(select(facility.c.code)).scalars())
    for code, sha256 in keys.items():
        values = {"key_sha256": sha256, "active": True}
        if code in known:
            conn.execute(update(facility).where(facility.c.code == code).values(values))
        else:
            conn.execute(insert(facility).values(code=code, **values))


def find_facility(conn: Connection, key_sha256: str) -> str | None:
    """The code of the active facility with this key."""
    found = select(facility.c.code).where(facility.c.key_sha256 == key_sha256, facility.c.active)
    code: str | None = conn.execute(found).scalar_one_or_none()
    return code


def lock_report(conn: Connection, report_no: str) -> None:
    """Let one process at a time change a report; on SQLite the whole file is ours already."""
    if conn.dialect.name != "sqlite":
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:no, 0))"), {"no": report_no})


def find_report(conn: Connection, report_no: str) -> Row[Any] | None:
    """The report row: facility_code, newest."""
    return conn.execute(select(report).where(report.c.report_no == report_no)).one_or_none()


def find_version(conn: Connection, report_no: str, number: int) -> Row[Any] | None:
    """One version of a report."""
    return conn.execute(
        select(version).where(version.c.report_no == report_no, version.c.version == number)
    ).one_or_none()


def find_newest(conn: Connection, report_no: str) -> Row[Any] | None:
    """The version every link opens."""
    joined = select(version).join(
        report, (report.c.report_no == version.c.report_no) & (report.c.newest == version.c.version)
    )
    return conn.execute(joined.where(report.c.report_no == report_no)).one_or_none()


def list_versions(conn: Connection, report_no: str) -> list[Row[Any]]:
    """Every stored version, oldest first."""
    found = select(version).where(version.c.report_no == report_no).order_by(version.c.version)
    return list(conn.execute(found))


def add_version(conn: Connection, facility_code: str, now: datetime, values: Mapping[str, Any]) -> None:
    """Store a version; the report's newest is the highest that ever came."""
    no, number = values["report_no"], values["version"]
    known = find_report(conn, no)
    if known is None:
        row = {"report_no": no, "facility_code": facility_code, "newest": number, "created_at": now}
        conn.execute(insert(report).values(row))
    elif known.newest < number:
        conn.execute(update(report).where(report.c.report_no == no).values(newest=number))
    conn.execute(insert(version).values(stored_at=now, **values))


def find_access(conn: Connection, report_no: str) -> Row[Any] | None:
    """How the report may be reached."""
    return conn.execute(select(access).where(access.c.report_no == report_no)).one_or_none()


def put_access(conn: Connection, report_no: str, values: Mapping[str, Any]) -> None:
    """Replace how a report may be reached; only a new PIN makes its wrong tries forgotten, a new version never does."""
    known = find_access(conn, report_no)
    if known is None:
        conn.execute(insert(access).values(report_no=report_no, **values))
        conn.execute(insert(gate).values(report_no=report_no, run=0, total=0))
    else:
        conn.execute(update(access).where(access.c.report_no == report_no).values(**values))
        if known.pin_hash != values["pin_hash"]:
            put_gate(conn, report_no, run=0, total=0, locked_until=None, revoked_at=None)


def find_gate(conn: Connection, report_no: str) -> Row[Any]:
    """The wrong PINs of a report; on PostgreSQL the row is ours until the transaction ends."""
    return conn.execute(select(gate).where(gate.c.report_no == report_no).with_for_update()).one()


def put_gate(conn: Connection, report_no: str, **values: Any) -> None:
    """Change the count of wrong PINs."""
    conn.execute(update(gate).where(gate.c.report_no == report_no).values(**values))


def find_token(conn: Connection, sha256: str) -> Row[Any] | None:
    """The link with this hash, whatever its state."""
    return conn.execute(select(token).where(token.c.sha256 == sha256)).one_or_none()


def add_token(conn: Connection, report_no: str, kind: str, sha256: str, now: datetime, expires_at: datetime) -> int:
    """Store a link; gives its id."""
    row = {"report_no": report_no, "kind": kind, "sha256": sha256, "created_at": now, "expires_at": expires_at}
    made = conn.execute(insert(token).values(row).returning(token.c.id))
    return int(made.scalar_one())


def revoke_tokens(conn: Connection, report_no: str, kind: str, now: datetime, but: Collection[str] = ()) -> None:
    """End the links of one kind (sms or slip), but those with these hashes."""
    which = (token.c.report_no == report_no) & (token.c.kind == kind) & token.c.revoked_at.is_(None)
    conn.execute(update(token).where(which, token.c.sha256.not_in(list(but))).values(revoked_at=now))


def renew_slips(conn: Connection, report_no: str, expires_at: datetime) -> None:
    """A new version gives the slip its whole life again."""
    which = (token.c.report_no == report_no) & (token.c.kind == "slip")
    conn.execute(update(token).where(which).values(expires_at=expires_at))


def log_opening(conn: Connection, values: Mapping[str, Any]) -> None:
    """One line of the opening log."""
    conn.execute(insert(opening).values(**values))


def count_opened(conn: Connection, report_no: str) -> tuple[int, datetime | None]:
    """How often a report was opened with its PIN, and when last."""
    asked = select(func.count(), func.max(opening.c.at)).where(
        opening.c.report_no == report_no, opening.c.outcome == Outcome.OPENED.value
    )
    count, last = conn.execute(asked).one()
    return int(count), last


def add_complaint(conn: Connection, report_no: str, token_id: int, now: datetime) -> None:
    """Note "not my report", once for each link."""
    if conn.execute(select(complaint.c.at).where(complaint.c.token_id == token_id)).one_or_none() is None:
        conn.execute(insert(complaint).values(token_id=token_id, report_no=report_no, at=now))


def list_complaints(conn: Connection, report_no: str) -> list[datetime]:
    """When somebody said "not my report"."""
    return list(conn.execute(select(complaint.c.at).where(complaint.c.report_no == report_no)).scalars())


def add_opt_out(conn: Connection, number_key: str, now: datetime) -> None:
    """Remember that a phone wants no more SMS."""
    if not opted_out(conn, number_key):
        conn.execute(insert(opt_out).values(number_key=number_key, at=now))


def opted_out(conn: Connection, number_key: str) -> bool:
    """True when this phone wants no SMS."""
    return conn.execute(select(opt_out.c.at).where(opt_out.c.number_key == number_key)).one_or_none() is not None


def lock_notice(conn: Connection, notice_id: str) -> None:
    """Let one process at a time take a notice; on SQLite the whole file is ours already."""
    lock_report(conn, notice_id)


def find_notice(conn: Connection, notice_id: str) -> Row[Any] | None:
    """One notice."""
    return conn.execute(select(notice).where(notice.c.notice_id == notice_id)).one_or_none()


def add_notice(conn: Connection, values: Mapping[str, Any]) -> None:
    """Store a notice."""
    conn.execute(insert(notice).values(**values))


def forget(conn: Connection, openings_before: datetime) -> None:
    """Drop opening-log lines older than their year (domain 5.2, 5.5)."""
    conn.execute(opening.delete().where(opening.c.at < openings_before))
