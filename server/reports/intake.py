"""Turns the body of one PUT into a stored report version, its access, its links and its SMS: one transaction.

Law: idempotent: the same body again changes nothing and gets the same answer; a version never changes its content; an
older access serial never overwrites a newer. Source: the contract `model.Handover`; domain 1.4, 5.2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Row

from middleware.model import Access, Handover, Report, ReportStatus
from server import verify
from server.reports import outbox, store
from server.reports.hub import Hub
from server.reports.schema import Status
from server.reports.sms import masked, number

HANDOVER: TypeAdapter[Handover] = TypeAdapter(Handover)
DOCUMENT: TypeAdapter[Report] = TypeAdapter(Report)
_SMS_MODES = ("link", "in_person", "none")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a handed-over body: where, and what. Never the value itself: it may be a patient's."""

    where: str
    what: str


class MalformedError(Exception):
    """The body cannot be stored as it is (HTTP 422)."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{f.where}: {f.what}" for f in faults))
        self.faults = faults


class ForeignError(Exception):
    """The report belongs to another facility than the key (HTTP 403)."""


class ConflictError(Exception):
    """This version is stored with other content (HTTP 409)."""


def read(body: bytes, report_no: str, version: int) -> Handover:
    """The Handover of a body, checked against its address. MalformedError names every fault."""
    try:
        handover = HANDOVER.validate_json(body)
    except ValidationError as error:
        raise MalformedError([Fault(_where(e["loc"]), e["msg"]) for e in error.errors(include_input=False)]) from None
    faults = [*_strange(json.loads(body)), *_misfits(handover, report_no, version)]
    if faults:
        raise MalformedError(faults)
    return handover


def _where(path: tuple[int | str, ...]) -> str:
    return ".".join(map(str, path)) or "body"


def _strange(body: Mapping[str, Any]) -> list[Fault]:
    """Fields this service does not know: dropping a part of a medical document silently is not an option."""
    faults = []
    for name, shape in (("document", Report), ("access", Access)):
        known = {f.name for f in fields(shape)}
        what = "this report service does not know the field; upgrade it before the lab"
        faults += [Fault(f"{name}.{key}", what) for key in body[name] if key not in known]
    return faults


def _misfits(handover: Handover, report_no: str, version: int) -> list[Fault]:
    document, access = handover.document, handover.access
    checks = [
        (document.report_no == report_no, "document.report_no", "is not the number in the address"),
        (document.version == version, "document.version", "is not the version in the address"),
        (document.version >= 1, "document.version", "versions begin at 1"),
        (0 < len(document.report_no) <= 60, "document.report_no", "1 to 60 characters"),
        (document.issued_at.tzinfo is not None, "document.issued_at", "a time with its zone"),
        (access.sms in _SMS_MODES, "access.sms", f"one of {', '.join(_SMS_MODES)}"),
        (access.language in ("en", "hi"), "access.language", "en or hi"),
        (all(_is_sha256(t) for t in access.slip_tokens), "access.slip_tokens", "SHA-256 in 64 lower-case hex digits"),
        (access.pin_hash is None or access.pin_hash.startswith("$argon2"), "access.pin_hash", "an argon2 hash"),
    ]
    return [Fault(where, what) for fits, where, what in checks if not fits]


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def take(hub: Hub, facility_code: str, handover: Handover) -> dict[str, Any]:
    """Store a version, its access and its SMS; the answer of the PUT. ForeignError, ConflictError or MalformedError."""
    document, access = handover.document, handover.access
    if document.facility_code != facility_code:
        raise ForeignError
    sha256 = verify.digest(document)
    with hub.db.write() as conn:
        store.lock_report(conn, document.report_no)
        is_new = _take_document(conn, hub, facility_code, document, sha256)
        replaced = _take_access(conn, hub, document.report_no, access)
        if is_new or replaced:
            outbox.plan(conn, hub, document.report_no, resend=replaced and access.resend)
        delivery = state(conn, document.report_no)
    return {
        "report_no": document.report_no,
        "version": document.version,
        "stored": True,
        "sha256": sha256,
        "delivery": delivery,
    }


def _take_document(conn: Connection, hub: Hub, facility_code: str, document: Report, sha256: str) -> bool:
    """Store the document unless it is stored; True when it became the newest version."""
    known = store.find_report(conn, document.report_no)
    if known is not None and known.facility_code != facility_code:
        raise ForeignError
    same = store.find_version(conn, document.report_no, document.version)
    if same is not None:
        if same.sha256 != sha256:
            raise ConflictError
        return False
    values = {
        "report_no": document.report_no, "version": document.version, "sha256": sha256,
        "document": DOCUMENT.dump_json(document).decode(), "status": document.status.value,
        "link": document.link.value, "facility_en": document.facility_en, "facility_hi": document.facility_hi,
        "issued_at": document.issued_at,
    }  # fmt: skip
    store.add_version(conn, facility_code, hub.now(), values)
    store.renew_slips(conn, document.report_no, _link_end(hub))
    return known is None or document.version > known.newest


def _link_end(hub: Hub) -> Any:
    return hub.now() + timedelta(days=hub.settings.link_days)


def _take_access(conn: Connection, hub: Hub, report_no: str, access: Access) -> bool:
    """Replace how the report may be reached when this serial is newer; True when it was."""
    known = store.find_access(conn, report_no)
    if known is not None and access.serial <= known.serial:
        return False
    mobile = number(access.mobile) or (access.mobile or "")[:16] or None  # a wrong one is kept: the lab is shown why
    values = {
        "serial": access.serial, "pin_hash": access.pin_hash, "mobile": mobile,
        "language": access.language, "sms": access.sms, "withdrawn": access.withdrawn,
        "withdrawn_reason": access.withdrawn_reason, "changed_at": hub.now(),
    }  # fmt: skip
    store.put_access(conn, report_no, values)
    if known is not None and (known.mobile != mobile or access.sms != "link"):
        store.revoke_tokens(conn, report_no, "sms", hub.now())  # a wrong number keeps nothing
    _take_slips(conn, hub, report_no, access)
    return True


def _take_slips(conn: Connection, hub: Hub, report_no: str, access: Access) -> None:
    """The slips' links are exactly those named: a slip that was replaced ends."""
    store.revoke_tokens(conn, report_no, "slip", hub.now(), but=access.slip_tokens)
    for sha256 in access.slip_tokens:
        known = store.find_token(conn, sha256)
        if known is None:
            store.add_token(conn, report_no, "slip", sha256, hub.now(), _link_end(hub))
        elif known.report_no != report_no:
            raise MalformedError([Fault("access.slip_tokens", "a token belongs to another report")])


