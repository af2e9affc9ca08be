"""A damaged SQLite file is found when a service starts: which file, what is wrong, how to restore; nothing touched."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

import labmitra
from middleware import sound
from middleware.backup import copy_all
from middleware.journal import Journal, JournalReader
from middleware.settings import load
from middleware.trouble import Trouble
from server.reports.migrate import upgrade as upgrade_reports
from tests.crash.said import body

ROOT = Path(__file__).parents[2]
FILES = {"journal.sqlite3": sound.JOURNAL, "lab.sqlite3": sound.LAB, "reports.sqlite3": sound.REPORTS}
COMMANDS = {"journal.sqlite3": "middleware", "lab.sqlite3": "lab", "reports.sqlite3": "reports"}


# ---- what may happen to a file -----------------------------------------------------------------------------------


def first_bytes(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * 100)


def middle_page(path: Path) -> None:
    """The root page of the last table: garbage."""
    with closing(sqlite3.connect(path)) as conn:
        (page,) = conn.execute("SELECT max(rootpage) FROM sqlite_schema").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


def cut_off(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def log_of_another(path: Path) -> None:
    """As after a restore that left the old log beside the file, or took one from elsewhere."""
    another = path.with_name("another")
    shutil.copy(path, another)
    with closing(sqlite3.connect(another, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(f"PRAGMA application_id = {4711}")
        conn.execute("CREATE TABLE anything (x)")
        shutil.copy(f"{another}-wal", f"{path}-wal")
    another.unlink()


def log_alone(path: Path) -> None:
    log_of_another(path)
    path.unlink()


def log_overwritten(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"\xa5" * 10_000)


DAMAGES: dict[Callable[[Path], None], str] = {
    first_bytes: "its first bytes are not those of a database",
    middle_page: "btreeInitPage|malformed",
    cut_off: "it is cut off, \\d+ bytes are left of \\d+",
    emptied: r"it is empty \(0 bytes\)",
    log_of_another: "the log .*-wal beside it is that of another file",
    log_alone: "it is gone, and its log .*-wal is still there",
    log_overwritten: "its log .*-wal is overwritten",
}

# ---- the stores --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, lab_sqlite: Path) -> Path:
    """A folder with the three stores as they are after a second start: each has its own number."""
    var = tmp_path_factory.mktemp("stores")
    shutil.copy(lab_sqlite, var / "lab.sqlite3")
    upgrade_reports(f"sqlite:///{var / 'reports.sqlite3'}")
    journal = Journal.open(var / "journal.sqlite3")
    for number in range(1, 50):
        journal.finish("xn", None, body(("a_listen", number, 1), "1"), incomplete=False)
    journal.close()
    for name, kind in FILES.items():
        sound.must_be_whole(var / name, kind)
    return var


@pytest.fixture
def var(stores: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stores, tmp_path / "var"))


def labmitra_says(var: Path, *arguments: str) -> tuple[int, str]:
    """The command's exit code and all it says."""
    ran = CliRunner().invoke(labmitra.app, [*arguments], env={"LABMITRA_STORE__VAR": str(var)})
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.output


def bytes_of(var: Path) -> dict[str, bytes]:
    """Of all but what reading leaves behind: an empty log, and the index of a log."""
    files = [f for f in var.iterdir() if "sqlite3" in f.name and not f.name.endswith("-shm")]
    return {f.name: f.read_bytes() for f in files if f.stat().st_size or not f.name.endswith("-wal")}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_named_with_the_way_to_restore_it(
    damage: Callable[[Path], None], name: str, var: Path
) -> None:
    damage(var / name)
    before = bytes_of(var)
    code, said = labmitra_says(var, COMMANDS[name])
    assert code == 1
    assert said.startswith(f"The {FILES[name]} {var / name} is damaged: ")
    assert re.search(DAMAGES[damage], said.splitlines()[0])
    for words in ("Stop all services", f"{name}-wal", "labmitra backup FOLDER", "Without a backup", "Lost by that"):
        assert words in said
    assert bytes_of(var) == before, "nothing was touched"
    assert labmitra_says(var, "db", "upgrade")[0] == 1, "and nothing is made in its place"
    assert bytes_of(var) == before


def test_the_middleware_does_not_write_into_a_damaged_lab_database(var: Path) -> None:
    middle_page(var / "lab.sqlite3")
    code, said = labmitra_says(var, "middleware")
    assert code == 1 and said.startswith("The lab database ")


