"""The cloud's database: SQLite in one file, or a PostgreSQL server; Alembic migrations.

Every write goes through `Database.transaction()`, which takes the one writer's lock before it reads, and every read
through `Database.reading()`, a snapshot. Both databases keep the same promises: `sqlite` and `postgresql` say how.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command as alembic
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from hearthline.disk import write_again
from hearthline.errors import ConfigError, NotInstalledError, StorageError
from hearthline_cloud import postgresql, sqlite
from hearthline_cloud.metrics.instruments import DATABASE_FAILURES, DATABASE_SECONDS

_POOL = {"pool_size": 8, "max_overflow": 8, "pool_timeout": 10, "hide_parameters": True}
_READ = "hearthline_read_only"


class Database:
    """One engine per process. `url` is an SQLAlchemy URL, `sqlite:///…` or `postgresql+psycopg://…`."""

    def __init__(self, url: str) -> None:
        """Connects at the first call only. Raises ConfigError, NotInstalledError."""
        self.url = url
        try:
            self.engine = _make_engine(url)
        except (ArgumentError, ModuleNotFoundError, TypeError, ValueError) as error:
            raise ConfigError(f"database: this URL cannot be used: {error}") from None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: committed when the block ends, rolled back when it raises. One at a time."""
        began = time.perf_counter()
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            if is_away(error):
                DATABASE_FAILURES.inc()
            raise
        DATABASE_SECONDS.observe(time.perf_counter() - began)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot for reading, that never waits for a writer and never makes one wait."""
        with self.engine.connect().execution_options(**{_READ: True}) as connection:
            yield connection

    @property
    def is_server(self) -> bool:
        """Whether processes on other machines may use it too."""
        return self.engine.dialect.name == "postgresql"

    @property
    def driver_error(self) -> type[Exception]:
        """The driver's own errors, where it is used past SQLAlchemy."""
        error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        return error

    def migrate(self) -> None:
        """Bring the schema to this version, in one transaction that other starting processes wait for.

        A database of a newer version is refused untouched. Raises ConfigError, StorageError.
        """
        config = _alembic_config()
        try:
            with self.transaction() as connection:
                self._check(connection)
                current = MigrationContext.configure(connection).get_current_revision()
                if current is not None and current not in known_revisions():
                    raise ConfigError(
                        f"{self.name}: schema {current!r} is not known to this version; install the version that "
                        "wrote it, or restore a backup. Nothing was changed."
                    )
                config.attributes["connection"] = connection
                alembic.upgrade(config, "head")
        except DatabaseError as error:
            raise StorageError(f"{self.name}: cannot be opened or migrated: {error.orig}") from None
        except OSError as error:
            raise StorageError(f"{self.name}: its log cannot be written: {error}") from None

    def _check(self, connection: Connection) -> None:
        """What must hold before we build on what an earlier process has left. We hold the writer's lock."""
        if self.is_server:
            postgresql.check_server(connection)
        elif self.engine.url.database:
            write_again(Path(f"{self.engine.url.database}-wal"))

    @property
    def name(self) -> str:
        """The URL without its password, for people."""
        return self.engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self.engine.dispose()


def known_revisions() -> set[str]:
    """Of the schemas that this version can bring up to its own."""
    return {script.revision for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()}


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def upsert(connection: Connection, table: Table) -> PostgresqlInsert | SqliteInsert:
    """An INSERT that knows ON CONFLICT, as this database spells it."""
    return PostgresqlInsert(table) if connection.dialect.name == "postgresql" else SqliteInsert(table)


def is_away(error: SQLAlchemyError) -> bool:
    """Whether the database could not do its work now, as opposed to a statement that it will never take."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | TimeoutError | InternalError) or type(error) is DatabaseError


def _make_engine(text: str) -> Engine:
    url = make_url(text)
    match url.get_backend_name():
        case "sqlite":
            engine = create_engine(url, **_POOL)
            prepare, begin = sqlite.prepare, sqlite.begin
        case "postgresql":
            engine = _make_postgresql_engine(postgresql.url_for_us(url))
            prepare, begin = postgresql.prepare, postgresql.begin
        case other:
            raise ConfigError(f"database: {other} is not supported; write sqlite:///… or {postgresql.DRIVER}://…")
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: begin(connection, _is_read(connection)))
    return engine


def _make_postgresql_engine(url: URL) -> Engine:
    arguments = postgresql.connect_arguments(url)
    try:
        # pre-ping: a server that was restarted costs nobody an error
        return create_engine(url, **_POOL, pool_pre_ping=True, connect_args=arguments)
    except ImportError as error:
        raise NotInstalledError(
            f"database: PostgreSQL needs its driver: pip install 'hearthline[postgresql]' ({error})"
        ) from None


def _is_read(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(_READ, False))


def _alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
