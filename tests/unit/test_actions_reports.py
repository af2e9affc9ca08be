"""Reports: one for each complete order, however many release it at once; interim, sent again, withdrawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from middleware.actions import issue, register, reports, results, samples
from middleware.model import Refused
from middleware.schema import HandoverRow, Order
from middleware.store import table
from tests.labs import Desk

# ---- one complete order, one report


def test_a_report_only_when_nothing_is_awaited(desk: Desk) -> None:
    made = desk.register("HB", "PLT", "WBC", "RBC", "UREA")
    tube = desk.sample_id(made)
    hb, plt = desk.say(tube, "HB=13.0 g/dL", "PLT=250 10*3/uL")
    assert results.release(desk.lab, desk.technician, [hb, plt]).reports == ()
    assert results.close_test(desk.lab, desk.technician, desk.test(made, "WBC")["id"], "no reagent") is None
    assert register.cancel_test(desk.lab, desk.reception, desk.test(made, "RBC")["id"], "twice") is None
    assert desk.versions(made) == [] and desk.rows(HandoverRow) == []
    desk.clock.forward(minutes=30)
    assert samples.reject_sample(desk.lab, desk.technician, made.sample_pks[1], "hemolysed", ask_new=False) is None
    (version,), (sent,) = desk.versions(made), desk.rows(HandoverRow)
    assert (version["version"], version["status"], version["issued_at"]) == (1, "final", desk.clock())
    assert desk.one(Order)["completed_at"] == desk.clock()
    assert sent["payload"]["document"] == version["document"]
    assert (sent["report_no"], sent["version"], sent["serial"], sent["state"]) == (made.report_no, 1, 1, "queued")
    said = {line["test"]: (line["status"], line["value"], line["note"]) for line in version["document"]["lines"]}
    assert said["HB"][:2] == ("final", "13.0") and said["PLT"][:2] == ("final", "250")
    assert (said["WBC"], said["RBC"], said["UREA"]) == (
        ("rejected", "", "no reagent"), ("cancelled", "", "twice"), ("rejected", "", "reject.hemolysed"),
    )  # fmt: skip
    (tube1, tube2) = version["document"]["samples"]
    assert (tube1["state"], tube2["state"], tube2["reject_reason"]) == ("received", "rejected", "hemolysed")


def test_two_people_who_release_the_last_two_tests_at_once_make_one_report(desk: Desk) -> None:
    """On PostgreSQL too: each alone would see the other's test as awaited."""
    for _ in range(4):
        made, ids = desk.measured("HB=13.0 g/dL", "PLT=250 10*3/uL", "WBC=6.0 10*3/uL", "RBC=4.2 10*6/uL")
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(lambda i: results.release(desk.lab, desk.technician, [i]), ids))
        assert [r for o in outcomes for r in o.reports] == [made.report_no]
        assert len(desk.versions(made)) == 1 and len(desk.rows(HandoverRow, report_no=made.report_no)) == 1


def test_two_people_who_release_the_same_result_at_once_release_it_once(desk: Desk) -> None:
    made, (result_id,) = desk.measured("HB=13.0 g/dL")
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: results.release(desk.lab, desk.technician, [result_id]), range(4)))
    assert sorted(len(o.released) for o in outcomes) == [0, 0, 0, 1]
    assert len(desk.versions(made)) == 1


@pytest.mark.parametrize("at", ["_keep", "hand_over", "draft"])
def test_a_fault_inside_leaves_nothing_of_the_release(at: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ids = desk.measured("HB=13.0 g/dL")
    before = desk.dump()
    real = getattr(issue, at)

    def fail(*given: Any, **more: Any) -> None:
        real(*given, **more)
        raise OSError("the power went")

    monkeypatch.setattr(issue, at, fail)
    with pytest.raises(OSError, match="power"):
        results.release(desk.lab, desk.technician, ids)
    assert desk.dump() == before
    monkeypatch.setattr(issue, at, real)
    assert results.release(desk.lab, desk.technician, ids).reports != ()


# ---- afterwards


def test_an_interim_report_is_for_the_doctor_and_not_stored(desk: Desk) -> None:
    made, (hb,) = desk.measured("HB=13.0 g/dL")
    register.add_tests(desk.lab, desk.reception, made.order_id, ("PLT",))
    results.release(desk.lab, desk.technician, [hb])
    stored = {k: v for k, v in desk.dump().items() if k != "audit"}
    report = reports.interim(desk.lab, desk.technician, made.order_id)
    assert report.status == "interim" and [(line.test, line.status) for line in report.lines] == [
        ("HB", "final"), ("PLT", "pending"),
    ]  # fmt: skip
    assert {k: v for k, v in desk.dump().items() if k != "audit"} == stored
    with pytest.raises(Refused, match="No report was issued yet"):
        reports.latest(desk.lab, made.report_no)


def test_resend_and_withdraw_raise_the_serial_of_the_access(desk: Desk) -> None:
    made, (hb,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [hb])
    reports.resend(desk.lab, desk.reception, made.report_no)
    reports.withdraw(desk.lab, desk.pathologist, made.report_no, "went to another Sunita")
    sent = [(h["version"], h["serial"], h["payload"]["access"]) for h in desk.rows(HandoverRow)]
    told = [(v, s, a["serial"], a["resend"], a["withdrawn"]) for v, s, a in sent]
    assert told == [(1, 1, 1, False, False), (1, 2, 2, True, False), (1, 3, 3, False, True)]
    assert desk.one(Order)["access_serial"] == 3 and desk.one(Order)["withdrawn_at"] == desk.clock()
    before = desk.dump()
    for refused in (
        lambda: reports.resend(desk.lab, desk.reception, made.report_no),
        lambda: reports.withdraw(desk.lab, desk.pathologist, made.report_no, "again"),
    ):
        with pytest.raises(Refused, match="withdrawn"):
            refused()
    assert desk.dump() == before


def test_nothing_is_sent_or_withdrawn_before_there_is_a_report(desk: Desk) -> None:
    made = desk.register("HB")
    before = desk.dump()
    with pytest.raises(Refused, match="no report to send"):
        reports.resend(desk.lab, desk.reception, made.report_no)
    with pytest.raises(Refused, match="Nothing was issued"):
        reports.withdraw(desk.lab, desk.pathologist, made.report_no, "wrong")
    with pytest.raises(Refused, match="why"):
        reports.withdraw(desk.lab, desk.pathologist, made.report_no, " ")
    assert desk.dump() == before


def test_a_refused_hand_over_is_put_back_in_the_queue(desk: Desk) -> None:
    made, (hb,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [hb])
    h = table(HandoverRow)
    with desk.lab.write() as conn:
        conn.execute(h.update().values(state="refused"))
    assert reports.retry_now(desk.lab, desk.technician, made.report_no) == 1
    assert desk.one(HandoverRow)["state"] == "queued"
