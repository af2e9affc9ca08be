"""Tolerant in: what careless analyzers send is read as what they meant, from the bytes of the line to the observations.

Every stream is fed whole, byte by byte and in random pieces. What we send ourselves is strict: test_lis1a_sender,
test_mllp (ML-06 sender), test_lis2a and test_hl7 (sender).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from drivers.driver import Driver, Message, load_driver
from drivers.wire import hl7, lis1a
from drivers.wire.lis1a import frame, frames
from drivers.wire.mllp import block
from tests.wire.line_kit import ENQ, EOT, STX, arrived, hear
from tests.wire.test_mllp import read

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
ASTM, HL7 = load_driver("generic_astm"), load_driver("generic_hl7")
RECORDS = [b"H|\\^&|||X", b"P|1", b"O|1|S1", b"R|1|^^^GLU|5.4|mmol/L||N||F||||20260130101500", b"C|1|I|seen", b"L|1|N"]
BODY = b"".join(record + b"\r" for record in RECORDS)
AT = BODY.index(b"R|")
MEANT = [("S1", "GLU", "5.4", "mmol/L", "20260130101500", ("seen",))]


def rows(driver: Driver, bodies: list[bytes]) -> list[tuple[str | None, ...]]:
    said = [row for body in bodies for row in driver.decode(Message("1", "a", NOW, body)).observations]
    return [(r.sample_id, r.code, r.value, r.unit, r.observed_at, r.comments) for r in said]  # type: ignore[misc]


def lf_frame(text: bytes, number: int = 1) -> bytes:
    """A frame whose text holds LF, which 6.6 forbids."""
    body = b"%d" % number + text + b"\x03"
    return STX + body + lis1a.checksum(body) + b"\r\n"


def lower(sent: bytes) -> bytes:
    """The checksum in lower case."""
    return sent[:-4] + sent[-4:-2].lower() + sent[-2:]


ONE = frame(1, BODY, True)
EACH = frames(BODY, one_record_a_frame=True)
LINES = {
    "strict": [ONE],
    "lower-case checksum": [lower(made) for made in EACH],
    "missing LF": [made[:-1] for made in EACH],
    "missing CR and LF": [made[:-2] for made in EACH],
    "CR LF record ends": [lf_frame(BODY.replace(b"\r", b"\r\n"))],
    "LF record ends": [lf_frame(BODY.replace(b"\r", b"\n"))],
    "no CR before ETX": [frame(number, record, True) for number, record in enumerate(RECORDS, 1)],
    "junk before STX": [b"\x00zz" + made for made in EACH],
    "junk after the frame": [made + b"\r\n\x11 " for made in EACH],
    "STX twice": [STX + made for made in EACH],
    "several records in one frame": [frame(1, BODY[:AT], True), frame(2, BODY[AT:], True)],
    "records over many frames": frames(BODY, 9),
    "ETB inside a date": frames(BODY, BODY.index(b"20260130") + 4),
    "ETB inside a unit": frames(BODY, BODY.index(b"mmol/L") + 2),
    "ETB inside the L record": frames(BODY, BODY.index(b"L|1|N") + 1),
    "every record its own frame, each with ETX": EACH,
    "frame number starting at 0": frames(BODY, 50, first=0),
    "an empty frame in between": [frame(1, BODY[:AT], True), frame(2, b"", True), frame(3, BODY[AT:], True)],
    "blank lines between records": [frame(1, BODY.replace(b"\rO", b"\r\r\rO"), True)],
    "a comment of 63 000 characters": [frame(1, BODY.replace(b"seen\r", b"seen\rM|1|" + b"x" * 63_000 + b"\r"), True)],
}


@pytest.mark.parametrize("case", LINES)
def test_ll_20_6_3_1_2_receiver_reads_what_a_careless_analyzer_means(case: str) -> None:
    heard = hear(ENQ + b"".join(LINES[case]) + EOT, expire=1)
    assert rows(ASTM, heard.messages) == MEANT
    assert [said for said in heard.said if said[0] == "refused"] == []


def test_ll_34_6_3_2_receiver_the_same_number_with_another_text_is_stored_and_reported() -> None:
    made = [frame(1, BODY[:AT], True), frame(1, BODY[AT:], True)]
    heard = hear(ENQ + b"".join(made) + EOT)
    assert rows(ASTM, heard.messages) == MEANT
    assert heard.said[2] == arrived(1, BODY[AT:], problem="frame number 1 again with other text")


def test_ll_34_6_3_2_receiver_numbers_freely_where_a_driver_says_so() -> None:
    driver = replace(ASTM, free_numbering=True)
    made = [frame(number, text + b"\r", True) for number, text in zip((5, 1, 1, 1, 4, 4), RECORDS, strict=True)]
    heard = hear(ENQ + b"".join(made) + EOT, free_numbering=driver.free_numbering)
    assert rows(driver, heard.messages) == MEANT


def test_ll_40_6_4_1_receiver_eot_without_l_is_an_incomplete_message() -> None:
    heard = hear(ENQ + frame(1, BODY[:-6], True) + EOT)
    assert (heard.messages, heard.incomplete) == ([], [BODY[:-6]])
    said = ASTM.decode(Message("1", "a", NOW, heard.incomplete[0], incomplete=True))
    assert (said.type.value, len(said.observations)) == ("incomplete", 1), "shown, and marked"


def test_ll_10_6_1_3_receiver_enq_in_the_middle_keeps_what_was_acknowledged_and_starts_again() -> None:
    heard = hear(ENQ + frame(1, BODY[:60], False) + ENQ + ONE + EOT)
    assert rows(ASTM, heard.messages) == MEANT
    assert heard.incomplete == [BODY[:60]]


# ---- HL7 ----------------------------------------------------------------------------------------------------------

ORU = b"MSH|^~\\&|BC||||1||ORU^R01|17|P|2.3.1\rPID|1\rOBR|1||S1\rOBX|1|NM|GLU||5.4|mmol/L|||||F|||20260130101500\r"
ORU += b"NTE|1||seen\r"
FHS, BHS, END = b"FHS|^~\\&\r", b"BHS|^~\\&\r", b"BTS|1\rFTS|1\r"
BLOCKS = {  # the stream, and how often the message is in it
    "strict": (block(ORU), 1),
    "FS without CR": (block(ORU)[:-1] * 2, 2),
    "FS CR LF": (block(ORU) + b"\n" + block(ORU) + b"\n", 2),
    "CR LF segment ends": (block(ORU.replace(b"\r", b"\r\n")), 1),
    "LF segment ends": (block(ORU.replace(b"\r", b"\n")), 1),
    "the last CR missing": (block(ORU[:-1]), 1),
    "junk before VT": (b"\x02\x02\r\nzz" + block(ORU), 1),
    "several messages in one block": (block(ORU * 3), 3),
    "a batch": (block(FHS + BHS + ORU + ORU + END), 2),
    "a batch with CR LF": (block((FHS + BHS + ORU + END).replace(b"\r", b"\r\n")), 1),
    "a new VT inside a block": (b"\x0b" + ORU[:40] + block(ORU), 1),
    "VT twice": (b"\x0b" + block(ORU), 1),
    "a block over many reads and two in one": (block(ORU) * 5, 5),
    "blank lines between segments": (block(ORU.replace(b"\rOBR", b"\r\r\rOBR")), 1),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_ml_06_receiver_reads_what_a_careless_analyzer_means(case: str) -> None:
    stream, times = BLOCKS[case]
    bodies, _ = read(stream)
    assert rows(HL7, [message for body in bodies for message in hl7.split(body)]) == MEANT * times


# ---- charset: decided after framing, raw bytes kept ---------------------------------------------------------------

NAMES = [
    ("latin-1", "Müller"), ("utf-8", "सीता"), ("cp1251", "Да"), ("iso8859-15", "€uro"),
    ("gb18030", bytes([0x81, 0x7C, 0x81, 0x5C, 0x81, 0x5E]).decode("gb18030")),  # holds |, \ and ^ as second bytes
    ("shift_jis", "ソ表"),  # holds \
]  # fmt: skip


@pytest.mark.parametrize(("charset", "name"), NAMES)
def test_rc_10_5_1_receiver_reads_each_analyzer_in_its_charset_after_framing(charset: str, name: str) -> None:
    """The bytes stay as they came; a second byte that looks like a delimiter is none."""
    body = BODY.decode().replace("seen", name).encode(charset)
    stream = ENQ + b"".join(frames(body, 50)) + EOT
    heard = hear(stream)
    assert (heard.messages, heard.raw) == ([body], stream)
    site = replace(ASTM, charset=charset)
    assert rows(site, heard.messages) == [(*MEANT[0][:5], (name,))]


@pytest.mark.parametrize(("charset", "name"), NAMES)
def test_h7_09_receiver_reads_each_analyzer_in_its_charset_after_framing(charset: str, name: str) -> None:
    body = ORU.decode().replace("seen", name).encode(charset)
    bodies, _ = read(block(body))
    assert bodies == [body]
    assert rows(replace(HL7, charset=charset), bodies) == [(*MEANT[0][:5], (name,))]


def test_rc_10_5_1_receiver_a_wrong_charset_costs_letters_and_never_a_result() -> None:
    body = BODY.decode().replace("seen", "Müller").encode("latin-1")
    for charset in (None, "ascii", "utf-8", "cp1251", "gb18030"):
        (row,) = rows(replace(ASTM, charset=charset), [body])
        assert row[:5] == MEANT[0][:5]
