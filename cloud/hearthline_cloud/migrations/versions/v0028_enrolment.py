"""Offers to become a gateway, by one-time codes"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "enrolment",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("gateway_id", sa.String(64), sa.ForeignKey("gateway.id"), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("ends_ns", sa.BigInteger(), nullable=False),
        sa.Column("verifier", sa.String(64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("key", sa.String(64), nullable=False, server_default=""),
        sa.Column("request", sa.Text(), nullable=False, server_default=""),
        sa.Column("proof", sa.Text(), nullable=False, server_default=""),
        sa.Column("asked_ns", sa.BigInteger()),
        sa.Column("answer", sa.Text(), nullable=False, server_default=""),
        sa.Column("answered_ns", sa.BigInteger()),
        sa.Column("refused", sa.Text(), nullable=False, server_default=""),
        sa.Column("taken_ns", sa.BigInteger()),
        sa.Column("replaced_ns", sa.BigInteger()),
        sa.Column("withdrawn_ns", sa.BigInteger()),
    )
    op.create_index("ix_enrolment_gateway", "enrolment", ["gateway_id"])


def downgrade() -> None:
    op.drop_table("enrolment")
