"""Commissioning of homes: runs with their reports, the presses of each, and what is left to do"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "commissioning",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("home_id", sa.String(64)),
        sa.Column("begun_ns", sa.BigInteger(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger()),
        sa.Column("report", sa.JSON()),
        sa.Column("signature", sa.Text(), nullable=False, server_default=""),
        sa.Column("standing", sa.String(16), nullable=False, server_default=""),
        sa.Column("verified_by", sa.String(64)),
        sa.UniqueConstraint("gateway_id", "run"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "commissioning_press",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("commissioning_id", _KEY, sa.ForeignKey("commissioning.id"), nullable=False),
        sa.Column("event_key", _KEY, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("time_quality", sa.String(16), nullable=False),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.Column("decided_ns", sa.BigInteger()),
        sa.Column("decision", sa.JSON()),
        sa.UniqueConstraint("commissioning_id", "device_id", "ordinal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commissioning_press_undecided", "commissioning_press", ["decided_ns"])
    op.create_table(
        "commissioning_step",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("commissioning_id", _KEY, sa.ForeignKey("commissioning.id"), nullable=False),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("room", sa.Text(), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False, server_default=""),
        sa.Column("closed_ns", sa.BigInteger()),
        sa.Column("closed_by", sa.String(64)),
        sa.Column("closed_why", sa.String(16)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commissioning_step_gateway", "commissioning_step", ["gateway_id", "closed_ns"])
    op.create_index("ix_commissioning_step_run", "commissioning_step", ["commissioning_id"])


def downgrade() -> None:
    for table in ("commissioning_step", "commissioning_press", "commissioning"):
        op.drop_table(table)
