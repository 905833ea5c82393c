"""What a device's buttons mean, and which gateways are to be told their list anew"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("buttons", sa.JSON()))
    op.add_column("gateway", sa.Column("list_due", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_index("ix_gateway_list_due", "gateway", ["list_due"])


def downgrade() -> None:
    op.drop_index("ix_gateway_list_due", "gateway")
    op.drop_column("gateway", "list_due")
    op.drop_column("device", "buttons")
