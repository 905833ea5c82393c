"""Work orders: the call back, the street desk's, the volunteer's; who is paired with which home"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_UNIQUE = "uq_notification_escalation_id"


def upgrade() -> None:
    op.create_table(
        "volunteer",
        sa.Column("id", sa.String(48), primary_key=True),
        sa.Column("community_id", sa.String(64), sa.ForeignKey("community.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
    )
    op.create_table(
        "pairing",
        sa.Column("home_id", sa.String(64), sa.ForeignKey("home.id"), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("volunteer_id", sa.String(48), sa.ForeignKey("volunteer.id"), nullable=False),
    )
    for table in ("alert", "escalation"):
        op.add_column(table, sa.Column("hastened", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("notification", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(sa.Column("order_id", sa.BigInteger(), nullable=False, server_default="0"))
        batch.drop_constraint(_UNIQUE, type_="unique")
        batch.create_unique_constraint(_UNIQUE, ["escalation_id", "channel", "contact", "order_id"])
    _make_orders()


def _make_orders() -> None:
    op.create_table(
        "work_order",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("escalation_id", _KEY, sa.ForeignKey("escalation.id"), nullable=False),
        sa.Column("climb", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("volunteer_id", sa.String(48), sa.ForeignKey("volunteer.id")),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("wait_ns", sa.BigInteger()),
        sa.Column("due_ns", sa.BigInteger()),
        sa.Column("opened_ns", sa.BigInteger()),
        sa.Column("went_ns", sa.BigInteger()),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("did", sa.String(16), nullable=False, server_default=""),
        sa.Column("changed_by", sa.String(64), nullable=False, server_default=""),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(32)),
        sa.Column("words", sa.Text(), nullable=False, server_default=""),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("state IN ('issued', 'accepted', 'on-the-way', 'arrived')")
    op.create_index(
        "uq_work_order_open",
        "work_order",
        ["alert_id", "kind"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ix_work_order_alert", "work_order", ["alert_id"])
    op.create_index("ix_work_order_state", "work_order", ["state"])
    op.create_index("ix_work_order_due", "work_order", ["due_ns"])


def downgrade() -> None:
    op.drop_table("work_order")
    with op.batch_alter_table("notification", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_constraint(_UNIQUE, type_="unique")
        batch.drop_column("order_id")
        batch.create_unique_constraint(_UNIQUE, ["escalation_id", "channel", "contact"])
    for table in ("escalation", "alert"):
        op.drop_column(table, "hastened")
    op.drop_table("pairing")
    op.drop_table("volunteer")
