"""Each entry of the journal is chained to the one before it; who looked at a card stands in the journal too"""

import sqlalchemy as sa
from alembic import op

from hearthline_cloud.journal import CARD_SHOWN, GENESIS, chained

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JOURNAL = sa.table(
    "journal",
    *(sa.column(name) for name in ("id", "at_ns", "kind", "alert_id", "event_key", "actor", "hash")),
    sa.column("detail", sa.JSON()),
)
_AUDIT = sa.table("audit", *(sa.column(name) for name in ("id", "at_ns", "staff_name", "subject")))


def upgrade() -> None:
    op.add_column("journal", sa.Column("hash", sa.String(64), nullable=False, server_default=""))
    connection = op.get_bind()
    for look in connection.execute(sa.select(_AUDIT).order_by(_AUDIT.c.id)).all():
        detail = {"resident": look.subject}
        entry = {"at_ns": look.at_ns, "kind": CARD_SHOWN, "actor": look.staff_name, "detail": detail, "hash": ""}
        connection.execute(sa.insert(_JOURNAL).values(**entry))
    before = GENESIS
    for row in connection.execute(sa.select(_JOURNAL).order_by(_JOURNAL.c.id)).all():
        before = chained(before, row._asdict())
        connection.execute(sa.update(_JOURNAL).where(_JOURNAL.c.id == row.id).values(hash=before))
    op.drop_table("audit")


def downgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("staff_name", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
    )
    op.drop_column("journal", "hash")
