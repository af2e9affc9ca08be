"""HbA1c, urine and point of care: what their captures do not show. Grades, pairs, doubts, ids that name no tube."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import Decoded, Kind, MessageType, Observation, load_driver
from drivers.wire import blocks
from tests.drivers.said import decode

CONFIG = Path(__file__).parents[2] / "config"
STRIPS = ("siemens_clinitek", "sysmex_uc1000", "sysmex_uwam", "urit_50")
OURS = (
    *STRIPS, "abbott_afinion", "arkray_adams", "biorad_d10", "siemens_dca", "tosoh_hlc723", "trinity_hb9210",
    "wondfo_finecare",
)  # fmt: skip


def astm(*records: str, head: str = "") -> str:
    return "".join(f"{record}\r" for record in (rf"H|\^&{head}", "P|1", *records, "L|1|N"))


def values(said: Decoded) -> list[tuple[str | None, str | None, str | None]]:
    return [(row.code, row.value, row.coded) for row in said.observations]


def reported(driver: str, said: Decoded) -> list[Observation]:
    chosen = load_driver(driver).reportable(said.observations)
    return [row for row, report in zip(said.observations, chosen, strict=True) if report]


# ---- the tables --------------------------------------------------------------------------------------------------


def catalogue() -> dict[str, set[str]]:
    """Code → the answers it allows; none for a number."""
    coded, numbers = (
        csv.DictReader((CONFIG / file).read_text(encoding="utf-8").splitlines())
        for file in ("tests_coded.csv", "tests.csv")
    )
    found = {row["code"]: set(row["allowed_values"].split("|")) for row in coded}
    return found | {row["code"]: set[str]() for row in numbers}


@pytest.mark.parametrize("name", OURS)
def test_every_code_is_a_test_of_the_catalogue_and_every_word_one_of_its_answers(name: str) -> None:
    allowed = catalogue()
    for code, meaning in load_driver(name).tests.items():
        for test in (meaning.test or "").split("|") if meaning.test else ():
            assert test in allowed, code
            assert not allowed[test] or set(meaning.coded.values()) <= allowed[test], code
            assert allowed[test] or not meaning.coded, code


@pytest.mark.parametrize("name", STRIPS)
def test_a_strip_reports_its_ten_pads(name: str) -> None:
    pads = {"UGLU", "UBIL", "UKET", "USG", "UBLD", "UPH", "UPRO", "UURO", "UNIT", "ULE"}
    assert pads <= {meaning.test for meaning in load_driver(name).tests.values()}


@pytest.mark.parametrize(
    ("name", "code", "sent", "answer"),
    [
        ("siemens_clinitek", "BLO", "trace-lysed", "Trace"),
        ("siemens_clinitek", "LEU", "moderate", "2+"),
        ("siemens_clinitek", "GLU", "250", None),
        ("sysmex_uwam", "C-LEU", "+-", "Trace"),
        ("sysmex_uwam", "C-NIT", "+", "Positive"),
        ("sysmex_uwam", "C-PRO", "+", "1+"),
        ("sysmex_uc1000", "COLOR", "l yellow", "Pale yellow"),
        ("urit_50", "BLD", "+3", "3+"),
        ("urit_50", "UBG", "-", None),
    ],
)
def test_a_word_is_a_grade_and_a_number_is_none(name: str, code: str, sent: str, answer: str | None) -> None:
    assert load_driver(name).tests[code].coded.get(sent) == answer


# ---- HbA1c -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("calib", "want"), [("7.2", ["7.2", "0.8"]), ("", ["6.9", "0.8"])])
def test_the_calibrated_row_of_a_d10_is_the_one_to_report(calib: str, want: list[str]) -> None:
    rows = [
        "R|1|^^^A1c^AREA|6.9|%", f"R|2|^^^A1c^CALIB|{calib}|%", "R|3|^^^A1c^TIME|0.71|min", "R|4|^^^F^AREA|0.8|%",
    ]  # fmt: skip
    said = decode("biorad_d10", astm("O|1|107632600424^003^05", *rows, head="|||D10^07"))
    assert {row.sample_id for row in said.observations} == {"107632600424"}
    assert [row.kind for row in said.observations][2] is Kind.DETAIL
    assert [row.value for row in reported("biorad_d10", said) if row.value] == sorted(want, reverse=True)


@pytest.mark.parametrize(
    ("order", "sample_id"),
    [
        ("O|1|107632600424-003-05", "107632600424"),
        ("O|1|107632600424-3^05", "107632600424"),
        ("O|1|23-234567-001", "23-234567-001"),  # another lab's number: its hyphens are its own
        ("O|1||107632600424-03-50520701-LIS003", "107632600424"),
    ],
)
def test_a_place_in_the_rack_is_no_part_of_a_tubes_number(order: str, sample_id: str) -> None:
    (row,) = decode("biorad_d10", astm(order, "R|1|^^^A1c^AREA|6.9|%", head="|||D10^07")).observations
    assert row.sample_id == sample_id


def test_an_id_of_hyphens_alone_is_none_and_marks_stand_beside_their_results_only() -> None:
    order = "O|1|------------------^0001^02" + "|" * 17 + "00000001^0"
    said = decode("arkray_adams", astm(order, "R|1|^^^ValueHbA1c|6"))
    assert [(row.sample_id, row.comments) for row in said.observations] == [(None, ("O-20 00000001",))]


def test_a_recording_that_begins_at_o_and_is_cut_in_a_record_leaves_that_record_out() -> None:
    said = decode("arkray_adams", "O|1|B39--^1\rR|1|^^^ValueHbA1c|6.4|%\rR|2|^^^ValueIFCC|4", incomplete=True)
    assert (said.type, values(said)) == (MessageType.INCOMPLETE, [("ValueHbA1c", "6.4", None)])


def test_premiers_own_messages_stand_beside_the_hba1c_they_are_about_and_h16_is_its_time() -> None:
    rows = ["O|1||1", "R|1|^^^HbA1c|6.1|%", "R|2|^^^Code|8|", "O|2||2", "R|1|^^^HbA1c|7.1|%"]
    said = decode("trinity_hb9210", astm(*rows, head="|||PREMIER^1||||||X|||P|E 1394-97|20261122120110"))
    assert [row.comments for row in said.observations] == [("Code 8",), (), ()]
    assert said.sent_at == "20261122120110"


def test_a_premier_whose_h_is_not_shifted_is_read_by_the_standards_numbers() -> None:
    row = "R|1|^^^HbA1c|6.1|%"
    said = decode("trinity_hb9210", astm("O|1||LOT7^1^3", row, head="|||PREMIER^1|||||X||Q|E 1394-97|20261122120110"))
    assert (said.type, said.sent_at, said.observations[0].sample_id) == (MessageType.QC, "20261122120110", "LOT7")


def tosoh(*records: str) -> bytes:
    texts = [record.encode() for record in records]
    return b"".join(b"\x02" + text + b"\x03" + blocks.xor_byte(text + b"\x03") for text in texts) + b"\x04"


PEAK = "5 1SA1C V  15 650 182 200 248  104.57  5.5"


@pytest.mark.parametrize(
    ("records", "rows", "problems"),
    [
        (("112107632600424        ", "300", "4   02 1   0", PEAK), ["5.5"], ()),
        (("112107632600424        ", "300", "4   02 2   0", PEAK), ["5.5"], ("2 peaks announced, 1 came",)),
        (
            (PEAK, "112107632600424        ", "300", PEAK), ["5.5", "5.5"],
            ("records before the first sample", "rows without a sample id"),
        ),
        (
            ("112107632600424        ", "300", PEAK[:-1]), [],
            ("a peak whose columns are unknown: its row is left out",),
        ),
        (("112107632600424        ", "312", "6"), [], ("a sample without a result: record 3 flags 12",)),
    ],
)  # fmt: skip
def test_a_peak_that_is_missing_or_odd_is_said(records: tuple[str, ...], rows: list[str], problems: tuple[str]) -> None:
    said = decode("tosoh_hlc723", tosoh(*records))
    assert ([row.value for row in said.observations], said.problems) == (rows, problems)


def test_a_sample_whose_record_1_is_lost_is_not_taken_for_the_one_before_it() -> None:
    whole = ("112107632600424        ", "209100001", "300", "4   02 1   0", PEAK, "6", "8")
    lost = ("209100002", "300", "4   02 1   0", PEAK.replace("  5.5", "  9.9"), "6", "8")
    for records in (whole + lost, whole[:-1] + lost):  # with the end of the first, and without
        said = decode("tosoh_hlc723", tosoh(*records))
        assert [(row.sample_id, row.value) for row in said.observations] == [("107632600424", "5.5"), (None, "9.9")]
        assert said.problems == ("records of a sample that is not named", "rows without a sample id")


def test_a_damaged_record_is_not_used_and_a_rack_position_is_no_tube() -> None:
    damaged = tosoh("1120001 - 11           ", "4   02 2   0", PEAK, PEAK).replace(b"104.57", b"104.58", 1)
    said = decode("tosoh_hlc723", damaged)
    assert said.problems == ("2 peaks announced, 1 came",)
    assert load_driver("tosoh_hlc723").unread(said.observations[0].sample_id)


def test_a_message_without_its_end_is_incomplete_and_a_control_is_one() -> None:
    assert decode("tosoh_hlc723", tosoh("112107632600424        ", PEAK)[:-1], True).type is MessageType.INCOMPLETE
    assert decode("tosoh_hlc723", tosoh("112QC LEVEL 1          ", PEAK)).type is MessageType.QC


# ---- urine -------------------------------------------------------------------------------------------------------


def uwam(*halves: tuple[str, str, str]) -> Decoded:
    rows = [f"R|{n}|^^^{code}^A^1^S|{value}|{unit}" for n, (code, value, unit) in enumerate(halves)]
    return decode("sysmex_uwam", astm("O|1|107632600424", *rows, head="|||U-WAM^1"))


@pytest.mark.parametrize(
    ("code", "raw", "main", "want"),
    [
        ("C-BIL", "0.5", "1+", ["1+"]),
        ("C-LEU", "2+", "75", ["2+"]),
        ("C-LEU", "-", "", ["-"]),
        ("C-BLD", "10", "20", ["20"]),
        ("C-GLU", "+-", "normal", ["normal"]),
        ("RBC", "8.0", "1.4", ["1.4"]),
        ("RBC", "8.0", "", ["8.0"]),
        ("C-URO", "", "", []),
    ],
)
def test_of_raw_and_mainformat_the_grade_is_reported_else_mainformat(
    code: str, raw: str, main: str, want: list[str]
) -> None:
    said = uwam((code, f"{raw}^RAW", "x"), (code, f"{main}^MAINFORMAT", "y"))
    assert [row.value for row in reported("sysmex_uwam", said)] == want
    assert [row.aspect for row in said.observations] == ["RAW", "MAINFORMAT"]


@pytest.mark.parametrize(("number", "doubts"), [("9901", 1), ("0000", 0)])
def test_an_error_of_the_strip_doubts_it_once(number: str, doubts: int) -> None:
    raw, main = ("C-Error Code", f"{number}^RAW", ""), ("C-Error Code", f"{number}^MAINFORMAT", "")
    driver = load_driver("sysmex_uwam")
    for sent in ((raw, main), (raw,)):
        assert sum(driver.raised(row) for row in uwam(*sent).observations) == doubts
    assert {"C-GLU", "C-NIT"} <= set(driver.tests["C-Error Code"].doubts)


def test_a_picture_is_told_by_its_mark_and_the_colour_without_its_number() -> None:
    record = "R|1|^^^SF_X^A^1^IF|20261122&R&a.png^RAW|"
    said = decode("sysmex_uwam", astm("O|1|1", record, "R|2|^^^C-COLOR^A^1^S|L YELLOW  01^RAW|", head="|||U-WAM"))
    assert [(row.kind, row.coded) for row in said.observations] == [(Kind.IMAGE, None), (Kind.MEASUREMENT, "L YELLOW")]
    assert all(load_driver("sysmex_uwam").unread(own) for own in ("ERR01000000001", "STAT000000000000000001"))


CLINITEK = "MSH|^~\\&|Clinitek Status||||202611220805||ORU^R01|1|P|2.4\r{}OBX|1|ST|GLU||Negative||||||F\r"


@pytest.mark.parametrize(
    ("above", "type_", "problems"),
    [
        ("PID|1||107632600424\rOBR|1||7\r", MessageType.RESULT, ()),
        ("PID|1\rOBR|1||7\r", MessageType.RESULT, ("rows without a sample id",)),
        ("OBR|1||7|X|||||||||||UR^^^^^^P\r", MessageType.RESULT, ("rows without a sample id",)),
        ("OBR|1||7|X|||||||||||UR^^^^^^Q\r", MessageType.QC, ()),
        ("OBR|1||7\r", MessageType.QC, ()),
    ],
)
def test_a_strip_without_a_patient_is_quality_control(
    above: str, type_: MessageType, problems: tuple[str, ...]
) -> None:
    said = decode("siemens_clinitek", CLINITEK.format(above))
    assert (said.type, said.problems) == (type_, problems)


URIT = "\x02\r\nID:{}\r\nNO.000007 2026-11-22\r\n13:20:11\r\n{}\r\n\x03"


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("*LEU +2     125 CELL/uL", ("125", "CELL/uL", "+2")),
        (" KET -        0 mmol/L", ("0", "mmol/L", "-")),
        (" GLU 3+ >=55mmol/L", (">=55", "mmol/L", "3+")),
        (" UBG Normal 3.4umol/L", ("3.4", "umol/L", "Normal")),
        (" NIT -", ("-", None, None)),
        (" URO            Normal", ("Normal", None, None)),
        (" ACR       <3.4mg/mmol", ("<3.4", "mg/mmol", None)),
        (" PRO ++", ("++", None, None)),
        (" LEU -0 CELL", ("-0 CELL", None, None)),
        (" NIT", (None, None, None)),
    ],
)
def test_a_pads_grade_and_concentration_are_told_apart(line: str, want: tuple[str | None, ...]) -> None:
    said = decode("urit_50", URIT.format("107632600424", line))
    assert [(row.value, row.unit, row.coded) for row in said.observations] == [want]
    assert (said.sent_at, said.problems) == ("2026-11-22 13:20:11", ())


@pytest.mark.parametrize("colon", [b":", b"\xa3\xba", "\uff1a".encode(), b" : "])
def test_the_colon_after_id_may_be_wide(colon: bytes) -> None:
    said = decode("urit_50", b"\x02\r\n\xabID" + colon + b"0042\r\n\xabSG\xab1.015\r\n\x03")
    assert [(row.sample_id, row.value) for row in said.observations] == [("0042", "1.015")]


def test_pads_before_the_line_that_names_a_sample_are_nobodys_and_the_next_report_is_read() -> None:
    pad, first = "0 normal      88.5             ,URO\r\n", "42,,,N1,0000,S,2026/11/22,13:05:01,\r\n"
    said = decode("sysmex_uc1000", pad + first + pad)
    assert [(row.sample_id, row.value) for row in said.observations] == [(None, "normal"), ("42", "normal")]


def test_pads_whose_first_line_is_damaged_or_lost_are_not_the_sample_befores() -> None:
    first, pads = "42,,,N1,0000,S,2026/11/22,13:05:01,\r\n", "0 normal      88.5             ,URO\r\n" + (
        "1 +-    50    43.4             ,GLU\r\n"
    )
    for lost in (first.replace("42", "43").replace("/22", "?22"), ""):
        said = decode("sysmex_uc1000", first + pads + lost + pads)
        assert [row.sample_id for row in said.observations] == ["42", "42", None, None]
        assert [row.code for row in said.observations] == ["URO", "GLU"] * 2
        assert len(said.problems) == 2


def test_a_urit_report_without_its_id_is_not_the_sample_befores() -> None:
    said = decode("urit_50", URIT.format("7", " GLU -\r\nNO.000008 2026-11-22\r\n GLU +1"))
    assert [(row.sample_id, row.value) for row in said.observations] == [("7", "-"), (None, "+1")]
    mixed = decode("urit_50", URIT.format("7", " GLU -\r\nID:QC2\r\n GLU +1"))
    assert ([row.sample_id for row in mixed.observations], mixed.type) == (["7", "QC2"], MessageType.RESULT)


def test_a_control_of_a_strip_reader_is_told_by_its_id_and_a_text_without_pads_is_other() -> None:
    assert decode("urit_50", URIT.format("QC1", "GLU -")).type is MessageType.QC
    assert decode("urit_50", "\x02self test ok\x03").type is MessageType.OTHER
    assert decode("sysmex_uc1000", "self test ok\r\n").type is MessageType.OTHER


# ---- point of care -----------------------------------------------------------------------------------------------

FINECARE = (
    "MSH|^~\\&|FineCarePlus|x|POCT|P|1||ORU^R01|1|P|2.4||||0|CHN|UTF8\rPID|{id}\rOBR|{id}\r"
    "OBX|{id}|NM||{name}|{text}|u|0-1||||||{again}|20261122\r"
)


@pytest.mark.parametrize(
    ("name", "text", "again", "want"),
    [
        ("HbA1c  eGA(ADA)   HBA1C(IFCC)", "9.7 %  231 md/dl  82 mmol/mol", "9.7", ("HbA1c", "9.7", ())),
        ("HbA1c  eGA(ADA)", "9.7 %  231 md/dl", "9.9", ("HbA1c", "9.7 %  231 md/dl", ())),
        ("HbA1c  eGA(ADA)", "9.7 %  231 md/dl↑", "", ("HbA1c", "9.7 %  231 md/dl↑", ("↑",))),
        ("Vitamin D", "<5.0", "", ("Vitamin D", "<5.0", ())),
        ("CRP", "12.5 u ↑", "", ("CRP", "12.5", ("↑",))),
        ("CRP", "12.5 mg", "", ("CRP", "12.5 mg", ())),
        ("HbA1c  eGA(ADA)", "9,7 %  231 md/dl", "9,7", ("HbA1c", "9,7", ())),
        ("CRP", "1.2.3 u", "1.2.3", ("CRP", "1.2.3 u", ())),
        ("MAU", "23.7 mg/L  ↑", "23.7", ("MAU", "23.7", ("↑",))),
        ("NT-proBNP", "Error", "", ("NT-proBNP", "Error", ())),
    ],
)
def test_the_first_names_number_is_taken_only_where_it_is_surely_that(
    name: str, text: str, again: str, want: tuple[str, str, tuple[str, ...]]
) -> None:
    sent = FINECARE.format(id="107632600424", name=name, text=text, again=again)
    (row,) = decode("wondfo_finecare", sent.encode()).observations
    assert (row.code, row.value, row.flags) == want
    assert (row.sample_id, row.name, row.raw) == ("107632600424", name, text)


def test_a_running_number_of_the_meter_names_no_tube_though_it_has_twelve_digits() -> None:
    driver = load_driver("wondfo_finecare")
    assert driver.unread("202611220003")
    assert not driver.unread("107632600424")


# ---- all of them -------------------------------------------------------------------------------------------------

PIECES = (
    b"\x02", b"\x03", b"\x04", b"\r\n", b"112", b"300", PEAK.encode(), b"7  1", b"  -9.400", b"4   02 1", b"ID:", b"*",
    b"NO.1 ", b"2026/11/22,13:05:01,", b"0 normal      88.5             ,URO", b",,,N1,0000,S,", b"COLOR", b"+-",
    b" LEU +2 125 CELL/uL", b"\xab\xa3\xba\xff", b"\x00",
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_a_dialect_of_its_own_reads_any_bytes_and_loses_no_row_it_gives(pieces: list[bytes]) -> None:
    for name in ("tosoh_hlc723", "sysmex_uc1000", "urit_50"):
        said = decode(name, b"".join(pieces))
        assert [row.ordinal for row in said.observations] == list(range(1, len(said.observations) + 1))


def test_a_premier_message_that_begins_with_an_empty_line_is_read() -> None:
    """Found by the fuzz run: the time of sending was looked for in the first line, whatever stood there."""
    said = decode("trinity_hb9210", "\r" + astm(head="|||PREMIER^1||||||X|||P|E 1394-97|20261122120110"))
    assert said.sent_at == "20261122120110"
