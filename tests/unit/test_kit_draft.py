"""`labmitra driver new`: a draft that imports, reads its capture, and says why it proposes what it proposes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

import labmitra
from drivers.decode import decode_file, decode_with
from drivers.driver import Kind, driver_names, load_driver
from drivers.wire import lis1a
from middleware.catalogue import read_catalogue
from middleware.kit.draft import NoDraft, draft
from middleware.kit.draft_files import load_text
from middleware.kit.draft_text import WIDTH, safe, text_of
from middleware.kit.places import proposed, rows_of, same_place
from middleware.kit.stream import Shape, look
from tests.labs import CONFIG

CAPTURES = Path(__file__).parents[1] / "captures"
CATALOGUE = read_catalogue(CONFIG).tests
ROLES = ("sample_id", "code", "value", "unit", "observed_at")

# Today's captures whose address is that of the house's driver, of all ASTM and HL7 ones here: it may only rise.
FLOORS = {"sample_id": 79, "code": 83, "value": 83, "unit": 81, "observed_at": 83}


def structured() -> list[tuple[str, Path]]:
    """Captures of analyzers whose drivers are a filled-in form."""
    forms = {name: load_driver(name) for name in driver_names()}
    return [
        (raw.parent.name, raw)
        for raw in sorted(CAPTURES.glob("*/*.raw"))
        if forms[raw.parent.name].speaks != "blocks" and forms[raw.parent.name].reads is None
    ]


def test_the_addresses_agree_with_those_of_the_drivers_of_this_house() -> None:
    """Counted where the driver's address holds something in the capture; a first address of several is enough."""
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for name, raw in structured():
        stream = look(raw.read_bytes())
        rows = [row for message in rows_of(stream) for row in message]
        places = proposed(stream)
        for role in ROLES if rows else ():
            real = getattr(load_driver(name), role)
            used = [at for at in ([real] if isinstance(real, str) else real) if any(row.at(at) for row in rows)]
            asked[role] += bool(used)
            right[role] += any(same_place(places[role].first, at) for at in used)
    assert {role: right[role] for role in ROLES if right[role] < FLOORS[role]} == {}
    assert sum(right.values()) / sum(asked.values()) > 0.98


@pytest.mark.parametrize(
    "case",
    [
        "sysmex_xn/xn550_single_frame", "sysmex_xp/xp100", "erba_xl/etb_split_1024", "roche_cobas_e411/three_frames",
        "beckman_dxh/exclamation_mark_components", "stago_sta/satellite_max_two_runs", "siemens_immulite/two_patients",
        "cepheid_genexpert/mtb_rif_ultra_nothing_found", "nihonkohden_celltac/mek1305_count_and_esr",
        "snibe_maglumi/simple_frame_result_and_query", "mindray_bc/bc5150_51_obx", "dymind_dh/decimal_comma",
        "biosystems_ba400/lab29_oul_r22", "generic_hl7/bare_message", "ortho_vitros/vitros3600_query",
    ],
)  # fmt: skip
def test_a_draft_imports_and_reads_its_capture(case: str) -> None:
    """As many messages and rows as the driver of the house reads there."""
    data = (CAPTURES / f"{case}.raw").read_bytes()
    made = draft(look(data), "maker_model", CATALOGUE)
    text = text_of(made)
    read, real = decode_with(load_text(text, "maker_model"), data), decode_file(data, case.split("/")[0])
    assert counted(read) == counted(real)
    assert max(map(len, text.splitlines())) <= 120


def counted(read: dict[str, object]) -> list[int]:
    return [len(message["observations"]) for message in read["messages"]]


