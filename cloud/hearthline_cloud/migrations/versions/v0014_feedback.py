"""One question after a case is closed; a message that no escalation led to"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("whom", sa.String(16), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("helped", sa.String(16)),
        sa.Column("replied_ns", sa.BigInteger()),
        sa.UniqueConstraint("alert_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("notification", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("escalation_id", existing_type=_KEY, nullable=True)
        batch.add_column(sa.Column("feedback_id", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.execute("DELETE FROM notification WHERE escalation_id IS NULL")
    with op.batch_alter_table("notification", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_column("feedback_id")
        batch.alter_column("escalation_id", existing_type=_KEY, nullable=False)
    op.drop_table("feedback")
