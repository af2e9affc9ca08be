"""Turns a fresh SQLite connection into one whose commits go to a write-ahead log.

Law: whoever opens a file at the same time as others waits its turn, as everywhere else; the first of them changes it.
Source: SQLite's documentation of PRAGMA journal_mode and of sqlite3_busy_handler: the handler is not called where two
that hold the file for reading both wait to change it, so the change itself may say "database is locked" at once.
"""

from __future__ import annotations

import sqlite3
import time

_AGAIN = 0.01  # seconds between two tries


def write_ahead(conn: sqlite3.Connection, patience: float) -> None:
    """Set `journal_mode=WAL` on `conn`, trying again for `patience` seconds while others hold the file.

    Raises sqlite3.OperationalError when they still hold it then, and at once for every other reason.
    """
    until = time.monotonic() + patience
    while True:
        try:
            conn.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not _busy(error) or time.monotonic() >= until:
                raise
            time.sleep(_AGAIN)
        else:
            return


def _busy(error: sqlite3.OperationalError) -> bool:
    return (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
