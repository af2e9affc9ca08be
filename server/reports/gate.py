"""Turns a link and a PIN into an opened report, or into the reason why not.

Law: looking consumes nothing and shows nobody; unknown, expired and revoked look the same; a try is counted before it
is checked, so a hundred tries at once are a hundred tries; five wrong lock for 30 minutes, fifteen end every link of
the report until the lab changes its access. Source: domain 5.2, 5.6.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import Connection, Row

from middleware.model import LinkPolicy, Report
from server.reports import intake, links, outbox, store
from server.reports.hub import Hub
from server.reports.schema import Outcome

RUN, TOTAL = 5, 15
LOCK = timedelta(minutes=30)
OPEN = timedelta(minutes=15)  # how long a right PIN holds for the PDF and the other language
PIN_LENGTH = 6


class Said(StrEnum):
    """What came of a look or a try."""

    GATE = "gate"  # ask for the PIN
    OPEN = "open"
    UNAVAILABLE = "unavailable"  # unknown, not ready, expired or revoked: one answer for all
    WITHDRAWN = "withdrawn"
    IN_PERSON = "in_person"
    NO_PIN = "no_pin"  # no slip was ever printed
    WRONG = "wrong"
    LOCKED = "locked"
    REVOKED = "revoked"
    BAD_PIN = "bad_pin"  # not six digits: not counted


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, as the opening log keeps it."""

    ip: str
    agent: str


