"""Results: states cell by cell, who may release what, calls, several results of one test, rules that release."""

from __future__ import annotations

from dataclasses import replace

import pytest

import drivers.generic_astm
from drivers.driver import Grade
from middleware import pipeline
from middleware.actions import results
from middleware.lab import Lab
from middleware.model import RESULT_MOVES, Refused, ResultState
from middleware.schema import AuditRow, CriticalCall, OrderTest, ReasonRow, ResultRow
from middleware.store import change
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


def test_a_test_that_cannot_be_done_takes_its_waiting_results_along(desk: Desk) -> None:
    made, (result_id,) = desk.measured("HB=13.0 g/dL")
    why = "clotted twice"
    assert results.close_test(desk.lab, desk.technician, desk.test(made, "HB")["id"], why) == made.report_no
    assert desk.one(ResultRow, id=result_id)["reject_note"] == "clotted twice"
    assert desk.versions(made)[0]["document"]["lines"][0]["status"] == "rejected"


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


def test_an_unproven_driver_releases_nothing_by_itself(desk: Desk) -> None:
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
