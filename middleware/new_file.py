"""Makes a new SQLite file as a whole: with its header and a number of its own, or it is not there.

Turns a path where nothing is into an empty database. Law: SQLite itself makes a file of 0 bytes first and fills it
later; a start that is killed in between, or another that looks at it then, would find what a file looks like that lost
everything, and nothing could be started without a person. A file that is there is never touched.
Source: SQLite's file format (sqlite.org/fileformat2.html 1.3: bytes 18 and 19 say that it has a write-ahead log).
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path


def make_new(path: Path) -> None:
    """An empty database at `path`, unless one is there, or a log is, which would be taken for the new file's own.

    Where the folder does not let us (no room, no right, no hard links) nothing is made: SQLite tells why, or makes it.
    """
    if path.exists() or path.with_name(f"{path.name}-wal").exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with suppress(OSError):
        try:
            _write(draft, _empty())
            path.hardlink_to(draft)  # fails when another process was first: theirs is kept
        finally:
            draft.unlink(missing_ok=True)


def _empty() -> bytes:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute(f"PRAGMA application_id = {secrets.randbits(31) or 1}")
        image = bytearray(conn.serialize())
    image[18:20] = b"\x02\x02"
    return bytes(image)


def _write(path: Path, data: bytes) -> None:
    """As SQLite makes its files, and on the disk."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
