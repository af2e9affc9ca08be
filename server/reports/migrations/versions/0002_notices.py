"""Notices to laboratories' engineers, and their SMS, which stand without a report."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_notices"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Notices to laboratories' engineers."""
    op.create_table(
        "notice",
        sa.Column("notice_id", sa.String(length=32), nullable=False),
        sa.Column("facility_code", sa.String(length=40), nullable=False),
        sa.Column("facility", sa.String(length=120), nullable=False),
        sa.Column("analyzer", sa.String(length=120), nullable=False),
        sa.Column("alarm", sa.String(length=120), nullable=False),
        sa.Column("since", sa.String(length=40), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notice")),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notice_facility_code"), ["facility_code"], unique=False)
    with op.batch_alter_table("sms", schema=None) as batch_op:
        batch_op.alter_column("report_no", existing_type=sa.String(length=60), nullable=True)
        batch_op.alter_column("version", existing_type=sa.Integer(), nullable=True)
        batch_op.add_column(sa.Column("notice_id", sa.String(length=32), nullable=True))
        batch_op.create_foreign_key(op.f("fk_sms_notice_id_notice"), "notice", ["notice_id"], ["notice_id"])
        batch_op.create_unique_constraint(op.f("uq_sms_notice_id_recipient"), ["notice_id", "recipient"])


def downgrade() -> None:
    """Undo; SMS of notices are forgotten."""
    op.execute("DELETE FROM sms WHERE report_no IS NULL")
    with op.batch_alter_table("sms", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("uq_sms_notice_id_recipient"), type_="unique")
        batch_op.drop_constraint(op.f("fk_sms_notice_id_notice"), type_="foreignkey")
        batch_op.drop_column("notice_id")
        batch_op.alter_column("version", existing_type=sa.Integer(), nullable=False)
        batch_op.alter_column("report_no", existing_type=sa.String(length=60), nullable=False)
    op.drop_table("notice")
