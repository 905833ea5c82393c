"""What an alert is about: a press, or what a detector tells of

Alerts from before were raised by presses.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("cause", sa.String(length=16), nullable=False, server_default="press"))


def downgrade() -> None:
    op.drop_column("alert", "cause")
