"""Tells the engineer of alarms: one idempotent PUT to the report service each, which owns the SMS gateway.

Turns rows of line_alarm whose notice is due into HTTP calls. Law: told once, in English, without a word an analyzer
said and without any patient's data; never in the quiet hours, never more than so many a day; what ended meanwhile is
not told; a hub that is away is tried again for a day, then nobody is told any more (the page has it all the time).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import httpx2

from middleware.alarm_settings import AlarmKind
from middleware.handover import FINAL_NO, said
from middleware.lab import Lab
from middleware.store import alarms as rows
from middleware.store.alarms import Notice

log = logging.getLogger("labmitra.handover")
GIVE_UP = timedelta(days=1)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
WORDS = {
    AlarmKind.SILENCE: "silent though it usually sends now",
    AlarmKind.CLOCK: "wrong clock",
    AlarmKind.DOWN: "line is down",
    AlarmKind.GARBAGE: "unreadable bytes, check the baud rate",
    AlarmKind.REFUSED: "many refused frames",
    AlarmKind.BOOKS: "results in are not results out",
    AlarmKind.JOURNAL: "journal not written, results refused",
}  # at most 40 letters, digits and blanks: a slot of the registered text holds no more


def run_due(lab: Lab, client: httpx2.Client) -> int:
    """Hand over what is due, oldest first; how many were taken. Stops at the first fault of the hub or the network."""
    now, told = lab.now(), lab.settings.alarms
    here = now.astimezone(lab.settings.lab.timezone)
    with lab.read() as conn:
        due = rows.due_notices(conn, now, LONGEST_PAUSE)
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
        left = told.most_a_day - rows.told_between(conn, midnight, now)
    if any(notice.began_at < now - GIVE_UP for notice in due):
        with lab.write() as conn:
            rows.give_up(conn, now - GIVE_UP)
        due = tuple(notice for notice in due if notice.began_at >= now - GIVE_UP)
    if not due or not told.mobiles or is_quiet(here, told.quiet_from, told.quiet_to):
        return 0
    sent = 0
    for notice in due[: max(0, left)]:
        state = _send(lab, client, notice)
        sent += state == "sent"
        if state == "queued":  # the hub is not there: the rest waits too
            break
    return sent


def is_quiet(here: datetime, begin: int, end: int) -> bool:
    """True in the hours when nobody is told; equal hours: never."""
    return begin <= here.hour < end if begin < end else begin != end and (here.hour >= begin or here.hour < end)


def body_of(lab: Lab, notice: Notice) -> dict[str, Any]:
    """What the report service is told: kinds and names of our own settings only."""
    titles = {a.name: a.title if a.title.isascii() else a.name for a in lab.settings.analyzers}
    since = notice.began_at.astimezone(lab.settings.lab.timezone)
    return {
        "mobiles": list(lab.settings.alarms.mobiles),
        "facility": lab.settings.lab.facility.name_en,
        "analyzer": titles.get(notice.analyzer, notice.analyzer) if notice.analyzer else "all analyzers",
        "alarm": words(notice),
        "since": f"{since:%d %b %H%M} hrs",
    }


def words(notice: Notice) -> str:
    """The alarm in a few English words: letters, digits and blanks."""
    kind = AlarmKind(notice.kind)
    if kind is not AlarmKind.CLOCK or notice.args.get("unset"):
        return "clock is not set" if kind is AlarmKind.CLOCK else WORDS[kind]
    minutes = int(notice.args.get("minutes", 0))
    return f"clock is {span(abs(minutes))} {'fast' if minutes > 0 else 'slow'}"


def span(minutes: int) -> str:
    """125 → "2 h 5 min"; days from two days on."""
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _send(lab: Lab, client: httpx2.Client, notice: Notice) -> str:
    try:
        answer = client.put(f"/api/v1/notices/{notice.notice_id}", json=body_of(lab, notice))
    except httpx2.HTTPError as fault:
        return _later(lab, notice, f"report service not reached ({type(fault).__name__})")
    told = said(answer)
    if answer.status_code == 200 and told.get("stored") is True:
        return _done(lab, notice, "sent", "")
    if answer.status_code in FINAL_NO and "detail" in told:
        refusal = f"report service refused it ({answer.status_code}): {told['detail']}"
        return _done(lab, notice, "refused", refusal[:400])
    if answer.status_code == 401:
        return _later(lab, notice, "report service does not know this facility's key (401)")
    return _later(lab, notice, f"report service answered {answer.status_code}")


def _done(lab: Lab, notice: Notice, state: str, error: str) -> str:
    told_at = lab.now() if state == "sent" else None
    tries = notice.notice_attempts + 1
    with lab.write() as conn:
        rows.settle_notice(
            conn, notice.id, notice_state=state, notice_attempts=tries, notice_error=error, told_at=told_at
        )
    if state == "refused":
        log.error("a notice to the engineer was refused, see the analyzers page")
    return state


def _later(lab: Lab, notice: Notice, error: str) -> str:
    tries = notice.notice_attempts + 1
    pause = min(FIRST_PAUSE * 2 ** min(tries - 1, 10), LONGEST_PAUSE)
    with lab.write() as conn:
        rows.settle_notice(conn, notice.id, notice_attempts=tries, notice_error=error, notice_next_at=lab.now() + pause)
    if tries == 1:
        log.warning("%s; the notice to the engineer waits and is tried again", error)
    return "queued"
