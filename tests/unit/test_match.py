"""Matching: every row ends in one place, nothing is guessed, no text ever becomes a number it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Decoded, Driver, Kind, MessageType, Observation, load_driver
from middleware import model  # model.TestState: a bare TestState would be collected
from middleware.catalogue import read_catalogue
from middleware.match import match
from middleware.model import (
    AnalyzerFacts,
    Context,
    LinkPolicy,
    Matched,
    OrderedTest,
    PatientFacts,
    Result,
    SampleFacts,
    SampleState,
    Sex,
)
from middleware.rules import RULES, verify
from middleware.settings import RuleSettings
from middleware.values import Limits, flag, limits_for, number

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = read_catalogue(ROOT / "config").tests
GENERIC = load_driver("generic_astm")
SAMPLE = "107632600424"
ALL_RULES = RuleSettings(frozenset(RULES), "test", {})
D = Decimal


def row(code: str | None, value: str | None, unit: str | None = None, **more: Any) -> Observation:
    """One row as a well-behaved analyzer sends it."""
    said = {"sample_id": SAMPLE, "name": None, "raw": value, "ordinal": 1, **more}
    return Observation(code=code, value=value, unit=unit, **said)


def sample(*codes: str, **more: Any) -> SampleFacts:
    """A received tube of a man of 40 with these tests ordered."""
    facts: dict[str, Any] = {
        "id": 1, "sample_id": SAMPLE, "state": SampleState.RECEIVED, "specimen": "Serum", "container": "S",
        "patient_id": 3, "patient": PatientFacts(Sex.MALE, 14600),
        "tests": {c: OrderedTest(n, c, model.TestState.AWAITED) for n, c in enumerate(codes, start=10)}, **more,
    }  # fmt: skip
    return SampleFacts(**facts)


def context(tube: SampleFacts | None, **facts: Any) -> Context:
    """What was read of the database: one tube or none, and the analyzer."""
    analyzer: dict[str, Any] = {"name": "a1", "driver": "generic_astm", "grade": "manual", "codes": {}, **facts}
    return Context(AnalyzerFacts(**analyzer), {tube.sample_id: tube} if tube else {}, CATALOGUE)


def matched(
    rows: Sequence[Observation],
    where: Context,
    driver: Driver = GENERIC,
    type: MessageType = MessageType.RESULT,
) -> Matched:
    """The rows of one message, matched."""
    return match(Decoded(type, None, observations=tuple(rows)), where, driver)


def one(code: str, value: str | None, unit: str | None = None, **more: Any) -> Result:
    """The result of one row of one ordered test."""
    test = more.pop("test", code)
    tube = sample(test, **more.pop("tube", {}))
    found = matched([row(code, value, unit, **more)], context(tube))
    assert found.unmatched == ()
    return found.results[0]


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
def test_a_number_as_it_is_printed(sent: str, display: str, value: str, comparator: str) -> None:
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
    """A specific gravity of 1,020 prints three decimals and is read; a glucose of 1,234 is not."""
    result = one("GLUR", sent, "mg/dL")
    assert (result.value, result.notes[0].severity) == (None, "block")
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


# ---- flags ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2.7", "LL"), ("2.8", "L"), ("3.4", "L"), ("3.5", "N"), ("5.1", "N"), ("5.14", "N"), ("5.15", "H"), ("6.2", "H"),
     ("6.3", "HH"), ("<2.8", "LL"), ("<3.0", "L"), ("<5.0", ""), (">6.2", "HH"), (">5.1", "H"), (">4.0", "")],
)  # fmt: skip
def test_the_flag_of_potassium(value: str, expected: str) -> None:
    """The limits are inside; the displayed value counts; what may be either is flagged neither."""
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


# ---- coded ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "coded", "judged"), [("Non-reactive", "Non-reactive", "N"), ("REACTIVE ", "Reactive", "A")]
)
def test_an_allowed_answer_whatever_its_capitals(sent: str, coded: str, judged: str) -> None:
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


# ---- whose row it is --------------------------------------------------------------------------------------------


def why(rows: Sequence[Observation], where: Context, driver: Driver = GENERIC, **more: Any) -> list[tuple[str, str]]:
    """Rule and sentence of each row of the tray; nothing else came of the message."""
    found = matched(rows, where, driver, **more)
    assert (found.results, found.controls) == ((), ())
    return [(u.reason.rule, u.reason.text) for u in found.unmatched]


@pytest.mark.parametrize(
    ("sent", "rule", "text"),
    [
        (None, "unread", "The analyzer could not read the barcode (it sent –). Look which tube it was."),
        ("  ", "unread", "The analyzer could not read the barcode (it sent –). Look which tube it was."),
        ("42", "unknown_sample", "42 is not a sample number of this laboratory."),
        ("107632600425", "damaged_id",
         "Sample number 107632600425 is damaged: its check digit is wrong. Compare it with the label."),
        ("107632600517", "damaged_id",
         "Sample number 107632600517 is damaged: its check digit is wrong. Compare it with the label."),
        ("107632600442", "damaged_id",
         "Sample number 107632600442 is damaged: its check digit is wrong. Compare it with the label."),
    ],
)  # fmt: skip
def test_a_sample_that_is_not_there(sent: str | None, rule: str, text: str) -> None:
    """Never guessed, not even when one digit is off."""
    assert why([row("K", "4.1", "mmol/L", sample_id=sent)], context(sample("K"))) == [(rule, text)]


def test_a_right_number_that_nobody_registered() -> None:
    """In the tray, without a sample."""
    found = matched([row("K", "4.1", "mmol/L")], context(None))
    assert found.unmatched[0].reason.text == "No sample 107632600424 is registered."
    assert found.unmatched[0].sample_pk is None


def test_the_driver_s_sign_of_an_unread_barcode() -> None:
    """cobas e 411 sends @192."""
    told = why([row("8", "1.2", "uIU/ml", sample_id="@192")], context(sample("TSH")), load_driver("roche_cobas_e411"))
    assert [rule for rule, _ in told] == ["unread"]


@pytest.mark.parametrize("sent", ["  107632600424", "000107632600424", "107632600424   ", " 00107632600424 "])
def test_a_padded_number_is_the_same_tube(sent: str) -> None:
    """Sysmex pads with blanks to 22, others with zeros."""
    plain = matched([row("K", "4.1", "mmol/L")], context(sample("K"))).results[0]
    padded = matched([row("K", "4.1", "mmol/L", sample_id=sent)], context(sample("K"))).results[0]
    assert padded == plain


def test_a_rejected_sample_a_cancelled_test_a_test_not_ordered_a_code_unknown_or_missing() -> None:
    """Each says which, and the tray knows the sample."""
    rejected = context(sample("K", state=SampleState.REJECTED))
    assert why([row("K", "4.1", "mmol/L")], rejected) == [
        ("sample_rejected", "Sample 107632600424 was rejected. A new sample was to be taken.")
    ]
    cancelled = context(sample(tests={"K": OrderedTest(1, "K", model.TestState.CANCELLED)}))
    assert why([row("K", "4.1", "mmol/L")], cancelled) == [
        ("not_ordered", "Potassium on sample 107632600424 was cancelled or closed.")
    ]
    rows = [row("NA", "140", "mmol/L"), row("CYSC", "0.88", "mg/L"), row(None, "7"), row("", "7")]
    where = context(sample("K"))
    assert why(rows, where) == [
        ("not_ordered", "Sodium was not ordered on sample 107632600424."),
        ("unknown_code", "Test code CYSC of a1 is not known here. An engineer gives it a meaning (Unknown codes)."),
        ("unknown_code", "The analyzer sent a value without a test code."),
        ("unknown_code", "The analyzer sent a value without a test code."),
    ]
    assert [u.sample_pk for u in matched(rows, where).unmatched] == [1, 1, 1, 1]


def test_a_released_test_takes_another_result_and_holds_it() -> None:
    """A person amends; the analyzer never does."""
    tube = sample(tests={"K": OrderedTest(1, "K", model.TestState.RELEASED, released_value="4.0")})
    where = context(tube)
    found = matched([row("K", "6.0", "mmol/L")], where)
    reasons = verify(found.results, where, ALL_RULES)[0].reasons
    assert "second_result" in [r.rule for r in reasons]


def test_a_message_of_unknown_kind_is_never_filed_by_itself() -> None:
    """Its values lie in the tray."""
    told = why([row("K", "4.1", "mmol/L")], context(sample("K")), type=MessageType.OTHER)
    assert [rule for rule, _ in told] == ["other_message"]


@pytest.mark.parametrize("type", [MessageType.INCOMPLETE, MessageType.QUERY, MessageType.CALIBRATION, MessageType.ACK])
def test_other_messages_file_nothing_and_count_everything(type: MessageType) -> None:
    """A message that was cut off is shown as such; its rows come again when the analyzer repeats it."""
    found = matched([row("K", "4.1", "mmol/L")], context(sample("K")), type=type)
    assert found == Matched(not_reportable=1)


# ---- codes ------------------------------------------------------------------------------------------------------


def test_codes_of_a_well_behaved_analyzer() -> None:
    """The catalogue's own code, or its LOINC; a driver with a list of its own takes neither."""
    assert one("2823-3", "4.1", "mmol/L", test="K").test == "K"
    xl = load_driver("erba_xl")
    assert [rule for rule, _ in why([row("2823-3", "4.1", "mmol/L")], context(sample("K")), xl)] == ["unknown_code"]


