"""Turns a database URL into transactions: one writer at a time on SQLite, row locks on PostgreSQL.

Law: no transaction stays open across I/O; every write is BEGIN IMMEDIATE on SQLite, so it never fails half-way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from middleware.new_file import make_new
from middleware.postgres import PEER_GONE, psycopg_url
from middleware.write_ahead import write_ahead

_PATIENCE = 10  # seconds that a writer waits for another


@dataclass(frozen=True)
class Database:
    """The report service's own database."""

    engine: Engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: commit at the end, roll back on any exception."""
        with self.engine.connect() as conn:
            conn.exec_driver_sql("BEGIN IMMEDIATE" if self.is_sqlite else "SELECT 1")
            try:
                yield conn
            except BaseException:
                conn.rollback()
                raise
            conn.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: a consistent view, nothing written."""
        with self.engine.connect() as conn:
            if self.is_sqlite:
                conn.exec_driver_sql("BEGIN")
            try:
                yield conn
            finally:
                conn.rollback()

    @property
    def is_sqlite(self) -> bool:
        """True on SQLite, where one writer holds the whole file."""
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def connect(url: str) -> Database:
    """The database behind an SQLAlchemy URL; `postgresql://` means psycopg 3."""
    if not url.startswith("sqlite"):
        made = create_engine(
            psycopg_url(url), hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=20,
            connect_args=PEER_GONE,
        )  # fmt: skip
        return Database(made)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE, "check_same_thread": False})
    event.listen(engine, "do_connect", _make_file)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "handle_error", _made_while_read_only)
    return Database(engine)


def _make_file(_dialect: Any, _record: Any, args: list[Any], _options: Any) -> None:
    """The dialect connects itself, to a file that is there as a whole."""
    if args and args[0] != ":memory:":
        make_new(Path(args[0]))


def _sqlite_pragmas(dbapi: Any, _record: object) -> None:
    # The driver's own implicit BEGIN would be deferred: we say BEGIN IMMEDIATE ourselves.
    dbapi.isolation_level = None
    write_ahead(dbapi, _PATIENCE)
    cursor = dbapi.cursor()
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_PATIENCE * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


_READ_ONLY = 8  # SQLITE_READONLY


def _made_while_read_only(context: Any) -> None:
    """While a connection that was made when the file could not be written is open, none of this process can write."""
    if (getattr(context.original_exception, "sqlite_errorcode", None) or 0) & 0xFF == _READ_ONLY:
        context.is_disconnect = True
        context.engine.dispose()
