"""HL7 v2 messages as a driver reads them: rules by clause that segments alone cannot show. Chapters 2, 4, 5 and 7."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drivers.driver import Decoded, DecodeError, Driver, Kind, Message, MessageType, load_driver
from drivers.wire import hl7

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
GENERIC, MINDRAY = load_driver("generic_hl7"), load_driver("mindray_bc")
OBX = "OBX|1|NM|718-7^HGB^LN||13.1|g/dL|12-16|H~A|||F|||20261103101500"


def read(*segments: str, kind: str = "ORU^R01", mode: str = "P", driver: Driver = GENERIC, end: str = "\r") -> Decoded:
    header = f"MSH|^~\\&|BC|LAB|||20261103101600||{kind}|17|{mode}|2.3.1"
    return driver.decode(Message("1", "a", NOW, "".join(line + end for line in (header, *segments)).encode()))


def test_h7_10_7_receiver_reads_an_observation_by_its_fields() -> None:
    said = read("PID|1", "PV1|1", "ORC|RE", "OBR|1|o|0042", OBX, "NTE|1||looked at")
    (row,) = said.observations
    assert (said.type, said.sender, said.sent_at) == (MessageType.RESULT, "BC", "20261103101600")
    assert row._asdict() | {"kind": row.kind.value} == {
        "sample_id": "0042", "code": "718-7", "name": "HGB", "value": "13.1", "raw": "13.1", "unit": "g/dL",
        "flags": ("H", "A"), "range": "12-16", "status": "F", "aspect": None, "comments": ("looked at",),
        "masked": False, "observed_at": "20261103101500", "kind": "measurement", "ordinal": 1, "coded": None,
    }  # fmt: skip


def test_h7_10_7_receiver_several_orders_and_patients_in_one_message() -> None:
    """MSH {[PID [PV1]] {[ORC] OBR {OBX}}}: a row belongs to the order above it, never to the patient before."""
    said = read("PID|1", "OBR|1||7", OBX, OBX, "OBR|2||8", OBX, "PID|2", OBX, "OBR|1||9", OBX)
    assert [o.sample_id for o in said.observations] == ["7", "7", "8", None, "9"]
    assert said.problems == ("rows without a sample id",)


def test_h7_10_7_receiver_a_row_without_a_status_has_that_of_its_order() -> None:
    """OBR-25 P: such a row would be released as a final one."""
    rows = "OBX|1|NM|WBC||5", "OBX|2|NM|HGB||13||||||F", "OBX|3|NM|PLT||200"
    said = read("PID|1", f"OBR|1||7{'|' * 22}P", *rows, f"OBR|2||8{'|' * 22}F", *rows, f"OBR|3||9{'|' * 22}C", rows[0])
    assert [row.status for row in said.observations] == ["P", "F", "P", None, "F", None, "C"]


def test_h7_10_7_receiver_encapsulated_data_is_a_picture() -> None:
    said = read("OBR|1||7", "OBX|1|ED|WBC Histogram||^Image^BMP^Base64^QUJD", OBX)
    assert [o.kind for o in said.observations] == [Kind.IMAGE, Kind.MEASUREMENT]
    assert said.observations[0].raw == "^Image^BMP^Base64^QUJD"


def test_h7_11_4_receiver_an_orm_may_be_a_query() -> None:
    """Mindray haematology asks by ORM^O01 with the sample in ORC-3; its driver keeps MSH-10, which MSA-2 repeats."""
    said = read("ORC|RF||0042||IP", kind="ORM^O01", driver=MINDRAY)
    assert (said.type, said.query_sample_ids, said.query_raw) == (MessageType.QUERY, ("0042",), ("17",))
    assert read("ORC|NW||0042", kind="ORM^O01").type is MessageType.OTHER, "this driver's analyzers do not ask so"


@pytest.mark.parametrize("kind", ["QRY^Q02", "QBP^Q11^QBP_Q11"])
def test_h7_11_5_receiver_queries_are_no_results(kind: str) -> None:
    said = read("QRD|20261103|R|D|1|||RD|0042|OTH|||T", kind=kind)
    assert (said.type, said.observations) == (MessageType.QUERY, ())


def test_h7_08_2_5_3_receiver_empty_says_nothing_and_two_quotes_are_as_sent() -> None:
    said = read("OBR|1||7", "OBX|1|NM|K||", 'OBX|2|NM|K||""|""', "OBX|3|NM|K")
    assert [(o.value, o.unit) for o in said.observations] == [("", None), ('""', '""'), (None, None)]


@pytest.mark.parametrize(
    ("mode", "type"),
    [("P", MessageType.RESULT), ("T", MessageType.OTHER), ("D", MessageType.OTHER), ("Q", MessageType.QC)],
)
def test_h7_09_receiver_training_and_debugging_are_never_filed(mode: str, type: MessageType) -> None:
    said = read("OBR|1||7", OBX, mode=mode)
    assert said.type is type
    assert bool(said.problems) is (type is MessageType.OTHER)


def test_h7_12_2_8_receiver_passes_over_segments_and_fields_it_does_not_know() -> None:
    plain = read("PID|1", "OBR|1||7", OBX)
    assert read("PID|1", "ZPI|x", "OBR|1||7", "ZOB|y", OBX + "|" * 20 + "new", "ZZZ").observations == plain.observations


@pytest.mark.parametrize("line", [" " + OBX, OBX.lower(), "second line of a text||||||F"])
def test_h7_12_2_8_receiver_a_line_that_is_no_segment_is_told(line: str) -> None:
    """A name that is none is not one that we do not know: a result may stand behind it."""
    said = read("OBR|1||7", OBX, line)
    assert said.observations == read("OBR|1||7", OBX).observations
    assert said.problems == (f"a line that is no segment: {line[:30]!r}",)


@pytest.mark.parametrize("segments", [("OBX|1|NM|INR||1", "ADD|.9|{INR}|||||F"), ("ADD|.9|{INR}|||||F", OBX)])
def test_half_a_segment_is_never_a_whole_one(segments: tuple[str, ...]) -> None:
    """HL7 2.10.2. 1.9 that goes on in ADD would read as 1: the message is kept and shown, nothing of it is filed."""
    with pytest.raises(DecodeError, match="ADD"):
        read("OBR|1||7", *segments)
    assert len(read("OBR|1||7", OBX, "DSC|4711|F").observations) == 1, "the message that follows has the rest"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_ml_06_receiver_reads_any_segment_end(end: str) -> None:
    assert read("PID|1", "OBR|1||7", OBX, end=end) == read("PID|1", "OBR|1||7", OBX)


@pytest.mark.parametrize("escaped", [r"10\S\9/L", r"10*9\T\L", r"\X3C\5", r"a\.br\b"])
def test_h7_07_2_7_receiver_decodes_what_is_read_and_keeps_the_value_as_sent(escaped: str) -> None:
    row = read("OBR|1||7", f"OBX|1|NM|K||{escaped}|{escaped}").observations[0]
    assert (row.raw, row.unit) == (escaped, hl7.decode(escaped))


BATCH = "FHS|^~\\&|BC\rBHS|^~\\&|BC\r{}BTS|2\rFTS|1\r"


def test_h7_12_2_8_receiver_messages_of_a_batch_are_read_one_by_one() -> None:
    one = f"MSH|^~\\&|BC||||1||ORU^R01|1|P|2.3.1\rOBR|1||7\r{OBX}\r"
    two = one.replace("|1|P", "|2|P").replace("||7", "||8")
    bodies = hl7.split(BATCH.format(one + two).encode())
    said = [GENERIC.decode(Message("1", "a", NOW, body)).observations[0].sample_id for body in bodies]
    assert (bodies, said) == ([one.encode(), two.encode()], ["7", "8"])
