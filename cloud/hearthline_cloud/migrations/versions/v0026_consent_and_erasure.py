"""What residents have agreed to, and who was erased"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("resident_id", sa.String(64), sa.ForeignKey("resident.id"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("agreed_by", sa.String(16), nullable=False),
        sa.Column("guardian", sa.Text(), nullable=False, server_default=""),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("agreed_ns", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.String(64), nullable=False),
        sa.Column("withdrawn_ns", sa.BigInteger()),
        sa.Column("withdrawn_by", sa.String(64)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consent_resident", "consent", ["resident_id", "kind"])
    op.create_table(
        "erasure",
        sa.Column("resident_id", sa.String(64), primary_key=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("erased_by", sa.String(64), nullable=False),
        sa.Column("series", sa.JSON(), nullable=False),
        sa.Column("series_gone_ns", sa.BigInteger()),
    )


def downgrade() -> None:
    op.drop_table("erasure")
    op.drop_table("consent")
