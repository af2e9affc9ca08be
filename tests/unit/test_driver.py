"""What a driver knows beyond its table: which run to report, who doubts, who is asked, what is odd."""

from __future__ import annotations

import gc
import re
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.decode import decode_file
from drivers.driver import (
    Decoded,
    DecodeError,
    Driver,
    Grade,
    Kind,
    Message,
    MessageType,
    Observation,
    WorkOrder,
    driver_names,
    load_driver,
)
from drivers.wire import lis1a, lis2a, mllp

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
ASTM = "H|\\^&|||{sender}|||||||{mode}|1|\rP|1\rO|1|{o3}|{o4}||||||||{action}|\r{rows}L|1|N\r"


def decode(driver: str | Driver, body: str, incomplete: bool = False, charset: str = "utf-8") -> Decoded:
    form = load_driver(driver) if isinstance(driver, str) else driver
    return form.decode(Message("m1", "a1", NOW, body.encode(charset), incomplete))


def xn(*rows: str, mode: str = "", action: str = "N", o4: str = "^^   0042^B", sender: str = "  XN-550^1") -> Decoded:
    text = ASTM.format(sender=sender, mode=mode, o3="", o4=o4, action=action, rows="".join(f"{r}\r" for r in rows))
    return decode("sysmex_xn", text)


def row(
    code: str = "GLU", value: str = "5", at: str = "20261103120000", number: int = 1, **more: object
) -> Observation:
    plain = Observation("1", code, None, value, value, "mg/dl", observed_at=at, ordinal=number)
    return plain._replace(**more)  # type: ignore[arg-type]


# ---- which drivers there are ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", driver_names())
def test_a_driver_is_loaded_by_its_name_and_its_grade_is_the_one_its_page_proves(name: str) -> None:
    driver = load_driver(name)
    proof = re.search(r"^Proof +(\w+)", import_module(f"drivers.{name}").__doc__ or "", re.MULTILINE)
    assert proof and (driver.name, driver.grade) == (name, Grade(proof[1]))
    assert driver.grade is not Grade.FIELD, "no driver here ran beside a lab's own analyzer yet"


@pytest.mark.parametrize("name", ["sysmex", "driver", "wire", "../x", ""])
def test_an_unknown_driver_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(KeyError, match="sysmex_xn"):
        load_driver(name)


@pytest.mark.parametrize("name", driver_names())
def test_a_unit_of_a_form_leads_to_one_ucum_unit_by_a_decimal_factor(name: str) -> None:
    for code, known in load_driver(name).tests.items():
        assert len({ucum for ucum, _ in known.units.values()}) <= 1, code
        assert all(factor.replace(".", "", 1).isdigit() for _, factor in known.units.values()), code
        assert known.kind is not Kind.SUSPECT or set(known.doubts) <= set(load_driver(name).tests), code


# ---- the message as a whole -------------------------------------------------------------------------------------


def test_another_sender_is_a_problem_sentence_and_nothing_more() -> None:
    said = xn("R|1|^^^^WBC^1|5.1|10*3/uL", sender="cobas-e411^1")
    assert said.problems == ("H-5 says 'cobas-e411^1', but this line is configured for Sysmex XN",)
    assert [o.value for o in said.observations] == ["5.1"]
    assert xn("R|1|^^^^WBC^1|5.1", sender="").problems[0].startswith("H-5 is empty")
    assert xn("R|1|^^^^WBC^1|5.1").problems == ()


@pytest.mark.parametrize(
    ("mode", "action", "o4", "type"),
    [
        ("", "N", "^^0042^B", MessageType.RESULT),
        ("P", "", "^^0042^B", MessageType.RESULT),
        ("Q", "N", "^^0042^B", MessageType.QC),
        ("", "Q", "^^0042^B", MessageType.QC),
        ("", "N", "^^  QC-881^B", MessageType.QC),
        ("T", "N", "^^0042^B", MessageType.OTHER),
        ("D", "N", "^^0042^B", MessageType.OTHER),
    ],
)
def test_rc_36_6_12_receiver_controls_and_training_are_kept_from_patients(
    mode: str, action: str, o4: str, type: MessageType
) -> None:
    assert xn("R|1|^^^^WBC^1|5.1", mode=mode, action=action, o4=o4).type is type


