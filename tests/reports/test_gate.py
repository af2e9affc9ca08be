"""Links, PINs and what a visitor may learn: nothing before the right PIN, and never by looking."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from middleware.model import LinkPolicy, ReportStatus
from server.reports import links, store

SLIP = "8K3F9QXZ2M7TWB4D"
SECRETS = ("Rekha", "7.1", "Haemoglobin", "HGB", "45", "Gynae", "Singh", "107-0000001", "98765", "DDU-261122")


def hash_of(pin: str) -> str:
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(pin)


def outcomes(service: Any) -> list[str]:
    with service.hub.db.read() as conn:
        return list(conn.execute(select(store.opening.c.outcome).order_by(store.opening.c.id)).scalars())


def test_looking_shows_no_patient_and_consumes_nothing(service: Any) -> None:
    service.put()
    for _ in range(30):  # link scanners, SMS apps, a curious neighbour
        page = service.client.get(f"/{SLIP}?lang=en")
        head = service.client.head(f"/{SLIP}")
    assert (page.status_code, head.status_code, head.content) == (200, 200, b"")
    assert "DDU Hospital, Varanasi" in page.text
    assert [word for word in SECRETS if word in page.text] == []
    assert outcomes(service) == []
    assert service.state()["delivery"]["opened"] == 0
    assert service.try_pin().status_code == 200


def test_the_right_pin_opens_the_whole_report(service: Any) -> None:
    service.put()
    page = service.try_pin()
    assert page.status_code == 200
    assert "Haemoglobin" in page.text and "7.1" in page.text
    assert "Rekha &lt;b&gt;Devi&lt;/b&gt;" in page.text and "<b>Devi" not in page.text
    assert len(page.content) < 60_000 and "<script" not in page.text
    assert service.state()["delivery"]["opened"] == 1
    assert "Times opened so far: 2" in service.try_pin().text


def test_a_hundred_tests_fit_into_sixty_kilobytes(service: Any) -> None:
    line = service.report().lines[0]
    lines = tuple(replace(line, panel=f"Panel {n % 9}", note="checked twice", typed=True) for n in range(100))
    service.put(service.report(lines=lines))
    for lang in ("en", "hi"):
        page = service.try_pin(lang=lang)
        assert page.text.count('role="rowheader"') == 100
        assert len(page.content) < 60 * 1024


@pytest.mark.parametrize("typed", ["8k3f9qxz2m7twb4d", "8K3F-9QXZ-2M7T-WB4D"])
def test_case_and_hyphens_are_forgiven(service: Any, typed: str) -> None:
    service.put()
    assert service.try_pin(token=typed).status_code == 200


def test_look_alikes_are_forgiven() -> None:
    assert links.normalise("OIl0-AAAA-bbbb-cccc") == "0110AAAABBBBCCCC"
    assert [links.normalise(t) for t in ("", "U" * 16, "A" * 15, "A" * 17, "क" * 16, "ſ" * 16)] == [None] * 6


def test_tokens_are_eighty_bits_of_crockford() -> None:
    from datetime import UTC, datetime

    made = {links.issue(LinkPolicy.YES, datetime(2026, 1, 1, tzinfo=UTC), 30).token for _ in range(500)}
    assert len(made) == 500
    assert {c for token in made for c in token} == set(links.ALPHABET) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert all(links.normalise(token) == token for token in made)


@pytest.mark.parametrize("typed", ["४०२८१७", " 402 817 "])
def test_pins_may_be_typed_in_devanagari_and_with_blanks(service: Any, typed: str) -> None:
    service.put()
    assert "Haemoglobin" in service.try_pin(typed).text


def test_what_is_no_pin_is_not_counted(service: Any) -> None:
    service.put()
    for typed in ("", "12345", "1234567", "abcdef", "12345x", "½½½½½½"):
        answer = service.try_pin(typed)
        assert (answer.status_code, "The PIN has 6 digits" in answer.text) == (422, True)
    assert service.client.post(f"/{SLIP}").status_code == 422  # no field at all
    assert "Tries left: 4" in service.try_pin("000000").text


def test_unknown_expired_and_revoked_look_the_same(service: Any) -> None:
    service.put()
    unknown = service.client.get("/ZZZZZZZZZZZZZZZZ?lang=en")
    assert unknown.status_code == 404 and "may not be ready yet" in unknown.text

    new_slip = hashlib.sha256(b"AAAABBBBCCCCDDDD").hexdigest()
    service.put(access=service.access(serial=2, slip_tokens=(new_slip,)))
    revoked = service.client.get(f"/{SLIP}?lang=en")
    service.clock.forward(days=30)
    expired = service.client.get("/AAAABBBBCCCCDDDD?lang=en")
    nonsense = service.client.get("/nonsense?lang=en")

    pages = [(p.status_code, p.text.replace(t, "…")) for p, t in (
        (unknown, "ZZZZZZZZZZZZZZZZ"), (revoked, SLIP), (expired, "AAAABBBBCCCCDDDD"), (nonsense, "nonsense"),
    )]  # fmt: skip
    assert pages.count(pages[0]) == 4
    posts = [service.try_pin(token=t).status_code for t in ("ZZZZZZZZZZZZZZZZ", SLIP, "AAAABBBBCCCCDDDD")]
    assert posts == [404, 404, 404]


def test_five_wrong_pins_lock_for_half_an_hour(service: Any) -> None:
    service.put()
    texts = [service.try_pin(f"00000{n}").text for n in range(5)]
    assert [f"Tries left: {5 - n}" in text for n, text in enumerate(texts, 1)] == [True] * 4 + [False]
    assert "after 30 minutes" in texts[4]
    assert "after 30 minutes" in service.try_pin().text  # the right one too
    service.clock.forward(minutes=29)
    assert "after 30 minutes" in service.try_pin().text
    service.clock.forward(minutes=1)
    assert "Haemoglobin" in service.try_pin().text
    assert outcomes(service) == ["wrong"] * 5 + ["locked"] * 2 + ["opened"]


def test_a_right_pin_ends_a_run_but_not_the_count(service: Any) -> None:
    service.put()
    for _ in range(3):
        for n in range(4):
            assert "Tries left" in service.try_pin(f"00000{n}").text
        assert "Haemoglobin" in service.try_pin().text
    assert "Tries left: 2" in service.try_pin("000000").text  # 13 of 15
    assert "Tries left: 1" in service.try_pin("000000").text
    assert "This link is closed" in service.try_pin("000000").text


def test_fifteen_wrong_pins_end_every_link_until_the_lab_gives_a_new_pin(service: Any) -> None:
    service.put()
    sms_token = service.token(service.send()[0])
    for n in range(15):
        answer = service.try_pin("000000", token=(SLIP, sms_token)[n % 2])
        service.clock.forward(minutes=30 if n % 5 == 4 else 0)
    assert "This link is closed" in answer.text
    assert service.state()["gate"]["revoked"] is True
    for token in (SLIP, sms_token):
        assert service.client.get(f"/{token}").status_code == 404
        assert service.try_pin(token=token).status_code == 404

    # An amendment or a corrected number carries a higher serial too, but no new PIN: nothing is forgiven.
    service.put(service.report(version=2, status=ReportStatus.AMENDED), service.access(serial=2))
    assert service.state()["gate"]["revoked"] is True
    assert service.try_pin().status_code == 404

    service.put(access=service.access(serial=3, pin_hash=hash_of("111222")))
    assert service.state()["gate"]["revoked"] is False
    assert "Tries left: 4" in service.try_pin().text  # the old PIN is wrong now
    assert "Haemoglobin" in service.try_pin("111222").text
    assert "Haemoglobin" in service.try_pin("111222", token=sms_token).text


def test_fifty_tries_at_once_are_not_fifty_chances(service: Any) -> None:
    service.put()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: service.try_pin(f"{n:06}").status_code, range(16)))
    assert set(answers) == {403}
    assert outcomes(service).count("wrong") == 5


def test_a_report_without_a_pin_sends_to_the_counter(service: Any) -> None:
    service.put(access=service.access(pin_hash=None))
    assert "ask for a slip at the counter" in service.client.get(f"/{SLIP}?lang=en").text
    assert "Haemoglobin" not in service.try_pin().text


def test_the_cookie_opens_language_and_pdf_for_fifteen_minutes(service: Any) -> None:
    service.put()
    assert service.client.get(f"/{SLIP}/pdf?lang=en").status_code == 403
    page = service.try_pin()
    cookie = page.headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=strict", f"Path=/{SLIP}", "Max-Age=900"):
        assert part in cookie
    assert "हीमोग्लोबिन" in service.client.get(f"/{SLIP}?lang=hi").text
    pdf = service.client.get(f"/{SLIP}/pdf?lang=hi")
    assert (pdf.status_code, pdf.headers["content-type"], pdf.content[:5]) == (200, "application/pdf", b"%PDF-")
    assert pdf.headers["content-disposition"] == 'attachment; filename="report-DDU-261122-0001-v1-hi.pdf"'
    assert outcomes(service) == ["opened", "again", "pdf"]
    assert service.state()["delivery"]["opened"] == 1
    service.clock.forward(minutes=15)
    assert service.client.get(f"/{SLIP}/pdf").status_code == 403
    assert "7.1" not in service.client.get(f"/{SLIP}?lang=en").text


def test_somebody_elses_cookie_opens_nothing(service: Any) -> None:
    service.put()
    other = hashlib.sha256(b"AAAABBBBCCCCDDDD").hexdigest()
    service.put(service.report(report_no="DDU-261122-0002"), service.access(slip_tokens=(other,)))
    ticket = service.try_pin().cookies["labmitra_open"]
    for value in (ticket, ticket[:-2] + "xx", "", "W10.x"):
        stolen = service.client.get("/AAAABBBBCCCCDDDD/pdf", headers={"Cookie": f"labmitra_open={value}"})
        assert stolen.status_code == 403


def test_a_new_pin_ends_an_open_page(service: Any) -> None:
    service.put()
    service.try_pin()
    service.put(access=service.access(serial=2, pin_hash=hash_of("111222")))
    assert service.client.get(f"/{SLIP}/pdf").status_code == 403


def test_an_amended_version_stands_behind_the_same_link_with_a_banner(service: Any) -> None:
    service.put()
    token = service.token(service.send()[0])
    amended = service.report(
        version=2, status=ReportStatus.AMENDED, amended_reason="wrong unit", replaces_version=1,
        replaces_issued_at=service.clock(),
    )  # fmt: skip
    service.put(amended, service.access(serial=2))
    page = service.try_pin(token=token)
    assert "Corrected report" in page.text and "wrong unit" in page.text
    corrected = service.send()
    assert ["सुधार" in m.text for m in corrected] == [True]
    assert service.token(corrected[0]) != token
    assert "wrong unit" in service.try_pin(token=service.token(corrected[0])).text


def test_a_withdrawn_report_says_only_that(service: Any) -> None:
    service.put()
    service.try_pin()
    service.put(access=service.access(serial=2, withdrawn=True, withdrawn_reason="wrong patient"))
    for page in (service.client.get(f"/{SLIP}?lang=en"), service.try_pin()):
        assert page.status_code == 200 and "This report was withdrawn" in page.text
        assert [word for word in (*SECRETS, "wrong patient") if word in page.text] == []
    assert service.client.get(f"/{SLIP}/pdf").status_code == 403
    assert outcomes(service) == ["opened"]  # who had opened it stays known
    assert service.sms() == [(1, "ready", "suppressed")]


def test_a_withdrawn_document_says_only_that_too(service: Any) -> None:
    service.put()
    service.put(service.report(version=2, status=ReportStatus.WITHDRAWN), service.access(serial=2))
    assert "This report was withdrawn" in service.try_pin().text


@pytest.mark.parametrize("policy", [LinkPolicy.NEVER, LinkPolicy.IN_PERSON])
def test_hiv_and_its_like_never_open_by_link_whatever_access_says(service: Any, policy: LinkPolicy) -> None:
    service.put(service.report(link=policy), service.access(sms="link"))
    message = service.send()[0]
    assert "http" not in message.text and "कृपया DDU Hospital Varanasi आकर" in message.text
    assert service.try_pin("000000").status_code == 403
    page = service.try_pin()
    assert "collect this report from the hospital" in page.text
    assert [word for word in SECRETS if word in page.text] == []
    assert "set-cookie" not in page.headers
    assert service.client.get(f"/{SLIP}/pdf").status_code == 403
    with service.hub.db.read() as conn:
        assert list(conn.execute(select(store.token.c.kind)).scalars()) == ["slip"]


def test_an_old_cookie_does_not_open_a_report_that_became_sensitive(service: Any) -> None:
    service.put()
    ticket = service.try_pin().cookies["labmitra_open"]
    service.put(service.report(version=2, link=LinkPolicy.NEVER))  # same access serial: the cookie still stands
    head = {"Cookie": f"labmitra_open={ticket}"}
    pages = [service.client.get(f"/{SLIP}{path}", headers=head) for path in ("?lang=en", "/pdf?lang=en")]
    assert ["7.1" in page.text for page in pages] == [False, False]
    assert pages[1].status_code == 403


def test_minting_a_link_for_hiv_is_refused() -> None:
    from datetime import UTC, datetime

    for policy in (LinkPolicy.NEVER, LinkPolicy.IN_PERSON):
        with pytest.raises(links.NoLinkError):
            links.issue(policy, datetime(2026, 1, 1, tzinfo=UTC), 30)


def test_a_slip_of_a_report_that_is_not_ready_says_so(service: Any) -> None:
    page = service.client.get(f"/{SLIP}")
    assert page.status_code == 404 and "रिपोर्ट अभी तैयार न हो" in page.text
    service.put(access=service.access(sms="none", mobile=None))  # a patient without a phone
    assert service.sms() == [(1, "in_person", "in_person")]
    assert "Haemoglobin" in service.try_pin().text


def test_a_corrected_number_ends_the_links_sent_to_the_wrong_one(service: Any) -> None:
    service.put()
    wrong = service.token(service.send()[0])
    service.put(access=service.access(serial=2, mobile="9811122233"))
    assert service.client.get(f"/{wrong}").status_code == 404
    message = service.send()[0]
    assert (message.to, service.client.get(f"/{service.token(message)}").status_code) == ("+919811122233", 200)
    assert "Haemoglobin" in service.try_pin().text  # the slip still opens


def test_not_mine_is_shown_to_the_lab_once(service: Any) -> None:
    service.put()
    token = service.token(service.send()[0])
    for _ in range(3):
        answer = service.client.post(f"/{token}/not-mine?lang=en")
        assert (answer.status_code, "Thank you for telling us" in answer.text) == (200, True)
    assert service.state()["delivery"]["not_mine"] == ["2026-11-22T06:30:00+00:00"]
    assert service.client.post("/ZZZZZZZZZZZZZZZZ/not-mine").status_code == 404


def test_stop_sms_silences_the_phone_until_the_counter_is_asked(service: Any) -> None:
    service.put()
    assert service.client.post(f"/{SLIP}/stop-sms?lang=en").status_code == 200
    assert service.send() == []
    service.put(service.report(version=2, status=ReportStatus.AMENDED), service.access(serial=2))
    assert service.sms() == [(1, "ready", "suppressed"), (2, "ready", "suppressed")]
    service.put(service.report(version=2, status=ReportStatus.AMENDED), service.access(serial=3, resend=True))
    assert len(service.send()) == 1


def test_too_many_tries_from_one_address_are_stopped(service: Any) -> None:
    codes = [service.client.get(f"/{n:016}").status_code for n in range(122)]
    assert codes == [404] * 120 + [429] * 2
    assert service.client.get(f"/{SLIP}").headers["retry-after"] == "600"
