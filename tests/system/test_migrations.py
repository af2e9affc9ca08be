"""One history for both engines: up, the same as the tables, down, and up again; a copy while people write."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect

from middleware import migrate
from middleware.backup import copy_all
from middleware.journal import Journal
from middleware.lab import make_engine
from middleware.schema import LabTable, Patient
from tests.labs import Desk, settings_for


def tables(url: str) -> set[str]:
    engine = make_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def test_up_the_same_as_the_tables_down_and_up(empty_lab_url: str) -> None:
    migrate.upgrade(empty_lab_url)
    migrate.upgrade(empty_lab_url)
    assert migrate.difference(empty_lab_url) == []
    assert tables(empty_lab_url) == {*LabTable.metadata.tables, "alembic_version"}
    migrate.downgrade(empty_lab_url, "base")
    assert tables(empty_lab_url) == {"alembic_version"}
    assert migrate.difference(empty_lab_url) != []
    migrate.upgrade(empty_lab_url)
    assert migrate.difference(empty_lab_url) == []


def test_processes_that_start_together_upgrade_once(empty_lab_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: migrate.upgrade(empty_lab_url), range(3)))
    assert migrate.difference(empty_lab_url) == []


def test_an_upgrade_that_fails_leaves_nothing_open(empty_lab_url: str) -> None:
    with pytest.raises(Exception, match="nosuch"):
        migrate.upgrade(empty_lab_url, "nosuch")
    assert tables(empty_lab_url) <= {"alembic_version"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    (tmp_path / "var").mkdir(exist_ok=True)
    journal = Journal.open(settings_for(tmp_path / "var", "").journal)
    yield journal
    journal.close()


def test_a_copy_taken_while_people_write_opens_and_is_whole(desk: Desk, tmp_path: Path, journal: Journal) -> None:
    journal.finish("bench", None, b"H|\\^&\rL|1\r", False)
    for _ in range(5):
        desk.register("HB", received=False)
    before = desk.dump()
    stop = threading.Event()

    def keep_writing() -> int:
        made = 0
        while not stop.is_set():
            desk.register("CBC", received=False)
            made += 1
        return made

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(keep_writing)
        try:
            told = list(copy_all(desk.lab.settings, tmp_path / "copy 100%"))
        finally:
            stop.set()
        assert writing.result() >= 0
    if desk.lab.engine.dialect.name != "sqlite":
        assert [line for line in told if "pg_dump" in line]
        return
    assert len(told) == 3 and "lab.sqlite3" in told[1] and "copied and checked" in told[1]
    assert "not there yet" in told[2]  # the report service has not run here
    copied = {p.name for p in (tmp_path / "copy 100%").iterdir()}
    assert copied == {"lab.sqlite3", "journal.sqlite3"}
    rows = _open_copy(desk, tmp_path / "copy 100%" / "lab.sqlite3")
    assert rows["patient"][:5] == before["patient"]
    orders = {row["id"] for row in rows["lab_order"]}
    assert {t["order_id"] for t in rows["order_test"]} == orders  # never half a registration
    assert {s["order_id"] for s in rows["sample"]} == orders
    with closing(sqlite3.connect(tmp_path / "copy 100%" / "journal.sqlite3")) as conn:
        assert conn.execute("SELECT body FROM message").fetchall() == [(b"H|\\^&\rL|1\r",)]


def _open_copy(desk: Desk, path: Path) -> dict[str, list[dict[str, object]]]:
    lab = replace(desk.lab, engine=make_engine(f"sqlite:///{path}"))
    try:
        return Desk(lab, desk.clock).dump()
    finally:
        lab.engine.dispose()


@pytest.mark.postgres
def test_the_copy_tells_no_password(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var", "postgresql://lab:secret@db.local/lab")
    assert not [line for line in copy_all(settings, tmp_path / "to") if "secret" in line]


def test_a_reader_sees_one_state_while_others_write(desk: Desk) -> None:
    from middleware import store

    with desk.lab.read() as conn:
        before = store.count(conn, Patient)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(desk.register, "HB").result()
        assert store.count(conn, Patient) == before
    with desk.lab.read() as conn:
        assert store.count(conn, Patient) == before + 1
