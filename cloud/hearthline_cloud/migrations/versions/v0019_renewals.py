"""Certificates renew themselves: which key each is for, what it is, and when its gateway first used it"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("certificate", sa.Column("key", sa.String(64), nullable=False, server_default=""))
    op.add_column("certificate", sa.Column("pem", sa.Text(), nullable=False, server_default=""))
    op.add_column("certificate", sa.Column("seen_ns", sa.BigInteger()))
    op.create_index("ix_certificate_key", "certificate", ["key"])


def downgrade() -> None:
    op.drop_index("ix_certificate_key", "certificate")
    for name in ("seen_ns", "pem", "key"):
        op.drop_column("certificate", name)
