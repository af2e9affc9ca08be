"""Results: states cell by cell, release, refusal, typing, amending, calls, one report per complete order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

import drivers.generic_astm
from drivers.driver import Grade
from middleware import pipeline
from middleware.actions import issue, register, reports, results, samples
from middleware.lab import Lab
from middleware.model import RESULT_MOVES, NotAllowed, Refused, ResultState
from middleware.schema import AuditRow, CriticalCall, HandoverRow, Order, OrderTest, ReasonRow, ResultRow, Sample
from middleware.store import change, table
from tests.labs import BENCH, Desk

H, V, R, A, X = ResultState  # held, autoverified, released, amended, rejected
MAY = {(H, R), (H, X), (V, R), (V, X), (V, H), (R, A)}


@pytest.mark.parametrize("after", ResultState)
@pytest.mark.parametrize("before", ResultState)
def test_the_table_of_states_cell_by_cell(before: ResultState, after: ResultState) -> None:
    assert (after in RESULT_MOVES[before]) is ((before, after) in MAY)


@pytest.mark.parametrize("before", ResultState)
def test_release_and_reject_and_amend_keep_the_table(before: ResultState, desk: Desk) -> None:
    made, (result_id,) = desk.measured("HB=13.0 g/dL")
    with desk.lab.write() as conn:
        change(conn, ResultRow, result_id, state=before.value)
        state = "released" if before is R else "awaited"
        change(conn, OrderTest, desk.test(made, "HB")["id"], state=state)
    outcome = results.release(desk.lab, desk.pathologist, [result_id])
    assert bool(outcome.released) is ((before, R) in MAY)
    if (before, R) not in MAY:
        assert outcome.refused == ((result_id, f"This result is already {before.value}."),)
        with pytest.raises(Refused, match=f"already {before.value}"):
            results.reject(desk.lab, desk.pathologist, result_id, "clot")
    if before in (A, X):
        with pytest.raises(Refused, match="Only a released result"):
            results.amend(desk.lab, desk.pathologist, result_id, "13.1", "13.1", "misread")


@pytest.mark.parametrize("before", [H, V])
def test_an_open_result_can_be_rejected_and_its_test_stays_awaited(before: ResultState, desk: Desk) -> None:
    made, (result_id,) = desk.measured("HB=13.0 g/dL")
    with desk.lab.write() as conn:
        change(conn, ResultRow, result_id, state=before.value)
    results.reject(desk.lab, desk.technician, result_id, "clot in the tube")
    row = desk.one(ResultRow, id=result_id)
    assert (row["state"], row["rejected_by"], row["reject_note"]) == (
        "rejected", "Technician Devi", "clot in the tube",
    )  # fmt: skip
    assert desk.test(made, "HB")["state"] == "awaited" and desk.versions(made) == []
    assert desk.rows(AuditRow)[-1]["detail"] == {"test": "HB", "value": "13.0", "note": "clot in the tube"}


def test_a_released_result_names_who_and_when(desk: Desk) -> None:
    made, (hb, plt) = desk.measured("HB=13.0 g/dL", "PLT=250 10*3/uL")
    desk.clock.forward(minutes=5)
    outcome = results.release(desk.lab, desk.pathologist, [hb])
    assert (outcome.released, outcome.reports, outcome.refused) == ((hb,), (), ())
    row = desk.one(ResultRow, id=hb)
    assert (row["state"], row["released_by"], row["released_at"]) == (
        "released", "Pathologist Devi, MD", desk.clock(),
    )  # fmt: skip
    assert desk.test(made, "HB")["state"] == "released" and desk.one(ResultRow, id=plt)["state"] == "autoverified"
    assert desk.rows(AuditRow)[-1]["detail"] == {"test": "HB", "value": "13.0", "amends": None}


# ---- what may not be released


def test_a_critical_result_needs_a_call_that_was_read_back(desk: Desk) -> None:
    _, (result_id,) = desk.measured("HB=4.0 g/dL")
    lab, who = desk.lab, desk.technician
    why = ((result_id, "Critical result: first record who was told (page Critical)."),)
    assert results.release(lab, desk.pathologist, [result_id]).refused == why
    results.record_call(lab, who, result_id, "Dr Singh", "0542", False, False, "no answer")
    assert results.release(lab, who, [result_id]).refused == why  # nobody was reached
    with pytest.raises(Refused, match="read the result back"):
        results.record_call(lab, who, result_id, "Dr Singh", "0542", False, True, "")
    with pytest.raises(Refused, match="who was told"):
        results.record_call(lab, who, result_id, " ", "0542", True, True, "")
    results.record_call(lab, who, result_id, "Dr Singh", "0542", True, True, "sends him in")
    assert results.release(lab, who, [result_id]).released == (result_id,)
    calls = [(c["told"], c["reached"], c["read_back"], c["called_by"]) for c in desk.rows(CriticalCall)]
    assert calls == [("Dr Singh", False, False, "Technician Devi"), ("Dr Singh", True, True, "Technician Devi")]


def test_a_call_is_only_for_critical_results(desk: Desk) -> None:
    _, (result_id,) = desk.measured("HB=13.0 g/dL")
    for unknown in (result_id, 4711):
        with pytest.raises(Refused, match="not a critical"):
            results.record_call(desk.lab, desk.technician, unknown, "Dr Singh", "", True, True, "")


def test_what_a_rule_blocks_needs_the_pathologist(desk: Desk) -> None:
    made = desk.register("HB", received=False)
    (result_id,) = desk.say(desk.sample_id(made), "HB=13.0 g/dL")
    assert {r["severity"] for r in desk.rows(ReasonRow, result_id=result_id)} >= {"block"}
    ((refused, why),) = results.release(desk.lab, desk.technician, [result_id]).refused
    assert refused == result_id and why.startswith("Only the pathologist may release this: ")
    assert results.release(desk.lab, desk.pathologist, [result_id]).released == (result_id,)


def test_no_value_no_release(desk: Desk) -> None:
    _, (result_id,) = desk.measured("HB=---.- g/dL")
    ((_, why),) = results.release(desk.lab, desk.pathologist, [result_id]).refused
    assert why == "There is no value to release: run the test again, or close it as not possible."


def test_release_all_green_takes_nothing_that_a_rule_holds(desk: Desk) -> None:
    _, (hb, plt, wbc) = desk.measured("HB=13.0 g/dL", "PLT=5 10*3/uL", "WBC=30 10*3/uL")
    outcome = results.release_green(desk.lab, desk.technician)
    assert (outcome.released, outcome.refused, outcome.reports) == ((hb,), (), ())
    assert [desk.one(ResultRow, id=i)["state"] for i in (hb, plt, wbc)] == ["released", "held", "held"]


def test_refusals_do_not_stop_the_others(desk: Desk) -> None:
    _, (hb, plt) = desk.measured("HB=13.0 g/dL", "PLT=5 10*3/uL")
    outcome = results.release(desk.lab, desk.technician, [plt, hb, 4711])
    assert outcome.released == (hb,)
    assert [who for who, _ in outcome.refused] == [plt, 4711]


def test_a_result_of_a_closed_test_is_not_released(desk: Desk) -> None:
    made = desk.register("HB", "PLT")
    (result_id,) = desk.say(desk.sample_id(made), "HB=13.0 g/dL")
    with desk.lab.write() as conn:
        change(conn, OrderTest, desk.test(made, "HB")["id"], state="cancelled")
    assert results.release(desk.lab, desk.pathologist, [result_id]).refused == (
        (result_id, "This test was cancelled or closed meanwhile."),
    )


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


Fault = Callable[..., Any]


@pytest.mark.parametrize("at", ["_keep", "hand_over", "draft"])
def test_a_fault_inside_leaves_nothing_of_the_release(at: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ids = desk.measured("HB=13.0 g/dL")
    before = desk.dump()
    real: Fault = getattr(issue, at)

    def fail(*given: Any, **more: Any) -> None:
        real(*given, **more)
        raise OSError("the power went")

    monkeypatch.setattr(issue, at, fail)
    with pytest.raises(OSError, match="power"):
        results.release(desk.lab, desk.technician, ids)
    assert desk.dump() == before
    monkeypatch.setattr(issue, at, real)
    assert results.release(desk.lab, desk.technician, ids).reports != ()


# ---- several results of one test


def test_the_other_results_of_a_test_lose_when_one_is_released(desk: Desk) -> None:
    made = desk.register("HB")
    (first,) = desk.say(desk.sample_id(made), "HB=13.0 g/dL")
    (second,) = desk.say(desk.sample_id(made), "HB=13.4 g/dL", at="20261122101500")
    last = desk.last_audit()
    results.release(desk.lab, desk.technician, [second])
    row = desk.one(ResultRow, id=first)
    assert (row["state"], row["reject_note"]) == ("rejected", "another result of this test was released (13.4)")
    assert [line[0] for line in desk.audit(last)] == ["reject", "release", "issue report"]
    assert results.release(desk.lab, desk.technician, [first]).refused != ()


def test_a_correction_of_the_analyzer_takes_the_place_of_what_was_released(desk: Desk) -> None:
    made, (first,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [first])
    (second,) = desk.say(desk.sample_id(made), "HB=13.8 g/dL!C", at="20261122110000")
    row = desk.one(ResultRow, id=second)
    assert row["state"] == "held"
    told = {r["rule"] for r in desk.rows(ReasonRow, result_id=second)}
    assert {"correction", "second_result"} <= told
    assert results.release(desk.lab, desk.technician, [second]).reports == (made.report_no,)
    states = {r["id"]: (r["state"], r["amends_id"]) for r in desk.rows(ResultRow)}
    assert states == {first: ("amended", None), second: ("released", first)}
    one, two = desk.versions(made)
    assert (two["version"], two["status"], two["reason"]) == (2, "amended", "The analyzer sent another result")
    (line,) = two["document"]["lines"]
    assert (line["value"], line["status"], line["previous"]) == ("13.8", "amended", "13.0 g/dL")
    assert one["document"]["lines"][0]["value"] == "13.0"  # the old version stays as it was


# ---- typed and amended


def test_a_typed_result_is_held_and_marked(desk: Desk) -> None:
    made = desk.register("HB")
    result_id = results.enter(desk.lab, desk.technician, desk.test(made, "HB")["id"], " 13.04 ", "13.04", "by hand")
    row = desk.one(ResultRow, id=result_id)
    kept = {k: str(row[k]) for k in ("state", "typed_by", "analyzer", "value", "display", "unit", "flag", "comments")}
    assert kept == {
        "state": "held", "typed_by": "Technician Devi", "analyzer": "", "value": "13.0", "display": "13.0",
        "unit": "g/dL", "flag": "N", "comments": "['by hand']",
    }  # fmt: skip
    results.release(desk.lab, desk.technician, [result_id])
    (line,) = desk.versions(made)[0]["document"]["lines"]
    assert line["typed"] is True and line["note"] == "by hand"


@pytest.mark.parametrize(
    ("test", "first", "second", "why"),
    [
        ("HB", "13.0", "13.1", "The two entries differ"),
        ("HB", "13.0", "13.00", "The two entries differ"),
        ("HB", " ", " ", "Type the value twice"),
        ("HB", "NA", "NA", "'NA' is not a value"),
        ("HB", "---.-", "---.-", "is not a value"),
        ("HB", "13,040", "13,040", "is not a value"),
        ("HB", "nan", "nan", "is not a value"),
        ("HBSAG", "Maybe", "Maybe", "'Maybe' is not a value"),
    ],
)
def test_what_is_typed_wrongly_is_refused(test: str, first: str, second: str, why: str, desk: Desk) -> None:
    made = desk.register(test)
    before = desk.dump()
    with pytest.raises(Refused, match=why):
        results.enter(desk.lab, desk.technician, desk.test(made, test)["id"], first, second)
    assert desk.dump() == before


@pytest.mark.parametrize(("typed", "display"), [("<3.0", "<3.0"), (">25", ">25"), ("13,4", "13.4")])
def test_bounds_and_the_decimal_comma_can_be_typed(typed: str, display: str, desk: Desk) -> None:
    made = desk.register("HB")
    result_id = results.enter(desk.lab, desk.technician, desk.test(made, "HB")["id"], typed, typed)
    assert desk.one(ResultRow, id=result_id)["display"] == display


def test_nothing_is_typed_for_a_rejected_tube(desk: Desk) -> None:
    made = desk.register("HB", "PLT")
    hb = desk.test(made, "HB")["id"]
    with desk.lab.write() as conn:
        change(conn, Sample, made.sample_pks[0], state="rejected")
    with pytest.raises(Refused, match="The value cannot be taken"):
        results.enter(desk.lab, desk.technician, hb, "13.0", "13.0")


def test_an_amended_result_makes_version_two_with_reason_and_old_value(desk: Desk) -> None:
    made, (first,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [first])
    last = desk.last_audit()
    assert results.amend(desk.lab, desk.pathologist, first, "14.0", "14.0", "sample mixed up") == made.report_no
    assert [line[0] for line in desk.audit(last)] == ["type result", "amend", "issue report"]
    assert desk.rows(AuditRow)[-2]["detail"] == {"test": "HB", "value": "14.0", "amends": "13.0"}
    one, two = desk.versions(made)
    document = two["document"]
    assert (document["status"], document["amended_reason"]) == ("amended", "sample mixed up")
    assert (document["replaces_version"], document["replaces_issued_at"]) == (1, one["document"]["issued_at"])
    (line,) = document["lines"]
    assert (line["value"], line["previous"], line["status"]) == ("14.0", "13.0 g/dL", "amended")
    assert "sample mixed up" in line["note"]
    assert (one["status"], one["document"]["lines"][0]["value"]) == ("final", "13.0")
    assert [(h["version"], h["serial"]) for h in desk.rows(HandoverRow)] == [(1, 1), (2, 2)]
    assert reports.latest(desk.lab, made.report_no).version == 2


def test_a_critical_amendment_waits_for_its_call_and_keeps_its_reason(desk: Desk) -> None:
    made, (first,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [first])
    assert results.amend(desk.lab, desk.pathologist, first, "4.0", "4.0", "sample mixed up") is None
    assert len(desk.versions(made)) == 1 and desk.one(ResultRow, id=first)["state"] == "released"
    (waiting,) = desk.rows(ResultRow, state="held")
    results.record_call(desk.lab, desk.technician, waiting["id"], "Dr Singh", "", True, True, "")
    assert results.release(desk.lab, desk.pathologist, [waiting["id"]]).reports == (made.report_no,)
    assert desk.versions(made)[1]["document"]["amended_reason"] == "sample mixed up"


@pytest.mark.parametrize("reason", ["", "  "])
def test_no_amendment_without_a_reason(reason: str, desk: Desk) -> None:
    made, (first,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [first])
    with pytest.raises(Refused, match="why"):
        results.amend(desk.lab, desk.pathologist, first, "14.0", "14.0", reason)
    with pytest.raises(Refused, match="differ"):
        results.amend(desk.lab, desk.pathologist, first, "14.0", "14.1", "misread")
    assert len(desk.versions(made)) == 1


def test_a_test_that_cannot_be_done_takes_its_waiting_results_along(desk: Desk) -> None:
    made, (result_id,) = desk.measured("HB=13.0 g/dL")
    why = "clotted twice"
    assert results.close_test(desk.lab, desk.technician, desk.test(made, "HB")["id"], why) == made.report_no
    assert desk.one(ResultRow, id=result_id)["reject_note"] == "clotted twice"
    assert desk.versions(made)[0]["document"]["lines"][0]["status"] == "rejected"


# ---- released by approved rules


def _field(monkeypatch: pytest.MonkeyPatch, desk: Desk, enabled: frozenset[str] | None = None) -> Lab:
    proven = replace(drivers.generic_astm.DRIVER, grade=Grade.FIELD)
    monkeypatch.setattr(drivers.generic_astm, "DRIVER", proven)
    settings = desk.lab.settings
    others = tuple(a for a in settings.analyzers if a.name != "bench")
    rules = replace(settings.rules, enabled=enabled) if enabled is not None else settings.rules
    bench = replace(BENCH, auto_release=True)
    return replace(desk.lab, settings=replace(settings, analyzers=(*others, bench), rules=rules))


def test_only_a_proven_driver_releases_by_itself_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = _field(monkeypatch, desk)
    made = desk.register("HB", "PLT")
    pipeline.process(lab, desk.message(desk.sample_id(made), "HB=13.0 g/dL", "PLT=5 10*3/uL"))
    hb, plt = desk.rows(ResultRow)
    assert (hb["state"], hb["released_by"], plt["state"]) == ("released", "auto", "held")
    assert desk.audit()[-1] == ("release", "result", "system")


def test_an_unproven_driver_never_does(desk: Desk) -> None:
    settings = desk.lab.settings
    bench = tuple(replace(a, auto_release=True) for a in settings.analyzers)
    lab = replace(desk.lab, settings=replace(settings, analyzers=bench))
    made = desk.register("HB")
    pipeline.process(lab, desk.message(desk.sample_id(made), "HB=13.0 g/dL"))
    assert desk.one(ResultRow)["state"] == "held"


def test_rules_never_amend_what_a_person_released(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the rules that would hold a second result are switched off."""
    made, (first,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [first])
    lab = _field(monkeypatch, desk, frozenset({"identity", "absurd", "critical"}))
    outcome = pipeline.process(lab, desk.message(desk.sample_id(made), "HB=13.3 g/dL", at="20261122113000"))
    assert outcome.state == "processed"
    assert [(r["display"], r["state"]) for r in desk.rows(ResultRow)] == [
        ("13.0", "released"),
        ("13.3", "autoverified"),
    ]
    assert len(desk.versions(made)) == 1


