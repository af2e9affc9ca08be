"""Codecs that nobody here wrote read what we build, and we read what they build.

`astm-2025` 0.8.1 for frames, checksums and splitting (usual delimiters only: it does not read H); `hl7apy` and
python-hl7 for acknowledgements and built messages.
"""

from __future__ import annotations

from datetime import UTC, datetime

import hl7 as python_hl7
import pytest
from astm import codec
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Message, WorkOrder, load_driver
from drivers.wire import hl7, lis1a, lis2a
from simulators.hl7_text import deviations
from tests.wire.line_kit import ENQ, EOT, examples, hear

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\\^^^UREA\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
word = st.text([chr(c) for c in range(33, 127) if chr(c) not in "|\\^&"], min_size=1, max_size=12)
component = st.lists(word, min_size=2, max_size=4)
field = st.one_of(word, component)
record = st.tuples(st.sampled_from("POR"), st.lists(field, min_size=1, max_size=6))


@examples(50)
@given(st.binary(min_size=1, max_size=300))
def test_ll_24_6_3_3_sender_and_the_other_codec_sum_alike(data: bytes) -> None:
    assert lis1a.checksum(data) == codec.make_checksum(data)


@pytest.mark.parametrize("size", [8, 20, 50, 240])
def test_ll_22_6_3_1_sender_our_frames_are_joined_by_the_other_codec(size: int) -> None:
    made = lis1a.frames(MESSAGE, size)
    (whole,) = lis1a.frames(MESSAGE, 63_993)
    assert codec.join(made) == whole
    assert [codec.is_chunked_message(frame) for frame in made] == [True] * (len(made) - 1) + [False]


@pytest.mark.parametrize("size", [8, 20, 50])
def test_ll_22_6_3_1_receiver_reads_what_the_other_codec_splits(size: int) -> None:
    """It numbers the one frame of a short message 2: only longer ones are tried."""
    (whole,) = lis1a.frames(MESSAGE, 63_993)
    heard = hear(ENQ + b"".join(codec.split(whole, size)) + EOT)
    assert heard.messages == [MESSAGE]


@examples(25)
@given(st.lists(record, min_size=1, max_size=6))
def test_rc_12_5_4_1_receiver_reads_the_records_the_other_codec_encodes(
    made: list[tuple[str, list[str | list[str]]]],
) -> None:
    rows = [["H", "\\^&"], *[[kind, *fields] for kind, fields in made], ["L", "1", "N"]]
    heard = hear(ENQ + b"".join(codec.iter_encode(rows, "latin-1")) + EOT)
    (body,) = heard.messages
    assert [r.fields for r in lis2a.parse(body)] == [
        [part if isinstance(part, str) else "^".join(part) for part in row] for row in rows
    ]


@examples(25)
@given(st.lists(record, min_size=1, max_size=6))
def test_rc_12_5_4_1_sender_the_other_codec_reads_the_records_we_build(
    made: list[tuple[str, list[str | list[str]]]],
) -> None:
    rows = [[kind, *[tuple(part) if isinstance(part, list) else part for part in fields]] for kind, fields in made]
    (frame,) = lis1a.frames(lis2a.build([["H"], *rows, ["L", "1", "N"]]), 63_993)
    number, read, _ = codec.decode_message(frame, "latin-1")
    assert (number, read[1:]) == (1, [[kind, *fields] for kind, fields in made] + [["L", "1", "N"]])


@pytest.mark.parametrize("name", ["generic_astm", "roche_cobas_e411"])
def test_rc_30_8_2_sender_the_other_codec_reads_our_answer_to_a_query(name: str) -> None:
    """Erba's dialect has other delimiters, which that codec cannot read; Sysmex XN puts the whole of Q-3 into O-3."""
    driver = load_driver(name)
    query = driver.decode(Message("1", "a", NOW, b"H|\\^&|||X^1\rQ|1|^7^7||ALL||||||||O\rL|1|N\r"))
    (told,) = driver.answer(query, [WorkOrder("7", ("GLU", "UREA"), query_raw=query.query_raw[0])]) or []
    (frame,) = lis1a.frames(told, 63_993)
    read = codec.decode(frame)
    assert [row[0] for row in read] == ["H", "P", "O", "L"]
    assert read[2][2] == "7"
    codes = [[part for part in test if part] for test in read[2][4]]
    assert codes == [["GLU"], ["UREA"]]


# ---- HL7 --------------------------------------------------------------------------------------------------------

ASKED = "MSH|^~\\&|BC|LAB|Mitra|DH|20261103||{kind}|7\\T\\7|P|{version}||||||8859/1\r"
ANSWERS = [("ORU^R01", "2.3.1"), ("ORU^R01^ORU_R01", "2.5.1"), ("OUL^R22^OUL_R22", "2.5.1"), ("QRY^Q02", "2.3.1")]


def acknowledged(kind: str, version: str, code: str) -> str:
    asked = hl7.parse(ASKED.format(kind=kind, version=version))
    return hl7.acknowledge(asked, code, at="20261103120000", control_id="A1", text="why | not").decode()


@pytest.mark.parametrize(
    ("kind", "version"), [("ORU^R01^ORU_R01", "2.3.1"), ("ORU^R01^ORU_R01", "2.5.1"), ("OUL^R22^OUL_R22", "2.5.1")]
)
def test_h7_05_receiver_hl7apy_finds_nothing_wrong_with_our_acknowledgements(kind: str, version: str) -> None:
    """It needs MSH-9.3, which we send where the message had it."""
    for code in ("AA", "AE", "AR"):
        assert deviations(acknowledged(kind, version, code)) == []


@pytest.mark.parametrize(("kind", "version"), ANSWERS)
def test_h7_03_2_9_receiver_python_hl7_reads_whom_we_answer(kind: str, version: str) -> None:
    read = python_hl7.parse(acknowledged(kind, version, "AE"))
    msa = read.segment("MSA")
    assert (str(msa[1]), str(msa[2]), read.unescape(str(msa[3]))) == ("AE", "7\\T\\7", "why | not")
    assert str(read.segment("MSH")[9]).startswith(f"ACK^{kind[4:7]}")


@examples(25)
@given(st.lists(st.lists(word, min_size=1, max_size=4), min_size=1, max_size=4))
def test_h7_06_2_6_sender_python_hl7_reads_what_we_build(rows: list[list[str]]) -> None:
    body = hl7.build([["MSH", None, None, "x"], *[["NTE", "1", *row] for row in rows]]).decode()
    read = python_hl7.parse(body)
    assert [[read.unescape(str(part)) for part in segment[2:]] for segment in list(read)[1:]] == rows
