"""The saved versions of the escalation policies, and how a channel's last messages went by an index"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("saved_by", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
    op.create_index("ix_notification_channel", "notification", ["channel", "id"])


def downgrade() -> None:
    op.drop_index("ix_notification_channel", "notification")
    op.drop_table("policy")
