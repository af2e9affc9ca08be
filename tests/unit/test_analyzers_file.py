"""config/analyzers.toml as the pages change it: one analyzer changes, nothing else; the file before is kept."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from middleware.actions.analyzers import map_code, propose, set_up
from middleware.analyzers_file import Entry, File, changed, own_text, problems, read, write
from middleware.model import NotAllowed, Refused, Role
from middleware.schema import AuditRow
from tests.labs import Desk

CONFIG = Path(__file__).parents[2] / "config"
REAL = (CONFIG / "analyzers.toml").read_text(encoding="utf-8")
NEW = Entry("new-1", "sysmex_xp", 'XP "2" ü', "tcp-listen://0.0.0.0:9199", codes={"A.1": "HB", "1": "GLUF|GLUR"})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "config"


@pytest.mark.parametrize("name", [e.name for e in File(REAL, "").entries])
def test_what_is_said_of_the_next_analyzer_stays_before_it(name: str) -> None:
    entry = File(REAL, "").entry(name)
    assert entry is not None
    made = changed(REAL, replace(entry, enabled=False, codes={**entry.codes, "NEW": "HB"}))
    kept = [line for line in REAL.splitlines() if line.startswith("#")]
    assert [line for line in made.splitlines() if line.startswith("#")] == kept
    for comment in ("# Clinical chemistry", "# Haematology in the emergency room", "# Immunoassay"):
        lines = made.splitlines()
        at = next(n for n, line in enumerate(lines) if line.startswith(comment))
        assert lines[at + 1] == "[[analyzer]]"
    assert tomllib.loads(own_text(made, name))["analyzer"][0]["codes"]["NEW"] == "HB"


def test_changed_and_changed_back_is_the_same_file() -> None:
    entry = File(REAL, "").entry("e411")
    assert entry is not None
    other = changed(REAL, replace(entry, title="x", tests=("TSH",), codes={**entry.codes, "99": "TSH"}))
    assert other != REAL and tomllib.loads(changed(other, entry)) == tomllib.loads(REAL)
    assert changed(REAL, entry) == REAL


def test_a_new_one_is_added_to_any_file() -> None:
    for text in (REAL, "", "# nothing yet\n", REAL.rstrip()):
        made = changed(text, NEW)
        assert made.startswith(text.rstrip()) and File(made, "").entry("new-1") == NEW
        assert changed(made, NEW) == made


@pytest.mark.parametrize("text", ["[[analyzer]\n", "analyzer = []\n", 'analyzer = [{ name = "new-1" }]\n'])
def test_a_file_of_another_make_is_not_touched(text: str) -> None:
    with pytest.raises(ValueError, match=r"analyzers\.toml"):
        changed(text, NEW)


def test_what_check_would_say_of_the_text(config: Path) -> None:
    assert problems(config, changed(REAL, NEW), {}) == []
    (wrong,) = problems(config, changed(REAL, replace(NEW, line="tcp-listen://0.0.0.0:9101")), {})
    assert wrong.key == "analyzer new-1.line"
    assert (config / "analyzers.toml").read_text() == REAL


def test_the_file_before_is_kept_whatever_is_written(config: Path) -> None:
    (config / "analyzers.toml").chmod(0o640)
    at = datetime(2026, 11, 22, 10, 0, 5)  # noqa: DTZ001 - the lab's own day is handed in
    first, second = write(config, "a = 1\n", at), write(config, "a = 2\n", at)
    assert [p.name for p in (first, second)] == ["analyzers.toml.20261122-100005", "analyzers.toml.20261122-100005-2"]
    assert first.read_text() == REAL and second.read_text() == "a = 1\n" and read(config).text == "a = 2\n"
    assert (config / "analyzers.toml").stat().st_mode & 0o777 == 0o640
    assert not list(config.glob(".*"))


def test_who_may_and_what_is_written_down(desk: Desk, config: Path) -> None:
    lab = replace(desk.lab, settings=replace(desk.lab.settings, config=config))
    stamp = read(config).stamp
    for role in Role:
        if role not in (Role.ENGINEER, Role.ADMIN):
            with pytest.raises(NotAllowed):
                set_up(lab, desk.people[role], NEW, stamp, True)
            with pytest.raises(NotAllowed):
                map_code(lab, desk.people[role], "xn550", "X", "HB", stamp)
    assert read(config).text == REAL
    last = desk.last_audit()
    set_up(lab, desk.people[Role.ENGINEER], NEW, stamp, True)
    with pytest.raises(Refused, match="changed"):
        map_code(lab, desk.people[Role.ADMIN], "xn550", "X", "HB", stamp)
    map_code(lab, desk.people[Role.ADMIN], "xn550", "X", "HB", read(config).stamp)
    assert [what for what, _, _ in desk.audit(last)] == ["add analyzer", "change analyzer"]
    assert desk.rows(AuditRow)[-1]["detail"] == {"code X": "HB"}


def test_what_cannot_be_written_leaves_file_and_audit_as_they_were(
    desk: Desk, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = replace(desk.lab, settings=replace(desk.lab.settings, config=config))
    engineer, before = desk.people[Role.ENGINEER], desk.dump()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("middleware.analyzers_file.os.fsync", full)
    with pytest.raises(Refused, match="write"):
        set_up(lab, engineer, NEW, read(config).stamp, True)
    assert read(config).text == REAL and desk.dump() == before and not list(config.glob(".*"))
    (config / "analyzers.toml").unlink()
    with pytest.raises(Refused, match="file"):
        propose(lab, NEW)
