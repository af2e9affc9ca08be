"""A new SQLite file is there as a whole or not at all: a start that was killed is followed by one that works."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from middleware import journal_file, migrate, sound
from middleware.backup import copy_all
from middleware.new_file import make_new
from middleware.secrets_file import read_or_make
from middleware.trouble import Trouble
from server.reports import migrate as reports_migrate
from tests.conftest import in_memory
from tests.labs import settings_for

ROOT = Path(__file__).parents[2]

# The kernel ends the process (SIGXFSZ) as soon as it writes a file beyond so many bytes: at another place of the start
# each time. Then it is started without a bound.
KILLED = """
import os, resource, shutil, signal, sys
from pathlib import Path
from middleware import journal_file, migrate, sound
from server.reports import migrate as reports_migrate

def journal(path): journal_file.connect(path, make=True).close()
def lab(path): migrate.upgrade(f"sqlite:///{path}")
def reports(path): reports_migrate.upgrade(f"sqlite:///{path}")

def started(make, path, bytes):
    if (child := os.fork()) == 0:
        if bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, bytes))
        sound.must_be_whole(path, sound.JOURNAL)
        make(path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

make, path = globals()[sys.argv[1]], Path(sys.argv[2])
path.parent.mkdir()
codes = []
for bytes in (0, 4095, 32768, 262144):
    codes.append(started(make, path, bytes))
    if codes[-1] == 0:
        break
    assert codes[-1] == -signal.SIGXFSZ, codes
    assert started(make, path, None) == 0, f"killed at {bytes}"
    shutil.rmtree(path.parent)
    path.parent.mkdir()
print(len(codes))
"""


@pytest.mark.parametrize("what", ["journal", "lab", "reports"])
def test_a_start_after_one_that_was_killed_needs_no_person(what: str) -> None:
    with tempfile.TemporaryDirectory(dir=in_memory()) as folder:
        script = [sys.executable, "-c", KILLED, what, f"{folder}/new/a.sqlite3"]
        ran = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 3, "killed at several places"


def test_the_new_file_is_what_sqlite_makes_and_has_its_own_number(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_new(tmp_path / name)
        assert sound.damage(tmp_path / name) == ""
    numbers = set()
    for name in ("a", "b"):
        with closing(sqlite3.connect(tmp_path / name)) as conn:
            assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert conn.execute("PRAGMA user_version").fetchone() == (0,)
            assert conn.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
            numbers.add(conn.execute("PRAGMA application_id").fetchone())
    assert len(numbers) == 2 and (0,) not in numbers and (sound.COPY,) not in numbers
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"], "nothing else is left"


def test_what_is_there_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    path.write_bytes(b"")
    make_new(path)
    assert path.read_bytes() == b""
    path.unlink()
    beside = tmp_path / "a.sqlite3-wal"
    beside.write_bytes(b"of a file that is gone")
    make_new(path)
    assert not path.exists() and beside.read_bytes() == b"of a file that is gone"


def test_a_folder_that_lets_nothing_be_made_is_told_by_sqlite(tmp_path: Path) -> None:
    make_new(tmp_path / "nowhere" / "a.sqlite3")
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        journal_file.connect(tmp_path / "nowhere" / "a.sqlite3", make=True)


# ---- a file's own number ----------------------------------------------------------------------------------------


@contextmanager
def killed_anywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """What a kill before each statement in this block would leave of the folder: a copy for each."""
    real, killed = sqlite3.connect, list[Path]()

    class Killed(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            left = folder.with_name(f"killed {len(killed)}")
            killed.append(left)
            shutil.copytree(folder, left)
            return super().execute(sql, *values)

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *a, **o: real(*a, factory=Killed, **o))
        yield killed


def test_of_two_that_start_together_one_gives_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number in the file and another in its log would be damage: the log of another file."""
    home, drawn = tmp_path / "home", iter((1, 2))
    home.mkdir()
    with closing(sqlite3.connect(home / "a", isolation_level=None)) as conn:  # without a number, as files once began
        conn.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (x)")

    def another_comes_between(_bits: int) -> int:
        number = next(drawn)
        if number == 1:
            sound.must_be_whole(home / "a", sound.LAB)
        return 10 + number

    monkeypatch.setattr(sound.secrets, "randbits", another_comes_between)
    with killed_anywhere(home, monkeypatch) as killed:
        sound.must_be_whole(home / "a", sound.LAB)
    assert [sound.damage(left / "a") for left in (home, *killed)] == [""] * (1 + len(killed))


@pytest.mark.parametrize("name", ["journal.sqlite3", "lab.sqlite3", "reports.sqlite3"])
def test_a_start_that_was_killed_while_it_took_a_copy_into_use(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path / "var", "")
    migrate.upgrade(settings.database_url)
    reports_migrate.upgrade(settings.reports.database_url)
    journal_file.connect(settings.journal, make=True).close()
    home = tmp_path / "restored"
    list(copy_all(settings, home))
    with killed_anywhere(home, monkeypatch) as killed:
        sound.must_be_whole(home / name, sound.LAB)
    assert len(killed) > 5
    for left in killed:
        sound.must_be_whole(left / name, sound.LAB)
        assert sound.damage(left / name) == ""


# ---- what else is made at a start, or beside it -------------------------------------------------------------------


def test_a_secret_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut leaves an empty file, and sessions would be signed with nothing."""
    path, synced = tmp_path / "secret", []

    def fsync(file: int) -> None:
        synced.append((os.fstat(file).st_size > 40, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    assert len(read_or_make(path)) > 40
    assert synced == [(True, False)]


def test_two_backups_into_one_folder_at_once(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var", "")
    journal_file.connect(settings.journal, make=True).close()
    first, second = copy_all(settings, tmp_path / "to"), copy_all(settings, tmp_path / "to")
    assert "copied and checked" in next(first)
    with pytest.raises(Trouble, match=r"Another backup is being written into .*/to\. Wait for its end"):
        next(second)
    list(first)
    assert "copied and checked" in next(copy_all(settings, tmp_path / "to"))


def test_what_a_killed_backup_left_does_not_spoil_the_next(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var", "")
    journal_file.connect(settings.journal, make=True).close()
    to = tmp_path / "to"
    to.mkdir()
    for beside in ("", "-journal", "-wal", "-shm"):
        (to / f"journal.sqlite3.part{beside}").write_bytes(b"\xa5" * 5000)
    list(copy_all(settings, to))
    assert [p.name for p in to.iterdir()] == ["journal.sqlite3"]
    assert sound.damage(to / "journal.sqlite3") == ""
