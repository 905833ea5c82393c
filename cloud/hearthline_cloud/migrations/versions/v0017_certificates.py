"""Certificates of gateways: issued, revoked, enforced; on PostgreSQL they wake the keeper of every machine"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String(64), primary_key=True),
        sa.Column("gateway_id", sa.String(64), sa.ForeignKey("gateway.id"), nullable=False),
        sa.Column("session", sa.String(80), nullable=False),
        sa.Column("issued_ns", sa.BigInteger(), nullable=False),
        sa.Column("ends_ns", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ns", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("enforced_ns", sa.BigInteger()),
    )
    op.create_index("ix_certificate_gateway", "certificate", ["gateway_id"])
    op.create_index("ix_certificate_ends", "certificate", ["ends_ns"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER wake_keeper AFTER INSERT OR UPDATE ON certificate "
            "FOR EACH STATEMENT EXECUTE FUNCTION hearthline_wake('keeper')"
        )


def downgrade() -> None:
    op.drop_table("certificate")
