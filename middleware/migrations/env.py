"""Alembic's entry: runs the history on the connection that `middleware.migrate` hands over."""

from alembic import context

from middleware.schema import LabTable

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=LabTable.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