def test_a_control_beside_a_patient_hides_no_patient() -> None:
    said = decode("erba_xl", "H|`^&\rP|1\rO|1|7|||||||||Q\rR|1|^^^K|4\rO|2|8\rR|1|^^^K|5\rL|1|N\r")
    assert said.type is MessageType.RESULT
    assert said.problems == ("controls and patients in one message: none of it is taken as a control",)


def test_rc_03_4_1_receiver_a_result_without_an_order_has_no_sample() -> None:
    said = decode("erba_xl", "H|`^&\rP|1|77\rR|1|^^^K|4\rL|1|N\r")
    assert [(o.sample_id, o.value) for o in said.observations] == [(None, "4")]
    assert said.problems == ("rows without a sample id",)


def test_rc_04_4_1_receiver_the_next_patients_rows_do_not_keep_the_last_ones_sample() -> None:
    said = decode("erba_xl", "H|`^&\rP|1\rO|1|7\rR|1|^^^K|4\rP|2\rR|1|^^^K|5\rL|1|N\r")
    assert [o.sample_id for o in said.observations] == ["7", None]


def test_rc_01_4_1_receiver_a_comment_belongs_to_the_row_before_it_and_to_no_other() -> None:
    said = decode("erba_xl", "H|`^&\rC|1|I|of H\rP|1\rC|1|I|of P\rO|1|7\rC|1|I|of O\rR|1|^^^K|4\rC|1|I|of R\rL|1|N\r")
    assert [o.comments for o in said.observations] == [("of R",)]


def test_a_line_that_is_no_record_is_a_problem_and_loses_nothing() -> None:
    said = decode("erba_xl", "H|`^&\rP|1\rO|1|7\rR|1|^^^K|4\rhello\rR|2|^^^Na|140\rL|1|N\r")
    assert [o.value for o in said.observations] == ["4", "140"]
    assert said.problems == ("a line that is no record: 'hello'",)


def test_what_was_cut_is_incomplete_and_its_last_record_is_not_read() -> None:
    said = decode("erba_xl", "H|`^&\rP|1\rO|1|7\rR|1|^^^K|4.1\rR|2|^^^Na|14", incomplete=True)
    assert (said.type, [o.value for o in said.observations]) == (MessageType.INCOMPLETE, ["4.1"])
    assert said.problems == ("the message ends before its L record", "its last record is cut and left out")


@pytest.mark.parametrize(("driver", "body"), [("erba_xl", "MSH|^~\\&|"), ("erba_xl", ""), ("mindray_bc", "H|\\^&")])
def test_what_is_no_message_of_the_language_cannot_be_decoded(driver: str, body: str) -> None:
    with pytest.raises(DecodeError):
        decode(driver, body)


def test_a_sites_charset_is_a_variant_of_the_driver() -> None:
    russian = replace(load_driver("generic_astm"), charset="cp1251")
    said = decode(russian, "H|\\^&\rP|1\rO|1|7\rR|1|^^^HB|Да\rL|1\r", charset="cp1251")
    assert said.observations[0].value == "Да"


def test_hl7_acks_and_orders_are_no_results() -> None:
    head = "MSH|^~\\&|||||20261103||{}|7|P|2.3.1\r"
    assert decode("mindray_bc", head.format("ACK^R01") + "MSA|AA|7\r").type is MessageType.ACK
    assert decode("mindray_bc", head.format("ADT^A01") + "PID|1\r").type is MessageType.OTHER
    assert decode("mindray_bc", head.format("QRY^Q02") + "QRD|1\r").type is MessageType.QUERY


def test_a_second_patient_in_an_hl7_message_does_not_inherit_the_first_ones_sample() -> None:
    body = "MSH|^~\\&|||||1||ORU^R01|1|P|2.3.1\rPID|1\rOBR|1||7\rOBX|1|NM|K||4\rPID|2\rOBX|1|NM|K||5\r"
    assert [o.sample_id for o in decode("generic_hl7", body).observations] == ["7", None]


# ---- the rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["---.-", "--.--", ".....", "-----", "NA", "N/A", "******", "No Result", "----"])
def test_masked_values_are_marked_and_stay_as_sent(value: str) -> None:
    seen = decode("generic_astm", f"H|\\^&\rP|1\rO|1|7\rR|1|^^^HB| {value} \rL|1\r").observations[0]
    assert (seen.value, seen.raw, seen.masked) == (value, f" {value} ", True)


