"""What a commissioning has left open is found without all that it has not"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_open = sa.text("closed_ns IS NULL AND state <> 'passed'")
    op.create_index(
        "ix_commissioning_step_open",
        "commissioning_step",
        ["gateway_id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def downgrade() -> None:
    op.drop_index("ix_commissioning_step_open", "commissioning_step")
