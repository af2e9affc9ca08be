"""The plan of a simulated day: deterministic, complete, and true to what it says it contains."""

import json
import tomllib
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from drivers.driver import Message, MessageType, load_driver
from simulators import values
from simulators.cli import NAMES
from simulators.day import ANALYZERS, MADE_UP, damm, deal, made_up_day, plan, read_day
from simulators.run import Days
from simulators.step import Day, DaySample, Note, Step

NOW = datetime(2026, 11, 22, 3, 30, tzinfo=UTC)
FOUR = ("sysmex_xn", "erba_xl", "mindray_bc", "roche_cobas_e411")
CONFIG = Path(__file__).parents[2] / "config" / "analyzers.toml"
SITE = {a["driver"]: a.get("codes", {}) for a in tomllib.loads(CONFIG.read_text(encoding="utf-8"))["analyzer"]}


def whole_day() -> Day:
    """Forty patients; every third has a previous result."""
    made = made_up_day(7, NOW, pace=2.0, count=40)
    previous = {"E": {"HB": "14.0"}, "S": {"CREAT": "1.00", "TSH": "2.10"}, "F": {}}
    samples = [
        DaySample(
            s.sample_id,
            s.container,
            s.tests,
            s.sex,
            s.age_days,
            "Asha Devi",
            previous[s.container] if n % 9 < 3 else {},
        )
        for n, s in enumerate(made.samples)
    ]
    return Day(made.seed, tuple(samples), made.start, made.pace)


DAY = whole_day()
PLANS = {name: plan(DAY, name) for name in NAMES}


def test_the_commands_are_the_simulators() -> None:
    assert tuple(ANALYZERS) == NAMES


def test_damm_agrees_with_the_published_vector() -> None:
    assert damm("572") == "4"
    assert damm("10763260042") == "4"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_file_gives_the_same_bytes(name: str) -> None:
    assert plan(whole_day(), name) == PLANS[name]


def test_the_day_holds_everything_a_lab_lives_through() -> None:
    told = {step.note for name in FOUR for step in PLANS[name]}
    assert told == set(Note) - {Note.QUERY, Note.ORDERED}, "those are no part of a day: the lab is asked"


@pytest.mark.parametrize("name", FOUR)
def test_most_samples_are_plain(name: str) -> None:
    notes = Counter(note for _, note in deal(DAY, ANALYZERS[name]))
    assert notes[Note.NORMAL] >= sum(notes.values()) / 2


def test_each_tube_of_blood_goes_to_one_analyzer() -> None:
    xn, bc = ({s.sample_id for s, _ in deal(DAY, ANALYZERS[name])} for name in ("sysmex_xn", "mindray_bc"))
    assert not xn & bc
    assert xn | bc == {sample.sample_id for sample in DAY.samples if sample.container == "E"}


@pytest.mark.parametrize("name", NAMES)
def test_controls_give_a_chart_of_ten_points_a_level(name: str) -> None:
    per_level = Counter(step.said.rows[0].sample_id for step in PLANS[name] if step.type == "qc")
    assert list(per_level.values()) == [12, 12]
    assert all(sample_id.startswith("QC-") for sample_id in per_level)


def by_note(name: str, note: Note) -> Step:
    return next(step for step in PLANS[name] if step.note is note)


def test_wrong_numbers_are_wrong_in_their_own_way() -> None:
    known = {sample.sample_id for sample in DAY.samples}
    scanned = by_note("sysmex_xn", Note.MIS_SCANNED).said.rows[0].sample_id
    nobody = by_note("erba_xl", Note.UNREGISTERED).said.rows[0].sample_id
    assert (damm(scanned[:-1]) == scanned[-1], scanned in known) == (False, False)
    assert (damm(nobody[:-1]) == nobody[-1], nobody in known) == (True, False)
    assert by_note("roche_cobas_e411", Note.UNREADABLE).said.rows[0].sample_id == "@192"


def test_a_duplicate_is_the_same_message() -> None:
    for name in FOUR:
        copy = by_note(name, Note.DUPLICATE)
        first = next(step for step in PLANS[name] if step.note is Note.NORMAL)
        assert copy.said == first.said
        assert copy.seq > first.seq


