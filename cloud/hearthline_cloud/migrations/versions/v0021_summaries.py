"""Spans of time whose summaries in the time-series store are to be made"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "roll_up_due",
        sa.Column("gateway_id", sa.String(64), primary_key=True),
        sa.Column("from_ns", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("to_ns", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("renewed", sa.Integer(), nullable=False),
    )
    op.create_index("ix_roll_up_due_from", "roll_up_due", ["from_ns"])


def downgrade() -> None:
    op.drop_table("roll_up_due")