def test_the_site_s_table_wins_over_the_driver_s() -> None:
    """A test is named on the analyzer: T3 may be what it calls its T4."""
    access = load_driver("beckman_access")
    found = matched([row("T3", "8.2", "ug/dL")], context(sample("T4"), codes={"T3": "T4"}), access)
    assert [(r.test, r.display, r.unit) for r in found.results] == [("T4", "8.2", "ug/dL")]


def test_a_code_that_a_site_assigns_is_nothing_until_the_site_says_what_it_is() -> None:
    """Code 8 is TSH on one e 411 and T4 on another."""
    found = matched([row("8", "8.2", "uIU/ml")], context(sample("TSH")), load_driver("roche_cobas_e411"))
    assert [row.reason.rule for row in found.unmatched] == ["unknown_code"]
    tisenc = load_driver("tisenc_accre")
    found = matched([row("21", "2.0", "nmol/L")], context(sample("T3"), codes={"21": "T3"}), tisenc)
    assert [(r.test, r.display, r.unit) for r in found.results] == [("T3", "130", "ng/dL")]


def test_one_glucose_code_is_the_glucose_that_is_ordered_on_the_tube() -> None:
    """Exactly one of them, else nobody's."""
    codes = {"GLU": "GLUF|GLUPP|GLUR"}
    fasting = matched([row("GLU", "92", "mg/dl")], context(sample("GLUF", "UREA"), codes=codes)).results
    assert [r.test for r in fasting] == ["GLUF"]
    both = why([row("GLU", "92", "mg/dl")], context(sample("GLUF", "GLUPP"), codes=codes))
    assert [rule for rule, _ in both] == ["several_tests"]
    none = why([row("GLU", "92", "mg/dl")], context(sample("UREA"), codes=codes))
    assert [rule for rule, _ in none] == ["not_ordered"]