def test_a_person_sees_the_words_and_no_traceback(var: Path) -> None:
    first_bytes(var / "journal.sqlite3")
    environ = {**os.environ, "LABMITRA_STORE__VAR": str(var), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-m", "labmitra", "middleware"], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "is damaged" in ran.stderr and "Traceback" not in ran.stderr


# ---- and when nothing is wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_whole_or_not_there_yet_is_no_trouble(name: str, var: Path) -> None:
    sound.must_be_whole(var / name, FILES[name])
    sound.must_be_whole(var / "missing", FILES[name])
    assert not (var / "missing").exists()


def test_a_log_that_a_kill_left_behind_is_the_files_own(var: Path, tmp_path: Path) -> None:
    """The file as kill -9 leaves it: the newest commits stand in the log alone."""
    journal = Journal.open(var / "journal.sqlite3")
    message = journal.finish("xn", None, b"H|\\^&\rL|1\r" * 5000, incomplete=False)
    killed = Path(shutil.copytree(var, tmp_path / "killed"))
    journal.close()
    assert (killed / "journal.sqlite3-wal").stat().st_size > 50_000
    sound.must_be_whole(killed / "journal.sqlite3", sound.JOURNAL)
    assert JournalReader(killed / "journal.sqlite3").message(message.id) == message


@pytest.mark.parametrize("name", FILES)
def test_a_backup_put_back_beside_the_old_log_is_found(
    name: str, var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would replay the old log onto the older file: rows of both, and no trace of where they part."""
    home = tmp_path / "backup"
    list(copy_all(load(ROOT / "config", {"LABMITRA_STORE__VAR": str(var)}), home))
    with closing(sqlite3.connect(var / name, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE later (x)")
        for number in range(50):
            conn.execute("INSERT INTO later VALUES (?)", ("x" * 10 * number,))
        killed = Path(shutil.copytree(var, tmp_path / "killed"))
    assert sound.damage(killed / name) == ""
    shutil.copy(home / name, killed / name)
    assert "is that of another file" in sound.damage(killed / name)
    (killed / f"{name}-wal").unlink()
    monkeypatch.setattr(sound, "_BUSY", 0.05)
    with closing(sqlite3.connect(killed / name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Trouble, match="another program holds it"):
            sound.must_be_whole(killed / name, FILES[name])


def test_services_that_start_at_once_take_a_copy_into_use(var: Path, tmp_path: Path) -> None:
    list(copy_all(load(ROOT / "config", {"LABMITRA_STORE__VAR": str(var)}), tmp_path / "backup"))
    path = Path(shutil.copy(tmp_path / "backup" / "lab.sqlite3", var / "lab.sqlite3"))
    with ThreadPoolExecutor() as services:
        for done in [services.submit(sound.must_be_whole, path, sound.LAB) for _ in range(4)]:
            done.result()
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("CREATE TABLE later (x)")
        assert sound.damage(path) == "", "its own log"


def test_a_log_whose_first_bytes_never_reached_the_disk_is_no_damage(var: Path) -> None:
    (var / "journal.sqlite3-wal").write_bytes(b"\0" * 4096)
    sound.must_be_whole(var / "journal.sqlite3", sound.JOURNAL)


def test_a_file_somebody_writes_to_is_left_to_who_opens_it(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "_BUSY", 0.05)
    with closing(sqlite3.connect(var / "lab.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        assert sound.damage(var / "lab.sqlite3") == ""


def test_no_more_time_is_taken_than_a_start_may_take(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file is read in part; what is wrong in the rest is found by `labmitra check --deep`."""
    monkeypatch.setattr(sound, "_STEP", 1)
    middle_page(var / "lab.sqlite3")
    assert sound.damage(var / "lab.sqlite3", seconds=60.0)
    code, said = labmitra_says(var, "check", "--deep")
    assert code == 1 and "lab.sqlite3 is damaged" in said and "journal.sqlite3: whole" in said
    with closing(sqlite3.connect(var / "reports.sqlite3")) as conn:
        conn.execute("CREATE TABLE large (x)")
        conn.executemany("INSERT INTO large VALUES (?)", [("x" * 100,)] * 2000)
        conn.commit()
    assert sound.damage(var / "reports.sqlite3", seconds=0.0) == "", "given up, not wrong"


def test_deep_reads_everything_and_says_so(var: Path) -> None:
    code, said = labmitra_says(var, "check", "--deep")
    assert code == 0
    assert [line.rpartition(": ")[0].rpartition("/")[2] for line in said.splitlines()[-3:]] == list(FILES)


def test_what_the_words_tell_to_do_works(var: Path, tmp_path: Path) -> None:
    """A backup, damage, and the steps as they are written."""
    settings = load(ROOT / "config", {"LABMITRA_STORE__VAR": str(var)})
    kept = [stored.id for stored in JournalReader(settings.journal).messages(limit=100)]
    list(copy_all(settings, tmp_path / "backup"))
    log_of_another(settings.journal)
    (tmp_path / "away").mkdir()
    for damaged in var.glob("journal.sqlite3*"):
        damaged.rename(tmp_path / "away" / damaged.name)
    shutil.copy(tmp_path / "backup" / "journal.sqlite3", settings.journal)
    sound.must_be_whole(settings.journal, sound.JOURNAL)
    assert [stored.id for stored in JournalReader(settings.journal).messages(limit=100)] == kept
