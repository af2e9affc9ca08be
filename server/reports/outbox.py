"""Turns a stored report version into the SMS it deserves, and an SMS row from one status into the next.

Law: planned in the transaction that stores the report; every move stands in `schema.MOVES`; a report that may not go
by link never gets one; the clear link is erased when the row leaves "queued" for good. Source: domain 4.7, 5.4.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, String, cast, insert, literal, or_, select, update

from middleware.model import LinkPolicy, ReportStatus
from server.reports import links, store
from server.reports.hub import Hub
from server.reports.schema import MOVES, HubTable, Status
from server.reports.sms import number
from server.reports.texts import NOTICE

sms, receipt = HubTable.metadata.tables["sms"], HubTable.metadata.tables["sms_receipt"]
LONGEST_WAIT = timedelta(hours=1)  # between two tries of one SMS
_TOLD = (Status.SENT, Status.ACCEPTED, Status.DELIVERED, Status.UNKNOWN)  # the person may have read it
_KEEPS_LINK = (Status.QUEUED, Status.SENT)


def plan(conn: Connection, hub: Hub, report_no: str, resend: bool) -> None:
    """Queue the SMS of a report's newest version unless it is there; take back what must not go out any more."""
    newest, access = store.find_newest(conn, report_no), store.find_access(conn, report_no)
    assert newest is not None and access is not None
    now = hub.now()
    if is_withdrawn(newest, access):
        suppress(conn, report_no, now, "withdrawn")
        return
    recipient = (number(access.mobile) or "") if access.sms != "none" else ""
    template = _template(conn, newest, access, recipient)
    suppress(conn, report_no, now, "overtaken", but=None if resend else (newest.version, recipient, template))
    if newest.status == ReportStatus.INTERIM.value:
        return  # one SMS at the end, not one per test (domain 1.4)
    rows = [r for r in list_for(conn, report_no) if (r.version, r.recipient) == (newest.version, recipient)]
    if resend or all(r.status == Status.SUPPRESSED.value for r in rows):
        _queue(conn, hub, newest, access, recipient, template, access.serial if rows else 0, resend)


def is_withdrawn(newest: Row[Any], access: Row[Any]) -> bool:
    """True when this report must show nothing any more."""
    return bool(access.withdrawn) or newest.status == ReportStatus.WITHDRAWN.value


def _template(conn: Connection, newest: Row[Any], access: Row[Any], recipient: str) -> str:
    """Which text: with a link only when both the report and its owner's phone allow it."""
    told = any(
        r.status in _TOLD and r.version < newest.version and r.recipient == recipient
        for r in list_for(conn, newest.report_no)
    )
    if access.sms == "link" and newest.link == LinkPolicy.YES.value:
        return "corrected" if told else "ready"
    return "in_person_corrected" if told else "in_person"


def _queue(
    conn: Connection,
    hub: Hub,
    newest: Row[Any],
    access: Row[Any],
    recipient: str,
    template: str,
    turn: int,
    asked: bool,
) -> None:
    status, why = _first_status(conn, hub, access, recipient, asked)
    now = hub.now()
    row: dict[str, Any] = {
        "message_id": secrets.token_hex(16), "report_no": newest.report_no, "version": newest.version,
        "recipient": recipient, "template": template, "language": access.language, "round": turn,
        "status": status.value, "error": why, "attempts": 0, "parts": 0,
        "created_at": now, "next_at": now, "changed_at": now,
    }  # fmt: skip
    if status is Status.QUEUED and template in ("ready", "corrected"):
        link = links.issue(LinkPolicy(newest.link), now, hub.settings.link_days)
        row["token_id"] = store.add_token(conn, newest.report_no, "sms", link.sha256, now, link.expires_at)
        row["link"] = links.url(hub.settings.public_url, link.token)
    conn.execute(insert(sms).values(row))


def _first_status(conn: Connection, hub: Hub, access: Row[Any], recipient: str, asked: bool) -> tuple[Status, str]:
    if access.sms == "none" or not access.mobile:
        return Status.IN_PERSON, ""
    if not recipient:
        return Status.FAILED, "not an Indian mobile number"
    if not asked and store.opted_out(conn, hub.keyed("number", recipient)):
        return Status.SUPPRESSED, "this phone asked for no more SMS"
    return Status.QUEUED, ""


def suppress(
    conn: Connection, report_no: str, now: datetime, why: str, but: tuple[int, str, str] | None = None
) -> None:
    """Take back a report's queued SMS, but those of one (version, recipient, template)."""
    which = (sms.c.report_no == report_no) & (sms.c.status == Status.QUEUED.value)
    if but is not None:
        version, recipient, template = but
        which &= or_(sms.c.version != version, sms.c.recipient != recipient, sms.c.template != template)
    gone = {"status": Status.SUPPRESSED.value, "link": None, "error": why, "changed_at": now}
    conn.execute(update(sms).where(which).values(gone))


def suppress_number(conn: Connection, recipient: str, now: datetime) -> None:
    """Take back every queued SMS to a phone that wants no more."""
    which = (sms.c.recipient == recipient) & (sms.c.status == Status.QUEUED.value)
    gone = {"status": Status.SUPPRESSED.value, "link": None, "error": "this phone asked for no more SMS"}
    conn.execute(update(sms).where(which).values(changed_at=now, **gone))


