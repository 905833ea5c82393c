"""Who has an alert, when somebody arrived, whether it was reopened, and that the elder took it back at home

Whoever acknowledged an alert of before has it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("assigned_to", sa.String(length=64), nullable=True))
    op.add_column("alert", sa.Column("arrived_ns", sa.BigInteger(), nullable=True))
    op.add_column("alert", sa.Column("reopened", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("alert", sa.Column("cancelled_ns", sa.BigInteger(), nullable=True))
    op.execute("UPDATE alert SET assigned_to = acknowledged_by")


def downgrade() -> None:
    for column in ("cancelled_ns", "reopened", "arrived_ns", "assigned_to"):
        op.drop_column("alert", column)
