"""What is removed with age: journal and figures outlive what they speak of; a case's number is never given twice"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_LOOSE = {
    "journal": (("alert_id", "alert"), ("event_key", "event")),
    "figure": (("alert_id", "alert"),),
}
_COUNTED = {"journal": {"sqlite_autoincrement": True}, "figure": {}}


def upgrade() -> None:
    for table, columns in _LOOSE.items():
        with op.batch_alter_table(table, table_kwargs=_COUNTED[table]) as batch:
            for column, _ in columns:
                batch.drop_constraint(f"fk_{table}_{column}", type_="foreignkey")
    op.create_index("ix_notification_alert", "notification", ["alert_id"])
    op.create_index("ix_self_test_alert", "self_test", ["alert_id"])
    op.add_column("alert", sa.Column("wordless_ns", sa.BigInteger()))
    op.create_table(
        "removed",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("since_ns", sa.BigInteger()),
    )
    _make_alert_anew(autoincrement=True)


def downgrade() -> None:
    _make_alert_anew(autoincrement=False)
    op.drop_table("removed")
    op.drop_column("alert", "wordless_ns")
    op.drop_index("ix_self_test_alert", "self_test")
    op.drop_index("ix_notification_alert", "notification")
    for table, columns in _LOOSE.items():  # an entry whose case is gone cannot name it any more
        for column, parent in columns:
            op.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT id FROM {parent})")
        with op.batch_alter_table(table, table_kwargs=_COUNTED[table]) as batch:
            for column, parent in columns:
                batch.create_foreign_key(f"fk_{table}_{column}", parent, [column], ["id"])


def _make_alert_anew(*, autoincrement: bool) -> None:
    """SQLite gives a number twice unless the table is made with AUTOINCREMENT; PostgreSQL never does.

    Other tables refer to it, and keys cannot be switched off in a transaction. So they are looked at when it ends: the
    rows are put aside, the table is made anew under its own name, and the rows come back into it.
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    found = sa.Table("alert", sa.MetaData(), autoload_with=connection)
    kept = "SELECT sql FROM sqlite_master WHERE tbl_name = 'alert' AND type = 'index' AND sql IS NOT NULL"
    indexes = connection.exec_driver_sql(kept).scalars().all()
    made = sa.Table(
        "alert", sa.MetaData(), *(column._copy() for column in found.columns), sqlite_autoincrement=autoincrement
    )
    names = ", ".join(column.name for column in found.columns)
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    connection.exec_driver_sql("CREATE TEMPORARY TABLE alert_aside AS SELECT * FROM alert")
    connection.exec_driver_sql("DROP TABLE main.alert")
    connection.execute(sa.schema.CreateTable(made))
    connection.exec_driver_sql(f"INSERT INTO main.alert ({names}) SELECT {names} FROM alert_aside ORDER BY id")
    connection.exec_driver_sql("DROP TABLE alert_aside")
    for index in indexes:
        connection.exec_driver_sql(index)
