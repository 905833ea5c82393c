"""The outbox's file: made, opened by its one owner, looked at by others; of an unknown schema, refused untouched.

A file is one of ours when its header says so (application id and schema version), also when the header is still in
the write-ahead log because the agent was killed while it made the file. Anything else is not opened for writing, not
even to look: a copy that is only read (`immutable`) tells what it is. What is damaged is for `salvage.py`.
"""

from __future__ import annotations

import fcntl
import functools
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import uuid_utils

from hearthline.disk import write_again
from hearthline.errors import ConfigError, StorageError

APPLICATION_ID = 0x48454C4E  # "HELN" in the file's header
SCHEMA_VERSION = 1
_DAMAGE = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_NO_TEXT = "Could not decode to UTF-8"
_OF_THE_DISK = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    }
)
_MAGIC, _FORMATS = b"SQLite format 3\0", slice(18, 20)  # of the header; 1 a journal, 2 a log
_CHECKED_WHOLE_BYTES = 16 * 1024 * 1024  # at opening; a port that is not open yet loses what it hears
_PAGES, _PAGE_BYTES = slice(28, 32), 4096
_NEWEST_FORMAT = 2  # a higher one would be "read-only" for ever

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

# For `received.py`, beside what custody needs: a file that was made before there was this table gets it, too.
_RECEIVED = """
CREATE TABLE IF NOT EXISTS received (
    place INTEGER PRIMARY KEY AUTOINCREMENT, alarm INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, device TEXT NOT NULL,
    type TEXT NOT NULL, wall_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL, boot TEXT NOT NULL, synced INTEGER NOT NULL,
    data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS received_order ON received (alarm, place);
"""
RECEIVED_COLUMNS = "id, type, device, wall_ns, mono_ns, boot, synced, data"
_OF_RECEIVED = frozenset({"received", "received_order", "sqlite_autoindex_received_1"})


class DamagedError(ConfigError):
    """What lies there can no longer be read as a database. `why`: what SQLite said of it."""

    why: str = ""


def is_damage(error: BaseException) -> bool:
    """Whether the file is broken, as opposed to a disk that is full, slow or does not answer."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)  # None: Python itself could not read a text
        return _NO_TEXT in str(error) if code is None else code & 0xFF in _DAMAGE
    return isinstance(error, DamagedError)


def is_damage_at_opening(error: BaseException) -> bool:
    """The same before any job has run: every statement is our own, so that what the disk did not do, the file did."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return is_damage(error) if code is None else code & 0xFF not in _OF_THE_DISK
    return isinstance(error, DamagedError | UnicodeDecodeError)  # of SQLite's message about a garbled schema


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
        connection.executescript(_RECEIVED)
    except BaseException:  # whatever it is, also Ctrl-C: no file stays open half made
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also beside a running agent. Raises sqlite3.Error."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    mode = "mode=ro" if has_log else "immutable=1"  # without a log, mode=ro would lay one beside the file
    return sqlite3.connect(f"file:{path}?{mode}", uri=True, timeout=5)


def open_under_own_schema(path: Path) -> sqlite3.Connection:
    """A copy in memory whose first page is one of ours: where that is lost, nobody knows where a table begins.

    Every outbox of this schema has its tables at the same places. Raises sqlite3.Error, OSError.
    """
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_SCHEMA)
        first = bytearray(model.serialize()[:_PAGE_BYTES])
    rest = path.read_bytes()[_PAGE_BYTES:]
    pages = len(rest) // _PAGE_BYTES
    first[_PAGES] = (1 + pages).to_bytes(4, "big")
    connection = sqlite3.connect(":memory:")
    connection.deserialize(bytes(first) + rest[: pages * _PAGE_BYTES])
    return connection


def check_schema(path: Path) -> bool:
    """True for an outbox of this schema, False for an empty database.

    Raises ConfigError for anything else, and sqlite3.Error or OSError when it cannot be told, say on a full disk.
    """
    try:
        return _is_ours(path)
    except (DamagedError, sqlite3.Error, UnicodeDecodeError) as error:
        if not is_damage_at_opening(error):
            raise
        told = DamagedError(
            f"{path}: not a readable outbox ({error}). The agent sets it aside when it starts and goes on with a new "
            "one; keep what it sets aside, it may hold alarms, and replace the SD card."
        )
        told.why = str(error)
        raise told from None


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_FORMATS.stop)
    if head.startswith(_MAGIC) and max(head[_FORMATS]) > _NEWEST_FORMAT:
        raise DamagedError("a header that no SQLite has written")
    with closing(open_to_read(path)) as connection:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        texts = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
        if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
            _probe(connection)
            if "received" in texts:
                connection.execute(f"SELECT place, alarm, {RECEIVED_COLUMNS} FROM received LIMIT 1").fetchone()
            return True
    if (application, version, texts) == (0, 0, {}):
        return False
    if _own_schema()[0] == {name: sql for name, sql in texts.items() if name not in _OF_RECEIVED}:
        raise DamagedError("a garbled header over an outbox of ours")
    if application != APPLICATION_ID:
        raise ConfigError(f"{path}: not an outbox but some other database. It was not touched: move it aside.")
    raise ConfigError(
        f"{path}: an outbox of schema {version}, this agent knows {SCHEMA_VERSION}. It was not touched: start the "
        "version that wrote it so that it can empty it, or move the file aside."
    )


@functools.cache
def _own_schema() -> tuple[dict[str, str], dict[str, str]]:
    """(the text of each table and index, the columns of each table)"""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        texts = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
        tables = [name for name, sql in texts.items() if (sql or "").startswith("CREATE TABLE")]
        columns = {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}
    return texts, {table: ", ".join(column[1] for column in found) for table, found in columns.items()}


def _probe(connection: sqlite3.Connection) -> None:
    """Whether everything is there that a job will ask for. Raises DamagedError, sqlite3.Error."""
    for table, columns in _own_schema()[1].items():
        connection.execute(f"SELECT {columns} FROM {table} LIMIT 1").fetchone()
    if connection.execute("SELECT value FROM meta WHERE key = 'outbox'").fetchone() is None:
        raise DamagedError("the outbox has lost its id")
    checks = ["integrity_check(event)"]  # an event that no index knows is unsent
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    if pages * _PAGE_BYTES <= _CHECKED_WHOLE_BYTES:
        checks.append("quick_check")  # a page that belongs to two tables: writing one goes over the other
    for check in checks:
        found = connection.execute(f"PRAGMA {check}").fetchone()[0]
        if found != "ok":
            raise DamagedError(found)


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
