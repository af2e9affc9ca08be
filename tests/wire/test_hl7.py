"""HL7 v2 segments and acknowledgements, by clause (H7-xx of the wire rules; HL7 v2 chapter 2)."""

from __future__ import annotations

import hl7 as other  # nobody here wrote it
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wire import WireError, hl7
from drivers.wire.hl7 import STANDARD, Delimiters
from tests.wire.line_kit import examples

HEADER = "MSH|^~\\&|BC|LAB|Mitra|DH|20261103||ORU^R01|77|P|2.3.1"


def message(header: str = HEADER, *segments: str) -> list[hl7.Segment]:
    return hl7.parse("\r".join([header, *segments]) + "\r")


def acknowledged(header: str, code: str = "AA", **more: str) -> list[hl7.Segment]:
    answer = hl7.acknowledge(message(header), code, at="20261103120000", control_id="A1", **more)
    return hl7.parse(answer)


@pytest.mark.parametrize(("outcome", "code"), [("accept", "AA"), ("error", "AE"), ("reject", "AR")])
def test_h7_01_2_9_2_receiver_original_mode_gives_one_application_acknowledgement(outcome: str, code: str) -> None:
    assert hl7.codes(message(), outcome) == (code,)


@pytest.mark.parametrize(
    ("accept", "application", "outcome", "codes"),
    [
        ("AL", "AL", "accept", ("CA", "AA")),
        ("AL", "NE", "error", ("CE",)),
        ("NE", "NE", "reject", ()),
        ("ER", "AL", "accept", ("AA",)),
        ("ER", "AL", "reject", ("CR", "AR")),
        ("SU", "ER", "accept", ("CA",)),
        ("SU", "ER", "error", ("AE",)),
        ("AL", "", "accept", ("CA",)),
        ("", "AL", "accept", ("AA",)),
    ],
)
def test_h7_02_2_9_3_receiver_enhanced_mode_sends_what_is_asked_for(
    accept: str, application: str, outcome: str, codes: tuple[str, ...]
) -> None:
    assert hl7.codes(message(f"{HEADER}|||{accept}|{application}"), outcome) == codes


def test_h7_03_2_9_receiver_msa_2_repeats_the_control_id_as_sent() -> None:
    msh, msa = acknowledged(HEADER.replace("|77|", "|7\\T\\7|"))
    assert (msa["1"], msa.raw("2"), msh["10"]) == ("AA", "7\\T\\7", "A1")


def test_h7_04_receiver_the_text_of_an_error_is_escaped() -> None:
    assert acknowledged(HEADER, "AE", text="no | no\rMSH|")[1]["3"] == "no | no\rMSH|"


@pytest.mark.parametrize(
    ("asked", "answered"), [("ORU^R01", "ACK^R01"), ("OUL^R22^OUL_R22", "ACK^R22^ACK"), ("ORU", "ACK")]
)
def test_h7_05_receiver_the_acknowledgement_names_the_event(asked: str, answered: str) -> None:
    assert acknowledged(HEADER.replace("ORU^R01", asked))[0]["9"] == answered


def test_h7_05_receiver_places_are_exchanged_and_version_and_charset_echoed() -> None:
    msh = acknowledged(HEADER + "||||||UNICODE UTF-8")[0]
    assert msh.fields == [
        "MSH", "|", "^~\\&", "Mitra", "DH", "BC", "LAB", "20261103120000", "", "ACK^R01", "A1", "P", "2.3.1",
        "", "", "", "", "", "UNICODE UTF-8",
    ]  # fmt: skip


def test_h7_05_receiver_a_peer_nobody_here_wrote_reads_the_acknowledgement() -> None:
    answer = hl7.acknowledge(message(), "AA", at="20261103120000", control_id="A1", condition="0")
    read = other.parse(answer.decode())
    assert (str(read["MSA.F1.R1"]), str(read["MSA.F2.R1"]), str(read["MSA.F6.R1"])) == ("AA", "77", "0")


def test_h7_05_receiver_what_does_not_begin_with_msh_cannot_be_acknowledged() -> None:
    with pytest.raises(WireError):
        hl7.acknowledge(hl7.parse("BHS|^~\\&"), "AA", at="", control_id="1")


