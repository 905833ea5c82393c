"""Second factors of the staff, their recovery codes, and logins that wait for a code"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "second_factor",
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), primary_key=True),
        sa.Column("secret", sa.Text()),
        sa.Column("since_ns", sa.BigInteger()),
        sa.Column("last_step", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("offered", sa.Text()),
        sa.Column("offered_ns", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("offered_to", sa.String(64), nullable=False, server_default=""),
    )
    op.create_table(
        "recovery_code",
        sa.Column("code_hash", sa.String(64), primary_key=True),
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), nullable=False),
    )
    op.create_table(
        "login_step",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_table("login_step")
    op.drop_table("recovery_code")
    op.drop_table("second_factor")