@dataclass(frozen=True, slots=True)
class Found:
    """A living link and what it leads to: the newest version and how it may be reached."""

    token_id: int
    report_no: str
    version: Row[Any]
    access: Row[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to show. `report` is there only when it is OPEN."""

    said: Said
    found: Found | None = None
    left: int = 0
    report: Report | None = None
    opened: int = 0


_GONE = Answer(Said.UNAVAILABLE)


def look(hub: Hub, typed: str) -> Answer:
    """What a GET of a link shows: consumes nothing, tells nothing of the patient."""
    with hub.db.read() as conn:
        found = _find(conn, typed, hub.now())
    return _GONE if found is None else Answer(_standing(found), found)


def enter(hub: Hub, typed: str, pin: str, visitor: Visitor) -> Answer:
    """One try with a PIN. BusyError when too many people try at once."""
    digits = _digits(pin)
    with hub.db.write() as conn:
        found = _find(conn, typed, hub.now())
        answer = _GONE if found is None else Answer(_standing(found), found)
        if found is not None and answer.said is Said.GATE:
            answer = _reserve(conn, hub, found, visitor) if digits else Answer(Said.BAD_PIN, found)
    right = hub.pins.right(found.access.pin_hash if found and answer.said is Said.GATE else None, digits or "-")
    if found is None or answer.said is not Said.GATE:
        return answer
    return _open(hub, found, visitor) if right else _refuse(hub, found, visitor)


def again(hub: Hub, typed: str, cookie: str | None, outcome: Outcome, visitor: Visitor) -> Answer:
    """The report once more within 15 minutes of a right PIN (other language, PDF); else what `look` says."""
    answer = look(hub, typed)
    found = answer.found
    if found is None or answer.said is not Said.GATE or not _holds(hub, found, cookie):
        return answer
    if found.version.link != LinkPolicy.YES.value:
        return Answer(Said.IN_PERSON, found)
    with hub.db.write() as conn:
        _log(conn, hub, found, outcome, visitor)
        opened, _ = store.count_opened(conn, found.report_no)
    return Answer(Said.OPEN, found, report=intake.DOCUMENT.validate_json(found.version.document), opened=opened)


def ticket(hub: Hub, found: Found) -> str:
    """The cookie that stands for a right PIN: bound to this link and this access, signed, short-lived."""
    until = int((hub.now() + OPEN).timestamp())
    return str(_signer(hub).dumps([found.token_id, found.access.serial, until]))


def complain(hub: Hub, typed: str) -> bool:
    """Note "not my report" for the lab; False when the link does not live."""
    with hub.db.write() as conn:
        found = _find(conn, typed, hub.now())
        if found is not None:
            store.add_complaint(conn, found.report_no, found.token_id, hub.now())
    return found is not None


def stop_sms(hub: Hub, typed: str) -> bool:
    """No more SMS to the phone of this report; False when the link does not live."""
    with hub.db.write() as conn:
        found = _find(conn, typed, hub.now())
        if found is not None and found.access.mobile:
            store.add_opt_out(conn, hub.keyed("number", found.access.mobile), hub.now())
            outbox.suppress_number(conn, found.access.mobile, hub.now())
    return found is not None


def _find(conn: Connection, typed: str, now: datetime) -> Found | None:
    token = links.normalise(typed)
    row = store.find_token(conn, links.token_hash(token)) if token else None
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        return None
    version, access = store.find_newest(conn, row.report_no), store.find_access(conn, row.report_no)
    if version is None or access is None or store.find_gate(conn, row.report_no).revoked_at is not None:
        return None
    return Found(row.id, row.report_no, version, access)


def _standing(found: Found) -> Said:
    if outbox.is_withdrawn(found.version, found.access):
        return Said.WITHDRAWN
    return Said.GATE if found.access.pin_hash else Said.NO_PIN


def _digits(pin: str) -> str | None:
    """Six digits, also typed as ०-९ or with blanks; None when it cannot be a PIN."""
    plain = "".join(str(unicodedata.digit(c, -1)) for c in pin[:40] if not c.isspace())
    return plain if len(plain) == PIN_LENGTH and "-" not in plain else None


def _reserve(conn: Connection, hub: Hub, found: Found, visitor: Visitor) -> Answer:
    """Count the try as wrong before it is checked; GATE when it may be checked."""
    now, row = hub.now(), store.find_gate(conn, found.report_no)
    if row.locked_until is not None and row.locked_until > now:
        _log(conn, hub, found, Outcome.LOCKED, visitor)
        return Answer(Said.LOCKED, found)
    run = row.run + 1
    if row.total + 1 > TOTAL:
        store.put_gate(conn, found.report_no, revoked_at=now)
        return Answer(Said.REVOKED, found)
    lock = {"locked_until": now + LOCK, "run": 0} if run >= RUN else {"locked_until": None, "run": run}
    store.put_gate(conn, found.report_no, total=row.total + 1, **lock)
    return Answer(Said.GATE, found)


def _refuse(hub: Hub, found: Found, visitor: Visitor) -> Answer:
    """A wrong PIN: how many tries are left, or that the gate is locked, or closed for good."""
    with hub.db.write() as conn:
        row = store.find_gate(conn, found.report_no)
        if row.total >= TOTAL:
            store.put_gate(conn, found.report_no, revoked_at=hub.now())
            _log(conn, hub, found, Outcome.REVOKED, visitor)
            return Answer(Said.REVOKED, found)
        _log(conn, hub, found, Outcome.WRONG, visitor)
    if row.locked_until is not None and row.locked_until > hub.now():
        return Answer(Said.LOCKED, found)
    return Answer(Said.WRONG, found, left=min(RUN - row.run, TOTAL - row.total))


def _open(hub: Hub, found: Found, visitor: Visitor) -> Answer:
    """A right PIN: take the counted try back, and show the report if it is one that may be shown."""
    shown = found.version.link == LinkPolicy.YES.value
    with hub.db.write() as conn:
        row = store.find_gate(conn, found.report_no)
        store.put_gate(conn, found.report_no, run=0, total=max(row.total - 1, 0), locked_until=None)
        _log(conn, hub, found, Outcome.OPENED if shown else Outcome.IN_PERSON, visitor)
        opened, _ = store.count_opened(conn, found.report_no)
    if not shown:
        return Answer(Said.IN_PERSON, found)
    return Answer(Said.OPEN, found, report=intake.DOCUMENT.validate_json(found.version.document), opened=opened)


def _log(conn: Connection, hub: Hub, found: Found, outcome: Outcome, visitor: Visitor) -> None:
    line = {"at": hub.now(), "report_no": found.report_no, "token_id": found.token_id, "version": found.version.version}
    store.log_opening(conn, line | {"outcome": outcome.value, "agent": visitor.agent[:40], "ip": visitor.ip[:45]})


def _signer(hub: Hub) -> URLSafeSerializer:
    return URLSafeSerializer(hub.settings.secret, salt="labmitra.reports.open")


def _holds(hub: Hub, found: Found, cookie: str | None) -> bool:
    if not cookie:
        return False
    try:
        token_id, serial, until = _signer(hub).loads(cookie)
    except (BadSignature, ValueError, TypeError):
        return False
    same = (token_id, serial) == (found.token_id, found.access.serial)
    return bool(same and hub.now().timestamp() < until)
