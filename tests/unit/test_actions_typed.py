"""Values that people type: held and marked, refused when they make no sense, amended only with a reason."""

from __future__ import annotations

import pytest

from middleware.actions import reports, results
from middleware.model import Refused
from middleware.schema import AuditRow, HandoverRow, ResultRow, Sample
from middleware.store import change
from tests.labs import Desk


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
    assert len(desk.versions(made)) == 1


def test_no_amendment_by_two_entries_that_differ(desk: Desk) -> None:
    made, (first,) = desk.measured("HB=13.0 g/dL")
    results.release(desk.lab, desk.pathologist, [first])
    with pytest.raises(Refused, match="differ"):
        results.amend(desk.lab, desk.pathologist, first, "14.0", "14.1", "misread")
    assert len(desk.versions(made)) == 1
