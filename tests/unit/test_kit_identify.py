"""`labmitra identify FILE`: who speaks there, and what is wrong with the line. It advises, it never chooses."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

import labmitra
from drivers.wire import lis1a
from middleware.journal import Journal
from middleware.kit.identify import identify
from middleware.kit.signs import signs

CAPTURES = Path(__file__).parents[1] / "captures"
PLAIN = b"\x05" + lis1a.frame(1, b"H|\\^&|||XN-550\rL|1\r", last=True) + b"\x04"


@pytest.mark.parametrize(
    "case",
    [
        "sysmex_xn/queries", "sysmex_xp/xp100", "abbott_architect/query", "beckman_dxh/exclamation_mark_components",
        "cepheid_genexpert/detected_low_then_error", "siemens_clinitek/patient", "mindray_bc/bc5150_51_obx",
        "sysmex_ca/pt_errors_counted_query", "sensacore_st200/two_back_to_back_then_control",
        "siemens_dimension/poll_query_results_control", "snibe_maglumi/simple_frame_result_and_query",
        "beckman_au/enq_groups_of_twenty",
    ],
)  # fmt: skip
def test_the_right_driver_is_the_first_that_fits(case: str) -> None:
    first = identify((CAPTURES / f"{case}.raw").read_bytes()).fits[0]
    assert (first.driver, first.fits) == (case.split("/")[0], True)
    assert first.reasons


def test_another_sender_speaks_against_a_driver() -> None:
    found = {fit.driver: fit for fit in identify((CAPTURES / "sysmex_xp/xp100.raw").read_bytes()).fits}
    assert not found["sysmex_xn"].fits
    assert any(reason.startswith("not its sender: 'XP-100") for reason in found["sysmex_xn"].reasons)


def test_what_an_analyzer_posts_is_looked_into() -> None:
    body = (CAPTURES / "diamond_smartlyte/typed_tube_high_potassium.raw").read_bytes()
    found = identify(b"POST /ions HTTP/1.1\r\nHost: lab\r\n\r\n" + body)
    assert found.fits[0].driver == "diamond_smartlyte" and found.fits[0].fits
    assert any("http-listen" in sign for sign in found.signs)


def test_what_the_bytes_do_not_tell_apart_has_one_score() -> None:
    first, second, *_ = identify((CAPTURES / "horiba_pentra/pentra60_damaged_units.raw").read_bytes()).fits
    assert {first.driver, second.driver} == {"horiba_micros", "horiba_pentra"}
    assert first.score == second.score


def with_parity(data: bytes, odd: int) -> bytes:
    return bytes(byte | 0x80 if byte.bit_count() % 2 != odd else byte for byte in data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the line said nothing"),
        (b"\x05" * 5, "asks 5 times (ENQ) and sends no frame: nobody acknowledges"),
        (b"\x05\x04\x05\x04", "only ENQ and EOT"),
        (bytes((0xF8, 0x80, 0x00, 0xFE, 0xE0, 0x98)) * 10, "wrong baud rate or parity"),
        (Random(7).randbytes(3000), "wrong baud rate or parity"),  # an STX and an ETX are in it by chance
        (with_parity(PLAIN, 0), "even parity in its top bit: the analyzer sends 7 data bits"),
        (with_parity(PLAIN, 1), "bits=7&parity=O"),
        (bytes(byte | 0x80 for byte in PLAIN), "bits=7&parity=M"),
        (b"\x05" + lis1a.frame(1, b"H|\\^&\r", last=True) * 6, "one frame comes 6 times"),
        (PLAIN.replace(b"550", b"551"), "no checksum of 1 frames holds"),
        (PLAIN + PLAIN.replace(b"550", b"551"), "1 of 2 frames are damaged"),
        (b"\x05\x02H|\\^&\rL|1\r\x03\x04", 'framing = "simple"'),
        (b"\x02D1U0001\x03\x02D2U0002\x03", "STX without ENQ"),
        (b"MSH|^~\\&|X\rOBX|1|NM|A||1\r", "the analyzer must be set to MLLP"),
        (b"H|\\^&\rL|1\r", "ASTM records without frames"),
        (PLAIN + b"\x15", "refuses what the host sends"),
        (PLAIN.lstrip(b"\x05"), "frames without an ENQ"),
    ],
)
def test_what_is_wrong_with_a_line(data: bytes, said: str) -> None:
    assert [sign for sign in signs(data) if said in sign], signs(data)


def test_nothing_is_said_of_a_line_that_speaks_well() -> None:
    assert signs(PLAIN) == []
    assert signs(b"\x0bMSH|^~\\&|X\rOBX|1|NM|A||1\r\x1c\r") == []
    assert identify((CAPTURES / "sysmex_ca/pt_errors_counted_query.raw").read_bytes()).signs == ()


# ---- the command ------------------------------------------------------------------------------------------------


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(labmitra.app, ["identify", *words])
    return done.exit_code, done.output


def test_the_command(tmp_path: Path) -> None:
    code, text = run(str(CAPTURES / "sysmex_xp/xp100.raw"), "--driver", "sysmex_xn")
    assert code == 0 and "1. sysmex_xp (Sysmex XP)" in text and "sysmex_xn fits badly" in text
    assert text.endswith("This is advice: which driver a line has is written by a person, in config/analyzers.toml.\n")
    (tmp_path / "silence").write_bytes(b"\x05\x05\x05\x05")
    code, text = run(str(tmp_path / "silence"))
    assert code == 1 and "nobody acknowledges" in text and "1. " not in text
    code, text = run(str(CAPTURES / "siemens_clinitek/patient.raw"), "--json")
    assert code == 0 and json.loads(text)["drivers"][0]["driver"] == "siemens_clinitek"


def test_a_configured_line_is_looked_at_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABMITRA_STORE__VAR", str(tmp_path))
    code, text = run("--analyzer", "xn550")
    assert code == 1 and "the line said nothing" in text
    journal = Journal.open(tmp_path / "journal.sqlite3")
    session = journal.session("xn550", "noise", "")
    for piece in (CAPTURES / "sysmex_xp/xp100.raw").read_bytes().partition(b"WBC"):
        journal.append(session, piece, "noise")
    journal.close()
    code, text = run("--analyzer", "xn550")
    assert code == 0 and "1. sysmex_xp" in text and "sysmex_xn fits badly" in text
    code, text = run("--analyzer", "xn5500")
    assert code == 2 and 'did you mean "xn550"' in text


def test_what_makes_no_sense_is_one_sentence(tmp_path: Path) -> None:
    assert run()[0] == 2
    code, text = run(str(tmp_path / "nowhere"))
    assert code == 2 and "No such file" in text
    code, text = run("--listen", "gopher://x")
    assert code == 2 and "is no line" in text
    assert run("--listen", "tcp://127.0.0.1:0", "--answer-busy", "--acknowledge-and-keep", str(tmp_path / "k"))[0] == 2
