"""Each message's books are checked when it is recorded: a difference is kept"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ASTRAY = sa.text("difference <> 0")


def upgrade() -> None:
    """Apply this step."""
    op.add_column("message", sa.Column("difference", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(
        "ix_message_difference", "message", ["analyzer"], unique=False, sqlite_where=ASTRAY, postgresql_where=ASTRAY
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_message_difference", table_name="message")
    op.drop_column("message", "difference")
