"""Which commands go first, and a gateway's own without reading all that wait"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("command", sa.Column("urgency", sa.Integer(), nullable=False, server_default="2"))
    op.drop_index("ix_command_due", "command")
    op.create_index("ix_command_due", "command", ["answered_ns", "urgency", "next_attempt_ns"])
    op.create_index("ix_command_gateway", "command", ["gateway_id", "answered_ns"])


def downgrade() -> None:
    op.drop_index("ix_command_gateway", "command")
    op.drop_index("ix_command_due", "command")
    op.drop_column("command", "urgency")
    op.create_index("ix_command_due", "command", ["answered_ns", "next_attempt_ns"])
