"""What every action and page of the lab is handed: the database engine, the settings, a clock.

Turns Settings into a Lab. Law: the only place that makes an engine for the lab database.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError

from middleware.new_file import make_new
from middleware.postgres import CLIENT_GONE, PEER_GONE, psycopg_url
from middleware.settings import Settings
from middleware.turn import turn
from middleware.write_ahead import write_ahead

# One laboratory has one writer at a time, on both engines: no two people can each believe they released the last test.
_WRITER = 0x4C4D5752
# A batch of counts touches some 2500 pages of a large database, at random: they find room in the cache (KiB), and the
# write-ahead log is carried into the file less often (pages).
_ROOM = ("cache_size=-12000", "wal_autocheckpoint=8000")
_PATIENCE = 10  # seconds a writer waits for another one


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Lab:
    """One laboratory, open for work. Passed to every action, query and page; never a global."""

    engine: Engine
    settings: Settings
    now: Callable[[], datetime] = field(default=_now)

    @contextmanager
    def write(self, gives_way: bool = False) -> Iterator[Connection]:
        """One write transaction, the only one at a time: commit at the end, roll back on any exception.

        `gives_way`: whoever waits to write goes first. For a queue that would else begin its next transaction in the
        moment that it ends the last, while a person's release looks for a gap (SQLite has no queue of its own).
        """
        with self.engine.connect() as conn:
            with turn(self.engine, gives_way):
                lock_writers(conn)
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
            if conn.dialect.name == "sqlite":
                conn.exec_driver_sql("BEGIN")
            else:  # READ COMMITTED would let two statements of one page see two states
                conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            try:
                yield conn
            finally:
                conn.rollback()


def lock_writers(conn: Connection) -> None:
    """Begin a transaction that no other writer of this laboratory's database shares."""
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER})


def make_engine(url: str, make: bool = True) -> Engine:
    """An engine for SQLite (WAL, synchronous FULL, foreign keys) or PostgreSQL; `postgresql://` means psycopg 3.

    Without `make` an SQLite file that is not there is an error, never a new and empty laboratory. Values never stand
    in its errors: they are patients'.
    """
    if not url.startswith("sqlite"):
        wait = {"options": f"-c lock_timeout={_PATIENCE}s {CLIENT_GONE}", **PEER_GONE}
        return create_engine(
            psycopg_url(url), pool_pre_ping=True, hide_parameters=True, connect_args=wait, json_serializer=_json
        )
    patient = {"timeout": _PATIENCE, "check_same_thread": False}
    engine = create_engine(url, hide_parameters=True, connect_args=patient, json_serializer=_json)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "handle_error", _made_while_read_only)
    if engine.url.database and engine.url.database != ":memory:":
        _watch_file(engine, Path(engine.url.database).absolute(), make)
    return engine


def reading_engine(url: str) -> Engine:
    """An engine that cannot write, for tools that look at a laboratory that goes on working. An SQLite file must be
    there; it is opened read only and nothing of it is set."""
    if not url.startswith("sqlite"):
        only = {"options": f"-c default_transaction_read_only=on {CLIENT_GONE}", **PEER_GONE}
        return create_engine(psycopg_url(url), hide_parameters=True, connect_args=only)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE, "check_same_thread": False})
    path = Path(engine.url.database or "").absolute()

    def connect(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> sqlite3.Connection:
        opened: sqlite3.Connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, **options)
        opened.isolation_level = None
        return opened

    event.listen(engine, "do_connect", connect)
    return engine


_encode = json.JSONEncoder().encode


def _json(value: Any) -> str:
    """As json.dumps: most of our JSON columns are lists of a flag or of nothing, by the million."""
    if isinstance(value, list | tuple) and len(value) < 2 and (not value or isinstance(value[0], str)):
        return _listed(*value)
    return _encode(value)


@lru_cache(maxsize=1000)
def _listed(*texts: str) -> str:
    return _encode(list(texts))


def _watch_file(engine: Engine, path: Path, make: bool) -> None:
    """A file that was moved away or replaced is never written to: what it got would be gone with it."""

    how = "rwc" if make else "rw"

    def connect(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> sqlite3.Connection:
        if make:
            make_new(path)
        opened: sqlite3.Connection = sqlite3.connect(f"{path.as_uri()}?mode={how}", uri=True, **options)
        return opened

    def connected(_dbapi: Any, record: Any) -> None:
        record.info["file"] = _which(path)

    def taken(_dbapi: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _which(path):
            raise DisconnectionError(f"{path.name} is not the file it was")

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", taken)


def _which(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sqlite_pragmas(dbapi: Any, _record: object) -> None:
    # The driver's own implicit BEGIN would be deferred: we say BEGIN IMMEDIATE ourselves (see Lab.write).
    dbapi.isolation_level = None
    write_ahead(dbapi, _PATIENCE)
    cursor = dbapi.cursor()
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_PATIENCE * 1000}", *_ROOM):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


_READ_ONLY = 8  # SQLITE_READONLY; the upper bytes of an error's code say more


def _made_while_read_only(context: Any) -> None:
    """SQLite opens a file that may not be written for reading, and maps the file beside it so for the whole process:
    as long as one such connection is open, none can write, long after the file was mended. All are closed."""
    if (getattr(context.original_exception, "sqlite_errorcode", None) or 0) & 0xFF == _READ_ONLY:
        context.is_disconnect = True
        context.engine.dispose()


def open_lab(settings: Settings) -> Lab:
    """The lab for these settings; the database must have been upgraded (`labmitra db upgrade`)."""
    return Lab(engine=make_engine(settings.database_url, make=False), settings=settings)
