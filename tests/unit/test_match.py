"""Matching: every row ends in one place: a result of its tube, a control, the tray with its reason, or the count."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Kind, MessageType, load_driver
from middleware import model  # model.TestState: a bare TestState would be collected
from middleware.model import Matched, OrderedTest, SampleState
from middleware.rules import verify
from tests.unit.matching import ALL_RULES, SAMPLE, context, matched, one, row, sample, why

D = Decimal


# ---- whose row it is --------------------------------------------------------------------------------------------


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
def test_a_sample_that_is_not_there_is_told_by_its_reason(sent: str | None, rule: str, text: str) -> None:
    """Never guessed, not even when one digit is off."""
    assert why([row("K", "4.1", "mmol/L", sample_id=sent)], context(sample("K"))) == [(rule, text)]


def test_a_right_number_that_nobody_registered_waits_in_the_tray() -> None:
    """In the tray, without a sample."""
    found = matched([row("K", "4.1", "mmol/L")], context(None))
    assert found.unmatched[0].reason.text == "No sample 107632600424 is registered."
    assert found.unmatched[0].sample_pk is None


def test_a_driver_knows_its_analyzers_sign_of_an_unread_barcode() -> None:
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


def test_a_catalogue_code_and_its_loinc_are_known_where_the_driver_has_no_list_of_its_own() -> None:
    """A driver with a list takes neither."""
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


def test_a_code_that_means_a_test_the_catalogue_lacks_is_told_with_that_test() -> None:
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
