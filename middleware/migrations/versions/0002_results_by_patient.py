"""Results are found by patient; an index that only repeated another goes"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

RELEASED = sa.text("released_at IS NOT NULL")


def upgrade() -> None:
    """Apply this step."""
    op.create_index(
        "ix_result_patient_released", "result", ["patient_id", "released_at"], unique=False,
        sqlite_where=RELEASED, postgresql_where=RELEASED,
    )  # fmt: skip
    op.drop_index("ix_result_order_test_id", table_name="result")


def downgrade() -> None:
    """Take this step back."""
    op.create_index("ix_result_order_test_id", "result", ["order_test_id"], unique=False)
    op.drop_index("ix_result_patient_released", table_name="result")
