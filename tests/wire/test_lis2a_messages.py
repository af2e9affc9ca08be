"""LIS02-A2 messages as a driver reads them, and the answers it builds: rules by clause that records alone cannot show.

Sections: 4.1 levels, 5.6 data types, 6 to 14 records, 11 and 12.3 queries.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drivers.driver import Decoded, Driver, Message, MessageType, WorkOrder, load_driver
from drivers.wire import lis2a

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
GENERIC = load_driver("generic_astm")
RESULT = "R|1|^^^GLU|5.4|mmol/L^x|3.9 to 6.1|N||F||||20261103101500"


def read(*records: str, driver: Driver = GENERIC, header: str = "H|\\^&") -> Decoded:
    return driver.decode(Message("1", "a", NOW, "".join(f"{r}\r" for r in (header, *records, "L|1|N")).encode()))


def rows(*records: str, driver: Driver = GENERIC) -> list[tuple[str | None, str | None, str | None]]:
    return [(o.sample_id, o.code, o.value) for o in read(*records, driver=driver).observations]


def answer(*samples: str, codes: tuple[str, ...] = ("GLU", "UREA"), driver: Driver = GENERIC) -> list[lis2a.Record]:
    """What is told to an analyzer that asked for these samples."""
    query = read("Q|1|" + "\\".join(f"^{sample}" for sample in samples) + "||ALL", driver=driver)
    (told,) = driver.answer(query, [WorkOrder(sample, codes) for sample in samples]) or []
    return lis2a.parse(told)


# ---- structure: levels ------------------------------------------------------------------------------------------


def test_rc_01_14_receiver_a_comment_belongs_to_the_first_other_record_before_it() -> None:
    """C of C, C after M: all of the row before them; a C of H, P or O is no row's."""
    said = read("C|1|I|of H", "P|1", "C|1|I|of P", "O|1|7", "C|1|I|of O", RESULT, "C|1|I|one", "M|1|x", "C|2|I|two")
    assert [o.comments for o in said.observations] == [("one", "two")]
    assert read("O|1|7", RESULT, "Q|1|^8", "C|1|I|of Q").observations[0].comments == ()


def test_rc_01_4_1_sender_orders_stand_under_their_patient() -> None:
    assert [record.type for record in answer("7", "8")] == ["H", "P", "O", "P", "O", "L"]


def test_rc_03_4_1_receiver_without_an_order_a_row_has_no_sample_and_an_empty_patient_is_fine() -> None:
    assert rows("P|1", RESULT) == [(None, "GLU", "5.4")]
    assert rows("P", "O|1|7", RESULT) == [("7", "GLU", "5.4")]
    assert read("P|1", RESULT).problems == ("rows without a sample id",)


def test_rc_03_4_1_sender_no_order_without_a_patient_before_it() -> None:
    kinds = [record.type for record in answer("7", "8", "9")]
    assert all(kinds[at - 1] == "P" for at, kind in enumerate(kinds) if kind == "O")


def test_rc_04_4_1_receiver_a_record_ends_all_of_its_own_and_lower_levels() -> None:
    said = rows("P|1", "O|1|7", RESULT, "O|2|8", RESULT, "P|2", RESULT, "O|1|9", RESULT)
    assert [sample for sample, _, _ in said] == ["7", "8", None, "9"]
    assert [sample for sample, _, _ in rows("P|1", "O|1|7", RESULT, "H|\\^&", RESULT)] == ["7", None]


def test_rc_07_5_6_7_receiver_sequence_numbers_prove_nothing() -> None:
    """Mindray's do not count: rows are taken in the order they came, and none is dropped for its number."""
    sent = [RESULT.replace("R|1|", f"R|{number}|") for number in ("1", "1", "", "9", "x", "0")]
    assert rows("P|7", "O||7", *sent) == [("7", "GLU", "5.4")] * 6
    assert [o.ordinal for o in read("O|1|7", *sent).observations] == [1, 2, 3, 4, 5, 6]


def test_rc_07_5_6_7_sender_counts_inside_the_parent_and_l_is_one() -> None:
    assert [(record.type, record["2"]) for record in answer("7", "8")[1:]] == [
        ("P", "1"), ("O", "1"), ("P", "2"), ("O", "1"), ("L", "1"),
    ]  # fmt: skip


# ---- characters -------------------------------------------------------------------------------------------------


def test_rc_15_5_4_9_receiver_empty_is_no_value_and_two_quotes_are_as_sent() -> None:
    """Neither is a number: what is stored is never overwritten by them."""
    said = read("O|1|7", "R|1|^^^GLU|", 'R|2|^^^GLU|""', "R|3|^^^GLU").observations
    assert [(o.value, o.unit) for o in said] == [("", None), ('""', None), (None, None)]


def test_rc_17_5_1_receiver_all_but_the_record_letter_is_case_sensitive() -> None:
    assert rows("p|1", "o|1|aB7", "r|1|^^^glu|1", "r|2|^^^GLU|2") == [("aB7", "glu", "1"), ("aB7", "GLU", "2")]


@pytest.mark.parametrize("sent", ["20261103", "20261103101500", "20261103101500+0530", "2026110310", "yesterday"])
def test_rc_18_5_6_2_receiver_times_stay_as_sent_until_they_are_matched(sent: str) -> None:
    said = read("O|1|7", f"R|1|^^^GLU|5||||||||{sent}|{sent}", header=f"H|\\^&||||||||||||{sent}")
    assert (said.sent_at, said.observations[0].observed_at) == (sent, sent)


