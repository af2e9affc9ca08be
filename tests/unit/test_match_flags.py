"""Matching: a value beside the interval of its patient. Where it may be on either side, it is flagged on neither."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from middleware.model import PatientFacts, Sex
from middleware.values import Limits, flag, limits_for
from tests.unit.matching import CATALOGUE, GENERIC, context, matched, one, row, sample

D = Decimal


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2.7", "LL"), ("2.8", "L"), ("3.4", "L"), ("3.5", "N"), ("5.1", "N"), ("5.14", "N"), ("5.15", "H"), ("6.2", "H"),
     ("6.3", "HH"), ("<2.8", "LL"), ("<3.0", "L"), ("<5.0", ""), (">6.2", "HH"), (">5.1", "H"), (">4.0", "")],
)  # fmt: skip
def test_a_limit_is_still_inside_and_a_bound_is_flagged_only_where_it_is_sure(value: str, expected: str) -> None:
    """Potassium of 3.5 to 5.1, critical below 2.8 and above 6.2: the displayed value counts."""
    result = one("K", value, "mmol/L")
    assert (result.flag, result.ref_low, result.ref_high) == (expected, D("3.5"), D("5.1"))


def test_below_the_measuring_range_is_normal_where_nothing_lies_below() -> None:
    """CRP <3.00 of 0-5 is normal; TSH <0.30 of 0.40-4.50 is low; TSH <3.00 says nothing."""
    assert one("CRP", "<3.00", "mg/L").flag == "N"
    assert [one("TSH", v, "uIU/ml").flag for v in ("<0.30", "<3.00")] == ["L", ""]
    assert [one("HDL", v, "mg/dl").flag for v in (">60", ">30")] == ["N", ""]


def test_sex_other_is_flagged_only_outside_both_intervals() -> None:
    """Haemoglobin: men 13-17, women 12-15; critical by the stricter."""
    tube = {"patient": PatientFacts(Sex.OTHER, 14600)}
    assert [one("HB", v, "g/dL", tube=tube).flag for v in ("11.9", "12.0", "12.5", "16.0", "17.0", "17.1")] == [
        "L", "N", "N", "N", "N", "H",
    ]  # fmt: skip
    result = one("HB", "12.5", "g/dL", tube=tube)
    assert (result.ref_low, result.ref_high) == (D("12.0"), D("17.0"))


def test_the_interval_is_that_of_the_age_in_days() -> None:
    """A newborn's potassium of 5.9 is normal, a man's is high."""
    assert one("K", "5.9", "mmol/L", tube={"patient": PatientFacts(Sex.FEMALE, 2)}).flag == "N"
    assert one("K", "5.9", "mmol/L").flag == "H"


def test_the_rules_are_told_an_analyzers_own_high_and_low_in_the_standards_words() -> None:
    form = replace(GENERIC, flag_words={"+": "H"})
    tube = sample("HB")
    (found,) = matched([row("HB", "17.9", "g/dL", flags=("+", "*"))], context(tube), form).results
    assert found.analyzer_flags == ("H", "*")


def test_no_interval_no_flag() -> None:
    """eGFR of a child; anybody of 130 years."""
    assert one("EGFR", "50", "mL/min/1.73m2", tube={"patient": PatientFacts(Sex.MALE, 3000)}).flag == ""
    assert one("K", "4.1", "mmol/L", tube={"patient": PatientFacts(Sex.MALE, 50000)}).flag == ""
    assert flag(D(1), "", None) == ""
    assert flag(D(1), "", Limits(crit_low=D(2))) == "LL"
    assert limits_for(CATALOGUE["K"], Sex.MALE, -1) is None


def test_a_guessed_age_is_said_where_it_matters() -> None:
    """ "About 18 years" may be 17: a note that holds nothing. At 40 the band is the same on both sides."""
    young = one("K", "4.1", "mmol/L", tube={"patient": PatientFacts(Sex.MALE, 6600, approximate_age=True)})
    assert [(n.rule, n.severity) for n in young.notes] == [("approximate_age", "note")]
    grown = one("K", "4.1", "mmol/L", tube={"patient": PatientFacts(Sex.MALE, 14600, approximate_age=True)})
    assert grown.notes == ()
