"""What PostgreSQL needs to keep the promises that SQLite keeps: one writer at a time, durable commits, snapshots.

write .... BEGIN READ COMMITTED, then one advisory lock held to the commit: journal ids are visible in their order, and
           no decision is made on what another is about to change
read ..... BEGIN REPEATABLE READ READ ONLY: a snapshot, that waits for nobody

A writer that stops in the middle is put out by the server after `_HELD_S`, before those behind it lose their patience.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from hearthline.config import check_private
from hearthline.errors import ConfigError

DRIVER = "postgresql+psycopg"
_LOCK = int.from_bytes(b"hearthln", "big")  # advisory locks belong to one database of the server
_HELD_S = 5
_LOCK_WAIT_S = 10
_READER_S = 60  # a forgotten snapshot keeps the server from cleaning up
_BEGIN_WRITE = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{_HELD_S}s'; SELECT pg_advisory_xact_lock({_LOCK})"
)
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SESSION = (
    f"SET lock_timeout = '{_LOCK_WAIT_S}s'; SET idle_in_transaction_session_timeout = '{_READER_S}s'; "
    "SET client_encoding = 'UTF8'; SET timezone = 'UTC'; "
    # `remote_apply` promises more than `on`, everything else less
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'"
)
_AWAY: dict[str, Any] = {  # how soon a server that no longer answers is noticed
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "hearthline",
}


def url_for_us(url: URL) -> URL:
    """`postgresql://` means psycopg 3; another driver, and a secret in it, is refused. Raises ConfigError."""
    if url.drivername not in ("postgresql", DRIVER):
        raise ConfigError(f"database: write {DRIVER}://… ; the driver of {url.drivername}:// is not supported")
    for name in ("password", "sslpassword"):
        if name in url.query or (name == "password" and url.password is not None):
            raise ConfigError(f"database: the URL carries a {name}; put it into a file that ?passfile= names")
    passfile = url.query.get("passfile")
    if isinstance(passfile, str):
        check_private(passfile, "database: passfile")
    return url.set(drivername=DRIVER)


def connect_arguments(url: URL) -> dict[str, Any]:
    """What the URL does not say itself."""
    return {name: value for name, value in _AWAY.items() if name not in url.query}


def prepare(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    connection.autocommit = True  # we say BEGIN ourselves
    cursor = connection.cursor()
    try:
        cursor.execute(_SESSION)
    except BaseException:  # whatever it is, also Ctrl-C
        connection.close()  # SQLAlchemy would leave it open
        raise
    cursor.close()


def begin(connection: Connection, is_read: bool) -> None:
    connection.exec_driver_sql(_BEGIN_READ if is_read else _BEGIN_WRITE)


def check_server(connection: Connection) -> None:
    """Refuse a database that would lose what it has committed, or mangle what it is given. Raises ConfigError."""
    for setting, wanted, remedy in (
        ("fsync", "on", "set it to on: without it a power cut loses alarms that were acknowledged"),
        ("full_page_writes", "on", "set it to on: without it a power cut can leave a database that cannot be read"),
        ("server_encoding", "UTF8", "make the database again with ENCODING 'UTF8'"),
    ):
        found = connection.exec_driver_sql(f"SHOW {setting}").scalar()
        if found != wanted:
            raise ConfigError(f"database: {setting} of this PostgreSQL is {found}: {remedy}")
