"""Personal columns become text that is sealed; the data keys. The values are sealed when the key is first there"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "personal_key",
        sa.Column("subject", sa.String(80), primary_key=True),
        sa.Column("sealed", sa.Text(), nullable=False),
    )
    with op.batch_alter_table("resident") as table:
        table.alter_column(
            "birth_year", type_=sa.Text(), existing_type=sa.Integer(), postgresql_using="birth_year::text"
        )
        table.alter_column("contacts", type_=sa.Text(), existing_type=sa.JSON(), postgresql_using="contacts::text")
    for table_name in ("work_order", "declared"):
        op.add_column(table_name, sa.Column("subject", sa.String(80), nullable=False, server_default="center"))
    op.execute(
        "UPDATE work_order SET subject = (SELECT CASE WHEN alert.resident_id IS NOT NULL "
        "THEN 'resident:' || alert.resident_id WHEN alert.home_id IS NOT NULL THEN 'home:' || alert.home_id "
        "ELSE 'center' END FROM alert WHERE alert.id = work_order.alert_id)"
    )
    op.execute("UPDATE declared SET subject = 'home:' || scope_id WHERE scope = 'home'")


def downgrade() -> None:
    raise NotImplementedError("sealed data cannot be brought back without its key: restore a backup")