def test_what_this_analyzer_may_not_report_is_counted() -> None:
    """A known code outside its `tests`, and a research parameter that no catalogue has; also on unknown samples."""
    xn = load_driver("sysmex_xn")
    where = context(sample("HB"), tests=frozenset({"HB"}))
    found = matched([row("HGB", "14.0", "g/dL"), row("PDW", "12.0", "fL"), row("IG%", "0.5", "%")], where, xn)
    assert ([r.test for r in found.results], found.unmatched, found.not_reportable) == (["HB"], (), 2)


def test_a_code_that_means_a_test_the_catalogue_lacks() -> None:
    """Said as such."""
    told = why([row("X9", "1", "mg/dL")], context(sample("K"), codes={"X9": "LITHIUM"}))
    assert told == [("unknown_code", "Test code X9 of a1 means LITHIUM, which is not in the catalogue.")]


# ---- controls, identity, books ----------------------------------------------------------------------------------


def test_controls_are_kept_away_from_patients() -> None:
    """Even when the control's id is a registered sample; the value in the catalogue's unit, or none."""
    rows = [
        row("K", "4.1", "mEq/l", sample_id=" QC-1 "),
        row("K", "4.1", "mmol/L"),
        row("ZZ", "7", "x"),
        row("K", "NA"),
    ]
    found = matched(rows, context(sample("K")), type=MessageType.QC)
    assert (found.results, found.unmatched) == ((), ())
    assert [(c.lot, c.code, c.test, c.value, c.unit, c.verbatim) for c in found.controls] == [
        ("QC-1", "K", "K", D("4.1"), "mmol/L", "4.1"), (SAMPLE, "K", "K", D("4.1"), "mmol/L", "4.1"),
        (SAMPLE, "ZZ", None, None, "x", "7"), (SAMPLE, "K", "K", None, None, "NA"),
    ]  # fmt: skip


