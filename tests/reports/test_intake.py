"""PUT of a report version: idempotent, refusing what cannot be right, in words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from middleware.model import Handover, ReportStatus
from server import verify
from server.reports import api, intake


def test_a_report_is_stored_and_its_sms_queued_at_once(service: Any) -> None:
    answer = service.put()
    report = service.report()
    assert answer.status_code == 200
    assert answer.json() == {
        "report_no": "DDU-261122-0001",
        "version": 1,
        "stored": True,
        "sha256": verify.digest(report),
        "delivery": {
            "status": "queued",
            "withdrawn": False,
            "opened": 0,
            "opened_at": None,
            "not_mine": [],
            "sms": [
                {
                    "version": 1, "template": "ready", "language": "hi", "to": "98xxxxxx10", "status": "queued",
                    "attempts": 0, "parts": 0, "error": "", "queued_at": "2026-11-22T06:30:00+00:00",
                    "changed_at": "2026-11-22T06:30:00+00:00",
                }
            ],
        },
    }  # fmt: skip


def test_the_same_body_again_changes_nothing(service: Any) -> None:
    first = service.put()
    service.clock.forward(minutes=5)
    again = service.put()
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(service.send()) == 1


def test_the_same_version_with_other_content_is_a_conflict(service: Any) -> None:
    service.put()
    answer = service.put(service.report(patient_name="Somebody else"))
    assert answer.status_code == 409
    assert "a change needs a new version" in answer.json()["detail"]
    assert service.state()["versions"][0]["sha256"] == verify.digest(service.report())


@pytest.mark.parametrize("key", ["", "wrong", "the key of Pandit Deen Daya"])
def test_a_wrong_key_is_401(service: Any, key: str) -> None:
    assert service.put(key=key).status_code == 401
    assert service.client.get("/api/v1/reports/DDU-261122-0001").status_code == 401


def test_a_facility_hands_over_only_its_own_reports(service: Any) -> None:
    assert service.put(key="the key of another hospital").status_code == 403
    service.put()
    stolen = service.report(facility_code="CHC", version=2)
    assert service.put(stolen, key="the key of another hospital").status_code == 403
    assert "another facility" in service.state(key="the key of another hospital")["detail"]
    assert [v["version"] for v in service.state()["versions"]] == [1]


def test_a_facility_no_longer_named_is_shut_out(service: Any) -> None:
    from server.reports import store

    with service.hub.db.write() as conn:
        store.keep_facilities(conn, {"CHC": service.hub.settings.facility_keys["CHC"]})
    assert service.put().status_code == 401


def test_an_older_version_after_a_newer_is_kept_but_not_shown(service: Any) -> None:
    amended = service.report(version=3, status=ReportStatus.AMENDED, replaces_version=2, amended_reason="typing error")
    assert service.put(amended, service.access(serial=3)).status_code == 200
    assert service.put(service.report(), service.access(serial=1)).status_code == 200
    state = service.state()
    assert (state["newest"], [v["version"] for v in state["versions"]]) == (3, [1, 3])
    assert service.sms() == [(3, "ready", "queued")]
    assert "typing error" in service.try_pin().text


def test_an_older_access_serial_never_overwrites_a_newer(service: Any) -> None:
    service.put(access=service.access(serial=5, withdrawn=True))
    service.put(access=service.access(serial=5))
    service.put(access=service.access(serial=4))
    assert service.state()["delivery"]["withdrawn"] is True
    service.put(access=service.access(serial=6))
    assert service.state()["delivery"]["withdrawn"] is False


def _body(service: Any, **document: Any) -> Any:
    body = json.loads(intake.HANDOVER.dump_json(Handover(service.report(), service.access())))
    body["document"] |= document
    return body


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"version": 2}, "document.version: is not the version in the address"),
        ({"report_no": "DDU-261122-0002"}, "document.report_no: is not the number in the address"),
        ({"issued_at": "2026-11-22T12:00:00"}, "document.issued_at: a time with its zone"),
        ({"sex": "X"}, "document.sex: Input should be 'M', 'F' or 'O'"),
        ({"blood_group": "O+"}, "document.blood_group: this report service does not know the field"),
        ({"lines": [{"test": "HGB"}]}, "document.lines.0.name_en: "),
    ],
)
def test_a_malformed_document_is_422_in_words(service: Any, change: Any, fault: str) -> None:
    answer = service.put_body("DDU-261122-0001", 1, json.dumps(_body(service, **change)).encode())
    assert answer.status_code == 422
    assert fault in answer.json()["detail"]
    assert "Rekha" not in answer.text


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sms": "pigeon"}, "access.sms: one of link, in_person, none"),
        ({"language": "fr"}, "access.language: en or hi"),
        ({"slip_tokens": ("8K3F9QXZ2M7TWB4D",)}, "access.slip_tokens: SHA-256"),
        ({"pin_hash": "402817"}, "access.pin_hash: an argon2 hash"),
    ],
)
def test_a_malformed_access_is_422_in_words(service: Any, change: Any, fault: str) -> None:
    answer = service.put(access=service.access(**change))
    assert (answer.status_code, fault in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_body_that_is_no_json_object_is_422(service: Any, body: bytes) -> None:
    assert service.put_body("DDU-261122-0001", 1, body).status_code == 422


def test_a_huge_body_is_413_and_a_strange_version_422(service: Any) -> None:
    assert service.put_body("DDU-261122-0001", 1, b" " * (api.MOST + 1)).status_code == 413
    answer = service.client.put(
        "/api/v1/reports/X/versions/one", headers={"Authorization": "Bearer the key of Pandit Deen Dayal"}
    )
    assert (answer.status_code, answer.json()["faults"][0]["where"]) == (422, "path.version")


def test_a_slip_cannot_be_taken_over_by_another_report(service: Any) -> None:
    service.put()
    other = service.report(report_no="DDU-261122-0002")
    answer = service.put(other)
    assert (answer.status_code, "belongs to another report" in answer.json()["detail"]) == (422, True)
    assert "detail" in service.state("DDU-261122-0002")  # the whole transaction is gone, its report too


def test_an_unknown_report_is_404(service: Any) -> None:
    assert service.state("DDU-1")["detail"] == "there is no such report here"


def test_a_later_default_field_does_not_change_the_fingerprint(service: Any) -> None:
    report = service.report()
    spelled = replace(report, comments=(), abha_masked="", verify_url="https://r.example/verify/1")
    assert verify.digest(spelled) == verify.digest(report)
    assert verify.digest(replace(report, doctor="Dr X")) != verify.digest(report)


def test_a_round_trip_through_json_keeps_the_fingerprint(service: Any) -> None:
    report = service.report()
    again = intake.DOCUMENT.validate_json(intake.DOCUMENT.dump_json(report))
    assert verify.digest(again) == verify.digest(report)