# ---- reports


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


# ---- samples


def test_a_rejected_tube_asks_for_a_new_one_and_its_tests_move_there(desk: Desk) -> None:
    made = desk.register("HB", "PLT", "UREA")
    tube = desk.sample_id(made)
    hb, plt = desk.say(tube, "HB=13.0 g/dL", "PLT=250 10*3/uL")
    results.release(desk.lab, desk.technician, [hb])
    new_pk = samples.reject_sample(desk.lab, desk.technician, made.sample_pks[0], "clotted", ask_new=True)
    assert new_pk is not None
    old, new = desk.one(Sample, id=made.sample_pks[0]), desk.one(Sample, id=new_pk)
    assert (old["state"], old["reject_reason"], old["replaced_by_id"]) == ("rejected", "clotted", new_pk)
    assert (new["state"], new["container"], new["collected_at"]) == ("registered", "E", None)
    where = {t["test"]: t["sample_pk"] for t in desk.rows(OrderTest)}
    assert where == {"HB": made.sample_pks[0], "PLT": new_pk, "UREA": made.sample_pks[1]}
    assert (desk.one(ResultRow, id=hb)["state"], desk.one(ResultRow, id=plt)["state"]) == ("released", "rejected")
    assert desk.rows(AuditRow)[-1]["detail"]["results"] == {str(plt): "250"}
    assert desk.say(tube, "PLT=240 10*3/uL", at="20261122120000") == []  # the old tube's results are nobody's
    assert [row["rule"] for row in desk.tray()] == ["sample_rejected"]
    samples.receive(desk.lab, desk.technician, new_pk)
    (again,) = desk.say(new["sample_id"], "PLT=245 10*3/uL", at="20261122123000")
    assert results.release(desk.lab, desk.technician, [again]).released == (again,)


