"""What SQLite needs: WAL, `synchronous=FULL`, BEGIN IMMEDIATE and a busy timeout.

A writer takes the lock before it reads: a deferred transaction that reads first and then writes fails at once with
SQLITE_BUSY beside another writer.
"""

from __future__ import annotations

import sqlite3
import threading
import time

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

_BUSY_TIMEOUT_MS = 10_000
_WAL_RETRY_S = 0.02
_LOCK_RETRY_S = 0.002
_BEGIN_IMMEDIATE = "BEGIN IMMEDIATE"
_pause = threading.Event()  # never set; time.sleep() fails under the library with which the trials step our clock


def prepare(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
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


def begin(connection: Connection, is_read: bool) -> None:
    if is_read:
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
