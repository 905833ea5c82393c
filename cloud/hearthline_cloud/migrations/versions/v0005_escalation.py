"""Who is told of an alert and when: one timer an open alert, and each message to be sent"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "escalation",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("climb", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("waits_for", sa.String(16), nullable=False),
        sa.Column("began_ns", sa.BigInteger(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("set_ns", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fired_ns", sa.BigInteger()),
        sa.UniqueConstraint("alert_id", "climb", "step"),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("fired_ns IS NULL")
    op.create_index(
        "uq_escalation_open", "escalation", ["alert_id"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_table(
        "notification",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("escalation_id", _KEY, sa.ForeignKey("escalation.id"), nullable=False),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("contact", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="queued"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("next_try_ns", sa.BigInteger(), nullable=False),
        sa.Column("done_ns", sa.BigInteger()),
        sa.Column("result", sa.Text(), nullable=False, server_default=""),
        sa.UniqueConstraint("escalation_id", "channel", "contact"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notification_due", "notification", ["channel", "state", "next_try_ns"])


def downgrade() -> None:
    op.drop_table("notification")
    op.drop_table("escalation")