def test_a_tube_whose_tests_are_all_reported_is_not_rejected(desk: Desk) -> None:
    made, (hb,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.technician, [hb])
    with pytest.raises(Refused, match="Nothing of this sample is awaited"):
        samples.reject_sample(desk.lab, desk.technician, made.sample_pks[0], "label", ask_new=True)
    assert len(desk.versions(made)) == 1


def test_a_tube_is_collected_once_received_once_and_not_after_it_was_rejected(desk: Desk) -> None:
    made = desk.register("HB", "PLT", received=False, collected_now=False)
    (pk,) = made.sample_pks
    assert samples.receive(desk.lab, desk.technician, pk) is True
    assert samples.receive(desk.lab, desk.technician, pk) is False
    desk.clock.forward(minutes=3)
    samples.collect(desk.lab, desk.reception, pk)  # written down late: it stays received
    row = desk.one(Sample, id=pk)
    assert (row["state"], row["collected_at"], row["received_by"]) == ("received", desk.clock(), "Technician Devi")
    with pytest.raises(Refused, match="already recorded"):
        samples.collect(desk.lab, desk.reception, pk)
    with pytest.raises(Refused, match="listed reasons"):
        samples.reject_sample(desk.lab, desk.technician, pk, "looks odd", ask_new=True)
    samples.reject_sample(desk.lab, desk.technician, pk, "qns", ask_new=True)
    for refused in (
        lambda: samples.collect(desk.lab, desk.reception, pk),
        lambda: samples.receive(desk.lab, desk.technician, pk),
        lambda: samples.reject_sample(desk.lab, desk.technician, pk, "qns", ask_new=True),
    ):
        with pytest.raises(Refused, match="was rejected: use the new one"):
            refused()
    with pytest.raises(NotAllowed):
        samples.receive(desk.lab, desk.engineer, pk)
