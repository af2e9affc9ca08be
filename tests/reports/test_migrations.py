"""One history for both engines: up, the same as the tables, down, and up again; twice is once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from sqlalchemy import inspect, text

from server.reports import migrate, store
from server.reports.database import connect
from server.reports.schema import HubTable


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty 100%.sqlite'}"
        return
    server = request.getfixturevalue("postgres")
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute("CREATE DATABASE hub_empty")
        yield urlunsplit(urlsplit(server)._replace(path="/hub_empty"))
        conn.execute("DROP DATABASE hub_empty WITH (FORCE)")


def tables(url: str) -> set[str]:
    database = connect(url)
    names = set(inspect(database.engine).get_table_names())
    database.close()
    return names


def test_up_check_down_up(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    migrate.check(empty_url)
    assert tables(empty_url) == {*HubTable.metadata.tables, "alembic_version_reports"}
    migrate.downgrade(empty_url, "base")
    assert tables(empty_url) == {"alembic_version_reports"}
    migrate.upgrade(empty_url)
    migrate.check(empty_url)


def test_two_replicas_may_start_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: migrate.upgrade(empty_url), range(3)))
    migrate.check(empty_url)


@pytest.mark.parametrize("empty_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_two_replicas_write_their_first_facilities_one_after_the_other(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    database, keys = connect(empty_url), {"DDU": "ab" * 32}
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    def another() -> None:
        with database.write() as conn:
            store.keep_facilities(conn, keys)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as conn:
            store.keep_facilities(conn, keys)
            told = pool.submit(another)
            while not conn.execute(waiting).scalar():
                assert not told.done()
        told.result()
    with database.read() as conn:
        assert store.find_facility(conn, "ab" * 32) == "DDU"
    database.close()
