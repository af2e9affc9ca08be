"""Processes that open a new SQLite file at the same moment: each waits its turn, none is told that it is locked."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from middleware import journal_file, write_ahead
from middleware.lab import make_engine
from server.reports import database


def open_lab(path: Path) -> None:
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect() as conn:
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


def open_reports(path: Path) -> None:
    reports = database.connect(f"sqlite:///{path}")
    with reports.read() as conn:
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    reports.close()


def open_journal(path: Path) -> None:
    with closing(journal_file.connect(path, make=True)) as conn:
        assert journal_file.last(conn, "chunk") == 0


@pytest.mark.parametrize("opened", [open_lab, open_reports, open_journal])
def test_a_new_file_that_four_open_at_once(opened: Callable[[Path], None], tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def one(path: Path) -> None:
        together.wait()
        opened(path)

    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            list(pool.map(one, [tmp_path / f"{number}.sqlite3"] * 4))


def held(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """One that reads the file, and one that would change it."""
    other = sqlite3.connect(path, isolation_level=None)
    other.executescript("CREATE TABLE t (a); BEGIN")
    other.execute("SELECT * FROM t").fetchall()
    return other, sqlite3.connect(path, timeout=0, isolation_level=None)


def test_a_reader_that_is_in_the_way_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, conn = held(tmp_path / "a.sqlite3")
    waited: list[float] = []

    def ends(seconds: float) -> None:
        waited.append(seconds)
        other.rollback()

    monkeypatch.setattr(write_ahead.time, "sleep", ends)
    with closing(other), closing(conn):
        write_ahead.write_ahead(conn, 10)
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert len(waited) == 1


def test_one_that_stays_in_the_way_is_told_when_patience_ends(tmp_path: Path) -> None:
    other, conn = held(tmp_path / "a.sqlite3")
    with closing(other), closing(conn), pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead.write_ahead(conn, 0)


def test_other_reasons_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sqlite3").touch()
    monkeypatch.setattr(write_ahead.time, "sleep", pytest.fail)
    address = f"{(tmp_path / 'a.sqlite3').as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as conn, pytest.raises(sqlite3.OperationalError, match="readonly"):
        write_ahead.write_ahead(conn, 10)