def test_the_same_message_gives_the_same_identities_and_equal_rows_are_counted_apart() -> None:
    """Idempotence rests on this."""
    rows = [row("K", "4.1", "mmol/L"), row("K", "4.1", "mmol/L"), row("K", "4.2", "mmol/L")]
    first, second = matched(rows, context(sample("K"))), matched(rows, context(sample("K")))
    identities = [r.identity for r in first.results]
    assert identities == [r.identity for r in second.results]
    assert len(set(identities)) == 3
    other = matched(rows, context(sample("K"), name="a2"))
    assert not {r.identity for r in other.results} & set(identities)


def test_what_one_tube_brings_stands_together_in_an_index() -> None:
    """One page of a large index for a blood count, not one for each of its rows."""
    rows = [row("K", "4.1", "mmol/L"), row("NA", "140", "mmol/L"), row("K", "4.2", "mmol/L", sample_id="other")]
    found = matched(rows, context(sample("K", "NA")))
    (first, second), (other,) = [r.identity for r in found.results], [r.identity for r in found.unmatched]
    assert first[:16] == second[:16] != other[:16]
    assert first != second and {len(identity) for identity in (first, second, other)} == {64}


def test_an_identity_stays_when_the_row_is_nobody_s_first() -> None:
    """So the tray's row leaves when the sample is registered and the message is replayed."""
    lost = matched([row("K", "4.1", "mmol/L")], context(None)).unmatched[0]
    assert matched([row("K", "4.1", "mmol/L")], context(sample("K"))).results[0].identity == lost.identity


def test_what_is_stored_already_is_a_duplicate() -> None:
    """Where the reader says so."""
    rows = [row("K", "4.1", "mmol/L")]
    where = context(sample("K"))
    known = frozenset(r.identity for r in matched(rows, where).results)
    assert matched(rows, replace(where, known_identities=known)) == Matched(duplicates=1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["K", "NA", "PLT", "ZZ", "", None, "2823-3"]),
            st.sampled_from(["4.1", "", "NA", "<3", "1,234", None]),
            st.sampled_from([None, "mmol/L", "x"]),
            st.sampled_from([SAMPLE, "42", None, "107632600425", " 0" + SAMPLE]),
            st.sampled_from(list(Kind)),
        ),
        max_size=12,
    ),
    st.sampled_from(list(MessageType)),
)
def test_the_books_of_every_message_balance(rows: list[Any], type: MessageType) -> None:
    """Every measurement is in exactly one place, whatever comes."""
    said = [row(c, v, u, sample_id=s, kind=k, ordinal=n) for n, (c, v, u, s, k) in enumerate(rows, start=1)]
    found = matched(said, context(sample("K", "PLT")), type=type)
    measured = sum(o.kind is Kind.MEASUREMENT for o in said)
    filed = (*found.results, *found.unmatched, *found.controls)
    assert len(filed) + found.duplicates + found.not_reportable == measured
    assert len({f.identity for f in filed}) == len(filed)
    assert found.suspects + found.images + found.details == len(said) - measured
    verify(found.results, context(sample("K", "PLT")), ALL_RULES)


def test_the_texts_of_the_tray_are_in_both_languages() -> None:
    """A technician who reads Hindi is told as much."""
    found = matched([row("CYSC", "1", "mg/L"), row("K", "1", "x")], context(sample("K")))
    for told in (found.unmatched[0].reason, found.results[0].notes[0]):
        assert any("ऀ" <= letter <= "ॿ" for letter in told.text_hi)
    assert CATALOGUE["HIV"].link is LinkPolicy.NEVER
