"""Accounts of some communities, disabled accounts, when a session was used, browsers that are known

Accounts of before see the whole center as they did. Sessions of before end: when they were used is not known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("staff", sa.Column("center_wide", sa.Boolean(), nullable=False, server_default=sa.text("true")))
    op.add_column("staff", sa.Column("disabled", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("session", sa.Column("seen_ns", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "staff_community",
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), primary_key=True),
        sa.Column("community_id", sa.String(64), sa.ForeignKey("community.id"), primary_key=True),
    )
    op.create_table(
        "known_device",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("known_device")
    op.drop_table("staff_community")
    op.drop_column("session", "seen_ns")
    op.drop_column("staff", "disabled")
    op.drop_column("staff", "center_wide")
