"""What staff have asked of a gateway from afar"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "remote_ask",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answered_ns", sa.BigInteger()),
        sa.Column("config", sa.JSON()),
        sa.Column("detail", sa.JSON()),
    )
    op.create_index("ix_remote_ask_gateway", "remote_ask", ["gateway_id", "what", "asked_ns"])


def downgrade() -> None:
    op.drop_table("remote_ask")
