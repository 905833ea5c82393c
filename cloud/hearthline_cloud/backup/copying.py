"""The databases as they were at one instant, copied while others write.

SQLite's readers hold up no writer under WAL: the copy is made page by page under one read transaction, so that it never
starts anew because somebody wrote, and flushed every few MiB, so that no commit waits behind our bytes. PostgreSQL
gives the same by pg_dump under the snapshot that the manifest was read from. A copy is a file that has lost its name
before its first byte: killed at any point, we leave an empty file at most.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import URL, Connection

from hearthline_cloud.backup import BackupError

_PAGES = 512  # 2 MiB of SQLite's usual pages


def copy_database(connection: Connection, folder: Path) -> BinaryIO:
    """Of the snapshot in which this connection reads. Raises BackupError; `folder` takes the bytes meanwhile."""
    if connection.dialect.name == "postgresql":
        return _dump(connection, folder)
    source = cast("sqlite3.Connection", connection.connection.driver_connection)
    return _copy(source, folder, str(connection.engine.url.database))


def copy_sqlite_file(path: Path, folder: Path) -> BinaryIO:
    """Of a SQLite file that another process may be writing. Raises BackupError."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as source:
        source.execute("BEGIN")
        return _copy(source, folder, str(path))


def _copy(source: sqlite3.Connection, folder: Path, name: str) -> BinaryIO:
    try:
        check_sqlite(source, name)  # its first look begins the snapshot where none has begun
        handle, path = tempfile.mkstemp(prefix=".copying-", dir=folder)
        copy = cast("BinaryIO", os.fdopen(handle, "rb"))
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as target:
                target.execute("PRAGMA journal_mode=OFF")
                os.unlink(path)
                source.backup(target, pages=_PAGES, progress=lambda *_: os.fdatasync(handle), sleep=0)
        except BaseException:  # also Ctrl-C leaves nothing half done
            copy.close()
            Path(path).unlink(missing_ok=True)
            raise
    except sqlite3.Error as error:
        raise BackupError(f"{name}: cannot be copied: {error}") from None
    return copy


def check_sqlite(connection: sqlite3.Connection, name: str) -> None:
    """Raises BackupError for a file with damage that a reading of all of it shows."""
    try:
        ((found,), *_) = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as error:
        raise BackupError(f"{name}: it is damaged: {error}") from None
    if found != "ok":
        raise BackupError(f"{name}: it is damaged: {found}")


def _dump(connection: Connection, folder: Path) -> BinaryIO:
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")  # as long as the dump takes
    snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
    copy = cast("BinaryIO", tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
    arguments = ["--format=custom", "--no-owner", "--no-privileges"]
    try:
        run_postgresql("pg_dump", connection.engine.url, [*arguments, f"--snapshot={snapshot}"], copy)
    except BaseException:  # whatever it is, the copy is closed
        copy.close()
        raise
    copy.seek(0)
    return copy


def run_postgresql(program: str, url: URL, arguments: Sequence[str], output: BinaryIO | None = None) -> None:
    """One of PostgreSQL's own programs on this database. Raises BackupError with what it says."""
    bare = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    password = {} if url.password is None else {"PGPASSWORD": str(url.password)}  # not where `ps` shows it
    try:
        ended = subprocess.run(
            [program, f"--dbname={bare}", "--no-password", *arguments],
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | password,
            check=False,
        )
    except FileNotFoundError:
        raise BackupError(
            f"{program} is not installed: the backup of a PostgreSQL database needs it, in the server's version or a "
            "newer one; on Debian: apt-get install postgresql-client"
        ) from None
    if ended.returncode:
        raise BackupError(f"{program} failed: {ended.stderr.decode(errors='replace').strip()}")
