"""On PostgreSQL, what enters the journal wakes the web role of every machine, and a command wakes the ingester"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "CREATE FUNCTION hearthline_wake() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('hearthline_wake', TG_ARGV[0]); RETURN NULL; END $$"
    )
    for table, role in (("journal", "web"), ("command", "ingest")):
        op.execute(
            f"CREATE TRIGGER wake_{role} AFTER INSERT ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION hearthline_wake('{role}')"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP TRIGGER wake_web ON journal")
    op.execute("DROP TRIGGER wake_ingest ON command")
    op.execute("DROP FUNCTION hearthline_wake")
