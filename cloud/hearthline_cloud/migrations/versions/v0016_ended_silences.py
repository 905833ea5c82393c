"""An index by which the silences that last are found among those of years"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    silences = sa.text("since_ns IS NOT NULL")
    op.create_index("ix_alert_ended", "alert", ["kind", "ended_ns"], sqlite_where=silences, postgresql_where=silences)


def downgrade() -> None:
    op.drop_index("ix_alert_ended", "alert")