def test_an_amendment_says_another_value_of_a_reported_test() -> None:
    for name in ("sysmex_xn", "erba_xl", "mindray_bc"):
        amended = by_note(name, Note.AMENDED)
        (row,) = amended.said.rows
        before = [
            r.value
            for step in PLANS[name]
            if step.note is Note.NORMAL
            for r in step.said.rows
            if (r.sample_id, r.code) == (row.sample_id, row.code)
        ]
        assert before
        assert row.value not in before
        assert PLANS[name][-1] == amended


def test_values_that_must_be_telephoned() -> None:
    def said(name: str) -> dict[str, str]:
        return {row.code: row.value for row in by_note(name, Note.CRITICAL).said.rows}

    assert said("sysmex_xn")["HGB"] == "4.1"
    assert said("erba_xl")["K"] == "6.9" or said("erba_xl")["GLU"] == "512"


def test_a_blood_count_agrees_with_itself() -> None:
    for step in PLANS["sysmex_xn"]:
        said = {row.code: row.value for row in step.said.rows}
        if step.note not in (Note.NORMAL, Note.CRITICAL, Note.DELTA):
            continue
        number = {
            code: Decimal(said[code])
            for code in ("HCT", "RBC", "MCV", "HGB", "NEUT%", "LYMPH%", "MONO%", "EO%", "BASO%")
        }
        assert abs(number["HCT"] * 10 / number["RBC"] - number["MCV"]) < Decimal("0.9")
        assert sum(number[code] for code in ("NEUT%", "LYMPH%", "MONO%", "EO%", "BASO%")) == 100


def test_normal_values_are_inside_the_intervals_of_the_day_file() -> None:
    sample = DaySample("107632600424", "E", MADE_UP["E"], intervals={"HB": ("9.4", "13.0"), "HDL": ("40", None)})
    assert values.interval(sample, "HB") == (Decimal("9.4"), Decimal("13.0"))
    day = Day(1, (sample,), NOW, 0.0)
    (step,) = (s for s in plan(day, "sysmex_xn") if s.note in (Note.NORMAL, Note.CRITICAL) and s.type == "result")
    assert step.note is Note.CRITICAL  # the only tube gets the most wanted story


def test_open_and_zero_ends_of_an_interval_flag_nobody() -> None:
    open_ended = {"BASOP": ("0.0", "2.0"), "HDL": ("40", None), "CHOL": (None, "199")}
    sample = DaySample("107632600424", "S", ("BASOP", "HDL", "CHOL"), intervals=open_ended)
    said = [values.flag(sample, test, value) for test, value in (("BASOP", "0.2"), ("HDL", "90"), ("CHOL", "60"))]
    assert said == ["N", "N", "N"]
    assert [values.flag(sample, "HDL", "39"), values.flag(sample, "CHOL", "200")] == ["L", "H"]
    assert values.window(sample, "CHOL") == (Decimal("79.6"), Decimal("199"))


@pytest.mark.parametrize("name", FOUR)
def test_normal_samples_are_inside_their_intervals(name: str) -> None:
    samples = {sample.sample_id: sample for sample in DAY.samples}
    of_code = {
        item.code: test for test, item in ANALYZERS[name].menu.items() if test not in ("GLUF", "GLUPP", "OGTT2H")
    }
    for step in PLANS[name]:
        for row in step.said.rows if step.note is Note.NORMAL else ():
            test = of_code.get(row.code)
            if test in values.USUAL and test not in samples[row.sample_id].previous:
                assert values.flag(samples[row.sample_id], test, row.value) == "N", (test, row.value)