@pytest.mark.parametrize(
    "value", ["0", "-1.2", "<3.00", "> 15000", "97,2", "+", "++", "-", "1+", "Negative", "", "12."]
)
def test_other_values_are_not_masked(value: str) -> None:
    seen = decode("generic_astm", f"H|\\^&\rP|1\rO|1|7\rR|1|^^^UPRO|{value}\rL|1\r").observations[0]
    assert (seen.value, seen.masked) == (value, False)


def test_a_cobas_number_keeps_the_interpretation_beside_it() -> None:
    rows = "R|1|^^^5/1/not|-1^0.28|COI\rR|2|^^^8/1/not|3.8\rR|3|^^^5/1/not|1^\r"
    body = f"H|\\^&|||cobas-e411^1\rP|1\rO|1|7\r{rows}L|1\r"
    seen = decode("roche_cobas_e411", body).observations
    assert [(o.value, o.raw, o.coded) for o in seen] == [
        ("0.28", "-1^0.28", "-1"),
        ("3.8", "3.8", None),
        ("", "1^", "1"),
    ]
    known = load_driver("roche_cobas_e411").tests["HBSAG"]
    assert (known.test, known.coded[seen[0].coded or ""], known.coded[seen[2].coded or ""]) == (
        "HBSAG", "Non-reactive", "Reactive",
    )  # fmt: skip


def test_a_suspect_is_raised_by_its_flag_or_from_100_on() -> None:
    driver = load_driver("sysmex_xn")
    said = xn(
        "R|1|^^^^Left_Shift?|90", "R|2|^^^^Left_Shift?|100", "R|3|^^^^Left_Shift?|10|||A", "R|4|^^^^Anemia||||A",
        "R|5|^^^^Made_Up?|300", "R|6|^^^^WBC^1|5|||A", "R|7|^^^^SCAT_NEW|PNG&R&x",
    )  # fmt: skip
    assert [driver.raised(o) for o in said.observations] == [False, True, True, True, True, False, False]
    assert [o.kind.value for o in said.observations] == ["suspect"] * 5 + ["measurement", "image"]


@pytest.mark.parametrize(("value", "raised"), [("²", False), ("٣٠٠", False), ("9" * 5000, True), ("0" * 5000, False)])
def test_a_suspect_whose_number_is_none_or_endless_breaks_nothing(value: str, raised: bool) -> None:
    said = xn(f"R|1|^^^^Left_Shift?|{value}")
    assert load_driver("sysmex_xn").raised(said.observations[0]) is raised


@pytest.mark.parametrize("driver", ["generic_astm", "generic_hl7"])
def test_a_noisy_header_does_not_fill_the_memory_with_dialects(driver: str) -> None:
    """Each set of delimiters compiles the form anew; what a broken line names is not kept for ever."""
    form, marks = load_driver(driver), "!#$%&*+-/;<=>?@[]^_`{}~"
    bodies = [f"H|{a}{b}\rP|1\r" if driver == "generic_astm" else f"MSH|{a}{b}\r" for a, b in permutations(marks, 2)]

    def size(after: list[str]) -> int:
        for body in after:
            decode(form, body)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    warm = size(bodies[:60])
    grown = size(bodies[60:]) - warm
    tracemalloc.stop()
    assert grown < 200_000


@pytest.mark.parametrize(
    ("driver", "sample_id", "unread"),
    [
        ("roche_cobas_e411", "@192", True),
        ("roche_cobas_e411", "260315004217", False),
        ("sysmex_xn", "ERR00012", True),
        ("sysmex_xn", "0", True),
        ("sysmex_xn", "0042", False),
        ("generic_astm", None, True),
    ],
)
def test_ids_that_name_no_tube(driver: str, sample_id: str | None, unread: bool) -> None:
    assert load_driver(driver).unread(sample_id) is unread


def test_of_reruns_the_latest_with_a_value_is_reported() -> None:
    report = load_driver("erba_xl").reportable
    runs = [row(value="4", at="20261103110000", number=1), row(value="6", at="20261103120000", number=2),
            row(value="NA", at="20261103130000", number=3, masked=True)]  # fmt: skip
    assert report(runs) == (False, True, False)
    assert report(runs[::-1]) == (False, True, False)  # rows are not in the order of their times
    assert report([row(number=1), row(number=2)]) == (False, True)
    assert report([runs[2], runs[2]._replace(ordinal=4, observed_at="20261103140000")]) == (False, True)
    assert report([row(), row("UREA"), row(sample_id="2"), row(kind=Kind.DETAIL)]) == (True, True, True, False)


