"""The database's engine: SQLite with WAL, `synchronous=FULL`, BEGIN IMMEDIATE and a busy timeout; Alembic migrations.

Every write of the cloud goes through `Database.transaction()`, so that a writer takes SQLite's lock before it reads:
a deferred transaction that reads first and then writes fails at once with SQLITE_BUSY beside another writer.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command as alembic
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from hearthline.disk import write_again
from hearthline.errors import ConfigError, StorageError

_BUSY_TIMEOUT_MS = 10_000
_WAL_RETRY_S = 0.02
_LOCK_RETRY_S = 0.002
_BEGIN_IMMEDIATE = "BEGIN IMMEDIATE"
_READ = "hearthline_read_only"
_pause = threading.Event()  # never set; time.sleep() fails under the library with which the trials step our clock


class Database:
    """One engine per process. `url` is an SQLAlchemy URL; SQLite is proved, PostgreSQL is planned."""

    def __init__(self, url: str) -> None:
        """Connects at the first call only. Raises ConfigError for a URL that SQLAlchemy does not know."""
        self.url = url
        try:
            self.engine: Engine = create_engine(url, pool_size=8, max_overflow=8, pool_timeout=10, hide_parameters=True)
        except (ArgumentError, ModuleNotFoundError, TypeError, ValueError) as error:
            raise ConfigError(f"database: this URL cannot be used: {error}") from None
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: committed when the block ends, rolled back when it raises."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot for reading, that never waits for a writer and never makes one wait."""
        with self.engine.connect().execution_options(**{_READ: True}) as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the schema to this version, in one transaction that other starting processes wait for.

        A database of a newer version is refused untouched. Raises ConfigError, StorageError.
        """
        config = _alembic_config()
        try:
            with self.transaction() as connection:
                self._write_log_again()
                current = MigrationContext.configure(connection).get_current_revision()
                known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
                if current is not None and current not in known:
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

    def _write_log_again(self) -> None:
        """What an earlier process left in the log is on the disk before we build on it. We hold the write lock."""
        if self.engine.dialect.name == "sqlite" and self.engine.url.database:
            write_again(Path(f"{self.engine.url.database}-wal"))

    @property
    def name(self) -> str:
        """The URL without its password, for people."""
        return self.engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self.engine.dispose()


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def is_away(error: SQLAlchemyError) -> bool:
    """Whether the database could not do its work now, as opposed to a statement that it will never take."""
    return isinstance(error, OperationalError | TimeoutError | InternalError) or type(error) is DatabaseError


def _alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _prepare_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    _turn_wal_on(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _turn_wal_on(cursor: DBAPICursor) -> None:
    """The busy timeout does not cover this pragma, and several roles may start on a fresh file at once."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            _pause.wait(_WAL_RETRY_S)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(_READ, False):
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_immediate(connection)


def _begin_immediate(connection: Connection) -> None:
    """SQLite's own wait for the lock sleeps in steps of up to 100 ms, and an alarm with it; ours looks every 2 ms."""
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA busy_timeout=0")
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    try:
        while True:
            try:
                cursor.execute(_BEGIN_IMMEDIATE)
                return
            except sqlite3.Error as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise OperationalError(_BEGIN_IMMEDIATE, None, error) from error
            _pause.wait(_LOCK_RETRY_S)
    finally:
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        cursor.close()


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
