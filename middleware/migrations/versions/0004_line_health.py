"""Four lamps, the clock and the rhythm of each line, and its alarms"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply this step."""
    at = sa.DateTime(timezone=True)
    with op.batch_alter_table("analyzer_state", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parsed_at", at, nullable=True))
        batch_op.add_column(sa.Column("failed_at", at, nullable=True))
        batch_op.add_column(sa.Column("unfiled_at", at, nullable=True))
        batch_op.add_column(sa.Column("drift_seconds", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("rhythm", sa.String(length=10), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("rhythm_days", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("usual_gap_seconds", sa.Integer(), nullable=True))
    op.create_table(
        "line_alarm",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("began_at", at, nullable=False),
        sa.Column("ended_at", at, nullable=True),
        sa.Column("args", sa.JSON(), nullable=False),
        sa.Column("notice_id", sa.String(length=32), nullable=False),
        sa.Column("notice_state", sa.String(length=10), nullable=False),
        sa.Column("notice_attempts", sa.Integer(), nullable=False),
        sa.Column("notice_next_at", at, nullable=False),
        sa.Column("notice_error", sa.Text(), nullable=False),
        sa.Column("told_at", at, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_alarm")),
        sa.UniqueConstraint("notice_id", name=op.f("uq_line_alarm_notice_id")),
    )
    with op.batch_alter_table("line_alarm", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_line_alarm_began_at"), ["began_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_line_alarm_notice_state"), ["notice_state"], unique=False)
    op.create_index(
        "uq_line_alarm_lasting", "line_alarm", ["analyzer", "kind"], unique=True,
        sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL"),
    )  # fmt: skip


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("line_alarm")
    with op.batch_alter_table("analyzer_state", schema=None) as batch_op:
        for name in ("usual_gap_seconds", "rhythm_days", "rhythm", "drift_seconds", "unfiled_at", "failed_at",
                     "parsed_at"):  # fmt: skip
            batch_op.drop_column(name)
