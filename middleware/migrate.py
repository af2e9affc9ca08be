"""Turns a database URL into a lab database of today's shape: one Alembic history for SQLite and PostgreSQL.

Law: run by `labmitra db upgrade` and by `labmitra run`; never at import, never by a page.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from middleware.lab import make_engine

HERE = Path(__file__).parent / "migrations"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["connection"] = connection
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the lab database at `url` to `revision`; makes the SQLite file and its folder when missing."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(_config(connection), revision)
        connection.commit()
    engine.dispose()


def downgrade(url: str, revision: str) -> None:
    """Take the lab database back to `revision` (tests only: a lab goes forward)."""
    engine = make_engine(url)
    with engine.connect() as connection:
        command.downgrade(_config(connection), revision)
        connection.commit()
    engine.dispose()


def difference(url: str) -> list[object]:
    """What `schema` declares and the database lacks (or the other way round); empty when they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from middleware.schema import LabTable

    engine = make_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        found = list(compare_metadata(context, LabTable.metadata))
    engine.dispose()
    return found
