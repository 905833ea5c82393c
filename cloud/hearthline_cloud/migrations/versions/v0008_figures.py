"""What the journal says of each case, for the figures: filled from the journal by the role desk"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "figure",
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("home_id", sa.String(64)),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("raised_ns", sa.BigInteger(), nullable=False),
        sa.Column("answered_ns", sa.BigInteger()),
        sa.Column("answered_by", sa.String(64)),
        sa.Column("sent_ns", sa.BigInteger()),
        sa.Column("arrived_ns", sa.BigInteger()),
        sa.Column("closed_ns", sa.BigInteger()),
        sa.Column("outcome", sa.String(32)),
        sa.Column("handed_over", sa.Integer(), nullable=False),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Boolean(), nullable=False),
        sa.Column("helped", sa.String(16)),
    )
    op.create_index("ix_figure_raised", "figure", ["kind", "raised_ns"])
    cursor = op.create_table(
        "figure_cursor",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(cursor, [{"id": 1, "journal_id": 0}])


def downgrade() -> None:
    op.drop_table("figure_cursor")
    op.drop_table("figure")
