"""What analyzers are told unasked, and an index of what is still to be measured"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

AWAITED = sa.text("state = 'awaited'")


def upgrade() -> None:
    """Apply this step."""
    at = sa.DateTime(timezone=True)
    op.create_table(
        "order_download",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("sample_pk", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("since", at, nullable=False),
        sa.Column("next_at", at, nullable=False),
        sa.Column("sent_at", at, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_download")),
        sa.ForeignKeyConstraint(["sample_pk"], ["sample.id"], name=op.f("fk_order_download_sample_pk_sample")),
        sa.UniqueConstraint("analyzer", "sample_pk", name=op.f("uq_order_download_analyzer_sample_pk")),
    )
    with op.batch_alter_table("order_download", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_download_state_analyzer"), ["state", "analyzer"], unique=False)
        batch_op.create_index(batch_op.f("ix_order_download_sample_pk"), ["sample_pk"], unique=False)
    op.create_index(
        "ix_order_test_awaited", "order_test", ["sample_pk"], unique=False, sqlite_where=AWAITED,
        postgresql_where=AWAITED,
    )  # fmt: skip


def downgrade() -> None:
    """Undo this step."""
    op.drop_index("ix_order_test_awaited", table_name="order_test")
    op.drop_table("order_download")
