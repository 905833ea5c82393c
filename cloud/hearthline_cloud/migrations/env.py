"""Alembic's entry: runs the migrations of `versions/` over the given URL."""

from alembic import context
from sqlalchemy import create_engine

from hearthline_cloud.schema import metadata

engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
