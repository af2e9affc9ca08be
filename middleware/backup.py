"""Copies journal and SQLite databases while everything runs; a copy is whole or it is not there.

Turns files under `var` into files of the same names in another folder. Law: uses SQLite's own online backup, never a
plain copy of an open file. A PostgreSQL database is backed up by its own tools (pg_dump); this says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from middleware.settings import Settings
from middleware.sound import COPY


def copy_all(settings: Settings, to: Path) -> Iterator[str]:
    """Copy each store into `to`; one line of text per store, saying what was done."""
    to.mkdir(parents=True, exist_ok=True)
    yield _copy(settings.journal, to)
    for url in (settings.database_url, settings.reports.database_url):
        if url.startswith("sqlite:///"):
            yield _copy(Path(url.removeprefix("sqlite:///")), to)
        else:
            yield f"{url.split('@')[-1]}: PostgreSQL, back it up with pg_dump"


def _copy(source: Path, to: Path) -> str:
    if not source.exists():
        return f"{source.name}: not there yet"
    part, target = to / f"{source.name}.part", to / source.name
    part.unlink(missing_ok=True)
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
