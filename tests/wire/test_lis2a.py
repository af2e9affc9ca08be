"""LIS02-A2 records, by clause (RC-xx of the wire rules; section numbers of the standard in the docstrings)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wire import WireError, lis2a
from drivers.wire.lis2a import STANDARD, Delimiters, Part
from tests.wire.line_kit import examples

BACKTICK = Delimiters("|", "`", "^", "&")
NO_ESCAPE = Delimiters("|", "\\", "^", "")
AT = Delimiters("|", "@", "^", "\\")
EXCLAMATION = Delimiters("|", "\\", "!", "~")


def fields(body: bytes | str) -> list[list[str]]:
    return [record.fields for record in lis2a.parse(body)]


def test_rc_02_4_1_receiver_a_message_runs_from_h_to_l_and_another_h_begins_the_next() -> None:
    one, two = b"H|\\^&\rP|1\rL|1|N\r", b"H|\\^&|2\rL|1\r"
    assert lis2a.split(one + two) == [Part(one, True), Part(two, True)]


def test_rc_02_12_receiver_records_outside_h_and_l_are_kept_apart() -> None:
    assert lis2a.split(b"C|1|I|late\rH|\\^&\rL|1\rM|1\r") == [
        Part(b"C|1|I|late\r", False),
        Part(b"H|\\^&\rL|1\r", True),
        Part(b"M|1\r", False),
    ]


def test_rc_02_4_1_receiver_an_h_without_the_l_before_it_leaves_an_incomplete_message() -> None:
    assert lis2a.split(b"H|\\^&\rP|1\rH|\\^&\rL|1") == [Part(b"H|\\^&\rP|1\r", False), Part(b"H|\\^&\rL|1", True)]


def test_rc_11_5_2_receiver_fields_and_records_have_no_greatest_length() -> None:
    long = "A" * 300_000
    assert lis2a.parse(f"H|\\^&\rM|1|{long}\r")[1]["3"] == long


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_rc_12_5_4_1_receiver_a_record_ends_with_cr_and_other_line_ends_are_read(end: str) -> None:
    assert fields(end.join(["H|\\^&", "P|1", "L|1", ""])) == [["H", "\\^&"], ["P", "1"], ["L", "1"]]


@pytest.mark.parametrize(
    ("header", "marks"),
    [
        ("H|\\^&|||x", STANDARD),
        ("H|`^&|||x", BACKTICK),
        ("H|\\^|||x", NO_ESCAPE),
        ("H|@^\\|||x", AT),
        ("H|\\!~|||x", EXCLAMATION),
        ("H|\\^&", STANDARD),
        ("h;\\^&;;;x", Delimiters(";", "\\", "^", "&")),
    ],
)
def test_rc_13_5_4_6_receiver_delimiters_are_those_that_h_names(header: str, marks: Delimiters) -> None:
    assert lis2a.delimiters(header) == marks


@pytest.mark.parametrize(
    "header", ["H", "H|", "H|^", "H||", "H|||||x", "H|^^&", "H|ab&", "HX^&X", "H \\^&", "P|1", "H|\\\x01&"]
)
def test_rc_13_5_4_6_receiver_a_header_that_names_none_that_work_is_refused(header: str) -> None:
    with pytest.raises(WireError):
        lis2a.parse(header)


def test_rc_13_5_4_6_receiver_a_later_h_may_bring_other_delimiters() -> None:
    records = lis2a.parse("H|\\^&\rP|1^a\rL|1\rH;`!~\rP;1!b\rL;1\r")
    assert [record["2.2"] for record in records if record.type == "P"] == ["a", "b"]


def test_rc_14_5_4_8_receiver_trailing_empty_fields_may_be_sent_or_left_out() -> None:
    assert lis2a.parse("H|\\^&\rR|1|^^^HB|\r")[1]["4"] == ""
    assert lis2a.parse("H|\\^&\rR|1|^^^HB\r")[1]["4"] is None


def test_rc_14_5_4_7_receiver_unknown_extra_fields_are_only_there() -> None:
    record = lis2a.parse("H|\\^&\rL|1|N|new in a later edition|^x\r")[1]
    assert [record["1"], record["2"], record["3"], record["4"]] == ["L", "1", "N", "new in a later edition"]


def test_rc_14_5_4_8_sender_trailing_empty_fields_are_left_out() -> None:
    assert lis2a.build([["H"], ["R", "1", "HB", None, "", None]]) == b"H|\\^&\rR|1|HB\r"


def test_rc_12_5_4_1_sender_every_record_ends_with_cr_alone() -> None:
    assert lis2a.build([["H"], ["C", "1", "L", "two\r\nlines"], ["L", "1", "N"]]) == (
        b"H|\\^&\rC|1|L|two&X0D&&X0A&lines\rL|1|N\r"
    )


@pytest.mark.parametrize("marks", [STANDARD, BACKTICK, AT, EXCLAMATION])
def test_rc_13_6_2_sender_names_the_delimiters_it_uses(marks: Delimiters) -> None:
    body = lis2a.build([["H", None, None, "x"], ["O", "1", ("a", "b"), None, [("", "", "", "c"), "d"]]], marks)
    assert lis2a.delimiters(body.decode()) == marks
    order = lis2a.parse(body)[1]
    assert [order["3.2"], order["5.4"], order["5(2)"]] == ["b", "c", "d"]


def test_rc_19_5_6_1_sender_puts_the_local_code_into_component_four() -> None:
    assert lis2a.build([["H"], ["O", "1", "7", None, [("", "", "", "GLU"), ("", "", "", "UREA")]]]) == (
        b"H|\\^&\rO|1|7||^^^GLU\\^^^UREA\r"
    )


def test_rc_20_5_6_4_receiver_names_and_measurements_are_components() -> None:
    patient = lis2a.parse("H|\\^&\rP|1||||Doe^Jane^M^^Dr||||||||||||100^lb\r")[1]
    assert [patient["6.1"], patient["6.2"], patient["6.4"], patient["6.5"]] == ["Doe", "Jane", "", "Dr"]
    assert [patient["18.1"], patient["18.2"]] == ["100", "lb"]


FORBIDDEN = [*range(7), 8, 10, *range(14, 32), 127, 255]


def test_rc_10_5_1_sender_sends_no_forbidden_character() -> None:
    """0-6, 8, 10, 14-31, 127 and 255 go as escape sequences; CR too, for it ends the record."""
    for code in range(256):
        sent = lis2a.build([["C", "1", "L", chr(code)]])
        assert not set(sent[:-1]) & {*FORBIDDEN, 13}, code
        assert lis2a.decode(sent.decode("latin-1")[6:-1]) == chr(code)


def test_rc_10_5_1_receiver_reads_forbidden_characters_as_they_are() -> None:
    """But CR and LF, which end a record."""
    for code in FORBIDDEN:
        if code != 10:
            assert lis2a.parse(b"H|\\^&\rC|1|L|a" + bytes([code]) + b"b\r", "latin-1")[1]["4"] == f"a{chr(code)}b"


@pytest.mark.parametrize("name", ["base64", "hex", "zip", "rot13", "no such"])
def test_rc_10_5_1_receiver_what_is_no_charset_is_a_wire_error(name: str) -> None:
    with pytest.raises(WireError, match="charset"):
        lis2a.parse(b"SHx0aGU=\xff", name)


def test_rc_15_5_4_9_receiver_two_double_quotes_are_given_as_sent() -> None:
    assert lis2a.parse('H|\\^&\rP|1|""\r')[1]["3"] == '""'


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("a&F&b", "a|b"),
        ("a&R&b&S&c&E&d", "a\\b^c&d"),
        ("&H&bold&N&", "bold"),
        ("a&X0A&b", "a\nb"),
        ("&X4142&", "AB"),
        ("&E&F&", "&F&"),
        ("&Z99&", "&Z99&"),
        ("A & B", "A & B"),
        ("a&b&F&", "a&b|"),
        ("&X4&", "&X4&"),
        ("PNG&R&1", "PNG\\1"),
    ],
)
def test_rc_16_5_4_5_receiver_escapes_are_decoded(sent: str, meant: str) -> None:
    assert lis2a.decode(sent) == meant


def test_rc_16_5_4_5_receiver_fields_are_split_before_escapes_are_decoded() -> None:
    record = lis2a.parse("H|\\^&\rC|1|I|a&F&b&S&c^d&R&e|G\r")[1]
    assert [record["4.1"], record["4.2"], record["5"]] == ["a|b^c", "d\\e", "G"]


def test_rc_16_5_4_5_receiver_escapes_follow_the_delimiters_of_h() -> None:
    assert lis2a.parse("H|@^\\\rC|1|I|a\\R\\b&F&\r")[1]["4"] == "a@b&F&"


def test_rc_16_5_4_5_receiver_without_an_escape_delimiter_nothing_is_an_escape() -> None:
    assert lis2a.parse("H|\\^|\rC|1|I|a&F&b\r")[1]["4"] == "a&F&b"


def test_rc_17_5_5_receiver_the_record_type_is_read_in_either_case() -> None:
    assert [record.type for record in lis2a.parse("h|\\^&\rp|1\rl|1\r")] == ["H", "P", "L"]


def test_rc_19_5_6_1_receiver_components_and_repeats_are_counted_from_1() -> None:
    record = lis2a.parse("H|\\^&\rO|1|id||^^^Na^1\\^^^K^2|R\r")[1]
    assert [record["5.4"], record["5(2).4"], record["5(2).5"], record["5(3).4"], record["5.9"], record["6.2"]] == [
        "Na", "K", "2", None, None, None,
    ]  # fmt: skip
    assert record["5(2)"] == "^^^K^2"
    assert record.repeats(5) == ["^^^Na^1", "^^^K^2"]
    assert record.repeats(9) == []


@pytest.mark.parametrize("address", ["", "0", "4.0", "x", "4(0)", "4.x", "-1"])
def test_rc_19_5_6_1_receiver_what_is_no_address_is_the_programmers_mistake(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        lis2a.parse("H|\\^&")[0][address]


def test_rc_10_5_1_receiver_names_in_latin_1_and_utf_8_are_both_read() -> None:
    for charset in ("latin-1", "utf-8"):
        assert lis2a.parse("H|\\^&\rP|1||||Müller^José\r".encode(charset))[1]["6.1"] == "Müller"
    assert lis2a.parse("H|\\^&\rP|1|सीता\r".encode(), "utf-8")[1]["3"] == "सीता"


def test_rc_10_5_1_receiver_a_charset_that_does_not_fit_loses_letters_but_no_record() -> None:
    assert len(lis2a.parse(b"H|\\^&\rP|1|\xe9\rL|1\r", "ascii")) == 3
    with pytest.raises(WireError, match="charset"):
        lis2a.parse(b"H|\\^&", "no such charset")


def test_rc_13_6_2_receiver_h_2_is_given_as_sent() -> None:
    assert lis2a.parse("H|\\^&|||X\r")[0]["2"] == "\\^&"


def test_rc_16_5_4_5_sender_no_text_brings_a_field_or_a_record_of_its_own() -> None:
    evil = 'x|y^z\\&F&\rR|1|^^^HB|99\n"'
    body = lis2a.build([["H"], ["P", "1", evil, (evil, evil)], ["L", "1", "N"]])
    records = lis2a.parse(body)
    assert [record.type for record in records] == ["H", "P", "L"]
    assert [records[1]["3"], records[1]["4.2"], records[1]["5"]] == [evil, evil, None]


@pytest.mark.parametrize("records", [[["X", "1"]], [[None]], [[]], [["h"]], [["HH"]]])
def test_rc_02_4_1_sender_builds_records_alone(records: list[list[str | None]]) -> None:
    with pytest.raises(WireError):
        lis2a.build(records)


def test_rc_16_5_4_5_sender_what_a_dialect_cannot_say_is_not_sent() -> None:
    with pytest.raises(WireError, match="escape"):
        lis2a.build([["H"], ["P", "1", "a|b"]], NO_ESCAPE)
    with pytest.raises(WireError, match="latin-1"):
        lis2a.build([["H"], ["P", "1", "सीता"]])
    assert lis2a.build([["H"], ["P", "1", "a&b"]], NO_ESCAPE) == b"H|\\^\rP|1|a&b\r"


texts = st.text(st.characters(max_codepoint=255), max_size=20)
dialects = st.sampled_from([STANDARD, BACKTICK, AT, EXCLAMATION])


@examples(60)
@given(texts, dialects)
def test_any_text_survives_encoding_and_decoding(text: str, marks: Delimiters) -> None:
    assert lis2a.decode(lis2a.encode(text, marks), marks) == text


@examples(60)
@given(st.lists(st.lists(texts, min_size=1, max_size=4), min_size=1, max_size=5), dialects)
def test_what_is_built_parses_back(rows: list[list[str]], marks: Delimiters) -> None:
    body = lis2a.build([["H"], *[["M", "1", *row] for row in rows]], marks)
    back = lis2a.parse(body, "latin-1")[1:]
    assert [
        [record[str(n)] or "" for n in range(3, 3 + len(row))] for record, row in zip(back, rows, strict=True)
    ] == rows


@examples(60)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda tail: b"H|\\^&" + tail)))
def test_any_bytes_parse_or_raise_wire_error(data: bytes) -> None:
    lis2a.split(data)
    try:
        records = lis2a.parse(data)
    except WireError:
        return
    for record in records:
        assert record.type is not None
        for address in ("1", "2", "4.3", "5(2).4"):
            record[address]