def test_the_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "day.json"
    first = {"sample_id": "107632600424", "container": "E", "tests": ["HB", "PLT"], "sex": "F", "age_days": 12000}
    sample = first | {
        "name": "आशा",
        "previous": {"HB": "12.0"},
        "intervals": {"HB": ["12.0", "15.0"]},
        "story": "delta",
    }
    file.write_text(
        json.dumps({"seed": 4, "start": "2026-11-22T08:00:00+05:30", "samples": [sample]}), encoding="utf-8"
    )
    day = read_day(file, NOW, 1.5)
    expected = DaySample(
        "107632600424", "E", ("HB", "PLT"), "F", 12000, "आशा", {"HB": "12.0"}, {"HB": ("12.0", "15.0")}, "delta"
    )
    assert (day.seed, day.samples, day.pace) == (4, (expected,), 1.5)
    assert day.start.isoformat() == "2026-11-22T08:00:00+05:30"
    by = next(s for s in plan(day, "sysmex_xn") if s.note is Note.DELTA)
    assert {row.code: row.value for row in by.said.rows}["HGB"] == "7.4"


@pytest.mark.parametrize("name", NAMES)
def test_our_driver_reads_what_the_step_says(name: str) -> None:
    driver = load_driver(name)
    for step in PLANS[name]:
        decoded = driver.decode(Message(f"m{step.seq}", name, NOW, step.said.body))
        found = [(o.sample_id, o.code, o.value, o.kind) for o in decoded.observations]
        assert found == [(row.sample_id, row.code, row.value, row.kind) for row in step.said.rows], step.note
        assert decoded.type is (MessageType.QC if step.type == "qc" else MessageType.RESULT)
        assert not decoded.problems, decoded.problems


@pytest.mark.parametrize("name", FOUR)
def test_the_menu_is_known_to_the_driver_or_the_site(name: str) -> None:
    driver = load_driver(name)
    for test, item in ANALYZERS[name].menu.items():
        listed = driver.tests.get(item.code)
        meant = SITE[name].get(item.code) or (listed.test if listed else None) or ""
        assert test in meant.split("|")  # one code GLU for all glucose tubes: the order tells which
    unknown = {row.code for step in PLANS[name] if step.note is Note.UNKNOWN_CODE for row in step.said.rows}
    assert not unknown or len(unknown - set(driver.tests)) >= 1


def test_masked_flagged_and_amended_rows_arrive_as_such() -> None:
    def rows(name: str, note: Note) -> list[tuple[str | None, str | None, bool, str | None, tuple[str, ...]]]:
        body = by_note(name, note).said.body
        observations = load_driver(name).decode(Message("m", name, NOW, body)).observations
        return [(o.code, o.value, o.masked, o.status, o.flags) for o in observations]

    assert ("PLT", "---.-", True, "F", ("A",)) in rows("sysmex_xn", Note.MASKED)
    assert any(row[1:3] == ("NA", True) for row in rows("erba_xl", Note.NOT_AVAILABLE))
    assert any(
        row[1] and row[1].startswith("<") and row[4] == ("LL",) for row in rows("roche_cobas_e411", Note.BELOW_RANGE)
    )
    assert {row[3] for row in rows("mindray_bc", Note.AMENDED)} == {"C"}
    assert ("PLT_Clumps?", "240", False, "F", ("A",)) in rows("sysmex_xn", Note.SUSPECT)


def test_books_split_the_rows_of_a_message() -> None:
    for name in NAMES:
        for step in PLANS[name]:
            books = step.books()
            parts = [books[key] for key in ("measurements", "suspects", "images", "details", "controls")]
            assert sum(int(str(part)) for part in parts) == len(step.said.rows)
            assert bool(books["controls"]) == (step.type == "qc")


def test_later_day_files_go_on_where_the_first_ended_and_bring_no_controls(tmp_path: Path) -> None:
    for number in (1, 2):
        samples = [
            {"sample_id": f"1076327{number}0{n:02d}9", "container": "E", "tests": ["HB", "PLT"]} for n in range(9)
        ]
        (tmp_path / f"day-{number:03d}.json").write_text(json.dumps({"seed": number, "samples": samples}))
    days = Days("sysmex_xn", tmp_path, 0.0, tmp_path / "xn.jsonl")
    first, second, third = days.more(), days.more(), days.more()
    assert {step.type for step in first} == {"result", "qc"}
    assert {step.type for step in second} == {"result"}
    assert [step.seq for step in second] == list(range(len(first) + 1, len(first) + len(second) + 1))
    assert third == ()
    assert (tmp_path / "xn.played-001").exists() and (tmp_path / "xn.played-002").exists()
