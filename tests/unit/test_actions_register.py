"""Registering: numbers that are never given twice, tubes, phones, panels, slips whose secrets are nowhere stored."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from middleware import sample_id
from middleware.actions import register, results
from middleware.model import MobileOwner, Refused, Sex
from middleware.schema import (
    AuditRow,
    HandoverRow,
    Order,
    OrderTest,
    Patient,
    ReasonRow,
    ResultRow,
    Sample,
    SampleCounter,
    SlipToken,
)
from middleware.store import table
from tests.labs import Clock, Desk


def test_a_registration_is_these_rows(desk: Desk) -> None:
    made = desk.register("CBC", "UREA", received=False, doctor="Dr Rai")
    panel = desk.lab.settings.panels["CBC"]
    assert (made.order_no, made.report_no) == ("107-261122-0001", "VNS-DH-DDU-261122-0001")
    order = desk.one(Order, id=made.order_id)
    assert order["sms_mobile"] == "+919812345670" and order["sms_mode"] == "link" and order["doctor"] == "Dr Rai"
    tests = {t["test"]: (t["panel"], t["sample_pk"], t["state"]) for t in desk.rows(OrderTest)}
    lavender, red = made.sample_pks
    assert tests == dict.fromkeys(panel, ("CBC", lavender, "awaited")) | {"UREA": ("", red, "awaited")}
    tubes = [(s["container"], s["specimen"], s["state"], s["collected_by"]) for s in desk.rows(Sample)]
    assert tubes == [
        ("E", "EDTA whole blood", "collected", "Reception Devi"),
        ("S", desk.lab.settings.catalogue["UREA"].specimen, "collected", "Reception Devi"),
    ]
    patient = desk.one(Patient, id=made.patient_id)
    assert (patient["uhid"], patient["name_key"]) == ("107-0000001", "sunita devi")


def test_one_tube_per_container_and_timing(desk: Desk) -> None:
    made = desk.register("GLUF", "GLUPP", "UREA", "CREAT", "HB", "PLT", received=False)
    tubes = [(s["container"], s["timing"]) for s in desk.rows(Sample, order_id=made.order_id)]
    assert sorted(tubes) == [("E", ""), ("F", "F"), ("F", "PP"), ("S", "")]
    on = {t["test"]: t["sample_pk"] for t in desk.rows(OrderTest)}
    assert on["UREA"] == on["CREAT"] and on["HB"] == on["PLT"] and len(set(on.values())) == 4


def test_numbers_are_unique_under_eight_people_at_once(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: desk.register("HB", "UREA", received=False, name=f"P {n}"), range(24)))
    ids = [s["sample_id"] for s in desk.rows(Sample)]
    assert len(ids) == len(set(ids)) == 48 and all(sample_id.valid(i) for i in ids)
    assert sorted(int(i[7:11]) for i in ids) == list(range(1, 49))
    assert sorted(m.order_no for m in made) == [f"107-261122-{n:04d}" for n in range(1, 25)]
    assert len({m.report_no for m in made}) == 24
    assert len({p["uhid"] for p in desk.rows(Patient)}) == 24


def test_numbers_begin_anew_with_the_laboratorys_own_day(desk: Desk, clock: Clock) -> None:
    clock.at = datetime(2026, 11, 22, 18, 29, tzinfo=UTC)  # 23:59 in Varanasi
    late = desk.register("HB")
    clock.at = datetime(2026, 11, 22, 18, 31, tzinfo=UTC)
    early = desk.register("HB")
    assert (late.order_no, early.order_no) == ("107-261122-0001", "107-261123-0001")
    assert desk.sample_id(late) == sample_id.make(107, date(2026, 11, 22), 1)
    assert desk.sample_id(early) == sample_id.make(107, date(2026, 11, 23), 1)


def test_the_ten_thousandth_tube_of_a_day_is_refused(desk: Desk) -> None:
    desk.register("HB")
    counter = table(SampleCounter)
    with desk.lab.write() as conn:
        conn.execute(counter.update().where(counter.c.purpose == "sample").values(last=9998))
    desk.register("HB")
    before = desk.dump()
    with pytest.raises(Refused, match="All 9999"):
        desk.register("HB")
    assert desk.dump() == before


def test_a_uhid_belongs_to_one_patient(desk: Desk) -> None:
    desk.register("HB", uhid=" DDU/26/1 ")
    before = desk.dump()
    with pytest.raises(Refused, match="UHID DDU/26/1 belongs to another patient"):
        desk.register("HB", uhid="DDU/26/1", name="Rekha")
    assert desk.dump() == before


def test_a_number_of_ours_that_was_typed_by_hand_is_passed_over(desk: Desk) -> None:
    desk.register("HB", uhid="107-0000001")
    desk.register("HB")
    assert [p["uhid"] for p in desk.rows(Patient)] == ["107-0000001", "107-0000002"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("9812345670", "+919812345670"),
        ("09812345670", "+919812345670"),
        ("+91 98123-45670", "+919812345670"),
        ("0091 98123 45670", "+919812345670"),
        ("९८१२३४५६७०", "+919812345670"),
        ("9८12345670", "+919812345670"),
        ("", None),
        (None, None),
    ],
)
def test_a_mobile_number_is_kept_as_e164(typed: str | None, kept: str | None) -> None:
    assert register.mobile_number(typed) == kept


@pytest.mark.parametrize("typed", ["5812345670", "981234567", "98123456701", "9999999999", "1234567890", "0542222222"])
def test_what_is_no_mobile_number_is_refused(typed: str) -> None:
    with pytest.raises(Refused, match="not a mobile number"):
        register.mobile_number(typed)


@pytest.mark.parametrize(
    ("owner", "consent", "mobile", "mode"),
    [
        (MobileOwner.SELF, True, "9812345670", "link"),
        (MobileOwner.FAMILY, True, "9812345670", "link"),
        (MobileOwner.ASHA, True, "9812345670", "in_person"),
        (MobileOwner.SELF, False, "9812345670", "none"),
        (MobileOwner.NONE, True, "9812345670", "none"),
        (MobileOwner.SELF, True, None, "none"),
    ],
)
def test_whose_phone_it_is_decides_what_it_is_told(
    owner: MobileOwner, consent: bool, mobile: str | None, mode: str, desk: Desk
) -> None:
    made = desk.register("HB", mobile=mobile, mobile_owner=owner, sms_consent=consent)
    assert desk.one(Order, id=made.order_id)["sms_mode"] == mode
    assert desk.one(Patient, id=made.patient_id)["mobile_owner"] == (owner.value if mobile else "none")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "  "}, "patient's name"),
        ({"birth_date": date(2026, 11, 23)}, "age cannot be right"),
        ({"birth_date": date(1890, 1, 1)}, "age cannot be right"),
        ({"tests": ("NOSUCH",)}, "'NOSUCH' is neither a test nor a panel"),
        ({"tests": ()}, "at least one test"),
        ({"mobile": "12"}, "not a mobile number"),
        ({"patient_id": 4711}, "no such patient"),
        ({"facility_code": "MARS"}, "'MARS' is not a unit"),
        ({"name": "x" * 121}, "Too long: name has at most 120"),
        ({"doctor": "Dr\0Rai"}, "cannot be stored"),
    ],
)
def test_nonsense_is_refused_and_leaves_nothing(changes: dict[str, Any], why: str, desk: Desk) -> None:
    before = desk.dump()
    form = replace(desk.form("HB"), **changes)
    with pytest.raises(Refused, match=why):
        register.register(desk.lab, desk.reception, form)
    assert desk.dump() == before


def test_born_today_in_the_laboratorys_day(desk: Desk, clock: Clock) -> None:
    clock.at = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)  # 00:30 on the 23rd
    desk.register("HB", birth_date=date(2026, 11, 23))
    assert len(desk.rows(Patient)) == 1


def test_a_hospital_systems_order_is_registered_once(desk: Desk) -> None:
    first = desk.register("HB", external_ref="HIS-77", received=False)
    before = desk.dump()
    again = desk.register("HB", "PLT", external_ref="HIS-77", received=False)
    assert again.again and (again.order_id, again.report_no) == (first.order_id, first.report_no)
    assert desk.dump() == before
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: desk.register("HB", external_ref="HIS-78", received=False), range(6)))
    assert Counter(m.again for m in made) == {False: 1, True: 5} and len({m.order_id for m in made}) == 1


def test_a_known_patient_keeps_the_record_and_gets_the_newest_number(desk: Desk) -> None:
    first = desk.register("HB")
    last = desk.last_audit()
    again = desk.register("HB", patient_id=first.patient_id, mobile="9812345671", received=False)
    assert again.patient_id == first.patient_id and len(desk.rows(Patient)) == 1
    assert desk.one(Patient)["mobile"] == "+919812345671"
    assert desk.audit(last)[0][:2] == ("new contact", "patient")
    line = desk.rows(AuditRow)[-2]
    assert line["detail"] == {"mobile": ["…5670", "…5671"]}  # never a whole number in the trail
    desk.register("HB", patient_id=first.patient_id, mobile=None, received=False)
    assert desk.one(Patient)["mobile"] == "+919812345671"


def test_hiv_never_goes_by_link(desk: Desk) -> None:
    made = desk.register("HB", "HIV")
    (hb,) = desk.say(desk.sample_id(made), "HB=13.0 g/dL")
    hiv = results.enter(desk.lab, desk.technician, desk.test(made, "HIV")["id"], "Non-reactive", "Non-reactive")
    assert results.release(desk.lab, desk.pathologist, [hb, hiv]).reports == (made.report_no,)
    sent = desk.one(HandoverRow)["payload"]
    assert sent["document"]["link"] == "never" and sent["access"]["sms"] == "in_person"


# ---- tests added and cancelled


def test_added_tests_share_the_tubes_that_fit(desk: Desk) -> None:
    made = desk.register("HB")
    assert register.add_tests(desk.lab, desk.reception, made.order_id, ("CBC", "UREA")) == 20
    assert len(desk.rows(OrderTest)) == 21  # HB was there
    tubes = {s["id"]: s["container"] for s in desk.rows(Sample)}
    assert list(tubes.values()) == ["E", "S"]
    assert desk.test(made, "PLT")["sample_pk"] == made.sample_pks[0]
    last = desk.last_audit()
    assert register.add_tests(desk.lab, desk.reception, made.order_id, ("HB",)) == 0
    assert desk.audit(last) == []


def test_a_cancelled_test_takes_its_waiting_results_along(desk: Desk) -> None:
    made = desk.register("HB", "PLT")
    (kept,) = desk.say(desk.sample_id(made), "HB=13.0 g/dL")
    assert register.cancel_test(desk.lab, desk.reception, desk.test(made, "HB")["id"], "asked twice") is None
    row = desk.one(ResultRow, id=kept)
    assert (row["state"], row["reject_note"]) == ("rejected", "test cancelled: asked twice")
    assert desk.rows(AuditRow)[-1]["detail"] == {"test": "HB", "reason": "asked twice", "results": {str(kept): "13.0"}}
    assert register.cancel_test(desk.lab, desk.reception, desk.test(made, "PLT")["id"], "left") == made.report_no


# ---- slips


def test_only_hashes_of_a_slip_are_stored_anywhere(desk: Desk) -> None:
    made = desk.register("HB")
    slips = [register.mint_slip(desk.lab, desk.reception, made.order_id) for _ in range(2)]
    order = desk.one(Order, id=made.order_id)
    for slip in slips:
        assert re.fullmatch(r"\d{6}", slip.pin) and re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{16}", slip.token)
        assert slip.url == f"{desk.lab.settings.hub.public_url}/{slip.token}"
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(order["pin_hash"], slips[0].pin)  # the second slip ended the first one's PIN
    assert PasswordHasher().verify(order["pin_hash"], slips[1].pin)
    hashed = [hashlib.sha256(slip.token.encode()).hexdigest() for slip in slips]
    assert [t["sha256"] for t in desk.rows(SlipToken)] == hashed
    assert _clear_text_in(desk, *(s.pin for s in slips), *(s.token for s in slips)) == []


def _clear_text_in(desk: Desk, *secrets: str) -> list[str]:
    """Places in the database where one of these stands: every value of every row, and on SQLite every byte too."""
    found = [
        f"{name}.{key}"
        for name, rows in desk.dump().items()
        for row in rows
        for key, value in row.items()
        if any(re.search(rf"(?<![0-9a-zA-Z]){s}(?![0-9a-zA-Z])", str(value)) for s in secrets)
    ]
    if desk.lab.engine.dialect.name == "sqlite":
        path = desk.lab.settings.database_url.removeprefix("sqlite:///")
        data = b"".join(p.read_bytes() for p in Path(path).parent.glob("*.sqlite3*"))
        tokens = [s for s in secrets if len(s) == 16]  # six digits may stand there by chance
        found += [f"file: {t}" for t in tokens if t.encode() in data]
    return found


def test_a_new_pin_goes_out_when_the_report_is_out(desk: Desk) -> None:
    made, ids = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, ids)
    register.mint_slip(desk.lab, desk.reception, made.order_id)
    first, second = desk.rows(HandoverRow)
    assert (first["serial"], second["serial"]) == (1, 2) and first["version"] == second["version"] == 1
    assert first["payload"]["access"]["pin_hash"] is None
    assert second["payload"]["access"]["pin_hash"] == desk.one(Order)["pin_hash"]
    assert second["payload"]["access"]["slip_tokens"] == [desk.one(SlipToken)["sha256"]]
    assert second["payload"]["access"]["resend"] is False


# ---- corrections


def test_a_corrected_number_goes_out_with_one_more_sms(desk: Desk) -> None:
    made, ids = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, ids)
    owner = MobileOwner.FAMILY
    register.correct_mobile(desk.lab, desk.reception, made.order_id, "98123 45671", owner, True, "one digit wrong")
    order, patient, sent = desk.one(Order), desk.one(Patient), desk.rows(HandoverRow)[-1]
    assert (order["sms_mobile"], patient["mobile"], patient["mobile_owner"]) == ("+919812345671",) * 2 + ("family",)
    assert sent["serial"] == order["access_serial"] == 2
    assert (sent["payload"]["access"]["mobile"], sent["payload"]["access"]["resend"]) == ("+919812345671", True)
    assert desk.rows(AuditRow)[-1]["detail"] == {
        "old": "…5670", "new": "…5671", "sms": ["link", "link"], "reason": "one digit wrong",
    }  # fmt: skip
    register.correct_mobile(desk.lab, desk.reception, made.order_id, "", MobileOwner.SELF, True, "has no phone")
    access = desk.rows(HandoverRow)[-1]["payload"]["access"]
    assert (access["mobile"], access["sms"]) == (None, "none")
    assert desk.one(Patient)["sms_consent"] is False and desk.one(Patient)["mobile_owner"] == "none"


def test_a_corrected_patient_amends_every_report_that_is_out(desk: Desk) -> None:
    made, ids = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, ids)
    open_visit = desk.register("HB", patient_id=made.patient_id)
    changes = {"name": "Sunita  Singh", "birth_date": date(1982, 4, 2)}
    assert register.correct_patient(desk.lab, desk.reception, made.patient_id, changes, "wrong card") == (
        made.report_no,
    )
    one, two = desk.versions(made)
    assert (one["document"]["patient_name"], two["document"]["patient_name"]) == ("Sunita Devi", "Sunita Singh")
    assert (two["status"], two["version"], two["document"]["amended_reason"]) == ("amended", 2, "wrong card")
    assert (two["document"]["replaces_version"], two["document"]["age_text"]) == (1, "44 y")
    assert desk.versions(open_visit) == []
    line = next(r for r in reversed(desk.rows(AuditRow)) if r["action"] == "correct patient")
    assert line["detail"] == {
        "changes": {
            "name": {"old": "Sunita Devi", "new": "Sunita Singh"},
            "birth_date": {"old": "1981-04-02", "new": "1982-04-02"},
        },
        "reason": "wrong card",
        "flags": {},
    }
    assert desk.one(Order, id=made.order_id)["access_serial"] == 2 and len(desk.rows(HandoverRow)) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": " "}, "name"),
        ({"birth_date": date(2030, 1, 1)}, "age"),
        ({"uhid": "TAKEN"}, "belongs to another"),
        ({"name": "Sunita Devi"}, "Nothing was changed"),
        ({}, "Nothing was changed"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(changes: dict[str, Any], why: str, desk: Desk) -> None:
    made = desk.register("HB")
    desk.register("HB", uhid="TAKEN")
    before = desk.dump()
    with pytest.raises(Refused, match=why):
        register.correct_patient(desk.lab, desk.reception, made.patient_id, changes, "because")
    with pytest.raises(ValueError, match="X"):
        register.correct_patient(desk.lab, desk.reception, made.patient_id, {"sex": "X"}, "because")
    assert desk.dump() == before and Sex("F")


def test_another_sex_or_age_judges_the_results_anew(desk: Desk) -> None:
    """9.3 of haemoglobin is low and released without a look for a woman; for a boy of one day it is critical."""
    made, (hb,) = desk.measured("HB=12.0 g/dL")
    results.release(desk.lab, desk.technician, [hb])
    other = desk.register("HB", "PLT", patient_id=made.patient_id)
    waiting, plt = desk.say(desk.sample_id(other), "HB=9.3 g/dL", "PLT=250 10*3/uL", at="20261122101500")
    assert [desk.one(ResultRow, id=i)["state"] for i in (waiting, plt)] == ["autoverified"] * 2
    changes = {"sex": "M", "birth_date": date(2026, 11, 21)}
    register.correct_patient(desk.lab, desk.reception, made.patient_id, changes, "mother's card")
    now = {r["id"]: (r["state"], r["flag"], str(r["ref_low"]), r["display"]) for r in desk.rows(ResultRow)}
    assert now[hb] == ("released", "L", "14.0", "12.0")
    assert now[waiting] == ("held", "LL", "14.0", "9.3")
    assert now[plt] == ("autoverified", "N", "100", "250")
    fresh = {r["rule"] for r in desk.rows(ReasonRow, result_id=waiting) if r["severity"] != "note"}
    assert fresh == {"critical", "release_limits"} and desk.one(ResultRow, id=waiting)["critical"] is True
    assert [r["rule"] for r in desk.rows(ReasonRow, result_id=plt) if r["severity"] != "note"] == []
    line = next(r for r in reversed(desk.rows(AuditRow)) if r["action"] == "correct patient")
    assert line["detail"]["flags"] == {str(hb): ["N", "L"], str(waiting): ["L", "LL"], str(plt): ["N", "N"]}
    one, two = (v["document"]["lines"][0] for v in desk.versions(made))
    assert (one["flag"], one["interval"], one["value"]) == ("N", "12.0 - 15.0", "12.0")
    assert (two["flag"], two["interval"], two["value"]) == ("L", "14.0 - 22.0", "12.0")
