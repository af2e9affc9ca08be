"""Turns a database URL into a lab database of today's shape: one Alembic history for SQLite and PostgreSQL.

Law: run by `labmitra db upgrade` and by `labmitra run`; never at import, never by a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from middleware.lab import lock_writers, make_engine

HERE = Path(__file__).parent / "migrations"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the lab database at `url` to `revision`; makes the SQLite file and its folder when missing.

    Two processes that start together upgrade one after the other.
    """
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with _alone(url) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the lab database back to `revision` (tests only: a lab goes forward)."""
    with _alone(url) as connection:
        command.downgrade(_config(connection), revision)


def difference(url: str) -> list[object]:
    """What `schema` declares and the database lacks (or the other way round); empty when they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from middleware.schema import LabTable

    with _alone(url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, LabTable.metadata))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(url: str) -> Iterator[Connection]:
    """A connection in one transaction that no other writer of this database shares."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            lock_writers(connection)
            yield connection
            connection.commit()
    finally:
        engine.dispose()
