"""Turns the body of one PUT into a stored notice and its SMS to a laboratory's engineers: one transaction.

Law: idempotent: a notice is told once, whatever a second call of the same id says; its words fill slots of one
registered text (plain letters and digits, 40 at most), so nothing else can leave by it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from server.reports import outbox, store
from server.reports.hub import Hub
from server.reports.intake import Fault, ForeignError, MalformedError
from server.reports.sms import masked, number

MOST_MOBILES = 5
LONGEST = 120


@dataclass(frozen=True, slots=True)
class NoticeBody:
    """What a laboratory sends: whom to tell, and the words of the text's slots."""

    mobiles: tuple[str, ...]
    facility: str
    analyzer: str
    alarm: str
    since: str


NOTICE: TypeAdapter[NoticeBody] = TypeAdapter(NoticeBody)


def read(body: bytes, notice_id: str) -> NoticeBody:
    """The notice of a body. MalformedError names every fault."""
    try:
        notice = NOTICE.validate_json(body)
    except ValidationError as error:
        faults = [Fault(".".join(map(str, e["loc"])) or "body", e["msg"]) for e in error.errors(include_input=False)]
        raise MalformedError(faults) from None
    known = {f.name for f in fields(NoticeBody)}
    faults = [Fault(key, "this report service does not know the field") for key in json.loads(body) if key not in known]
    if not re.fullmatch(r"[0-9a-f]{32}", notice_id):
        faults.append(Fault("notice_id", "32 lower-case hex digits"))
    if not 1 <= len(notice.mobiles) <= MOST_MOBILES:
        faults.append(Fault("mobiles", f"1 to {MOST_MOBILES} numbers"))
    faults += [Fault(f"mobiles.{n}", "no Indian mobile number") for n, m in enumerate(notice.mobiles) if not number(m)]
    words = ((name, getattr(notice, name)) for name in ("facility", "analyzer", "alarm", "since"))
    faults += [Fault(name, f"1 to {LONGEST} characters") for name, text in words if not 0 < len(text) <= LONGEST]
    if len(notice.since) > 40:
        faults.append(Fault("since", "at most 40 characters"))
    if faults:
        raise MalformedError(faults)
    return notice


def take(hub: Hub, facility_code: str, notice_id: str, notice: NoticeBody) -> dict[str, Any]:
    """Store a notice with its SMS unless it is stored; the answer of the PUT. ForeignError when it is another's."""
    with hub.db.write() as conn:
        store.lock_notice(conn, notice_id)
        known = store.find_notice(conn, notice_id)
        if known is not None and known.facility_code != facility_code:
            raise ForeignError
        if known is None:
            values = {"facility": notice.facility, "analyzer": notice.analyzer, "alarm": notice.alarm}
            store.add_notice(conn, {"notice_id": notice_id, "facility_code": facility_code, "since": notice.since,
                                    "stored_at": hub.now(), **values})  # fmt: skip
            for recipient in dict.fromkeys(filter(None, map(number, notice.mobiles))):
                outbox.queue_notice(conn, hub, notice_id, recipient)
        told = [{"to": masked(r.recipient), "status": r.status} for r in outbox.list_for_notice(conn, notice_id)]
    return {"notice_id": notice_id, "stored": True, "sms": told}
