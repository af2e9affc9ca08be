"""Rules about what is stored: LIS02-A2 4.2 and 9.9, MLLP's duplicates. Through the real pipeline, on SQLite.

`Desk` is a whole laboratory; what a line handed over is a Message.
"""

from __future__ import annotations

from dataclasses import replace

from drivers.driver import Message
from middleware import pipeline
from middleware.schema import AnalyzerMessage, ControlRow, ResultRow
from tests.conftest import ON_SQLITE
from tests.labs import Desk

pytestmark = ON_SQLITE


def stored(desk: Desk) -> list[tuple[str, str, str]]:
    """(test, what was sent, state) of every result."""
    return [(row["test"], row["verbatim"], row["state"]) for row in desk.rows(ResultRow)]


def process(desk: Desk, message: Message, number: int, incomplete: bool = False) -> None:
    said = pipeline.process(desk.lab, replace(message, id=f"{message.id}-{number}", incomplete=incomplete))
    assert said.state == "processed"


def records(body: bytes) -> list[bytes]:
    return body.split(b"\r")[:-1]


def joined(*parts: bytes) -> bytes:
    return b"".join(part + b"\r" for part in parts)


def test_rc_06_4_2_2_receiver_repeated_parents_and_rows_double_nothing(desk: Desk) -> None:
    """Cut after a row; then the sender restarts at the last row not assumed stored, with H, P and O before it; then it
    is not sure and sends all again."""
    made = desk.register("HB", "PLT")
    whole = desk.message(desk.sample_id(made), "HB=13.1 g/dL", "PLT=250 10*3/uL")
    head, patient, order, first, second, last = records(whole.body)
    process(desk, replace(whole, body=joined(head, patient, order, first)), 1, incomplete=True)
    process(desk, replace(whole, body=joined(head, patient, order, first, last)), 2)
    assert stored(desk) == [("HB", "13.1", "autoverified")]
    process(desk, replace(whole, body=joined(head, patient, order, second, last)), 3)
    for number in (4, 5):
        process(desk, whole, number)
    process(desk, replace(whole, body=joined(head, patient, order, first, patient, order, second, last)), 6)
    assert stored(desk) == [("HB", "13.1", "autoverified"), ("PLT", "250", "autoverified")]


def test_rc_36_6_12_receiver_controls_and_training_never_become_a_patients_result(desk: Desk) -> None:
    made = desk.register("HB")
    whole = desk.message(desk.sample_id(made), "HB=13.1 g/dL")
    head, *rest = records(whole.body)
    fields = head.split(b"|")
    for number, mark in enumerate((b"Q", b"T", b"D"), 1):
        marked = b"|".join([*fields[:11], mark, *fields[12:]])
        process(desk, replace(whole, body=joined(marked, *rest)), number)
    assert stored(desk) == []
    assert len(desk.rows(AnalyzerMessage)) == 3, "they are kept"
    assert [row["test"] for row in desk.rows(ControlRow)] == ["HB"], "the control went to the controls"
    process(desk, whole, 9)
    assert stored(desk) == [("HB", "13.1", "autoverified")]


def test_rc_37_9_9_receiver_a_correction_is_held_beside_the_first_and_duplicates_nothing(desk: Desk) -> None:
    """C: another value for a person to choose; the same row sent before (R) is the row that is there."""
    made = desk.register("HB")
    sample = desk.sample_id(made)
    process(desk, desk.message(sample, "HB=13.1 g/dL"), 1)
    process(desk, desk.message(sample, "HB=12.5 g/dL!C"), 2)
    process(desk, desk.message(sample, "HB=12.5 g/dL!C"), 3)
    process(desk, desk.message(sample, "HB=13.1 g/dL!R"), 4)
    assert [(test, sent) for test, sent, _ in stored(desk)] == [("HB", "13.1"), ("HB", "12.5")]
    assert stored(desk)[1][2] == "held"
    assert stored(desk)[0][2] == "held", "the first one lost its green: a person chooses"


ORU = (
    "MSH|^~\\&|BC|LAB|||20261122100000||ORU^R01|{control}|P|2.3.1\rPID|1\rOBR|1||{sample}|||||20261122100000\r"
    "OBX|1|NM|HB^HB^L||13.1|g/dL|||||F|||20261122100000\r"
)


def test_ml_05_receiver_the_same_message_again_is_one_result(desk: Desk) -> None:
    """An acknowledgement that was lost: the same MSH-10, or a new one with the same rows."""
    made = desk.register("HB")
    sample = desk.sample_id(made)
    for number, control in enumerate(("17", "17", "18"), 1):
        body = ORU.format(control=control, sample=sample).encode()
        process(desk, Message("m", "bc5150", desk.clock(), body.replace(b"HB^HB^L", b"718-7^HGB^LN")), number)
    assert [(test, sent) for test, sent, _ in stored(desk)] == [("HB", "13.1")]
