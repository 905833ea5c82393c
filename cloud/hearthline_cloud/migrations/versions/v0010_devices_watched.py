"""Silences with their beginning and end, devices that are supervised, declared windows, when nobody watched

Silences of before are taken to have begun when they were raised and to have ended when they were closed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("gateway", sa.Column("watched_ns", sa.BigInteger()))
    op.add_column("device", sa.Column("kind", sa.String(32), nullable=False, server_default=""))
    op.add_column("device", sa.Column("supervise_s", sa.BigInteger()))
    op.add_column("device", sa.Column("watched_ns", sa.BigInteger()))
    op.add_column("device", sa.Column("lost", sa.String(16), nullable=False, server_default=""))
    op.add_column("device", sa.Column("lost_ns", sa.BigInteger()))
    op.add_column("alert", sa.Column("note", sa.String(16), nullable=False, server_default=""))
    op.add_column("alert", sa.Column("since_ns", sa.BigInteger()))
    op.add_column("alert", sa.Column("ended_ns", sa.BigInteger()))
    op.execute(
        "UPDATE alert SET since_ns = raised_ns, ended_ns = resolved_ns WHERE kind IN ('gateway-silent', 'center-blind')"
    )
    lasting = sa.text("since_ns IS NOT NULL AND ended_ns IS NULL")
    op.create_index(
        "uq_alert_lasting", "alert", ["join_key"], unique=True, sqlite_where=lasting, postgresql_where=lasting
    )
    op.create_index("ix_alert_since", "alert", ["kind", "gateway_id", "since_ns"])
    op.create_table(
        "declared",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("scope_id", sa.String(64), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("to_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("declared_by", sa.String(64), nullable=False),
        sa.Column("declared_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.String(64)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_declared_to", "declared", ["to_ns"])
    op.create_table(
        "unwatched",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("why", sa.String(16), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("to_ns", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_unwatched_to", "unwatched", ["to_ns"])


def downgrade() -> None:
    op.drop_table("unwatched")
    op.drop_table("declared")
    op.drop_index("ix_alert_since", "alert")
    op.drop_index("uq_alert_lasting", "alert")
    for table, columns in (
        ("alert", ("ended_ns", "since_ns", "note")),
        ("device", ("lost_ns", "lost", "watched_ns", "supervise_s", "kind")),
        ("gateway", ("watched_ns",)),
    ):
        for column in columns:
            op.drop_column(table, column)
