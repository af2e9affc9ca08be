"""The catalogue as a whole, and each kind of nonsense named with file, line and remedy."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from middleware.catalogue import HEADS, days, read_catalogue, unit_key
from middleware.catalogue_cells import loinc_ok
from middleware.model import CatalogueTest, LinkPolicy, Sex
from middleware.problems import Problem

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
SHARED = ROOT.parent / "shared" / "catalogue"
FOUND = read_catalogue(CONFIG)
TESTS = FOUND.tests


def test_the_catalogue_has_no_mistake_and_130_tests() -> None:
    """99 measured, 31 coded, 19 units; every panel has tests that are there."""
    assert FOUND.problems == []
    assert (len(TESTS), sum(t.coded for t in TESTS.values()), len(FOUND.facilities)) == (130, 31, 19)
    assert all(test in TESTS for tests in FOUND.panels.values() for test in tests)


def test_bands_have_no_gap_for_either_sex() -> None:
    """On every day of 120 years a measured test has exactly one interval for each sex."""
    for test in TESTS.values():
        for sex in ("M", "F"):
            bands = sorted((i.age_min, i.age_max) for i in test.intervals if i.sex in ("A", sex))
            edges = [edge for band in bands for edge in band]
            assert test.coded or (edges[0], edges[-1]) == (0, 43830), test.code
            assert edges[1:-1:2] == edges[2::2], (test.code, sex)


def test_names_in_both_languages() -> None:
    """Every test has an English and a Devanagari name."""
    for test in TESTS.values():
        assert test.name_en.isascii(), test.code
        assert any("ऀ" <= letter <= "ॿ" for letter in test.name_hi), test.code


def test_what_never_goes_by_link_and_what_is_collected_in_person() -> None:
    """HIV Act 2017; pregnancy, syphilis and hepatitis by default (domain 0.4)."""
    by = {policy: {t.code for t in TESTS.values() if t.link is policy} for policy in LinkPolicy}
    assert by[LinkPolicy.NEVER] == {"HIV"}
    assert by[LinkPolicy.IN_PERSON] == {"UPT", "RPR", "HBSAG", "HCV"}


def test_the_never_list() -> None:
    """Domain 2.2 rule 14."""
    assert {t.code for t in TESTS.values() if t.never_auto} == {"ABO", "RHD", "HIV", "MPSMEAR", "MALRDT", "AFB"}


def test_the_absolute_floors_of_delta() -> None:
    """Domain 2.5."""
    floors = {t.code: str(t.delta_floor) for t in TESTS.values() if t.delta_floor is not None}
    assert floors == {"CREAT": "0.3", "TBIL": "0.5", "AST": "40", "ALT": "40", "PLT": "50"}


def test_one_tube_for_what_shares_a_tube() -> None:
    """One letter for one specimen; timed glucose is a tube of its own; calculated tests need none of their own."""
    letters = {(t.specimen, t.container) for t in TESTS.values()}
    assert len(letters) == len({specimen for specimen, _ in letters})
    assert {t.code: t.timing for t in TESTS.values() if t.timing} == {"GLUF": "F", "GLUPP": "PP", "OGTT2H": "2H"}
    assert {t.specimen for t in TESTS.values() if t.calculated} <= {
        t.specimen for t in TESTS.values() if not t.calculated
    }


def test_a_lakh_of_platelets_is_a_hundred() -> None:
    """The most dangerous unit error of the whole system (domain 2.7)."""
    plt = TESTS["PLT"]
    assert plt.units[unit_key("lakh/cumm")] * Decimal("1.5") == Decimal(150)
    assert (plt.alt_unit, plt.alt_factor, plt.alt_decimals) == ("lakh/cumm", Decimal("0.01"), 2)
    assert Decimal(150) * (plt.alt_factor or 0) == Decimal("1.5")


def test_printed_in_a_second_unit_are_platelets_and_leucocytes() -> None:
    """mEq/L beside mmol/L would print the same number twice."""
    assert {t.code: t.alt_unit for t in TESTS.values() if t.alt_unit} == {"PLT": "lakh/cumm", "WBC": "/cumm"}


@pytest.mark.parametrize(
    ("code", "sex", "age", "low", "high"),
    [
        ("HB", "F", 30 * 365, "12.0", "15.0"),
        ("HB", "M", 30 * 365, "13.0", "17.0"),
        ("HB", "M", 0, "14.0", "22.0"),
        ("HB", "M", 2, "14.0", "22.0"),
        ("HB", "M", 3, "15.0", "21.0"),
        ("K", "F", 6574, "3.4", "4.7"),
        ("K", "F", 6575, "3.5", "5.1"),
    ],
)
def test_the_interval_of_an_age(code: str, sex: str, age: int, low: str, high: str) -> None:
    """From <= age < to, in days: 3 days and 18 years begin the next band."""
    interval = TESTS[code].interval_for(Sex(sex), age)
    assert interval is not None
    assert (str(interval.ref_low), str(interval.ref_high)) == (low, high)


@pytest.mark.parametrize(
    ("years", "expected"), [("0.0082", 3), ("0.0767", 28), ("0.1205", 44), ("1", 365), ("120", 43830)]
)
def test_years_to_days(years: str, expected: int) -> None:
    """Half up (domain 2.2)."""
    assert days(years) == expected


def test_loinc_check_digits() -> None:
    """Haemoglobin is right, a swapped digit is not, a text is not."""
    assert [loinc_ok(code) for code in ("718-7", "26453-1", "781-7", "718", "abc-1", "718-77")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared catalogue is not beside this tree")
def test_nothing_was_lost_from_the_shared_catalogue() -> None:
    """Every interval, limit and name of the source stands here unchanged."""
    same = [c for c in rows(SHARED / "catalog.csv")[0] if c not in ("code", "panel", "specimen", "source")]
    ours = {tuple(row[k] for k in ("code", *same)) for row in rows(CONFIG / "tests.csv")}
    coded = {row["code"] for row in rows(SHARED / "catalog_qual.csv")}
    theirs = {
        tuple(row[k] for k in ("code", *same)) for row in rows(SHARED / "catalog.csv") if row["code"] not in coded
    }
    assert theirs <= ours
    assert {row[0] for row in ours - theirs} == {"EGFR"}  # a band without limits: the formula is for adults
    columns = ("code", "name_en", "name_hi", "loinc", "allowed_values", "normal_values", "critical_values")
    kept = [[row[k] for k in columns] for row in rows(CONFIG / "tests_coded.csv")]
    assert kept == [[row[k] for k in columns] for row in rows(SHARED / "catalog_qual.csv")]


# ---- nonsense ---------------------------------------------------------------------------------------------------


def rows(file: Path) -> list[dict[str, str]]:
    """A CSV file as dictionaries."""
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def spoiled(tmp_path: Path, file: str, change: Callable[[list[dict[str, str]]], None]) -> list[Problem]:
    """The problems of a config directory in which one file was changed."""
    config = tmp_path / "config"
    config.mkdir()
    for name in HEADS:
        shutil.copy(CONFIG / name, config / name)
    lines = rows(config / file)
    change(lines)
    with (config / file).open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return read_catalogue(config).problems


def line_of(lines: list[dict[str, str]], code: str) -> dict[str, str]:
    """The last line of a test: its adults."""
    return [row for row in lines if row["code"] == code][-1]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"age_min_y": "19"}, "gap for sex M between day 6575 and 6940"),
        ({"age_min_y": "17"}, "overlap for sex M between day 6209 and 6575"),
        ({"age_max_y": "18"}, "is not above age_min_y"),
        ({"crit_high": "5.0"}, "lies inside the reference interval"),
        ({"crit_low": "3.6"}, "lies inside the reference interval"),
        ({"ref_low": "5.2"}, "is below its low limit"),
        ({"ref_high": "5.15"}, '"5.15" does not have 1 decimals'),
        ({"ref_high": "five"}, '"five" is not a number'),
        ({"ref_high": "NaN"}, '"NaN" is not a number'),
        ({"absurd_high": "6.0"}, "is above absurd_high"),
        ({"release_high": "6.9"}, "is above crit_high"),
        ({"decimals": "2"}, 'says "2", its first line "1"'),
        ({"loinc": "2832-3"}, 'says "2832-3", its first line "2823-3"'),
        ({"sex": "X"}, '"X" is unknown'),
    ],
)  # fmt: skip
def test_nonsense_in_a_line_of_potassium(tmp_path: Path, cells: dict[str, str], reason: str) -> None:
    """Each mistake is told with its line."""
    problems = spoiled(tmp_path, "tests.csv", lambda lines: line_of(lines, "K").update(cells))
    assert any(reason in p.reason for p in problems), problems
    assert {p.file for p in problems} == {"tests.csv"}
    assert all("(K)" in p.key and p.instead for p in problems)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"loinc": "2601-2"}, "2601-2 has a wrong check digit"),
        ({"container": "Z"}, '"Z" is unknown'),
        ({"link": "maybe"}, '"maybe" is unknown'),
        ({"never_auto": "1"}, '"1" is neither yes nor no'),
        ({"decimals": ""}, "is empty or above 4"),
        ({"ucum_unit": ""}, "is empty"),
        ({"name_hi": ""}, "is empty"),
        ({"timing": "XX"}, '"XX" is unknown'),
        ({"delta_days": "3.5"}, '"3.5" is not a whole number'),
        ({"panel": "KIDNEY"}, "panel KIDNEY of UCREAT has no name"),
    ],
)
def test_nonsense_in_a_test_of_one_line(tmp_path: Path, cells: dict[str, str], reason: str) -> None:
    """Urine creatinine has one interval for all."""
    problems = spoiled(tmp_path, "tests.csv", lambda lines: line_of(lines, "UCREAT").update(cells))
    assert any(reason in p.reason for p in problems), problems


def test_a_code_that_comes_twice(tmp_path: Path) -> None:
    """A second block of lines of one test."""
    problems = spoiled(tmp_path, "tests.csv", lambda lines: lines.append(dict(line_of(lines, "MCV"))))
    assert [p.reason for p in problems] == ["this code stands further up already"]


def test_a_coded_test_with_a_measured_test_s_code(tmp_path: Path) -> None:
    """Codes are unique over both files."""
    problems = spoiled(tmp_path, "tests_coded.csv", lambda lines: lines[0].update(code="K"))
    assert "this code stands in the catalogue already" in [p.reason for p in problems]


def test_a_normal_answer_that_is_not_allowed(tmp_path: Path) -> None:
    """With the nearest answer that is."""
    problems = spoiled(
        tmp_path, "tests_coded.csv", lambda lines: line_of(lines, "HIV").update(normal_values="Nonreactive")
    )
    assert [(p.reason, p.instead) for p in problems] == [
        ('"Nonreactive" is not allowed', 'did you mean "Non-reactive"?')
    ]


def test_a_panel_with_an_unknown_test(tmp_path: Path) -> None:
    """With the nearest test."""
    problems = spoiled(tmp_path, "panels.csv", lambda lines: line_of(lines, "KFT").update(tests="UREA|CREATT"))
    assert [(p.reason, p.instead) for p in problems] == [('"CREATT" is no test', 'did you mean "CREAT"?')]


def test_a_panel_with_the_code_of_a_test(tmp_path: Path) -> None:
    """What is ordered must be one thing."""
    problems = spoiled(tmp_path, "panels.csv", lambda lines: line_of(lines, "LFT").update(code="IRON"))
    assert "this code is taken by a test or a panel" in [p.reason for p in problems]


def test_a_unit_factor_of_zero_or_of_another_unit(tmp_path: Path) -> None:
    """A factor that would make every platelet count nothing."""

    def change(lines: list[dict[str, str]]) -> None:
        line_of(lines, "PLT").update(factor="0")
        line_of(lines, "WBC").update(from_ucum="10*9/L")

    reasons = [p.reason for p in spoiled(tmp_path, "display_units.csv", change)]
    assert reasons == ["is not above 0", "is not the unit of WBC"]


def test_a_column_that_is_missing_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    """One problem for each, not one for every code that is now unknown."""
    for name in HEADS:
        shutil.copy(CONFIG / name, tmp_path / name)
    (tmp_path / "facilities.csv").unlink()
    text = (tmp_path / "tests.csv").read_text(encoding="utf-8")
    (tmp_path / "tests.csv").write_text(text.replace("crit_low", "critical_low", 1), encoding="utf-8")
    told = [(p.file, p.key) for p in read_catalogue(tmp_path).problems]
    assert told == [("tests.csv", "line 1"), ("facilities.csv", "file")]


def test_a_catalogue_test_can_be_hashed() -> None:
    """Its unit spellings are a dictionary and stay out of the hash."""
    assert isinstance(hash(TESTS["PLT"]), int)
    assert isinstance(TESTS["PLT"], CatalogueTest)
