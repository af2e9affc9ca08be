"""Registers a patient and what was asked; mints the paper slip; adds and cancels tests.

Turns a filled-in form into patient, order, tests and samples. Law: works with no network; every number is allocated
here, from this lab's own counters (domain 8.2), and one container has one number.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from argon2 import PasswordHasher
from sqlalchemy import Connection

from middleware import sample_id, store
from middleware.actions.issue import hand_over_again, issue_when_complete
from middleware.actions.patients import (
    clean_name,
    correct_mobile,
    correct_patient,
    free_uhid,
    known_patient,
    mobile_number,
    next_uhid,
    order_or_refuse,
    possible_birth,
    sms_mode,
)
from middleware.actions.results import reject_open
from middleware.lab import Lab
from middleware.model import Actor, CatalogueTest, MobileOwner, Refused, Right, SampleState, Sex, TestState
from middleware.schema import Order, OrderTest, Patient, Sample, SlipToken
from middleware.store.orders import order_by_reference

__all__ = [
    "MintedSlip",
    "Registered",
    "Registration",
    "add_tests",
    "cancel_test",
    "correct_mobile",
    "correct_patient",
    "expand",
    "mint_slip",
    "mobile_number",
    "new_sample",
    "register",
    "sms_mode",
]

# Timed glucose tubes are separate specimens with their own collection time (domain 8.5).
TIMED = {"GLUF": "F", "GLUPP": "PP", "OGTT2H": "2H", "GLUR": "R"}
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PIN_HASHER = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration form. `tests` are catalogue or panel codes; `patient_id` names a known patient."""

    name: str
    sex: Sex
    birth_date: date
    tests: tuple[str, ...]
    birth_precision: str = "day"
    guardian: str = ""
    mobile: str | None = None
    mobile_owner: MobileOwner = MobileOwner.NONE
    sms_consent: bool = False
    language: str = "hi"
    uhid: str | None = None
    abha: str | None = None
    facility_code: str = ""
    doctor: str = ""
    department: str = ""
    ordered_at: datetime | None = None
    external_ref: str | None = None
    patient_id: int | None = None
    collected_now: bool = True


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration made; `again` when the same external reference had been registered before."""

    order_id: int
    order_no: str
    report_no: str
    patient_id: int
    sample_pks: tuple[int, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class MintedSlip:
    """The clear text of a slip: it exists only here and on paper."""

    order_id: int
    report_no: str
    pin: str
    token: str
    url: str


def expand(tests: tuple[str, ...], lab: Lab) -> dict[str, str]:
    """Catalogue codes asked for, in order, each with the panel that brought it ("" when asked alone)."""
    found: dict[str, str] = {}
    for code in tests:
        if code in lab.settings.panels:
            found.update({c: code for c in lab.settings.panels[code] if c not in found})
        elif code in lab.settings.catalogue:
            found.setdefault(code, "")
        else:
            raise Refused(f"{code!r} is neither a test nor a panel of this laboratory.")
    if not found:
        raise Refused("Choose at least one test.")
    return found


def register(lab: Lab, actor: Actor, form: Registration) -> Registered:
    """Register one visit. The same `external_ref` again gives back what it made the first time."""
    actor.must(Right.REGISTER)
    tests = expand(form.tests, lab)
    if form.facility_code and form.facility_code not in {f.code for f in lab.settings.facilities}:
        raise Refused(f"{form.facility_code!r} is not a unit of this laboratory's list.")
    with lab.write() as conn:
        known = order_by_reference(conn, form.external_ref) if form.external_ref else None
        if known is not None:
            return Registered(known["id"], known["order_no"], known["report_no"], known["patient_id"], (), again=True)
        patient_id = _patient(lab, conn, actor, form)
        order_id, order_no, report_no = _order(lab, conn, actor, form, patient_id)
        pks = _tests_and_samples(lab, conn, actor, order_id, tests, form.collected_now)
        store.audit(conn, lab.now(), actor, "register", "order", order_id, {"tests": sorted(tests)})
        store.touch(conn, "orders")
    return Registered(order_id, order_no, report_no, patient_id, pks)


def _patient(lab: Lab, conn: Connection, actor: Actor, form: Registration) -> int:
    mobile = mobile_number(form.mobile)
    contact = {
        "mobile": mobile,
        "mobile_owner": (form.mobile_owner if mobile else MobileOwner.NONE).value,
        "sms_consent": form.sms_consent and mobile is not None,
        "language": form.language,
    }
    if form.patient_id is not None:
        return known_patient(lab, conn, actor, form.patient_id, contact)
    name = clean_name(form.name)
    possible_birth(lab, form.birth_date)
    uhid = (form.uhid or "").strip() or next_uhid(lab, conn)
    free_uhid(conn, uhid)
    patient_id = store.put(
        conn, Patient, uhid=uhid, name=name, name_key=name.casefold(), sex=form.sex.value,
        birth_date=form.birth_date, birth_precision=form.birth_precision, guardian=form.guardian, abha=form.abha,
        created_at=lab.now(), **contact,
    )  # fmt: skip
    store.audit(conn, lab.now(), actor, "register", "patient", patient_id, {"uhid": uhid})
    return patient_id


def _order(lab: Lab, conn: Connection, actor: Actor, form: Registration, patient_id: int) -> tuple[int, str, str]:
    now = lab.now()
    today = now.astimezone(lab.settings.lab.timezone).date()
    own = lab.settings.lab.facility.code
    serial = store.next_serial(conn, today, "order")
    order_no = f"{lab.settings.lab.site}-{today:%y%m%d}-{serial:04d}"
    report_no = f"{own}-{today:%y%m%d}-{serial:04d}"
    mobile = mobile_number(form.mobile)
    order_id = store.put(
        conn, Order, order_no=order_no, report_no=report_no, patient_id=patient_id,
        facility_code=form.facility_code or own, doctor=form.doctor, department=form.department,
        external_ref=form.external_ref, ordered_at=form.ordered_at, registered_at=now, registered_by=actor.name,
        access_serial=0, sms_mobile=mobile, sms_mode=sms_mode(form.mobile_owner, form.sms_consent, mobile),
        language=form.language,
    )  # fmt: skip
    return order_id, order_no, report_no


def _tests_and_samples(
    lab: Lab, conn: Connection, actor: Actor, order_id: int, tests: Mapping[str, str], collected: bool
) -> tuple[int, ...]:
    tubes: dict[tuple[str, str], int] = {}
    for code, panel in tests.items():
        test = lab.settings.catalogue[code]
        key = (test.container, TIMED.get(code, ""))
        if key not in tubes:
            tubes[key] = new_sample(lab, conn, actor, order_id, test.specimen, *key, collected=collected)
        store.put(conn, OrderTest, order_id=order_id, sample_pk=tubes[key], test=code, panel=panel,
                  state=TestState.AWAITED.value, note="")  # fmt: skip
    return tuple(tubes.values())


def new_sample(
    lab: Lab, conn: Connection, actor: Actor, order_id: int, specimen: str, container: str, timing: str, collected: bool
) -> int:
    """One more container for an order, with the next number of the day; its primary key."""
    now = lab.now()
    today = now.astimezone(lab.settings.lab.timezone).date()
    serial = store.next_serial(conn, today, "sample")
    if serial > 9999:
        raise Refused("All 9999 sample numbers of today are used. Register the rest tomorrow.")
    state = SampleState.COLLECTED if collected else SampleState.REGISTERED
    return store.put(
        conn, Sample, sample_id=sample_id.make(lab.settings.lab.site, today, serial), year=today.year,
        order_id=order_id, specimen=specimen, container=container, timing=timing, state=state.value,
        registered_at=now, collected_at=now if collected else None, collected_by=actor.name if collected else "",
    )  # fmt: skip


def add_tests(lab: Lab, actor: Actor, order_id: int, tests: tuple[str, ...]) -> int:
    """Add tests to an order that is not complete yet; they share its tubes where the container fits. How many came."""
    actor.must(Right.REGISTER)
    wanted = expand(tests, lab)
    with lab.write() as conn:
        order = order_or_refuse(conn, order_id)
        if order["completed_at"] is not None:
            raise Refused("This order is complete and its report issued: register a new order.")
        t, s = store.table(OrderTest), store.table(Sample)
        have = set(conn.execute(t.select().with_only_columns(t.c.test).where(t.c.order_id == order_id)).scalars())
        fresh = {code: panel for code, panel in wanted.items() if code not in have}
        if not fresh:
            return 0
        rows = conn.execute(s.select().where(s.c.order_id == order_id, s.c.state != "rejected")).mappings()
        tubes = {(r["container"], r["timing"]): r["id"] for r in rows}
        for code, panel in fresh.items():
            pk = _tube_for(lab, conn, actor, order_id, lab.settings.catalogue[code], tubes)
            store.put(conn, OrderTest, order_id=order_id, sample_pk=pk, test=code, panel=panel,
                      state=TestState.AWAITED.value, note="")  # fmt: skip
        store.audit(conn, lab.now(), actor, "add tests", "order", order_id, {"tests": sorted(fresh)})
        store.touch(conn, "orders")
    return len(fresh)


def _tube_for(
    lab: Lab, conn: Connection, actor: Actor, order_id: int, test: CatalogueTest, tubes: dict[tuple[str, str], int]
) -> int:
    key = (test.container, TIMED.get(test.code, ""))
    if key not in tubes:
        tubes[key] = new_sample(lab, conn, actor, order_id, test.specimen, *key, collected=False)
    return tubes[key]


def cancel_test(lab: Lab, actor: Actor, order_test_id: int, reason: str) -> str | None:
    """Cancel an awaited test with a reason; the report's number when that completed the order."""
    actor.must(Right.REGISTER)
    if not reason.strip():
        raise Refused("Write why the test is cancelled.")
    with lab.write() as conn:
        row = store.one(conn, OrderTest, order_test_id)
        if row is None or row["state"] != TestState.AWAITED.value:
            raise Refused("Only a test that is still awaited can be cancelled.")
        lost = reject_open(lab, conn, actor, f"test cancelled: {reason}", order_test_id=order_test_id)
        store.change(conn, OrderTest, order_test_id, state=TestState.CANCELLED.value, note=reason)
        store.audit(conn, lab.now(), actor, "cancel test", "order", row["order_id"],
                    {"test": row["test"], "reason": reason, "results": lost})  # fmt: skip
        store.touch(conn, "orders", "results")
        return issue_when_complete(lab, conn, actor, row["order_id"])


def mint_slip(lab: Lab, actor: Actor, order_id: int, hasher: PasswordHasher = PIN_HASHER) -> MintedSlip:
    """A fresh 6-digit PIN and QR token for this order's paper slip; the older slip's PIN ends with it.

    Only an argon2 hash of the PIN and the SHA-256 of the token are kept; both go with the report.
    """
    actor.must(Right.PRINT_SLIP)
    pin = f"{secrets.randbelow(10**6):06d}"
    token = "".join(secrets.choice(CROCKFORD) for _ in range(16))
    pin_hash = hasher.hash(pin)
    with lab.write() as conn:
        order = order_or_refuse(conn, order_id)
        store.change(conn, Order, order_id, pin_hash=pin_hash)
        store.put(conn, SlipToken, order_id=order_id, sha256=hashlib.sha256(token.encode()).hexdigest(),
                  minted_at=lab.now())  # fmt: skip
        hand_over_again(lab, conn, order_id, order["report_no"])
        store.audit(conn, lab.now(), actor, "print slip", "order", order_id, {"new_pin": True})
    url = f"{lab.settings.hub.public_url.rstrip('/')}/{token}"
    return MintedSlip(order_id, order["report_no"], pin, token, url)
