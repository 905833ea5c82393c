"""Self-tests of gateways: when each was asked for, when it came through, and what the desk would have done"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    for name in ("test_id", "proved_id"):
        op.add_column("gateway", sa.Column(name, sa.String(64)))
    op.create_table(
        "self_test",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10)),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("made_ns", sa.BigInteger()),
        sa.Column("time_quality", sa.String(16)),
        sa.Column("received_ns", sa.BigInteger()),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id")),
        sa.Column("decided_ns", sa.BigInteger()),
        sa.Column("decision", sa.JSON()),
        sa.Column("missed_ns", sa.BigInteger()),
        sa.UniqueConstraint("gateway_id", "day"),
    )
    op.create_index("ix_self_test_gateway", "self_test", ["gateway_id", "asked_ns"])
    op.create_index("ix_self_test_undecided", "self_test", ["decided_ns", "received_ns"])


def downgrade() -> None:
    op.drop_table("self_test")
    for name in ("proved_id", "test_id"):
        op.drop_column("gateway", name)
