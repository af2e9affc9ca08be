"""The outbox: each released report goes to the report service by one idempotent PUT, until it is acknowledged.

Turns queued rows into HTTP calls. Law: no transaction is held across a call; only the report service's own word that
it stored the report is believed (a hospital's network answers 200 and 302 with a log-in page of its own); what a retry
cannot change is shown to a person as refused, all else is tried again with growing pauses, for days.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx2
from sqlalchemy import or_, select

from middleware import store
from middleware.lab import Lab
from middleware.schema import DeliveryState, HandoverRow

log = logging.getLogger("labmitra.handover")
LONGEST_PAUSE = timedelta(minutes=30)
WATCHED = timedelta(days=3)  # how long the delivery state of a report is asked for
FINAL_NO = frozenset({400, 403, 409, 413, 422})  # what the report service answers when this very report is the trouble


def client_for(lab: Lab) -> httpx2.Client:
    """The HTTP client of the outbox, with this facility's key."""
    hub = lab.settings.hub
    return httpx2.Client(base_url=hub.url, headers={"Authorization": f"Bearer {hub.key}"}, timeout=20)


def run_due(lab: Lab, client: httpx2.Client, limit: int = 50) -> int:
    """Send what is due, oldest first; how many were acknowledged. Stops at the first transport fault."""
    h = store.table(HandoverRow)
    with lab.read() as conn:
        now = lab.now()
        due = or_(h.c.next_at <= now, h.c.next_at > now + LONGEST_PAUSE)  # put off by a clock that was ahead
        query = select(h).where(h.c.state == "queued", due).order_by(h.c.id).limit(limit)
        rows = [dict(r) for r in conn.execute(query).mappings()]
    sent = 0
    for row in rows:
        state = _send(lab, client, row)
        sent += state == "sent"
        if state == "queued":  # the service is not there: the rest waits too
            break
    return sent


def _send(lab: Lab, client: httpx2.Client, row: Mapping[str, Any]) -> str:
    path = f"/api/v1/reports/{row['report_no']}/versions/{row['version']}"
    try:
        answer = client.put(path, json=row["payload"])
    except httpx2.HTTPError as fault:
        return _later(lab, row, f"report service not reached ({type(fault).__name__})")
    told = said(answer)
    if answer.status_code == 200 and told.get("stored") is True:
        _delivery(lab, row["report_no"], told.get("delivery"))
        return _done(lab, row, "sent", "")
    if answer.status_code in FINAL_NO and "detail" in told:
        return _done(lab, row, "refused", f"report service refused it ({answer.status_code}): {told['detail']}"[:400])
    if answer.status_code == 401:
        return _later(lab, row, "report service does not know this facility's key (401)")
    return _later(lab, row, f"report service answered {answer.status_code}")


def said(answer: httpx2.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; empty when it is something else."""
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, Mapping) else {}


def _done(lab: Lab, row: Mapping[str, Any], state: str, error: str) -> str:
    with lab.write() as conn:
        store.change(conn, HandoverRow, row["id"], state=state, attempts=row["attempts"] + 1, last_error=error,
                     sent_at=lab.now() if state == "sent" else None)  # fmt: skip
        if row["attempts"] and state == "sent":  # it is back: nobody waits out the pause of a bad hour
            h = store.table(HandoverRow)
            conn.execute(h.update().where(h.c.state == "queued").values(next_at=lab.now()))
        store.touch(conn, "reports")
    if row["attempts"] and state == "sent":
        log.info("report service reached again")
    if state == "refused":
        log.error("a hand-over was refused, see the reports page")
    return state


def _later(lab: Lab, row: Mapping[str, Any], error: str) -> str:
    tries = row["attempts"] + 1
    pause = min(lab.settings.hub.retry_seconds * timedelta(seconds=2 ** min(tries - 1, 10)), LONGEST_PAUSE)
    with lab.write() as conn:
        store.change(conn, HandoverRow, row["id"], attempts=tries, last_error=error, next_at=lab.now() + pause)
        store.touch(conn, "reports")
    if tries == 1:
        log.warning("%s; the outbox waits and tries again", error)
    return "queued"


def ask_deliveries(lab: Lab, client: httpx2.Client, limit: int = 50) -> int:
    """Ask the report service how recent deliveries stand; how many states changed."""
    h, d = store.table(HandoverRow), store.table(DeliveryState)
    with lab.read() as conn:
        recent = (
            select(h.c.report_no)
            .join(d, d.c.report_no == h.c.report_no, isouter=True)
            .where(h.c.state == "sent", h.c.created_at >= lab.now() - WATCHED)
            .group_by(h.c.report_no, d.c.checked_at)
            .order_by(d.c.checked_at.nulls_first())
            .limit(limit)
        )
        numbers = list(conn.execute(recent).scalars())
    changed = 0
    for report_no in numbers:
        try:
            answer = client.get(f"/api/v1/reports/{report_no}")
        except httpx2.HTTPError:
            break
        if answer.status_code == 200:
            changed += _delivery(lab, report_no, said(answer).get("delivery"))
    return changed


def _delivery(lab: Lab, report_no: str, state: Any) -> bool:
    """Keep what the service said of a report's delivery; True when it changed."""
    if not isinstance(state, Mapping):
        return False
    values = {"status": str(state.get("status", "")), "detail": dict(state), "opened": int(state.get("opened", 0))}
    with lab.write() as conn:
        old = store.one(conn, DeliveryState, report_no)
        values_now = {**values, "checked_at": lab.now()}
        statement = store.insert_into(conn, DeliveryState).values(report_no=report_no, **values_now)
        conn.execute(statement.on_conflict_do_update(index_elements=["report_no"], set_=values_now))
        changed = old is None or any(old[k] != v for k, v in values.items())
        if changed:
            store.touch(conn, "reports")
    return changed


def waiting(lab: Lab) -> int:
    """How many hand-overs are not acknowledged yet."""
    with lab.read() as conn:
        return store.count(conn, HandoverRow, store.table(HandoverRow).c.state == "queued")