def test_h7_06_2_6_receiver_delimiters_come_from_msh_1_and_msh_2() -> None:
    assert hl7.delimiters("MSH|^~\\&|") == STANDARD
    assert hl7.delimiters("MSH|^~\\&#|") == STANDARD
    assert hl7.delimiters("MSH$!*/%$") == Delimiters("$", "!", "*", "/", "%")
    assert hl7.delimiters("MSH|^|") == Delimiters("|", "^", "", "", "")


@pytest.mark.parametrize("header", ["", "MSH", "MSH|", "MSH||", "MSHx^~\\&", "MSH|^^\\&|", "PID|1", "MSH|abc|"])
def test_h7_06_2_6_receiver_a_header_that_names_none_that_work_is_refused(header: str) -> None:
    with pytest.raises(WireError):
        hl7.parse(header)


def test_h7_06_2_6_receiver_msh_1_counts_as_field_1() -> None:
    msh = message()[0]
    assert [msh["1"], msh["2"], msh["3"], msh["9.2"], msh["12"], msh["13"]] == [
        "|",
        "^~\\&",
        "BC",
        "R01",
        "2.3.1",
        None,
    ]


def test_h7_06_2_6_receiver_repeats_components_and_subcomponents_are_counted_from_1() -> None:
    segment = message(HEADER, "PID|1||A^b&c~D^e&f")[1]
    assert [segment["3.2.2"], segment["3(2).2.1"], segment["3(2).1"], segment["3(3)"], segment["3.2"]] == [
        "c", "e", "D", None, "b&c",
    ]  # fmt: skip
    assert segment.repeats(3) == ["A^b&c", "D^e&f"]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("10\\S\\9/L", "10^9/L"),
        ("a\\.br\\b\\X0D\\c", "a\nb\rc"),
        ("\\H\\bold\\N\\", "bold"),
        ("\\C2842\\", "\\C2842\\"),
        ("\\M1B\\ \\Zx\\ c:\\tmp", "\\M1B\\ \\Zx\\ c:\\tmp"),
    ],
)
def test_h7_07_2_7_receiver_escapes_are_decoded_after_the_split(sent: str, meant: str) -> None:
    assert message(HEADER, f"NTE|1||{sent}|x")[1]["3"] == meant


def test_h7_08_2_5_3_receiver_empty_is_empty_and_delete_is_as_sent() -> None:
    segment = message(HEADER, 'PID|1||""')[1]
    assert [segment["2"], segment["3"], segment["4"]] == ["", '""', None]


@pytest.mark.parametrize(
    ("declared", "charset"),
    [("UNICODE UTF-8", "utf-8"), ("UNICODE", "utf-8"), ("8859/1", "latin-1"), ("", "utf-8"), ("", "latin-1"),
     ("ASCII", "utf-8"), ("8859/15", "iso8859-15"), ("nonsense", "latin-1"), ("GB 18030-2000~ASCII", "gb18030")],
)  # fmt: skip
def test_h7_09_receiver_names_are_read_in_the_charset_of_msh_18(declared: str, charset: str) -> None:
    body = f"{HEADER}||||||{declared}\rPID|1||||José\r".encode(charset)
    assert hl7.parse(body)[1]["5"] == "José"


def test_h7_09_receiver_a_charset_set_by_the_site_wins() -> None:
    assert hl7.parse(f"{HEADER}\rPID|Ф\r".encode("cp1251"), "cp1251")[1]["1"] == "Ф"
    with pytest.raises(WireError, match="charset"):
        hl7.parse(HEADER.encode(), "no such charset")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_h7_12_2_8_receiver_segments_end_with_cr_and_other_ends_are_read(end: str) -> None:
    assert [s.type for s in hl7.parse(end.join([HEADER, "PID|1", "OBX|1", ""]))] == ["MSH", "PID", "OBX"]


def test_h7_12_2_8_receiver_unknown_segments_are_kept_for_others_to_pass_over() -> None:
    assert [s.type for s in message(HEADER, "ZZZ|a", "OBX|1")] == ["MSH", "ZZZ", "OBX"]


