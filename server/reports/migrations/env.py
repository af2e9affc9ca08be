"""Runs the history of the report service on the connection that `server.reports.migrate` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlmodel.sql.sqltypes import AutoString

from server.reports.schema import HubTable, Instant


def _plain_types(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write plain SQL types into the history: it must not change when our Python classes do."""
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})"
    return False


def run() -> None:
    """Run the asked revisions; batch mode because SQLite cannot alter a table in place."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=HubTable.metadata,
        render_as_batch=True,
        render_item=_plain_types,
        version_table="alembic_version_reports",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
