"""Every driver has a simulator: what was recorded is told anew, with other tubes, other numbers, the time of now."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from drivers.driver import Kind, driver_names
from simulators import vary
from simulators.any_driver import Mouth, made_up_ids
from simulators.cli import app
from simulators.day import damm
from simulators.framing import is_frame, opened
from simulators.page import Page
from simulators.play import frames_of
from simulators.run_any import Wanted, check, mouth, tubes
from simulators.step import Step
from simulators.templates import Template, decode, templates

NOW = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"[<>]?=?\s*[+-]?\s*\d+(?:[.,]\d*)?")
TOO_NARROW = {"arkray_spotchem_el"}  # ten columns for an id of twelve: the last ten are told


def voice(name: str, seed: int = 1) -> Mouth:
    return mouth(Wanted(name, seed=seed), lambda: NOW)


@cache
def told(name: str) -> tuple[tuple[Template, ...], list[Step], list[str]]:
    """A message of each template, with the id that was wanted for it."""
    speaker = voice(name)
    count = len(speaker.templates.results)
    ids = list(itertools.islice(made_up_ids(NOW), count))
    return speaker.templates.results, [speaker.result(sample_id) for sample_id in ids], ids


@pytest.mark.parametrize("name", driver_names())
def test_a_recorded_result_is_told_anew(name: str) -> None:
    for template, step, sample_id in zip(*told(name), strict=True):
        said = decode(template.driver, step.said.body)
        old, new = template.decoded.observations, said.observations
        assert [(row.code, row.kind, row.unit) for row in new] == [(row.code, row.kind, row.unit) for row in old]
        first = next(row.sample_id for row in new if row.sample_id)
        assert first == (sample_id[-10:] if name in TOO_NARROW else sample_id)
        assert not set(template.ids) & {row.sample_id for row in new}, "no tube of the recording"
        assert said.type is template.decoded.type and said.problems == template.decoded.problems


@pytest.mark.parametrize("name", driver_names())
def test_numbers_are_new_and_keep_their_shape(name: str) -> None:
    for template, step, _ in zip(*told(name), strict=True):
        new = decode(template.driver, step.said.body).observations
        for before, after in zip(template.decoded.observations, new, strict=True):
            number = before.kind is Kind.MEASUREMENT and NUMBER.fullmatch(before.value or "")
            if number:
                assert before.value != after.value, "another number"
                assert shape(before.value or "") == shape(after.value or ""), "of the same shape"
            if before.kind is not Kind.MEASUREMENT:
                assert before.value == after.value


def shape(value: str) -> str:
    """Comparator, sign, decimals and zeros before a number; its own length, where no point is only implied."""
    return re.sub(r"\d", "9", re.sub(r"\d+(?=[.,])|\d+$", "9", value, count=1))




@pytest.mark.parametrize("name", driver_names())
def test_the_time_is_now(name: str) -> None:
    today = ("2026-11-25", "20261125", "25-11-2026", "26/11/25", "25/11/26", "11/25/26", "25Nov26", "25 Nov 2026",
             "2026/11/25")  # fmt: skip
    times: list[str] = []
    for template, step, _ in zip(*told(name), strict=True):
        said = decode(template.driver, step.said.body)
        times += [row.observed_at for row in said.observations if row.observed_at] or [said.sent_at or ""]
    assert any(day in time for day in today for time in times) or name == "tosoh_hlc723", times


def test_tosohs_day_is_in_its_second_record() -> None:
    assert b"\x0221125" in voice("tosoh_hlc723").result("999632900017").said.body


@pytest.mark.parametrize("name", driver_names())
def test_what_a_step_says_it_contains_is_what_is_read(name: str) -> None:
    for template, step, _ in zip(*told(name), strict=True):
        rows = decode(template.driver, step.said.body).observations
        assert [(row.code, row.value, row.kind) for row in step.said.rows] == [
            (row.code or "", row.value or "", row.kind) for row in rows
        ]


def test_the_same_seed_says_the_same_and_another_something_else() -> None:
    first, again, other = (voice("erba_xl", seed).result("999632900017").said.body for seed in (1, 1, 2))
    assert first == again != other


def test_hl7_messages_have_control_ids_of_their_own() -> None:
    speaker = voice("dymind_dh")
    steps = [speaker.result(sample_id) for sample_id in itertools.islice(made_up_ids(NOW), 3)]
    ids = [Page.read(step.said.body).lines[0].whole(10) for step in steps]
    assert len(set(ids)) == 3 and ids == [step.said.control_id for step in steps]


# ---- ids ------------------------------------------------------------------------------------------------------------


def test_made_up_numbers_have_the_right_check_digit() -> None:
    for number in itertools.islice(made_up_ids(NOW), 20):
        assert number.startswith("9996329") and damm(number[:-1]) == number[-1]


def test_the_tubes_are_those_named_those_of_the_day_or_made_up(tmp_path: Path) -> None:
    day = tmp_path / "day.json"
    day.write_text(
        '{"samples": [{"sample_id": "107632600016", "container": "S", "tests": ["CREAT"]},'
        ' {"sample_id": "107632600027", "container": "E", "tests": ["HB"]}]}',
        encoding="utf-8",
    )
    assert tubes(Wanted("sysmex_xp", ids=["1", "2"]), voice("sysmex_xp")) == ["1", "2"]
    assert tubes(Wanted("sysmex_xp", day=day), voice("sysmex_xp")) == ["107632600027"], "only what it can measure"
    assert tubes(Wanted("sysmex_xp"), voice("sysmex_xp")) == list(itertools.islice(made_up_ids(NOW), 12))


# ---- captures -------------------------------------------------------------------------------------------------------


def test_an_installed_copy_brings_the_captures_along() -> None:
    assert '"tests/captures" = "simulators/captures"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_another_capture_can_be_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.raw"
    mine.write_bytes(b"H|\\^&|||Mine\rP|1\rO|1|77||^^^ZINC\rR|1|^^^ZINC|12.5|ug/dL\rL|1|N\r")
    speaker = mouth(Wanted("generic_astm", captures=[mine]), lambda: NOW)
    (row,) = speaker.result("999632900017").said.rows
    assert (row.sample_id, row.code) == ("999632900017", "ZINC")


def test_without_a_capture_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.templates.PLACES", (tmp_path,))
    with pytest.raises(ValueError, match="--capture FILE"):
        templates("sysmex_ca")
    nothing = tmp_path / "nothing.raw"
    nothing.write_bytes(b"H|\\^&\rL|1|N\r")
    with pytest.raises(ValueError, match="no whole result"):
        templates("generic_astm", [nothing])
    with pytest.raises(KeyError):
        templates("no_such_analyzer")


def test_check_makes_every_message_and_sends_none() -> None:
    said: list[str] = []
    assert check(Wanted("sysmex_ca", ids=["999632900017"]), said.append) == 0
    assert said == ["sysmex_ca: 1 messages, 4 rows, all read back"]


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", ["0", "9", "10", "99", "100", "007.1", "0.00", "9.99", "12,7", "99999", "1.0"])
def test_another_number_has_the_same_shape(digits: str) -> None:
    for seed in range(30):
        other = vary.number(digits, Random(seed))
        assert other != digits and len(other) == len(digits)
        assert re.sub(r"\d", "9", other) == re.sub(r"\d", "9", digits)
        assert digits[:1] == "0" or len(digits.split(".")[0]) == 1 or not other.startswith("0")


@pytest.mark.parametrize(
    ("field", "said"),
    [("---.-", "---.-"), ("NA", "NA"), ("1+", "1+"), ("Negative", "Negative"), ("-0x0fffffff", "-0x0fffffff")],
)
def test_what_is_no_number_stays_as_it_is(field: str, said: str) -> None:
    assert vary.field(field, said, Random(1)) == field


def test_of_a_field_only_the_number_is_another() -> None:
    assert re.fullmatch(r"> \d{5}\.\d\d", vary.field("> 31000.00", "> 31000.00", Random(1)))
    assert re.fullmatch(r"\d\d\.\d!  HR ", vary.field("12.4!  HR ", "12.4", Random(1)))
    assert re.fullmatch(r"-\d\.\d{6}", vary.field("-0.012345", "-0.012345", Random(1)))


# ---- the page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", sorted((ROOT / "tests/captures/mindray_bs").glob("*.raw")), ids=lambda raw: raw.stem)
def test_what_is_not_replaced_comes_back_byte_for_byte(raw: Path) -> None:
    for template in templates("mindray_bs", [raw]).results:
        body = "".join(template.parts).encode("latin-1")
        assert Page.read(body).bytes() == body


def test_an_address_is_the_standards_own() -> None:
    page = Page.read(b"H|\\^&|||A^1\rO|1||3^7^          12^B|^^^GLU\\^^^UREA\r")
    order = page.lines[1]
    assert (order.get("4.3"), order.get("5.4"), order.whole(5)) == ("          12", "GLU", "^^^GLU\\^^^UREA")
    order.put("4.3", "x")
    order.put("26", "Q")
    assert page.bytes().split(b"\r")[1] == b"O|1||3^7^x^B|^^^GLU\\^^^UREA" + b"|" * 21 + b"Q"
    segment = Page.read(b"MSH|^~\\&|A|B\rSPM|1|77&X^Y\r").lines
    assert (segment[0].get("3"), segment[1].get("2.1.1"), segment[1].get("9")) == ("A", "77", None)
    with pytest.raises(ValueError, match="neither"):
        Page.read(b"nothing")


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("arkray_adams", [b"\x17"] * 8),  # the last one too
        ("roche_cobas_c111", [*[b"\x17"] * 7, b"\x03"]),
        ("biorad_d10", [b"\x03"] * 12),  # one record a frame
        ("roche_cobas_e411", [b"\x17", b"\x17", b"\x03"]),  # 240 characters a frame, wherever that cuts
        ("mindray_bs", [b"\x03"]),  # all in one
        ("snibe_maglumi", [b"\x03"] * 5),
    ],
)
def test_frames_are_cut_as_the_recording_has_them(name: str, ends: list[bytes]) -> None:
    frames = frames_of(voice(name).result("999632900017"))
    assert [frame[-5:-4] for frame in frames] == ends
    assert all(is_frame(frame) and (opened(frame) or frame).right for frame in frames)  # type: ignore[union-attr]
    if name == "snibe_maglumi":
        assert not any(frame[-6:-5] == b"\r" for frame in frames), "no CR before ETX"


# ---- the command ----------------------------------------------------------------------------------------------------


def test_help_lists_every_driver() -> None:
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert [name for name in (*driver_names(), "scenario", "sms") if not re.search(rf"\b{name}\b", told)] == []


def test_the_command_checks_messages_without_sending() -> None:
    done = CliRunner().invoke(app, ["sysmex_ca", "--check", "--ids", "999632900017,999632900029"])
    assert (done.exit_code, done.output) == (0, "sysmex_ca: 2 messages, 6 rows, all read back\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["sysmex_xp", "--to", "tcp://127.0.0.1:9", "--ask", "1"], "is told nothing"),
        (["sysmex_ca", "--to", "tcp://127.0.0.1:9", "--fault", "no_fs"], "no_fs is a fault of HL7"),
        (["sysmex_ca"], "say either --to"),
        (["beckman_au", "--check", "--framing", "morse"], "no framing 'morse'; it has stx_bcc, stx, enq"),
        (["sysmex_ca", "--check", "--capture", "nowhere.raw"], "nowhere.raw"),
    ],
)
def test_what_is_wrong_with_a_command_is_one_sentence(words: list[str], why: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and why in done.output and len(done.output.splitlines()) == 1


def test_a_scenario_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["scenario", str(tmp_path / "none.toml")])
    assert (done.exit_code, done.stderr) == (2, f"{tmp_path / 'none.toml'}: No such file or directory\n")
