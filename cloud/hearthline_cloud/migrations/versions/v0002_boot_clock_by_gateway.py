"""The estimate of a free clock belongs to gateway and boot: an outbox has a new id at every opening

Estimates that were kept by outbox are forgotten; a record that is told on both sides of this step gets a second one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("boot_clock")
    _create("gateway_id")


def downgrade() -> None:
    op.drop_table("boot_clock")
    _create("outbox")


def _create(owner: str) -> None:
    op.create_table(
        "boot_clock",
        sa.Column(owner, sa.String(length=64), nullable=False),
        sa.Column("boot", sa.String(length=64), nullable=False),
        sa.Column("offset_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(owner, "boot", name=op.f("pk_boot_clock")),
    )
