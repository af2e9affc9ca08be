"""What is written down about a patient: name, birth, numbers, the phone; and correcting it afterwards.

Turns what a person typed into what may be stored, or a refusal. Law: every correction has a reason and an audit line
with old and new; an issued report gets an amended version; a phone number is never written whole into the trail.
Source: domain 4.7 (numbers), 5.4 (whose phone), ISO 15189:2022 7.4.1.8 (amendments).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection

from middleware import store
from middleware.actions.issue import hand_over_again, issue_when_complete
from middleware.actions.rejudge import rejudge
from middleware.lab import Lab
from middleware.model import Actor, MobileOwner, Refused, Right, Sex
from middleware.schema import Order, Patient
from middleware.store.orders import latest_report

MOBILE = re.compile(r"[6-9]\d{9}")
FILLERS = frozenset({"9999999999", "8888888888", "7777777777", "6666666666", "9876543210", "9123456789"})


def mobile_number(text: str | None) -> str | None:
    """An Indian mobile number as E.164, None when empty. Refused when it cannot be one (domain 4.7)."""
    digits = "".join(str(int(sign)) for sign in text or "" if sign.isdecimal())  # Devanagari digits too
    if not digits:
        return None
    digits = re.sub(r"^(?:0|91|0091)(?=\d{10}$)", "", digits)
    if not MOBILE.fullmatch(digits) or digits in FILLERS:
        raise Refused("This is not a mobile number: ten digits, beginning with 6, 7, 8 or 9.")
    return f"+91{digits}"


def known_patient(lab: Lab, conn: Connection, actor: Actor, patient_id: int, contact: Mapping[str, Any]) -> int:
    """A patient who was here before. A number given now is the newest; none given leaves the one on record."""
    old = store.one(conn, Patient, patient_id)
    if old is None:
        raise Refused("There is no such patient.")
    new = {k: v for k, v in contact.items() if contact["mobile"] is not None and old[k] != v}
    if new:
        store.change(conn, Patient, patient_id, **new)
        told = {k: [_shown(k, old[k]), _shown(k, v)] for k, v in new.items()}
        store.audit(conn, lab.now(), actor, "new contact", "patient", patient_id, told)
    return patient_id


def _shown(key: str, value: Any) -> Any:
    return _tail(value) if key == "mobile" else value


def clean_name(text: str) -> str:
    """A name with single blanks. Refused when nothing is left."""
    name = " ".join(text.split())
    if not name:
        raise Refused("Write the patient's name.")
    return name


def possible_birth(lab: Lab, birth: date) -> None:
    """Refused unless somebody alive can be born on this day."""
    today = lab.now().astimezone(lab.settings.lab.timezone).date()
    if birth > today or (today - birth).days > 130 * 366:
        raise Refused("The age cannot be right: between 0 days and 130 years.")


def next_uhid(lab: Lab, conn: Connection) -> str:
    """The next of our own numbers; one that somebody typed by hand before is passed over."""
    p = store.table(Patient)
    while True:
        uhid = f"{lab.settings.lab.site}-{store.next_serial(conn, date(2000, 1, 1), 'uhid'):07d}"
        if not store.count(conn, Patient, p.c.uhid == uhid):
            return uhid


def free_uhid(conn: Connection, uhid: str, but: int | None = None) -> None:
    """Refused when another patient (not the one of id `but`) has this number."""
    p = store.table(Patient)
    if store.count(conn, Patient, p.c.uhid == uhid, p.c.id != (but or 0)):
        raise Refused(f"UHID {uhid} belongs to another patient here: choose that patient, or correct the number.")


def sms_mode(owner: MobileOwner, consent: bool, mobile: str | None) -> str:
    """Link only to the patient's own or family's phone with consent; an ASHA's phone gets "come in person"."""
    if not mobile or not consent or owner is MobileOwner.NONE:
        return "none"
    return "in_person" if owner is MobileOwner.ASHA else "link"


