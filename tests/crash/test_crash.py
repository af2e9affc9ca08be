"""25 rounds of `make crash`: a run that was cut off goes on, nothing is lost or twice; and the books would see it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from middleware.lab import make_engine
from tests.crash.analyzers import Log
from tests.crash.books import Books, Tally
from tests.crash.harness import POINTS, Run
from tests.crash.said import UNIT, stranger, tube

ROUNDS, BREAK = 25, 11


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted once and came to its end."""
    home = tmp_path_factory.mktemp("crash")
    told: list[str] = []
    for upto in (BREAK, ROUNDS):
        with Run(home, told.append, fresh=False) as run:
            tally = run.rounds(upto)
            assert tally.good, (tally, told)
            assert run.state.rounds == upto
            if upto == ROUNDS:
                tally = run.settle()
                assert run.state.missed == 0, "a fault point never came: does tests/crash/entry.py still know the SQL?"
                assert set(run.state.reached) == {point.words for point in POINTS}
    assert tally.good, tally
    assert len(told) == ROUNDS
    return home


def test_25_kills_lose_nothing_and_store_nothing_twice(home: Path) -> None:
    with books(home) as account:
        tally = account.settled()
    assert tally.good and tally.acknowledged > 100, "this account and the run's own agree"
    logs = [Log(home / "sent" / f"{name}.log", name) for name in UNIT]
    for log in logs:
        log.close()
        assert log.last()[0] > 3, f"{log.name} has sent next to nothing"
    assert sum(attempt > 1 for log in logs for _, attempt, piece in log.lines if piece == 0) > 5, (
        "the kills cut nothing"
    )
    with closing(sqlite3.connect(home / "var" / "lab.sqlite3")) as conn:
        filed = [
            conn.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("result", "control_result", "unmatched")
        ]
        again = conn.execute("SELECT sum(duplicates) FROM message").fetchone()[0]
    assert all(count > 10 for count in filed), "results, controls and tray rows"
    assert again > 0, "messages that came twice were known again"


@contextmanager
def books(home: Path) -> Iterator[Books]:
    """A new account of a run's folder."""
    logs = [Log(home / "sent" / f"{name}.log", name) for name in UNIT]
    tubes: dict[str, list[str]] = {name: [] for name in UNIT}
    for line in (home / "tubes").read_text().splitlines():
        tubes[line.split()[0]].append(line.split()[1])

    def sample(name: str, number: int) -> str:
        at = tube(number)
        return stranger(name, number) if at is None else tubes[name][at]

    engine = make_engine(f"sqlite:///{home / 'var' / 'lab.sqlite3'}", make=False)
    yield Books(home / "var" / "journal.sqlite3", engine, logs, sample)
    engine.dispose()
    for log in logs:
        log.close()


@pytest.fixture
def doctored(home: Path, tmp_path: Path) -> Path:
    """A copy of the run's folder."""
    for name in ("sent", "var", "tubes"):
        (shutil.copytree if (home / name).is_dir() else shutil.copy)(home / name, tmp_path / name)
    return tmp_path


def after(doctored: Path, file: str, statement: str) -> Tally:
    """How things stand when this had happened to one of the databases."""
    with closing(sqlite3.connect(doctored / "var" / file)) as conn, conn:
        assert conn.execute(statement).rowcount == 1
    with books(doctored) as account:
        return account.settled()


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("journal.sqlite3", "DELETE FROM chunk WHERE id = (SELECT max(id) FROM chunk WHERE frame = 1)"),
        (
            "journal.sqlite3",
            "DELETE FROM message WHERE number = (SELECT max(number) FROM message WHERE incomplete = 0)",
        ),
        ("lab.sqlite3", "UPDATE message SET unmatched = unmatched + 1 WHERE id = (SELECT max(id) FROM message)"),
        ("lab.sqlite3", "DELETE FROM control_result WHERE id = (SELECT max(id) FROM control_result)"),
        ("lab.sqlite3", "DELETE FROM unmatched WHERE id = (SELECT max(id) FROM unmatched)"),
    ],
    ids=["a frame", "a message", "the lab's own count", "a control", "a tray row"],
)
def test_what_is_gone_is_seen(doctored: Path, file: str, statement: str) -> None:
    tally = after(doctored, file, statement)
    assert len(tally.lost) == 1 and not tally.twice and not tally.strange


@pytest.mark.parametrize(
    ("file", "table", "key", "new"),
    [
        ("journal.sqlite3", "message", "number", {"id": "'again'"}),
        ("lab.sqlite3", "control_result", "id", {"identity": "'again'"}),
        ("lab.sqlite3", "result", "id", {"identity": "'again'"}),
        ("lab.sqlite3", "unmatched", "id", {"identity": "'again'"}),
    ],
    ids=["a message", "a control", "a result", "a tray row"],
)
def test_what_is_there_twice_is_seen(doctored: Path, file: str, table: str, key: str, new: dict[str, str]) -> None:
    with closing(sqlite3.connect(doctored / "var" / file)) as conn:
        columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})") if row[1] != key]
    values = ", ".join(new.get(column, column) for column in columns)
    more = "incomplete = 0" if table == "message" else "true"
    copied = f"SELECT {values} FROM {table} WHERE {more} ORDER BY {key} DESC LIMIT 1"
    tally = after(doctored, file, f"INSERT INTO {table} ({', '.join(columns)}) {copied}")
    assert len(tally.twice) == 1 and not tally.lost and not tally.strange


def test_a_value_that_nobody_sent_is_seen(doctored: Path) -> None:
    tally = after(doctored, "lab.sqlite3", "UPDATE result SET verbatim = '1' WHERE id = (SELECT max(id) FROM result)")
    assert len(tally.strange) == 1 and len(tally.lost) == 1


def test_a_middleware_that_commits_after_its_acknowledgement_is_found_out(tmp_path: Path) -> None:
    told: list[str] = []
    with Run(tmp_path, told.append, fresh=False, mutant="commit_late") as run:
        run.state.rounds = 1  # begin with a kill by the clock
        tally = run.rounds(9)
    assert tally.lost, told
