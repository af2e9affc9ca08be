"""The lab's tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "analyzer_state",
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("connected", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handshake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("messages_today", sa.Integer(), nullable=False),
        sa.Column("refused_today", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("analyzer", name=op.f("pk_analyzer_state")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.String(length=60), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_at"), ["at"], unique=False)
        batch_op.create_index("ix_audit_subject_subject_id", ["subject", "subject_id"], unique=False)

    op.create_table(
        "change",
        sa.Column("topic", sa.String(length=20), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_change")),
    )
    op.create_table(
        "control_target",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("lot", sa.String(length=80), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("test", sa.String(length=12), nullable=False),
        sa.Column("mean", sa.String(length=40), nullable=False),
        sa.Column("sd", sa.String(length=40), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("expires", sa.Date(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(length=120), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_target")),
        sa.UniqueConstraint(
            "analyzer", "lot", "test", "valid_from", name=op.f("uq_control_target_analyzer_lot_test_valid_from")
        ),
    )
    op.create_table(
        "delivery_state",
        sa.Column("report_no", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("report_no", name=op.f("pk_delivery_state")),
    )
    op.create_table(
        "handover",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_no", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover")),
        sa.UniqueConstraint("report_no", "version", "serial", name=op.f("uq_handover_report_no_version_serial")),
    )
    with op.batch_alter_table("handover", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_handover_report_no"), ["report_no"], unique=False)
        batch_op.create_index(batch_op.f("ix_handover_state"), ["state"], unique=False)

    op.create_table(
        "login_failure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_failure")),
    )
    with op.batch_alter_table("login_failure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_failure_key"), ["key"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(length=120), nullable=True),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("sample_ids", sa.Text(), nullable=False),
        sa.Column("observations", sa.Integer(), nullable=False),
        sa.Column("measurements", sa.Integer(), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.Column("controls", sa.Integer(), nullable=False),
        sa.Column("unmatched", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("not_reportable", sa.Integer(), nullable=False),
        sa.Column("suspects", sa.Integer(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("details", sa.Integer(), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_analyzer"), ["analyzer"], unique=False)
        batch_op.create_index(batch_op.f("ix_message_received_at"), ["received_at"], unique=False)

    op.create_table(
        "patient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uhid", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("name_key", sa.String(length=120), nullable=False),
        sa.Column("sex", sa.String(length=1), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=False),
        sa.Column("birth_precision", sa.String(length=5), nullable=False),
        sa.Column("guardian", sa.String(length=120), nullable=False),
        sa.Column("mobile", sa.String(length=16), nullable=True),
        sa.Column("mobile_owner", sa.String(length=8), nullable=False),
        sa.Column("sms_consent", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("abha", sa.String(length=14), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("uhid", name=op.f("uq_patient_uhid")),
    )
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_patient_mobile"), ["mobile"], unique=False)
        batch_op.create_index(batch_op.f("ix_patient_name_key"), ["name_key"], unique=False)

    op.create_table(
        "sample_counter",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "purpose", name=op.f("pk_sample_counter")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("qualification", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("username", name=op.f("uq_user_account_username")),
    )
    op.create_table(
        "control_result",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("lot", sa.String(length=80), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("test", sa.String(length=12), nullable=True),
        sa.Column("verbatim", sa.String(length=400), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=True),
        sa.Column("unit", sa.String(length=40), nullable=True),
        sa.Column("observed_at", sa.String(length=20), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=True),
        sa.Column("excluded", sa.Boolean(), nullable=False),
        sa.Column("excluded_note", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["target_id"], ["control_target.id"], name=op.f("fk_control_result_target_id_control_target")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_result")),
        sa.UniqueConstraint("identity", name=op.f("uq_control_result_identity")),
    )
    with op.batch_alter_table("control_result", schema=None) as batch_op:
        batch_op.create_index("ix_control_result_analyzer_lot_test", ["analyzer", "lot", "test"], unique=False)
        batch_op.create_index(batch_op.f("ix_control_result_message_id"), ["message_id"], unique=False)

    op.create_table(
        "lab_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_no", sa.String(length=30), nullable=False),
        sa.Column("report_no", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("facility_code", sa.String(length=20), nullable=False),
        sa.Column("doctor", sa.String(length=120), nullable=False),
        sa.Column("department", sa.String(length=80), nullable=False),
        sa.Column("external_ref", sa.String(length=60), nullable=True),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_by", sa.String(length=120), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pin_hash", sa.String(length=200), nullable=True),
        sa.Column("access_serial", sa.Integer(), nullable=False),
        sa.Column("sms_mobile", sa.String(length=16), nullable=True),
        sa.Column("sms_mode", sa.String(length=10), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_lab_order_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lab_order")),
        sa.UniqueConstraint("external_ref", name=op.f("uq_lab_order_external_ref")),
        sa.UniqueConstraint("order_no", name=op.f("uq_lab_order_order_no")),
        sa.UniqueConstraint("report_no", name=op.f("uq_lab_order_report_no")),
    )
    with op.batch_alter_table("lab_order", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lab_order_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_lab_order_registered_at"), ["registered_at"], unique=False)

    op.create_table(
        "report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_no", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_by", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["lab_order.id"], name=op.f("fk_report_order_id_lab_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint("report_no", "version", name=op.f("uq_report_report_no_version")),
    )
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_report_issued_at"), ["issued_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_report_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_report_report_no"), ["report_no"], unique=False)

    op.create_table(
        "sample",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sample_id", sa.String(length=12), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("specimen", sa.String(length=60), nullable=False),
        sa.Column("container", sa.String(length=1), nullable=False),
        sa.Column("timing", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("collected_by", sa.String(length=120), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_by", sa.String(length=120), nullable=False),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejected_by", sa.String(length=120), nullable=False),
        sa.Column("reject_reason", sa.String(length=40), nullable=False),
        sa.Column("replaced_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["lab_order.id"], name=op.f("fk_sample_order_id_lab_order")),
        sa.ForeignKeyConstraint(["replaced_by_id"], ["sample.id"], name=op.f("fk_sample_replaced_by_id_sample")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample")),
        sa.UniqueConstraint("sample_id", "year", name=op.f("uq_sample_sample_id_year")),
    )
    with op.batch_alter_table("sample", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sample_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sample_sample_id"), ["sample_id"], unique=False)

    op.create_table(
        "slip_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("minted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["lab_order.id"], name=op.f("fk_slip_token_order_id_lab_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slip_token")),
    )
    with op.batch_alter_table("slip_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_slip_token_order_id"), ["order_id"], unique=False)

    op.create_table(
        "order_test",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("sample_pk", sa.Integer(), nullable=True),
        sa.Column("test", sa.String(length=12), nullable=False),
        sa.Column("panel", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["lab_order.id"], name=op.f("fk_order_test_order_id_lab_order")),
        sa.ForeignKeyConstraint(["sample_pk"], ["sample.id"], name=op.f("fk_order_test_sample_pk_sample")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_test")),
        sa.UniqueConstraint("order_id", "test", name=op.f("uq_order_test_order_id_test")),
    )
    with op.batch_alter_table("order_test", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_test_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_order_test_sample_pk"), ["sample_pk"], unique=False)

    op.create_table(
        "result",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=True),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("order_test_id", sa.Integer(), nullable=False),
        sa.Column("sample_pk", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("test", sa.String(length=12), nullable=False),
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("typed_by", sa.String(length=120), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("verbatim", sa.String(length=400), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=True),
        sa.Column("comparator", sa.String(length=2), nullable=False),
        sa.Column("coded", sa.String(length=80), nullable=True),
        sa.Column("display", sa.String(length=80), nullable=False),
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("flag", sa.String(length=2), nullable=False),
        sa.Column("ref_low", sa.String(length=40), nullable=True),
        sa.Column("ref_high", sa.String(length=40), nullable=True),
        sa.Column("analyzer_flags", sa.JSON(), nullable=False),
        sa.Column("comments", sa.JSON(), nullable=False),
        sa.Column("aspect", sa.String(length=20), nullable=True),
        sa.Column("observed_at", sa.String(length=20), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("green", sa.Boolean(), nullable=False),
        sa.Column("critical", sa.Boolean(), nullable=False),
        sa.Column("rule_set", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.String(length=120), nullable=False),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejected_by", sa.String(length=120), nullable=False),
        sa.Column("reject_note", sa.String(length=200), nullable=False),
        sa.Column("amends_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["amends_id"], ["result.id"], name=op.f("fk_result_amends_id_result")),
        sa.ForeignKeyConstraint(["order_test_id"], ["order_test.id"], name=op.f("fk_result_order_test_id_order_test")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_result_patient_id_patient")),
        sa.ForeignKeyConstraint(["sample_pk"], ["sample.id"], name=op.f("fk_result_sample_pk_sample")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result")),
        sa.UniqueConstraint("identity", name=op.f("uq_result_identity")),
    )
    with op.batch_alter_table("result", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_result_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_result_message_id"), ["message_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_result_order_test_id"), ["order_test_id"], unique=False)
        batch_op.create_index("ix_result_order_test_state", ["order_test_id", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_result_released_at"), ["released_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_result_sample_pk"), ["sample_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_result_state"), ["state"], unique=False)

    op.create_table(
        "critical_call",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("result_id", sa.Integer(), nullable=False),
        sa.Column("told", sa.String(length=120), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_back", sa.Boolean(), nullable=False),
        sa.Column("reached", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("called_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name=op.f("fk_critical_call_result_id_result")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_critical_call")),
    )
    with op.batch_alter_table("critical_call", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_critical_call_result_id"), ["result_id"], unique=False)

    op.create_table(
        "reason",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("result_id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hi", sa.Text(), nullable=False),
        sa.Column("rule_values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name=op.f("fk_reason_result_id_result")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reason")),
    )
    with op.batch_alter_table("reason", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reason_result_id"), ["result_id"], unique=False)

    op.create_table(
        "unmatched",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("analyzer", sa.String(length=40), nullable=False),
        sa.Column("sample_id", sa.String(length=80), nullable=True),
        sa.Column("sample_pk", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=True),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("unit", sa.String(length=80), nullable=True),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("observed_at", sa.String(length=20), nullable=True),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hi", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=120), nullable=False),
        sa.Column("closed_note", sa.String(length=200), nullable=False),
        sa.Column("result_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name=op.f("fk_unmatched_result_id_result")),
        sa.ForeignKeyConstraint(["sample_pk"], ["sample.id"], name=op.f("fk_unmatched_sample_pk_sample")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unmatched")),
        sa.UniqueConstraint("identity", name=op.f("uq_unmatched_identity")),
    )
    with op.batch_alter_table("unmatched", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_unmatched_message_id"), ["message_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_unmatched_sample_id"), ["sample_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_unmatched_state"), ["state"], unique=False)


def downgrade() -> None:
    """Undo this step."""
    with op.batch_alter_table("unmatched", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_unmatched_state"))
        batch_op.drop_index(batch_op.f("ix_unmatched_sample_id"))
        batch_op.drop_index(batch_op.f("ix_unmatched_message_id"))

    op.drop_table("unmatched")
    with op.batch_alter_table("reason", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reason_result_id"))

    op.drop_table("reason")
    with op.batch_alter_table("critical_call", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_critical_call_result_id"))

    op.drop_table("critical_call")
    with op.batch_alter_table("result", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_result_state"))
        batch_op.drop_index(batch_op.f("ix_result_sample_pk"))
        batch_op.drop_index(batch_op.f("ix_result_released_at"))
        batch_op.drop_index("ix_result_order_test_state")
        batch_op.drop_index(batch_op.f("ix_result_order_test_id"))
        batch_op.drop_index(batch_op.f("ix_result_message_id"))
        batch_op.drop_index(batch_op.f("ix_result_created_at"))

    op.drop_table("result")
    with op.batch_alter_table("order_test", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_order_test_sample_pk"))
        batch_op.drop_index(batch_op.f("ix_order_test_order_id"))

    op.drop_table("order_test")
    with op.batch_alter_table("slip_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_slip_token_order_id"))

    op.drop_table("slip_token")
    with op.batch_alter_table("sample", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sample_sample_id"))
        batch_op.drop_index(batch_op.f("ix_sample_order_id"))

    op.drop_table("sample")
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_report_report_no"))
        batch_op.drop_index(batch_op.f("ix_report_order_id"))
        batch_op.drop_index(batch_op.f("ix_report_issued_at"))

    op.drop_table("report")
    with op.batch_alter_table("lab_order", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lab_order_registered_at"))
        batch_op.drop_index(batch_op.f("ix_lab_order_patient_id"))

    op.drop_table("lab_order")
    with op.batch_alter_table("control_result", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_control_result_message_id"))
        batch_op.drop_index("ix_control_result_analyzer_lot_test")

    op.drop_table("control_result")
    op.drop_table("user_account")
    op.drop_table("sample_counter")
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_patient_name_key"))
        batch_op.drop_index(batch_op.f("ix_patient_mobile"))

    op.drop_table("patient")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_message_received_at"))
        batch_op.drop_index(batch_op.f("ix_message_analyzer"))

    op.drop_table("message")
    with op.batch_alter_table("login_failure", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_failure_key"))

    op.drop_table("login_failure")
    with op.batch_alter_table("handover", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_handover_state"))
        batch_op.drop_index(batch_op.f("ix_handover_report_no"))

    op.drop_table("handover")
    op.drop_table("delivery_state")
    op.drop_table("control_target")
    op.drop_table("change")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_subject_subject_id")
        batch_op.drop_index(batch_op.f("ix_audit_at"))

    op.drop_table("audit")
    op.drop_table("analyzer_state")