# ---- behaviour --------------------------------------------------------------------------------------------------


def test_rc_30_8_2_receiver_an_order_of_several_tests_holds_all_rows_below_it() -> None:
    assert rows("P|1", "O|1|7||^^^GLU\\^^^UREA", RESULT, RESULT.replace("GLU", "UREA")) == [
        ("7", "GLU", "5.4"), ("7", "UREA", "5.4"),
    ]  # fmt: skip


def test_rc_30_8_2_sender_several_tests_of_a_sample_are_repeats_of_one_order() -> None:
    order = answer("7")[2]
    assert [order["5.4"], order["5(2).4"], order["5(3)"]] == ["GLU", "UREA", None]


def test_rc_31_8_2_receiver_a_battery_that_cannot_be_done_is_a_result_without_rows() -> None:
    said = read("P|1", "O|1|7||^^^GLU|||||||||||||||||||||X")
    assert (said.type, said.observations) == (MessageType.RESULT, ())


def test_rc_32_9_4_receiver_each_aspect_is_a_row_of_its_own() -> None:
    said = rows("O|1|7", "R|1|^^^HBSAG^INTERP|Reactive", "R|2|^^^HBSAG^INDEX|11.2")
    assert said == [("7", "HBSAG", "Reactive"), ("7", "HBSAG", "11.2")]


@pytest.mark.parametrize(("sent", "sample"), [("7", "7"), ("0007", "0007"), ("a&F&b", "a|b"), ("26-42", "26-42")])
def test_rc_33_8_4_3_receiver_reads_the_sample_id_without_what_the_analyzer_adds(sent: str, sample: str) -> None:
    """Components 2 and on are cup and isolate; leading zeros stay."""
    assert rows(f"O|1|{sent}^3^12", RESULT)[0][0] == sample


def test_rc_33_8_4_3_sender_gives_the_sample_id_unchanged() -> None:
    for sample in ("7", "0007", "a|b", "x^y", " 7"):
        query = read("Q|1|^1")
        (told,) = GENERIC.answer(query, [WorkOrder(sample, ("GLU",))]) or []
        assert lis2a.parse(told)[2]["3"] == sample


@pytest.mark.parametrize(
    ("orders", "code"), [(["7"], "F"), ([], "I")], ids=["last request processed", "no information available"]
)
def test_rc_34_12_3_sender_ends_the_query_with_l(orders: list[str], code: str) -> None:
    (told,) = GENERIC.answer(read("Q|1|^7"), [WorkOrder(sample, ("GLU",)) for sample in orders]) or []
    last = lis2a.parse(told)[-1]
    assert (last.type, last["2"], last["3"]) == ("L", "1", code)


def test_rc_34_11_receiver_a_query_names_one_sample_or_a_list() -> None:
    assert read("Q|1|^7").query_sample_ids == ("7",)
    assert read("Q|1|^7\\^8\\^9||ALL").query_sample_ids == ("7", "8", "9")


@pytest.mark.parametrize(
    ("status", "type"),
    [("O", MessageType.QUERY), ("D", MessageType.QUERY), ("N", MessageType.QUERY), ("", MessageType.QUERY),
     ("A", MessageType.QUERY_CANCEL), ("a", MessageType.QUERY_CANCEL)],
)  # fmt: skip
def test_rc_35_11_13_receiver_q_13_a_cancels_and_all_else_asks(status: str, type: MessageType) -> None:
    said = read(f"Q|1|^7||ALL||||||||{status}")
    assert (said.type, said.query_sample_ids) == (type, ("7",))


@pytest.mark.parametrize(
    ("mark", "action", "type"),
    [("P", "", MessageType.RESULT), ("", "", MessageType.RESULT), ("Q", "", MessageType.QC), ("", "Q", MessageType.QC),
     ("q", "", MessageType.QC), ("T", "", MessageType.OTHER), ("D", "", MessageType.OTHER),
     ("t ", "", MessageType.OTHER)],
)  # fmt: skip
def test_rc_36_6_12_receiver_controls_and_training_are_told_from_patients(
    mark: str, action: str, type: MessageType
) -> None:
    for name in ("generic_astm", "erba_xl", "roche_cobas_e411", "sysmex_xn"):
        said = read("P|1", "O|1|7|^^7" + "|" * 8 + action, RESULT, driver=load_driver(name),
                    header=f"H|\\^&||||||||||{mark}")  # fmt: skip
        assert said.type is type, name


@pytest.mark.parametrize("status", list("CPFXISMRNQVW"))
def test_rc_37_9_9_receiver_the_status_of_a_row_is_kept_as_sent(status: str) -> None:
    """C corrects, R was sent before, W is doubtful: what that means is decided by the lab's rules."""
    assert read("O|1|7", f"R|1|^^^GLU|5|||||{status}").observations[0].status == status


@pytest.mark.parametrize("report", list("CPXI"))
def test_rc_37_8_4_26_receiver_a_row_without_a_status_has_that_of_its_order(report: str) -> None:
    """A preliminary order's row would be released as a final one; what the row says itself counts more."""
    order, others = "O|1|7|||" + "|" * 20 + report, "O|2|8|||" + "|" * 20 + "F"
    rows = "R|1|^^^GLU|5", "R|2|^^^UREA|5|||||F", "R|3|^^^CREA|5"
    said = read("P|1", order, *rows, others, *rows, "P|2", *rows, order, rows[0])
    assert [row.status for row in said.observations] == [report, "F", report, *[None, "F", None] * 2, report]
