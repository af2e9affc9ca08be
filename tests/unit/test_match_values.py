"""Matching: what a row says becomes a value or none; nothing is guessed, no text becomes a number it is not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import load_driver
from middleware.rules import verify
from middleware.values import number
from tests.unit.matching import ALL_RULES, context, matched, one, row, sample

D = Decimal


# ---- units ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("lakh/cumm", "1.5"),
        ("10*3/uL", "150"),
        ("10^9/L", "150"),
        ("10*9/L", "150"),
        ("K/uL", "150"),
        ("10^3/µl", "150"),
    ],
)
def test_platelets_are_150_in_every_unit_that_is_known(unit: str, value: str) -> None:
    """1.5 lakh/cumm is 150 x 10^3/uL: the most dangerous unit error of the whole system (domain 2.7)."""
    result = one("PLT", value, unit)
    assert (result.value, result.display, result.unit, result.flag) == (D(150), "150", "10*3/uL", "N")
    assert result.notes == ()


@pytest.mark.parametrize("unit", ["lakh", "10*4/uL", "/cumm", "g/24h", "10*12/L", "cells"])
def test_an_unknown_unit_is_never_converted(unit: str) -> None:
    """No value, blocked, and the sentence says what came."""
    result = one("PLT", "1.5", unit)
    assert (result.value, result.display, result.flag, result.verbatim) == (None, "", "", "1.5")
    note = result.notes[0]
    assert (note.rule, note.severity, note.values["unit"], note.values["value"]) == ("unit", "block", unit, "1.5")
    assert note.text == (
        f"Platelet count came as 1.5 in the unit {unit}, which is not known for it (expected 10^3/µL). Not converted."
    )
    verdict = verify([result], context(sample("PLT")), ALL_RULES)[0]
    assert not verdict.green


@pytest.mark.parametrize("unit", [None, "", "  "])
def test_a_missing_unit_is_blocked_where_one_is_needed(unit: str | None) -> None:
    """150 or 1.5? Nobody knows."""
    assert one("PLT", "150", unit).value is None
    assert one("INR", "1.10", unit).value == D("1.10")
    assert one("UPH", "6.5", unit).value == D("6.5")


def test_the_driver_s_factor_is_used_and_must_lead_to_the_catalogue_s_unit() -> None:
    """Haematocrit of a Sysmex set to L/L; a driver that means another unit than the catalogue blocks."""
    xn = load_driver("sysmex_xn")
    where = context(sample("HCT"))
    assert matched([row("HCT", "0.412", "L/L")], where, xn).results[0].display == "41.2"
    odd = replace(xn, tests={"HCT": replace(xn.tests["HCT"], units={"L/L": ("L/L", "1")})})
    assert matched([row("HCT", "0.412", "L/L")], where, odd).results[0].notes[0].rule == "unit"


# ---- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "display", "value", "comparator"),
    [
        ("4.1", "4.1", "4.1", ""), (" 4.1 ", "4.1", "4.1", ""), ("4,1", "4.1", "4.1", ""), ("4", "4.0", "4.0", ""),
        ("4.15", "4.2", "4.2", ""), ("4.25", "4.3", "4.3", ""), ("4.149", "4.1", "4.1", ""), (".5", "0.5", "0.5", ""),
        ("5.", "5.0", "5.0", ""), ("+4.1", "4.1", "4.1", ""), ("<5", "<5", "5", "<"), ("< 3.00", "<3.00", "3.00", "<"),
        ("<0.003", "<0.003", "0.003", "<"), (">6,24", ">6.24", "6.24", ">"), ("<=2.0", "<=2.0", "2.0", "<="),
        ("30.600000381469727", "30.6", "30.6", ""), ("4.0999999", "4.1", "4.1", ""),
    ],
)  # fmt: skip
def test_a_number_is_printed_with_its_tests_decimals(sent: str, display: str, value: str, comparator: str) -> None:
    """Half up to the test's decimals; a bound stays as it was sent."""
    result = one("K", sent, "mmol/L")
    assert (result.display, result.comparator) == (display, comparator)
    assert result.value == D(value)


def test_a_bound_that_is_converted_stays_true() -> None:
    """<1.234 lakh is below 124, not below 123."""
    assert one("PLT", "<1.234", "lakh/cumm").display == "<124"
    assert one("PLT", ">4.567", "lakh/cumm").display == ">456"


@pytest.mark.parametrize("sent", ["1,234", "12,000"])
def test_a_comma_that_can_mean_two_things_is_blocked(sent: str) -> None:
    """A glucose of 1,234 may be 1.234 or 1234."""
    result = one("GLUR", sent, "mg/dL")
    assert (result.value, result.notes[0].severity) == (None, "block")