def test_h7_12_2_8_receiver_several_messages_in_a_block_and_a_batch_are_split() -> None:
    one, two = f"{HEADER}\rOBX|1\r".encode(), f"{HEADER}8\rOBX|2\r".encode()
    assert hl7.split(one + two) == [one, two]
    assert hl7.split(b"FHS|^~\\&\rBHS|^~\\&\r" + one + two + b"BTS|2\rFTS|1\r") == [one, two]
    assert hl7.split(b"noise\r" + one) == [b"noise\r", one]


def test_h7_07_2_7_sender_no_text_brings_a_field_or_a_segment_of_its_own() -> None:
    evil = "x|y^z~\\&F\rOBX|1\nभ"
    back = hl7.parse(hl7.build([["MSH", None, None, evil], ["PID", "1", (evil, "b"), [evil, "r2"]]]))
    assert [segment.type for segment in back] == ["MSH", "PID"]
    assert [back[0]["3"], back[1]["2.1"], back[1]["3(1)"], back[1]["3(2)"]] == [evil, evil, evil, "r2"]


def test_h7_12_2_8_sender_what_cannot_be_said_is_not_sent() -> None:
    with pytest.raises(WireError, match="no segment name"):
        hl7.build([["obx\r", "1"]])
    with pytest.raises(WireError, match="ascii"):
        hl7.build([["PID", "भ"]], charset="ascii")
    with pytest.raises(WireError, match="escape"):
        hl7.build([["PID", "a|b"]], Delimiters("|", "^", "~", "", ""))


def test_h7_06_2_6_sender_names_the_delimiters_it_uses() -> None:
    for marks in (STANDARD, Delimiters("$", "!", "*", "/", "%"), Delimiters("|", "^", "~", "", "")):
        body = hl7.build([["MSH", None, None, "x"], ["PID", "1", ("a", "b"), ["c", ("d", "e")]]], marks)
        msh, pid = hl7.parse(body)
        assert (msh.delimiters, msh["3"]) == (marks, "x")
        assert [pid["2.2"], pid["3(1)"], pid["3(2).2"]] == ["b", "c", "e"]


def test_h7_09_sender_writes_the_charset_it_is_told_or_nothing() -> None:
    assert hl7.build([["PID", "1", "é"]], charset="latin-1") == b"PID|1|\xe9\r"
    assert hl7.build([["PID", "1", "é"]]) == "PID|1|é\r".encode()
    with pytest.raises(WireError, match="latin-1"):
        hl7.build([["PID", "1", "सीता"]], charset="latin-1")


def test_h7_09_sender_acknowledges_in_the_charset_of_the_message() -> None:
    for named, charset in (("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8"), ("UNICODE", "utf-8"), ("", "utf-8")):
        asked = hl7.parse(HEADER.replace("|BC|", "|Zürich|").encode(charset) + f"||||||{named}\r".encode(charset))
        assert "Zürich".encode(charset) in hl7.acknowledge(asked, "AA", at="20261103", control_id="1")


def test_h7_12_2_8_sender_every_segment_ends_with_cr_alone() -> None:
    assert hl7.build([["MSH"], ["NTE", "1", None, "two\r\nlines", None]]) == (
        b"MSH|^~\\&\rNTE|1||two\\X0D\\\\X0A\\lines\r"
    )


@pytest.mark.parametrize("name", ["base64", "hex", "zip", "rot13", "no such"])
def test_h7_09_receiver_what_is_no_charset_is_a_wire_error(name: str) -> None:
    with pytest.raises(WireError, match="charset"):
        hl7.parse(b"TVNIfF5+XCY=\xff", name)


@examples(60)
@given(st.text(max_size=30))
def test_any_text_survives_encoding_and_decoding(text: str) -> None:
    assert hl7.decode(hl7.encode(text)) == text


@examples(60)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda tail: b"MSH|^~\\&" + tail)))
def test_any_bytes_parse_or_raise_wire_error(data: bytes) -> None:
    hl7.split(data)
    try:
        segments = hl7.parse(data)
    except WireError:
        return
    for segment in segments:
        for address in ("1", "2", "3.1.2", "5(2).4"):
            segment[address]
    if segments[0].type == "MSH":
        for outcome in ("accept", "error", "reject"):
            for code in hl7.codes(segments, outcome):
                hl7.acknowledge(segments, code, at="20261103120000", control_id="1")
