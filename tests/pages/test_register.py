"""Registration: one page, nothing typed is lost, doubts are asked about once, the order page comes next."""

from __future__ import annotations

from datetime import date

import pytest

from middleware.schema import Order, OrderTest, Patient, Sample

GOOD = {
    "name": "  Kamla   Devi ", "sex": "F", "age": "45", "age_unit": "years", "guardian": "Ram Lal",
    "mobile": "098765 12345", "mobile_owner": "family", "sms_consent": "1", "language": "hi", "doctor": "Dr Singh",
    "department": "OPD 4", "facility": "VNS-DH-DDU", "collected_now": "1", "tests": ["CBC", "GLUF"],
}  # fmt: skip


def wrong(soup) -> dict[str, str]:
    """{field: sentence} of what stands beside the fields."""
    return {w["id"].removesuffix("-wrong"): " ".join(w.text.split()) for w in soup.select(".wrong")}


@pytest.mark.parametrize(("role", "status"), [("reception", 200), ("technician", 200), ("pathologist", 403),
                                              ("engineer", 403), ("admin", 403)])  # fmt: skip
def test_who_may_register(client_as, role, status):
    client_as(role).get("/register", status)
    client_as(role).post("/register", GOOD, 303 if status == 200 else 403)


def test_registers_patient_order_tests_and_tubes(client_as, world):
    answer = client_as("reception").post("/register", GOOD)
    (patient,), (order,) = world.rows(Patient), world.rows(Order)
    assert answer.headers["location"] == f"/orders/{order['id']}"
    told = {k: v for k, v in patient.items() if k not in ("id", "uhid", "name_key", "abha", "created_at")}
    assert told == {"name": "Kamla Devi", "sex": "F", "birth_date": date(1981, 11, 22), "birth_precision": "year",
                    "guardian": "Ram Lal", "mobile": "+919876512345", "mobile_owner": "family", "sms_consent": True,
                    "language": "hi"}  # fmt: skip
    assert (order["doctor"], order["department"], order["sms_mode"]) == ("Dr Singh", "OPD 4", "link")
    tests = world.rows(OrderTest)
    assert len(tests) == 21 and {t["panel"] for t in tests} == {"CBC", ""}
    assert [(s["container"], s["timing"], s["state"]) for s in world.rows(Sample)] == [
        ("E", "", "collected"), ("F", "F", "collected")]  # fmt: skip


def test_every_mistake_stands_beside_its_field_and_nothing_is_lost(client_as, world):
    typed = {**GOOD, "name": "123", "sex": "", "age": "145", "mobile": "12345", "tests": [], "doctor": "Dr <b>Rao</b>"}
    soup = client_as("reception").post_page("/register", typed, 422)
    assert wrong(soup) == {
        "name": "‼ Write the patient's name.",
        "sex": "‼ Choose the sex.",
        "age": "‼ At most 120 years.",
        "mobile": "‼ Not a mobile number: 10 digits beginning with 6, 7, 8 or 9.",
        "tests": "‼ Tick at least one test.",
    }
    kept = {
        name: soup.select_one(f"[name={name}]")["value"] for name in ("name", "age", "mobile", "guardian", "doctor")
    }
    assert kept == {"name": "123", "age": "145", "mobile": "12345", "guardian": "Ram Lal", "doctor": "Dr <b>Rao</b>"}
    assert soup.select_one("[name=mobile_owner] [selected]")["value"] == "family"
    assert world.rows(Order) == []


@pytest.mark.parametrize(
    ("mobile", "said"),
    [("9999999999", "mobile"), ("9876543210", "mobile"), ("7000000000", "mobile"), ("5876512345", "mobile"),
     ("987651234", "mobile"), ("+91 98765-12345", None), ("09876512345", None), ("919876512345", None), ("", None)],
)  # fmt: skip
def test_phone_rules(client_as, world, mobile, said):
    form = {**GOOD, "mobile": mobile, "sms_consent": "1" if mobile else ""}
    if said:
        assert list(wrong(client_as("reception").post_page("/register", form, 422))) == ["mobile"]
    else:
        client_as("reception").post("/register", form)
        assert world.rows(Patient)[0]["mobile"] == ("+919876512345" if mobile else None)


def test_consent_needs_a_phone_and_a_phone_needs_an_owner(client_as):
    browser = client_as("reception")
    assert list(wrong(browser.post_page("/register", {**GOOD, "mobile": ""}, 422))) == ["mobile"]
    assert list(wrong(browser.post_page("/register", {**GOOD, "mobile_owner": ""}, 422))) == ["mobile_owner"]