def list_for(conn: Connection, report_no: str) -> list[Row[Any]]:
    """Every SMS of a report, oldest first."""
    return list(conn.execute(select(sms).where(sms.c.report_no == report_no).order_by(sms.c.id)))


def queue_notice(conn: Connection, hub: Hub, notice_id: str, recipient: str) -> None:
    """Queue the SMS of a notice to one number."""
    unwanted = store.opted_out(conn, hub.keyed("number", recipient))
    now = hub.now()
    row = {
        "message_id": secrets.token_hex(16), "notice_id": notice_id, "recipient": recipient, "template": NOTICE,
        "language": "en", "round": 0, "status": (Status.SUPPRESSED if unwanted else Status.QUEUED).value,
        "error": "this phone asked for no more SMS" if unwanted else "", "attempts": 0, "parts": 0,
        "created_at": now, "next_at": now, "changed_at": now,
    }  # fmt: skip
    conn.execute(insert(sms).values(row))


def list_for_notice(conn: Connection, notice_id: str) -> list[Row[Any]]:
    """Every SMS of a notice."""
    return list(conn.execute(select(sms).where(sms.c.notice_id == notice_id).order_by(sms.c.id)))


def claim(conn: Connection, now: datetime, notices_only: bool = False) -> Row[Any] | None:
    """Take one due SMS: it is "sent" from here on, whatever happens to this process."""
    ahead = sms.c.next_at > now + LONGEST_WAIT  # put off by a clock that was ahead
    due = select(sms).where(sms.c.status == Status.QUEUED.value, or_(sms.c.next_at <= now, ahead))
    if notices_only:
        due = due.where(sms.c.notice_id.is_not(None))
    row = conn.execute(due.order_by(sms.c.next_at, sms.c.id).limit(1).with_for_update(skip_locked=True)).one_or_none()
    if row is not None:
        values = {"status": Status.SENT.value, "attempts": row.attempts + 1, "claimed_at": now, "changed_at": now}
        conn.execute(update(sms).where(sms.c.id == row.id).values(values))
    return row


def move(conn: Connection, row_id: int, to: Status, now: datetime, **values: Any) -> bool:
    """Move an SMS to a status; False (nothing changed) when that move is not in the table."""
    status = conn.execute(select(sms.c.status).where(sms.c.id == row_id).with_for_update()).scalar_one()
    if to not in MOVES[Status(status)]:
        return False
    if to not in _KEEPS_LINK:
        values["link"] = None
    conn.execute(update(sms).where(sms.c.id == row_id).values(status=to.value, changed_at=now, **values))
    return True


def expire(conn: Connection, now: datetime, after: timedelta, notice_after: timedelta) -> int:
    """Give up on SMS that nobody took in this time; how many. What a line had yesterday is no news."""
    too_old = sms.c.created_at < now - after
    old_notice = sms.c.notice_id.is_not(None) & (sms.c.created_at < now - notice_after)
    which = (sms.c.status == Status.QUEUED.value) & (too_old | old_notice)
    gone = {"status": Status.EXPIRED.value, "link": None, "changed_at": now}
    return conn.execute(update(sms).where(which).values(gone)).rowcount


def lose(conn: Connection, now: datetime, after: timedelta) -> int:
    """A process died between sending and recording: those SMS are "unknown"; how many."""
    which = (sms.c.status == Status.SENT.value) & (sms.c.claimed_at < now - after)
    why = "the service stopped while sending"
    gone = {"status": Status.UNKNOWN.value, "link": None, "error": why, "changed_at": now}
    return conn.execute(update(sms).where(which).values(gone)).rowcount


def drop_numbers(conn: Connection, before: datetime) -> None:
    """Forget whose phone it was, a year later (domain 5.5)."""
    nobody = literal("x") + cast(sms.c.id, String)  # still one recipient each
    conn.execute(update(sms).where(sms.c.created_at < before, sms.c.recipient.like("+%")).values(recipient=nobody))
    conn.execute(update(store.access).where(store.access.c.changed_at < before).values(mobile=None))


def add_receipt(conn: Connection, provider_id: str, status: Status, code: str, now: datetime) -> None:
    """Keep a receipt, once, and move its SMS if that is already known."""
    same = (receipt.c.provider_id == provider_id) & (receipt.c.status == status.value)
    if conn.execute(select(receipt.c.id).where(same)).one_or_none() is None:
        conn.execute(insert(receipt).values(provider_id=provider_id, status=status.value, code=code, at=now))
    apply_receipts(conn, provider_id, now)


def apply_receipts(conn: Connection, provider_id: str, now: datetime) -> None:
    """Move the SMS of this id by what its receipts say, in the order they came."""
    named = or_(sms.c.provider_id == provider_id, sms.c.message_id == provider_id)
    rows = conn.execute(select(sms.c.id, sms.c.status).where(named)).all()
    receipts = conn.execute(select(receipt).where(receipt.c.provider_id == provider_id).order_by(receipt.c.id)).all()
    for row in rows:
        for told in receipts:
            move(conn, row.id, Status(told.status), now, error=f"operator: {told.code}" if told.code else "")


__all__ = [
    "add_receipt", "apply_receipts", "claim", "drop_numbers", "expire", "is_withdrawn", "list_for", "list_for_notice",
    "lose", "move", "plan", "queue_notice", "suppress", "suppress_number",
]  # fmt: skip
