"""Works off the SMS outbox: claim one row, commit, send outside any transaction, record what came of it.

Turns rows that are due into messages. Law: the work lies in the table, the ticker only ticks; a message that may have
gone out is never sent again blindly; nothing to patients between the quiet hours. Source: domain 4.4, 4.7.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Connection, Row
from sqlalchemy.exc import OperationalError

from server.reports import outbox, store, texts
from server.reports.hub import INDIA, Hub
from server.reports.schema import Status
from server.reports.sms import GatewayError, Kind, Outgoing, masked

GIVE_UP = timedelta(hours=48)
LOST = timedelta(minutes=10)  # far longer than any gateway's time-out
GIVE_UP_NOTICE = timedelta(hours=24)
KEEP = timedelta(days=366)
_WAITS = (1, 2, 5, 15, 30, 60)  # at most LONGEST_WAIT: minutes after the 1st, 2nd … failed try
_AFTER = {Kind.REJECTED: Status.FAILED, Kind.UNKNOWN: Status.UNKNOWN}
_log = logging.getLogger("labmitra.reports.sms")


def is_quiet(now: datetime, begin: int, end: int) -> bool:
    """True in the hours (of the Indian day) when patients get no SMS; equal hours: never."""
    hour = now.astimezone(INDIA).hour
    return begin <= hour < end if begin < end else begin != end and (hour >= begin or hour < end)


def run_due(hub: Hub, limit: int = 100) -> int:
    """Send what is due now, at most `limit` messages; gives how many were tried. Safe in many processes at once."""
    now = hub.now()
    with hub.db.write() as conn:
        outbox.expire(conn, now, GIVE_UP, GIVE_UP_NOTICE)
        outbox.lose(conn, now, LOST)
    # The quiet hours are the patients': those of its engineers each laboratory keeps itself.
    quiet = is_quiet(now, hub.settings.sms.quiet_from, hub.settings.sms.quiet_to)
    tried = 0
    while tried < limit and not hub.ending.is_set() and _send_one(hub, notices_only=quiet):
        tried += 1
    return tried


def _send_one(hub: Hub, notices_only: bool) -> bool:
    with hub.db.write() as conn:
        row = outbox.claim(conn, hub.now(), notices_only)
        about = None if row is None else _about(conn, row)
    if row is None or about is None:
        return False
    try:
        message = compose(hub, row, about)
        provider_id = hub.gateway.send(message).provider_id
    except GatewayError as error:
        _record_failure(hub, row, error)
    except ValueError as error:
        _record_failure(hub, row, GatewayError(Kind.REJECTED, str(error)))
    else:
        _record_accepted(hub, row, provider_id, texts.size(message.text).parts)
    return True


def _about(conn: Connection, row: Row[Any]) -> Row[Any] | None:
    """What an SMS is about: a report's version, or a notice."""
    if row.notice_id is not None:
        return store.find_notice(conn, row.notice_id)
    return store.find_version(conn, row.report_no, row.version)


def compose(hub: Hub, row: Row[Any], about: Row[Any]) -> Outgoing:
    """The SMS of an outbox row, from its registered template. ValueError when it would not match the template."""
    template = hub.templates.get(row.template, row.language)
    if row.notice_id is not None:
        values = {slot: getattr(about, slot) for slot in ("facility", "analyzer", "alarm", "since")}
    else:
        values = {
            "link": row.link or "", "days": str(hub.settings.link_days), "report_no": row.report_no,
            "facility": about.facility_en,
        }  # fmt: skip
    return Outgoing(row.message_id, row.recipient, template.render(values), template.dlt_id, template.language)


def _record_accepted(hub: Hub, row: Row[Any], provider_id: str, parts: int) -> None:
    now = hub.now()
    with hub.db.write() as conn:
        outbox.move(conn, row.id, Status.ACCEPTED, now, provider_id=provider_id, parts=parts, error="")
        outbox.apply_receipts(conn, provider_id, now)  # a receipt may have been faster than the answer


def _record_failure(hub: Hub, row: Row[Any], error: GatewayError) -> None:
    now = hub.now()
    to = _AFTER.get(error.kind, Status.QUEUED)
    wait = timedelta(minutes=_WAITS[min(row.attempts, len(_WAITS) - 1)])
    with hub.db.write() as conn:
        outbox.move(conn, row.id, to, now, next_at=now + wait, error=f"{error.kind}: {error}"[:300])
    if row.attempts == 0 or to is not Status.QUEUED:
        what = f"report {row.report_no}" if row.notice_id is None else "a notice"
        _log.warning("SMS of %s to %s: %s, %s", what, masked(row.recipient), to, error.kind)


def tidy(hub: Hub) -> None:
    """Once a day: forget what has been kept long enough."""
    before = hub.now() - KEEP
    with hub.db.write() as conn:
        store.forget(conn, before)
        outbox.drop_numbers(conn, before)


def start_ticker(hub: Hub, seconds: float = 2.0) -> BackgroundScheduler:
    """Tick `run_due` and `tidy` in threads until `shutdown()`; a slow gateway is met with up to four at once."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # "skipped, still running" is what we want it to do
    ticker = BackgroundScheduler(timezone=INDIA)
    ticker.add_job(_tick, "interval", args=[hub], seconds=seconds, max_instances=4, coalesce=True)
    ticker.add_job(tidy, "interval", args=[hub], hours=24, coalesce=True)
    ticker.start()
    return ticker


def _tick(hub: Hub) -> None:
    """A loop edge: a database that is away is logged and tried at the next tick."""
    try:
        run_due(hub)
    except OperationalError as error:
        _log.warning("the SMS outbox cannot be read: %s", type(error.orig).__name__)
