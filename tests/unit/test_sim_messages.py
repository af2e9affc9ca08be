"""Every message a simulator can send: framed right, and read alike by code that is not ours."""

from collections.abc import Iterator
from datetime import UTC, datetime

import hl7
import pytest
from astm import codec

from drivers.wire import lis1a
from simulators import hl7_text
from simulators.day import made_up_day, plan
from simulators.play import acknowledgement, frames_of
from simulators.step import Note, Step

DAY = made_up_day(3, datetime(2026, 11, 22, 3, 30, tzinfo=UTC), pace=1.0, count=30)
ASTM = ("sysmex_xn", "erba_xl", "roche_cobas_e411", "generic_astm")
HL7 = ("mindray_bc", "generic_hl7")
PLANS = {name: plan(DAY, name) for name in ASTM + HL7}


def kinds(name: str) -> list[Step]:
    """One step of each note: the checkers are slow."""
    return list({step.note: step for step in PLANS[name]}.values())


def parts(frame: bytes) -> tuple[int, bytes, bytes]:
    """Number, text and end mark of a frame, its checksum proven by hand."""
    assert frame.startswith(b"\x02")
    assert frame.endswith(b"\r\n")
    body = frame[1:-4]
    assert frame[-4:-2] == b"%02X" % (sum(body) % 256)
    return int(body[:1]), body[1:-1], body[-1:]


@pytest.mark.parametrize("name", ASTM)
def test_6_3_1_frames_are_numbered_and_hold_the_whole_message(name: str) -> None:
    for step in PLANS[name]:
        split = [parts(frame) for frame in frames_of(step)]
        assert [number for number, _, _ in split] == [n % 8 for n in range(1, len(split) + 1)]
        assert b"".join(text for _, text, _ in split) == step.said.body


def test_sysmex_sends_one_frame_first_and_one_record_a_frame_after() -> None:
    steps = [step for step in PLANS["sysmex_xn"] if step.type == "result"]
    counts = [len(frames_of(step)) for step in steps]
    assert counts[0] == 1
    assert any(count == step.said.body.count(b"\r") for count, step in zip(counts, steps, strict=True))
    assert all(parts(frame)[2] == b"\x03" for step in steps for frame in frames_of(step))


def test_erba_cuts_at_1024_characters_and_roche_at_240() -> None:
    for name, size in (("erba_xl", 1024), ("roche_cobas_e411", 240)):
        long = [step for step in PLANS[name] if len(step.said.body) > size]
        assert long
        for step in long:
            split = [parts(frame) for frame in frames_of(step)]
            assert {len(text) for _, text, _ in split[:-1]} == {size}
            assert [end for _, _, end in split] == [b"\x17"] * (len(split) - 1) + [b"\x03"]


def test_roche_cuts_fall_inside_records() -> None:
    cuts = {parts(frame)[1][-1:] for step in PLANS["roche_cobas_e411"] for frame in frames_of(step)[:-1]}
    assert cuts - {b"\r", b"|"}


def records_of(body: bytes) -> list[list[str]]:
    """Records as fields, split by hand."""
    return [record.split("|") for record in body.decode("latin-1").removesuffix("\r").split("\r")]


def flat(fields: list[object]) -> Iterator[str]:
    """A record of the independent codec, each field put together again."""
    for field in fields:
        if not isinstance(field, list):
            yield str(field or "")
        elif field and isinstance(field[0], list):
            yield "\\".join("^".join(part or "" for part in repeat) for repeat in field)
        else:
            yield "^".join(part or "" for part in field)


@pytest.mark.parametrize("name", ["sysmex_xn", "roche_cobas_e411", "generic_astm"])
def test_an_independent_codec_reads_the_same_fields(name: str) -> None:
    """astm-2025 0.8.1 does not read delimiters from H: only the usual ones are tried, and H-2 is left out."""
    for step in kinds(name):
        whole = lis1a.frames(step.said.body, size=lis1a.MAX_FRAME - 7)[0]
        decoded = codec.decode(whole.removesuffix(b"\r\n") + b"\r\n", "latin-1")
        for theirs, ours in zip(decoded, records_of(step.said.body), strict=True):
            if ours[0] == "H":
                theirs, ours = theirs[:1] + theirs[2:], ours[:1] + ours[2:]
            assert list(flat(theirs)) == ours


# What hl7apy objects to, and why it stays: the real analyzer's message says it so.
DEVIATIONS = {
    "mindray_bc": {
        "Error: Missing required child OBX.OBX_4": "BC-5150 capture: OBX-4 is empty",
        "Error: Missing required child PID.PID_3": "controls have no patient",
        "Error: Missing required child PID.PID_5": "BC-5150 capture: a name only when it was typed",
        "Error: Missing required child PV1.PV1_2": "BC-5150 capture: PV1|1",
        "Warning: Value Female not in table HL70001 in element PID.PID_8": "BC-5150 capture: the word",
        "Warning: Value Male not in table HL70001 in element PID.PID_8": "as above",
        "Warning: Value IS not in table HL70125 in element OBX.OBX_2": "BC-5150 capture: settings are IS rows",
    },
    "generic_hl7": {"Warning: Value Q not in table HL70103 in element MSH_11.PT_1": "controls, as Mindray marks them"},
}


@pytest.mark.parametrize("name", HL7)
def test_hl7apy_finds_only_the_deviations_of_the_real_analyzer(name: str) -> None:
    found = {line for step in kinds(name) for line in hl7_text.deviations(step.said.body.decode("utf-8"))}
    assert found == set(DEVIATIONS[name])


def test_hl7apy_finds_what_is_wrong() -> None:
    broken = "MSH|^~\\&|||||20261122090000||ORU^R01|1|P|2.3.1\rPV1|1\r"
    assert hl7_text.deviations(broken)


def test_the_mindray_message_is_laid_out_like_the_capture() -> None:
    step = next(step for step in PLANS["mindray_bc"] if step.note is Note.NORMAL)
    lines = step.said.body.decode("utf-8").split("\r")
    control = step.said.control_id
    assert lines[0].split("|")[:6] == ["MSH", "^~\\&", "", "", "", ""]
    assert lines[0].endswith(f"||ORU^R01|{control}|P|2.3.1||||||UNICODE")
    assert lines[2] == "PV1|1"
    assert lines[4] == "OBX|1|IS|08001^Take Mode^99MRC||O||||||F"
    assert lines[-1] == ""


def test_names_outside_ascii_travel_in_the_analyzers_charset() -> None:
    def body(name: str) -> bytes:
        return next(step.said.body for step in PLANS[name] if step.note is Note.NAME)

    assert "José Müller".encode("latin-1") in body("sysmex_xn")
    parsed = hl7.parse(body("mindray_bc").decode("utf-8"))
    assert str(parsed.segment("PID")[5]) == ""  # nobody typed a name for a made-up sample


def test_text_is_escaped_for_hl7() -> None:
    assert hl7_text.escaped("a|b^c&d~e\\f\rg") == "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X0D\\g"


def test_acknowledgements_are_read_by_python_hl7() -> None:
    answer = "MSH|^~\\&|||||20261122||ACK^R01|9|P|2.3.1\nMSA|AE|17\n"
    assert acknowledgement(answer.encode()) == ("AE", "17")
    assert acknowledgement(b"MSH|^~\\&|||||20261122||ACK^R01|9|P|2.3.1\r") == ("", "")
    assert acknowledgement(b"nonsense") == ("", "")
