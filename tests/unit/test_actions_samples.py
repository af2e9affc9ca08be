"""Tubes: collected once, received once, rejected with a new one asked for, to which the open tests move."""

from __future__ import annotations

import pytest

from middleware.actions import results, samples
from middleware.model import NotAllowed, Refused
from middleware.schema import AuditRow, OrderTest, ResultRow, Sample
from tests.labs import Desk


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
