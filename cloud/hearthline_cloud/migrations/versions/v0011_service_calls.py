"""What a scheduled service call is about, when it is due, and who does it"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("category", sa.String(length=16), nullable=True))
    op.add_column("alert", sa.Column("due_ns", sa.BigInteger(), nullable=True))
    op.add_column("alert", sa.Column("provider", sa.String(length=64), nullable=True))


def downgrade() -> None:
    for column in ("provider", "due_ns", "category"):
        op.drop_column("alert", column)