def test_the_drafted_files_pass_ruff(tmp_path: Path) -> None:
    for name, raw in structured()[::6]:
        made = draft(look(raw.read_bytes()), f"draft_{name}", CATALOGUE)
        (tmp_path / f"{name}.py").write_text(text_of(made), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(CONFIG.parent / "pyproject.toml")]
    done = subprocess.run([*ruff, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len(list(tmp_path.glob("*.py"))) > 10


def message(*records: str) -> bytes:
    return b"\x05" + lis1a.frame(1, "\r".join([*records, ""]).encode(), last=True) + b"\x04"


ONE = message(
    "H|\\^&|||Quant 7^1.2|||||||P|1", "P|1|||9911|RAI^SITA", "O|1|  26112204711||^^^ALL",
    "R|1|^^^HGB^718-7|13.1|g/dL||N||F||||20261122101500", "R|2|^^^ZZTOP|---|zz/L||A||F||||20261122101500", "L|1",
)  # fmt: skip


def test_what_is_sure_is_mapped_and_what_is_not_stands_behind_a_hash() -> None:
    text = text_of(draft(look(ONE), "quant_seven", CATALOGUE))
    driver = load_text(text, "quant_seven")
    assert {code: test.test for code, test in driver.tests.items()} == {"HGB": "HB"}
    assert '    "HGB": measurement("HB", "g/dL"),  # by LOINC 718-7' in text.splitlines()
    assert '    # "ZZTOP": nothing of the catalogue is like it' in text.splitlines()
    assert "Look at: values that are no numbers: '---'" in text
    assert driver.sender == "Quant 7" and driver.title == "Quant 7" and driver.grade.value == "manual"


def test_no_name_and_no_number_of_a_patient_stands_in_the_draft() -> None:
    text = text_of(draft(look(ONE), "quant_seven", CATALOGUE))
    assert [word for word in ("RAI", "SITA", "9911", "26112204711") if word in text] == []


def test_the_habits_of_the_link_become_lines_of_the_form() -> None:
    frames = [lis1a.frame(n, text, last=True) for n, text in ((1, b"H|\\^&"), (2, b"O|1|123456"), (4, b"L|1"))]
    driver = load_text(text_of(draft(look(b"\x05" + b"".join(frames) + b"\x04"), "odd_link", CATALOGUE)), "odd_link")
    assert (driver.one_record_a_frame, driver.bare_frames, driver.free_numbering) == (True, True, True)


def test_what_cannot_be_drafted_is_one_sentence() -> None:
    for data, name, why in (
        (b"\x02D1U one block\x03", "maker_model", "dialect of its own"),
        (b"", "maker_model", "nothing at all"),
        (ONE, "Maker", "is no name for a driver"),
        (ONE, "driver", "is no name for a driver"),
        (lis1a.frame(1, b"R|1|^^^HGB|1", last=True), "maker_model", "no message in it begins with H"),
    ):
        with pytest.raises(NoDraft, match=why):
            draft(look(data), name, CATALOGUE)


@pytest.mark.parametrize("quote", ['"', "'", "\"'", '"""', "\\", "\x85", "{x}", "\\'\""])
def test_text_of_a_capture_cannot_break_out_of_the_file(quote: str) -> None:
    evil = f"XN{quote}+[][7]+{quote}"
    odd = message(f"H|\\^&|||{evil}", "O|1|4711123", f"R|1|^^^{evil}^718-7|1|{evil}", f"R|2|^^^B{evil}|{evil}|", "L|1")
    text = text_of(draft(look(odd), "odd_words", CATALOGUE))
    driver = load_text(text, "odd_words")  # raises IndexError when a text of the capture is run
    assert driver.name == "odd_words" and len(driver.tests) <= 2


def test_a_comment_is_one_short_line() -> None:
    assert safe('"""\n' + "x" * 300).startswith("''' x") and len(safe("x" * 300)) <= WIDTH


def test_every_shape_is_told_apart() -> None:
    shapes = {
        b"": Shape.EMPTY, b"\x05\x05": Shape.CONTROLS, b"POST /a HTTP/1.1\r\n\r\nx=1": Shape.HTTP, ONE: Shape.FRAMES,
        b"\x0bMSH|^~\\&|X\r\x1c\r": Shape.MLLP, b"MSH|^~\\&|X\rOBX|1": Shape.HL7, b"H|\\^&\rL|1\r": Shape.RECORDS,
        b"\x05\x02H|\\^&\rL|1\r\x03\x04": Shape.BARE_BLOCKS, b"\x02D1U 1\x03": Shape.BLOCKS,
        b"Sample No 4\r\nGlucose 5.5 mmol/L\r\n": Shape.TEXT, bytes(range(128, 200)): Shape.NOISE,
    }  # fmt: skip
    assert {data: look(data).shape for data in shapes} == shapes


# ---- the command ------------------------------------------------------------------------------------------------


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(labmitra.app, ["driver", "new", *words])
    return done.exit_code, done.output


def test_the_command_writes_three_files_and_never_over_others(tmp_path: Path) -> None:
    raw = tmp_path / "line.bin"
    raw.write_bytes(ONE)
    words = ("--from-capture", str(raw), "--name", "quant_seven", "--into", str(tmp_path))
    code, text = run(*words)
    assert code == 0 and "1. Does the capture come from a laboratory?" in text and "codes: 1 mapped by LOINC" in text
    assert (tmp_path / "tests/captures/quant_seven/first.raw").read_bytes() == ONE
    read = json.loads((tmp_path / "tests/captures/quant_seven/first.json").read_text(encoding="utf-8"))
    assert [row["value"] for row in read["messages"][0]["observations"]] == ["13.1", "---"]
    assert read["messages"][0]["observations"][0]["kind"] == Kind.MEASUREMENT.value
    made = tmp_path / "drivers/quant_seven.py"
    made.write_text("mended by hand", encoding="utf-8")
    assert run(*words)[0] == 2 and made.read_text(encoding="utf-8") == "mended by hand"
    assert run(*words, "--force")[0] == 0 and "DRIVER = Driver(" in made.read_text(encoding="utf-8")
    code, text = run("--from-capture", str(raw), "--name", "sysmex_xn", "--into", str(tmp_path))
    assert code == 2 and "a driver sysmex_xn is there already" in text
