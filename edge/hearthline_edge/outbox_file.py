"""The outbox's file: made, opened by its one owner, looked at by others; of an unknown schema, refused untouched.

A file is one of ours when its header says so (application id and schema version), also when the header is still in
the write-ahead log because the agent was killed while it made the file. Anything else is not opened for writing, not
even to look: a copy that is only read (`immutable`) tells what it is. What is damaged is for `salvage.py`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

import msgspec
import uuid_utils

from hearthline.disk import write_again
from hearthline.errors import ConfigError, StorageError

APPLICATION_ID = 0x48454C4E  # "HELN" in the file's header
SCHEMA_VERSION = 1
_DAMAGE = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_NO_TEXT = "Could not decode to UTF-8"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, device TEXT NOT NULL,
    urgent INTEGER NOT NULL, sounds INTEGER NOT NULL, wall_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL,
    boot TEXT NOT NULL, synced INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX event_order ON event (urgent DESC, seq);
CREATE INDEX event_sounds ON event (seq) WHERE sounds = 1;
CREATE TABLE telemetry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, wall_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL, boot TEXT NOT NULL,
    synced INTEGER NOT NULL, readings BLOB NOT NULL);
CREATE TABLE refused (lane TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, seq));
CREATE TABLE press (
    device TEXT NOT NULL, button TEXT NOT NULL, state BLOB NOT NULL, telegram BLOB NOT NULL,
    PRIMARY KEY (device, button));
CREATE TABLE recent_alarm (
    id TEXT PRIMARY KEY, device TEXT NOT NULL, button TEXT NOT NULL, ordinal INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL);
CREATE TABLE ordinal (device TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE boot (id TEXT PRIMARY KEY, offset_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mqtt_taken (
    source TEXT NOT NULL, mid INTEGER NOT NULL, digest BLOB NOT NULL, connection TEXT NOT NULL,
    acknowledged INTEGER NOT NULL, PRIMARY KEY (source, mid)) WITHOUT ROWID;
CREATE TABLE kept_aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT, wall_ns INTEGER NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
    raw BLOB NOT NULL);
"""


class DamagedError(ConfigError):
    """What lies there can no longer be read as a database."""


def is_damage(error: BaseException) -> bool:
    """Whether the file is broken, as opposed to a disk that is full, slow or does not answer."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)  # None: Python itself could not read a text
        return _NO_TEXT in str(error) if code is None else code & 0xFF in _DAMAGE
    return isinstance(error, DamagedError | msgspec.DecodeError)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open or create the file. Raises ConfigError for a file that is not ours, sqlite3.Error or OSError on I/O."""
    has_header = check_schema(path) if path.exists() and path.stat().st_size else False
    write_again(path.with_name(f"{path.name}-wal"))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if not has_header:
            header = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
            outbox_id = str(uuid_utils.uuid7())
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} INSERT INTO meta VALUES ('outbox', '{outbox_id}'); {header} COMMIT;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also beside a running agent. Raises sqlite3.Error."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    mode = "mode=ro" if has_log else "immutable=1"  # without a log, mode=ro would lay one beside the file
    return sqlite3.connect(f"file:{path}?{mode}", uri=True, timeout=5)


def check_schema(path: Path) -> bool:
    """True for an outbox of this schema, False for an empty database.

    Raises ConfigError for anything else, and sqlite3.Error when it cannot be told, say on a full disk.
    """
    try:
        connection = open_to_read(path)
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        raise DamagedError(
            f"{path}: not a readable outbox ({error}). The agent sets it aside when it starts and goes on with a new "
            "one; keep what it sets aside, it may hold alarms, and replace the SD card."
        ) from None
    if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
        return True
    if (application, version, tables) == (0, 0, 0):
        return False
    if application != APPLICATION_ID:
        raise ConfigError(f"{path}: not an outbox but some other database. It was not touched: move it aside.")
    raise ConfigError(
        f"{path}: an outbox of schema {version}, this agent knows {SCHEMA_VERSION}. It was not touched: start the "
        "version that wrote it so that it can empty it, or move the file aside."
    )


def lock_out_others(path: Path) -> int:
    """A descriptor that holds the outbox against a second agent. Raises ConfigError, or StorageError on a full disk."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            raise ConfigError(
                f"data_dir = {str(path.parent)!r} cannot be used: {error.strerror}; create it, owned by the agent"
            ) from None
        raise StorageError(f"{path}: cannot be made: {error.strerror}; free space or replace the SD card") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ConfigError(
            f"data_dir = {str(path.parent)!r}: another agent is using this outbox; stop it first"
        ) from None
    return handle
