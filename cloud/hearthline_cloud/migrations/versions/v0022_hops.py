"""The hops of an alarm that are known a moment after it was stored"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("committed_ns", sa.BigInteger()))
    op.add_column("event", sa.Column("streamed_ns", sa.BigInteger()))
    op.add_column("event", sa.Column("hops", sa.JSON()))


def downgrade() -> None:
    for name in ("hops", "streamed_ns", "committed_ns"):
        op.drop_column("event", name)
