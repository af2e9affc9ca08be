"""The tables of the first report service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables of the first report service."""
    op.create_table(
        "facility",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_facility")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_facility_key_sha256")),
    )
    op.create_table(
        "opening",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("agent", sa.String(length=40), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opening")),
    )
    with op.batch_alter_table("opening", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_opening_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_opening_report_no"), ["report_no"], unique=False)

    op.create_table(
        "report",
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("facility_code", sa.String(length=40), nullable=False),
        sa.Column("newest", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("report_no", name=op.f("pk_report")),
    )
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_report_facility_code"), ["facility_code"], unique=False)

    op.create_table(
        "sms_opt_out",
        sa.Column("number_key", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number_key", name=op.f("pk_sms_opt_out")),
    )
    op.create_table(
        "sms_receipt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sms_receipt")),
        sa.UniqueConstraint("provider_id", "status", name=op.f("uq_sms_receipt_provider_id_status")),
    )
    op.create_table(
        "access",
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("pin_hash", sa.Text(), nullable=True),
        sa.Column("mobile", sa.String(length=16), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("sms", sa.String(length=10), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("withdrawn_reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["report_no"], ["report.report_no"], name=op.f("fk_access_report_no_report")),
        sa.PrimaryKeyConstraint("report_no", name=op.f("pk_access")),
    )
    op.create_table(
        "gate",
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["report_no"], ["report.report_no"], name=op.f("fk_gate_report_no_report")),
        sa.PrimaryKeyConstraint("report_no", name=op.f("pk_gate")),
    )
    op.create_table(
        "link_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["report_no"], ["report.report_no"], name=op.f("fk_link_token_report_no_report")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_link_token_sha256")),
    )
    with op.batch_alter_table("link_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_link_token_report_no"), ["report_no"], unique=False)

    op.create_table(
        "report_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("link", sa.String(length=10), nullable=False),
        sa.Column("facility_en", sa.Text(), nullable=False),
        sa.Column("facility_hi", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["report_no"], ["report.report_no"], name=op.f("fk_report_version_report_no_report")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_version")),
        sa.UniqueConstraint("report_no", "version", name=op.f("uq_report_version_report_no_version")),
    )
    op.create_table(
        "complaint",
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["link_token.id"], name=op.f("fk_complaint_token_id_link_token")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_complaint")),
    )
    with op.batch_alter_table("complaint", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_complaint_report_no"), ["report_no"], unique=False)

    op.create_table(
        "sms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("report_no", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(length=16), nullable=False),
        sa.Column("template", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["report_no"], ["report.report_no"], name=op.f("fk_sms_report_no_report")),
        sa.ForeignKeyConstraint(["token_id"], ["link_token.id"], name=op.f("fk_sms_token_id_link_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sms")),
        sa.UniqueConstraint("message_id", name=op.f("uq_sms_message_id")),
        sa.UniqueConstraint(
            "report_no",
            "version",
            "recipient",
            "template",
            "round",
            name=op.f("uq_sms_report_no_version_recipient_template_round"),
        ),
    )
    with op.batch_alter_table("sms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sms_next_at"), ["next_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sms_provider_id"), ["provider_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sms_report_no"), ["report_no"], unique=False)
        batch_op.create_index(batch_op.f("ix_sms_status"), ["status"], unique=False)


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("sms", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sms_status"))
        batch_op.drop_index(batch_op.f("ix_sms_report_no"))
        batch_op.drop_index(batch_op.f("ix_sms_provider_id"))
        batch_op.drop_index(batch_op.f("ix_sms_next_at"))

    op.drop_table("sms")
    with op.batch_alter_table("complaint", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_complaint_report_no"))

    op.drop_table("complaint")
    op.drop_table("report_version")
    with op.batch_alter_table("link_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_link_token_report_no"))

    op.drop_table("link_token")
    op.drop_table("gate")
    op.drop_table("access")
    op.drop_table("sms_receipt")
    op.drop_table("sms_opt_out")
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_report_facility_code"))

    op.drop_table("report")
    with op.batch_alter_table("opening", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_opening_report_no"))
        batch_op.drop_index(batch_op.f("ix_opening_at"))

    op.drop_table("opening")
    op.drop_table("facility")
