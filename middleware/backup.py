"""Copies journal and SQLite databases while everything runs; a copy is whole or it is not there.

Turns files under `var` into files of the same names in another folder. Law: uses SQLite's own online backup, never a
plain copy of an open file. A PostgreSQL database is backed up by its own tools (pg_dump); this says so.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from middleware.settings import Settings
from middleware.sound import COPY
from middleware.trouble import Trouble


def copy_all(settings: Settings, to: Path) -> Iterator[str]:
    """Copy each store into `to`; one line of text per store, saying what was done."""
    to.mkdir(parents=True, exist_ok=True)
    with _alone(to):
        yield _copy(settings.journal, to)
        for url in (settings.database_url, settings.reports.database_url):
            if url.startswith("sqlite:///"):
                yield _copy(Path(url.removeprefix("sqlite:///")), to)
            else:
                yield f"{url.split('@')[-1]}: PostgreSQL, back it up with pg_dump"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two that write the same parts would put half a copy in the place of a whole one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = f"Another backup is being written into {folder}. Wait for its end, or name another folder."
            raise Trouble(busy) from None
        except OSError:  # a network's file system that has no locks on folders
            pass
        yield
    finally:
        os.close(descriptor)


def _copy(source: Path, to: Path) -> str:
    if not source.exists():
        return f"{source.name}: not there yet"
    part, target = to / f"{source.name}.part", to / source.name
    for beside in ("", "-journal", "-wal", "-shm"):  # left by a backup that was killed
        Path(f"{part}{beside}").unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(part)) as new,
    ):
        old.backup(new)
        new.execute(f"PRAGMA application_id = {COPY}")
        said = new.execute("PRAGMA integrity_check").fetchone()[0]
    if said != "ok":
        raise OSError(f"{source.name} is damaged: {said}")
    part.replace(target)
    return f"{source.name}: {target.stat().st_size // 1024} KiB copied and checked"