def state(conn: Connection, report_no: str) -> dict[str, Any]:
    """What the lab is told of a report's delivery: one status, every SMS (numbers masked), how often it was opened."""
    known, access = store.find_report(conn, report_no), store.find_access(conn, report_no)
    rows = outbox.list_for(conn, report_no)
    newest = [r for r in rows if known is not None and r.version == known.newest]
    opened, last = store.count_opened(conn, report_no)
    return {
        "status": newest[-1].status if newest else Status.SUPPRESSED.value,
        "withdrawn": bool(access is not None and access.withdrawn),
        "opened": opened,
        "opened_at": last.isoformat() if last is not None else None,
        "not_mine": [at.isoformat() for at in store.list_complaints(conn, report_no)],
        "sms": [_sms(row) for row in rows],
    }


def _sms(row: Row[Any]) -> dict[str, Any]:
    return {
        "version": row.version, "template": row.template, "language": row.language, "to": masked(row.recipient),
        "status": row.status, "attempts": row.attempts, "parts": row.parts, "error": row.error,
        "queued_at": row.created_at.isoformat(), "changed_at": row.changed_at.isoformat(),
    }  # fmt: skip


def describe(hub: Hub, facility_code: str, report_no: str) -> dict[str, Any] | None:
    """The answer of GET: every version, the delivery. None: no such report. ForeignError: another facility's."""
    with hub.db.read() as conn:
        known = store.find_report(conn, report_no)
        if known is None:
            return None
        if known.facility_code != facility_code:
            raise ForeignError
        versions = [_version(row) for row in store.list_versions(conn, report_no)]
        gate = store.find_gate(conn, report_no)
        links = {"locked_until": gate.locked_until and gate.locked_until.isoformat(), "revoked": bool(gate.revoked_at)}
        return {
            "report_no": report_no,
            "newest": known.newest,
            "versions": versions,
            "gate": links,
            "delivery": state(conn, report_no),
        }


def _version(row: Row[Any]) -> dict[str, Any]:
    return {
        "version": row.version,
        "status": ReportStatus(row.status).value,
        "issued_at": row.issued_at.isoformat(),
        "stored_at": row.stored_at.isoformat(),
        "sha256": row.sha256,
    }