def test_elsewhere_every_measurement_is_reported() -> None:
    assert load_driver("sysmex_xn").reportable([row(), row(), row(kind=Kind.SUSPECT)]) == (True, True, False)


# ---- answering --------------------------------------------------------------------------------------------------

ASKED = "H|\\^&|||cobas-e411^1|||||host|TSREQ^REAL|P|1\rQ|1|^^0042^587^0^2^^S1^SC||ALL||||||||A\rL|1|N\r"


def test_rc_34_12_3_sender_nothing_known_is_said_in_the_vendors_way() -> None:
    cobas, erba = load_driver("roche_cobas_e411"), load_driver("erba_xl")
    assert cobas.answer(decode(cobas, ASKED)) == [b"H|\\^&|||Lab Mitra|||||cobas-e411^1|TSDWN^REPLY|P|1\rL|1|N\r"]
    asked = decode(erba, "H|`^&||||||||||P|E 1394-97\rQ|1|^0042`0043\rL|1|N\r")
    assert asked.query_sample_ids == ("0042", "0043")
    assert erba.answer(asked) == [b"H|`^&|||Lab Mitra|||||||P|1\rL|1|I\r"]
    assert load_driver("generic_hl7").answer(asked) is None


def test_an_order_echoes_where_the_tube_stands() -> None:
    cobas = load_driver("roche_cobas_e411")
    asked = decode(cobas, ASKED)
    (answer,) = cobas.answer(asked, [WorkOrder("0042", ("8", "5"), query_raw=asked.query_raw[0])]) or []
    order = lis2a.parse(answer)[2]
    assert [order[n] for n in ("1", "2", "3", "4", "5.4", "5(2).4", "6", "12")] == [
        "O", "1", "0042", "587^0^2^^S1^SC", "8", "5", "R", "A",
    ]  # fmt: skip


def test_erba_is_told_the_tube_type_and_the_specimen() -> None:
    erba = load_driver("erba_xl")
    (answer,) = erba.answer(decode(erba, "H|`^&\rQ|1|^0042\rL|1\r"), [WorkOrder("0042", ("GLU",), stat=True)]) or []
    order = lis2a.parse(answer)[2]
    assert [order[n] for n in ("3", "5.4", "6", "12", "16")] == ["0042^03", "GLU", "S", "A", "SERUM"]


# ---- files ------------------------------------------------------------------------------------------------------

CBC = b"H|\\^&|||XN-550^1\rP|1\rO|1||^^0042^B\rR|1|^^^^WBC^1|5.1|10*3/uL||N||F\rR|2|^^^^RBC^1|4.4\rL|1|N\r"


def values(file: bytes, driver: str = "sysmex_xn") -> list[tuple[str, list[str]]]:
    messages: list[dict[str, list[dict[str, str]]]] = decode_file(file, driver)["messages"]  # type: ignore[assignment]
    return [(str(m["type"]), [o["value"] for o in m["observations"]]) for m in messages]


def line(text: bytes, size: int = 240) -> bytes:
    return b"\x05" + b"".join(lis1a.frames(text, size)) + b"\x04"


@pytest.mark.parametrize("size", [1, 7, 50, 240, 63_993])
def test_frames_may_be_cut_anywhere(size: int) -> None:
    assert values(line(CBC, size)) == [("result", ["5.1", "4.4"])]


@pytest.mark.parametrize("cut", range(len(line(CBC, 63_993))))
def test_a_line_cut_anywhere_gives_whole_records_or_says_that_there_is_nothing(cut: int) -> None:
    whole = line(CBC, 63_993)
    try:
        seen = values(whole[:cut])
    except DecodeError:
        assert cut < 3
        return
    for type, found in seen:
        assert found == ["5.1", "4.4"][: len(found)]
        assert type == "incomplete" or cut >= len(whole) - 3  # its checksum and CR had come