@pytest.mark.parametrize(
    ("age", "unit", "born", "precision"),
    [("0", "days", date(2026, 11, 22), "day"), ("7", "days", date(2026, 11, 15), "day"),
     ("3", "months", date(2026, 8, 22), "month"), ("1", "years", date(2025, 11, 22), "year")],
)  # fmt: skip
def test_ages(client_as, world, age, unit, born, precision):
    client_as("reception").post("/register", {**GOOD, "age": age, "age_unit": unit})
    assert [(p["birth_date"], p["birth_precision"]) for p in world.rows(Patient)] == [(born, precision)]


def test_birth_date_wins_over_age_and_must_be_possible(client_as, world):
    browser = client_as("reception")
    assert "birth_date" in wrong(browser.post_page("/register", {**GOOD, "birth_date": "2027-01-01"}, 422))
    assert "birth_date" in wrong(browser.post_page("/register", {**GOOD, "birth_date": "31-12-1990"}, 422))
    browser.post("/register", {**GOOD, "age": "", "birth_date": "1990-05-04"})
    assert [(p["birth_date"], p["birth_precision"]) for p in world.rows(Patient)] == [(date(1990, 5, 4), "day")]


def test_the_same_person_twice_is_asked_about_once(client_as, world):
    browser = client_as("reception")
    browser.post("/register", GOOD)
    soup = browser.post_page("/register", GOOD, 200)
    assert "Kamla Devi (UHID 107-0000001) is registered already" in soup.select_one(".notice.warn").text
    assert len(world.rows(Order)) == 1
    browser.post("/register", {**GOOD, "sure": "1"})
    assert len(world.rows(Order)) == 2


def test_a_number_of_many_patients_is_asked_about(client_as, world):
    for n in range(9):
        world.order(world.patient(name=f"Patient {chr(65 + n)}"), sms_mobile="+919876512345")
    soup = client_as("reception").post_page("/register", GOOD, 200)
    assert "Patients on this number in the last 30 days: 9" in soup.select_one(".notice.warn").text


def test_a_known_patient_is_found_and_keeps_name_and_phone(client_as, world):
    patient = world.patient(name="Sunita Devi", mobile="+919812345670")
    browser = client_as("technician")
    found = browser.post_page("/register/find", {"q": "98123 45670"})
    assert [a["href"] for a in found.select(".plain-list a")] == [f"/register?patient={patient}"]
    soup = browser.get(f"/register?patient={patient}")
    assert soup.select_one("[name=patient_id]")["value"] == str(patient)
    assert soup.select_one("[name=mobile]")["value"] == "9812345670"
    assert not soup.select("[name=name]")
    form = {"patient_id": str(patient), "mobile": "9812345670", "mobile_owner": "self", "sms_consent": "1",
            "language": "hi", "tests": "HB", "facility": "VNS-DH-DDU"}  # fmt: skip
    browser.post("/register", form)
    assert [o["patient_id"] for o in world.rows(Order)] == [patient]
    again = browser.post_page("/register", form, 200)
    assert "Already ordered in the last 24 hours: HB." in again.text


def test_an_unknown_patient_is_refused(client_as):
    soup = client_as("reception").post_page("/register", {**GOOD, "patient_id": "999"}, 422)
    assert wrong(soup) == {"patient_id": "‼ This patient was not found. Search again."}


def test_every_test_of_the_catalogue_can_be_ticked(client_as, catalogue):
    soup = client_as("reception").get("/register")
    ticks = [i["value"] for i in soup.select("[name=tests]")]
    panels = [code for code, tests in catalogue.panels.items() if tests]
    assert sorted(ticks) == sorted([*panels, *catalogue.tests])


def test_the_sentence_of_consent_is_the_laboratorys_own_in_both_languages(client_as):
    sentences = {"en": "I agree to get my report link by SMS on this number.",
                 "hi": "मैं इस नंबर पर एसएमएस से रिपोर्ट का लिंक पाने के लिए सहमत हूं।"}  # fmt: skip
    for lang, sentence in sentences.items():
        soup = client_as("reception", lang).get("/register")
        assert soup.select_one("[name=sms_consent]").parent.text.strip() == sentence
        assert soup.select_one("[name=sms_consent]").get("checked") is None


def test_hindi_is_whole(client_as):
    soup = client_as("reception", "hi").get("/register")
    assert soup.h1.text == "मरीज का पंजीकरण"