def test_a_comma_before_as_many_decimals_as_are_printed_is_read() -> None:
    """A specific gravity of 1,020."""
    assert one("USG", "1,020", None).display == "1.020"


NO_NUMBERS = (
    "NA", "---.-", "....", "*****", "", "  ", "POS", "1.2.3", "4 1", "0x10", "1e5", "NaN", "Infinity", "-", "--", "<",
    "४.१", "1" * 40, "12/7", "4.1 H", "4.1*",
)  # fmt: skip


@pytest.mark.parametrize("sent", NO_NUMBERS)
def test_what_is_no_number_never_becomes_one(sent: str) -> None:
    """No value, held, the text kept beside it."""
    result = one("K", sent, "mmol/L")
    assert (result.value, result.display, result.flag, result.coded) == (None, "", "", None)
    assert [(n.rule, n.severity) for n in result.notes] == [("value", "hold")]
    assert result.verbatim == sent


def test_a_masked_row_has_no_value_whatever_stands_in_it() -> None:
    """The driver says so."""
    result = one("K", "4.1", "mmol/L", masked=True)
    assert result.value is None
    assert result.notes[0].text == "The analyzer gave no value for Potassium (it sent 4.1). Run the test again."


@given(st.text(max_size=40), st.sampled_from([None, "", "mmol/L", "mEq/L", "x"]))
def test_any_text_is_a_number_or_none_never_zero_by_mistake_never_an_error(sent: str, unit: str | None) -> None:
    """Law of values: a zero was sent as a zero."""
    found = number(sent, 1)
    if found is not None:
        assert found.value.is_finite()
        assert any(c in "0123456789" for c in sent)
        assert found.value != 0 or not any(c in "123456789" for c in sent)
    result = one("K", sent, unit)
    assert result.value is None or found is not None
    assert (result.value is None) is (result.display == "")
    assert (result.value is None) is bool(result.notes)


@given(st.decimals(0, 999, allow_nan=False, allow_infinity=False, places=3), st.integers(0, 4))
def test_every_decimal_survives(value: Decimal, decimals: int) -> None:
    """With point or comma, with a comparator or without."""
    for text in (f"{value:f}", f"<{value:f}", f"> {value:f}"):
        found = number(text, decimals)
        assert found is not None
        assert found.value == value


def test_a_bound_of_one_character_is_a_bound() -> None:
    """Latin letters and the signs of mathematics mean the same."""
    assert [(found.comparator, found.value) for text in ("≥ 15", "≤0.3") if (found := number(text, 1))] == [
        (">=", Decimal(15)), ("<=", Decimal("0.3"))
    ]  # fmt: skip


# ---- coded ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "coded", "judged"), [("Non-reactive", "Non-reactive", "N"), ("REACTIVE ", "Reactive", "A")]
)
def test_an_allowed_answer_is_taken_whatever_its_capitals(sent: str, coded: str, judged: str) -> None:
    """The catalogue's own spelling is kept."""
    result = one("HIV", sent)
    assert (result.coded, result.display, result.flag, result.value) == (coded, coded, judged, None)


def test_a_critical_answer_is_abnormal_even_without_normal_ones() -> None:
    """Flag A."""
    assert one("MALRDT", "Pf").flag == "A"
    assert one("ABO", "AB").flag == ""


@pytest.mark.parametrize("sent", ["maybe", "0.28", "Non reactive?"])
def test_what_is_no_answer_is_held(sent: str) -> None:
    """With the answers there are."""
    result = one("HIV", sent)
    assert result.coded is None
    assert result.notes[0].text == (
        f"{sent} is not one of the answers of HIV 1+2 antibody (rapid): Non-reactive, Reactive, Indeterminate, Invalid."
    )


def test_the_cobas_interpretation_decides_and_borderline_is_held() -> None:
    """-1^0.28 is non-reactive by the driver's words, on a code that the site assigned; 0 has no word."""
    e411 = load_driver("roche_cobas_e411")
    where = context(sample("HBSAG"), codes={"77": "HBSAG"})
    coded = [
        matched([row("77", "0.28", "COI", raw=f"{said}^0.28", coded=said)], where, e411).results[0]
        for said in ("-1", "1", "0")
    ]
    assert [(r.coded, r.flag, r.verbatim) for r in coded] == [
        ("Non-reactive", "N", "-1^0.28"), ("Reactive", "A", "1^0.28"), (None, "", "0^0.28"),
    ]  # fmt: skip