def test_a_damaged_frame_is_a_problem_and_is_not_used() -> None:
    frames = lis1a.frames(CBC, 40)
    damaged = frames[1].replace(b"WBC", b"WBD")
    again = decode_file(b"\x05" + frames[0] + damaged + b"".join(frames[1:]) + b"\x04", "sysmex_xn")
    assert again["problems"] == [{"where": "session 1, frame 2", "what": "wrong checksum: the frame is not used"}]
    assert values(b"\x05" + frames[0] + damaged + b"".join(frames[1:]) + b"\x04") == [("result", ["5.1", "4.4"])]
    assert values(b"\x05" + frames[0] + damaged + b"".join(frames[2:]) + b"\x04") == [("incomplete", [])]


def numbered(*numbers: int) -> bytes:
    """CBC cut into as many frames, numbered so."""
    size = -(-len(CBC) // len(numbers))
    texts = [CBC[at : at + size] for at in range(0, len(CBC), size)]
    return b"".join(lis1a.frame(n, text, text is texts[-1]) for n, text in zip(numbers, texts, strict=True)) + b"\x04"


def test_a_file_may_begin_anywhere_in_the_count_but_a_lost_frame_is_not_bridged() -> None:
    assert values(numbered(6, 7, 0, 1)) == [("result", ["5.1", "4.4"])]
    lost = decode_file(numbered(1, 2, 4, 5), "sysmex_xn")
    assert [problem["what"] for problem in lost["problems"][:2]] == [  # type: ignore[index]
        "frame number 4, expected 3: the frame is not used",
        "frame number 5, expected 3: the frame is not used",
    ]
    assert [type for type, _ in values(numbered(1, 2, 4, 5))] == ["incomplete"]


def test_several_sessions_messages_and_both_directions_in_one_file() -> None:
    both = b"\x05\x06" + b"\x06".join(lis1a.frames(CBC + CBC, 240)) + b"\x06\x04" + b"\x05\x04" + line(CBC)
    assert values(both) == [("result", ["5.1", "4.4"])] * 3


def test_mllp_blocks_and_what_is_between_them() -> None:
    message = b"MSH|^~\\&|||||1||ORU^R01|1|P|2.3.1\rOBR|1||7\rOBX|1|NM|718-7^HGB^LN||9.1\r"
    block = mllp.block(message)
    assert values(b"\x02" * 14 + block + b"\r\n" + block, "mindray_bc") == [("result", ["9.1"])] * 2
    assert values(message.replace(b"\r", b"\r\n") + message, "mindray_bc") == [("result", ["9.1"])] * 2
    cut = decode_file(block[:-2], "mindray_bc")
    assert cut["problems"][0] == {"where": "block 1", "what": "block without its end"}  # type: ignore[index]
    assert values(block[:-2], "mindray_bc") == [("incomplete", [])]  # nothing of it is said


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"hello", b"\x89PNG\r\n\x1a\n\x02\x05\x00", b"P|1\rR|1|x\r", b"\x05\x04"]
)
@pytest.mark.parametrize("driver", ["sysmex_xn", "mindray_bc"])
def test_where_nothing_can_be_read_one_line_says_so(data: bytes, driver: str) -> None:
    with pytest.raises(DecodeError) as told:
        decode_file(data, driver)
    assert "\n" not in str(told.value)


def test_a_driver_that_is_not_there_is_said_in_one_line() -> None:
    with pytest.raises(DecodeError, match=r"there is no driver 'xn'; there are: .*erba_xl"):
        decode_file(CBC, "xn")


junk = st.binary(max_size=120)
heads = st.sampled_from(
    [b"", b"H|\\^&|||", b"H|`^&\rP|1\rO|1|", b"MSH|^~\\&|", b"\x05\x021H|\\^&", b"\x0bMSH|^~\\&|\rOBX|"]
)


@settings(max_examples=150, deadline=None)
@given(heads, junk, st.sampled_from(driver_names()))
def test_any_bytes_are_decoded_or_refused_with_decode_error(head: bytes, tail: bytes, name: str) -> None:
    for read in (
        lambda: load_driver(name).decode(Message("1", "a", NOW, head + tail)),
        lambda: decode_file(head + tail, name),
        lambda: decode_file(head + tail + b"\x1c\r\x03\x04", name),
    ):
        try:
            assert read() is not None
        except DecodeError as told:
            assert str(told)
