"""What every action and page of the lab is handed: the database engine, the settings, a clock.

Turns Settings into a Lab. Law: the only place that makes an engine for the lab database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from middleware.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Lab:
    """One laboratory, open for work. Passed to every action, query and page; never a global."""

    engine: Engine
    settings: Settings
    now: Callable[[], datetime] = field(default=_now)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction (BEGIN IMMEDIATE on SQLite): commit at the end, roll back on any exception."""
        with self.engine.connect() as conn:
            if conn.dialect.name == "sqlite":
                conn.exec_driver_sql("BEGIN IMMEDIATE")
            with conn.begin() if not conn.in_transaction() else _commit(conn):
                yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: a consistent view, nothing written."""
        with self.engine.connect() as conn:
            if conn.dialect.name == "sqlite":
                conn.exec_driver_sql("BEGIN")
            try:
                yield conn
            finally:
                conn.rollback()


@contextmanager
def _commit(conn: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        conn.rollback()
        raise
    conn.commit()


def make_engine(url: str) -> Engine:
    """An engine for SQLite (WAL, synchronous FULL, foreign keys) or PostgreSQL, from an SQLAlchemy URL."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 10, "check_same_thread": False})
    event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(dbapi: Any, _record: object) -> None:
    # The driver's own implicit BEGIN would be deferred: we say BEGIN IMMEDIATE ourselves (see Lab.write).
    dbapi.isolation_level = None
    cursor = dbapi.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def open_lab(settings: Settings) -> Lab:
    """The lab for these settings; the database must have been upgraded (`labmitra db upgrade`)."""
    return Lab(engine=make_engine(settings.database_url), settings=settings)