def correct_mobile(
    lab: Lab, actor: Actor, order_id: int, mobile: str | None, owner: MobileOwner, consent: bool, reason: str
) -> None:
    """Write the right number; when a report exists it is handed over again and one more SMS goes to the new number."""
    actor.must(Right.RESEND)
    if not reason.strip():
        raise Refused("Write why the number is changed.")
    number = mobile_number(mobile)
    with lab.write() as conn:
        order = order_or_refuse(conn, order_id)
        mode = sms_mode(owner, consent, number)
        contact = {
            "mobile": number,
            "mobile_owner": (owner if number else MobileOwner.NONE).value,
            "sms_consent": consent and number is not None,
        }
        store.change(conn, Order, order_id, sms_mobile=number, sms_mode=mode)
        store.change(conn, Patient, order["patient_id"], **contact)
        store.audit(conn, lab.now(), actor, "correct mobile", "order", order_id,
                    {"old": _tail(order["sms_mobile"]), "new": _tail(number), "sms": [order["sms_mode"], mode],
                     "reason": reason})  # fmt: skip
        store.touch(conn, "orders")
        hand_over_again(lab, conn, order_id, order["report_no"], resend=True)


def correct_patient(
    lab: Lab, actor: Actor, patient_id: int, changes: Mapping[str, Any], reason: str
) -> tuple[str, ...]:
    """Correct name, sex, birth date, guardian or UHID; issued reports get an amended version (their numbers).

    With another sex or age, intervals, flags and reasons of the patient's results are judged anew.
    """
    actor.must(Right.REGISTER)
    if not reason.strip():
        raise Refused("Write why the patient's details are changed.")
    with lab.write() as conn:
        old = store.one(conn, Patient, patient_id)
        if old is None:
            raise Refused("There is no such patient.")
        new = _corrected(lab, conn, old, changes)
        if not new:
            raise Refused("Nothing was changed.")
        store.change(conn, Patient, patient_id, **new)
        told = {k: {"old": str(old[k]), "new": str(v)} for k, v in new.items() if k != "name_key"}
        judged = rejudge(lab, conn, patient_id) if new.keys() & {"sex", "birth_date", "birth_precision"} else {}
        detail = {"changes": told, "reason": reason, "flags": judged}
        store.audit(conn, lab.now(), actor, "correct patient", "patient", patient_id, detail)
        o = store.table(Order)
        issued = conn.execute(o.select().where(o.c.patient_id == patient_id, o.c.completed_at.is_not(None))).mappings()
        done = [issue_when_complete(lab, conn, actor, r["id"], reason) for r in issued.all()
                if latest_report(conn, r["report_no"])]  # fmt: skip
        store.touch(conn, "orders", "results")
    return tuple(d for d in done if d)


def _corrected(lab: Lab, conn: Connection, old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What of the changes is allowed, possible and new."""
    allowed = {"name", "sex", "birth_date", "birth_precision", "guardian", "uhid", "abha", "language"}
    new = {k: v for k, v in changes.items() if k in allowed}
    if "name" in new:
        new["name"] = clean_name(new["name"])
        new["name_key"] = new["name"].casefold()
    if "sex" in new:
        new["sex"] = Sex(new["sex"]).value
    if "birth_date" in new:
        possible_birth(lab, new["birth_date"])
    if "uhid" in new:
        new["uhid"] = new["uhid"].strip() or old["uhid"]
        free_uhid(conn, new["uhid"], but=old["id"])
    return {k: v for k, v in new.items() if old[k] != v}


def order_or_refuse(conn: Connection, order_id: int) -> dict[str, Any]:
    """The order's row. Refused when there is none."""
    order = store.one(conn, Order, order_id)
    if order is None:
        raise Refused("There is no such order.")
    return dict(order)


def _tail(number: str | None) -> str:
    return f"…{number[-4:]}" if number else ""
