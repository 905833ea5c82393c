"""Which presses of an alert its timer knows, and how many of them have hastened the climb

What was pressed before hastens nothing now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("presses", "hurried"):
        op.add_column("escalation", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE escalation SET presses = (SELECT presses FROM alert WHERE alert.id = escalation.alert_id)")


def downgrade() -> None:
    for name in ("hurried", "presses"):
        op.drop_column("escalation", name)
