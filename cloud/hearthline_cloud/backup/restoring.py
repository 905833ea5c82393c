"""A backup, checked, and put into an empty place whole or not at all.

Everything is unsealed into `.restoring` first, each part against its checksum, and the database is brought to order
there: this version's schema, no session, numbers that nobody was ever given. Then all of it is renamed into its place,
the database last.

Numbers go on a million later, for the center gave some out after its backup: the link that a volunteer was sent for an
order that is lost now must not open the next one, and a receiver that knows a message by its number must not take the
next one for a repeat.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import Connection, delete, make_url

from hearthline.errors import ConfigError, StorageError
from hearthline_cloud import journal, schema
from hearthline_cloud.backup import BackupError
from hearthline_cloud.backup.copying import check_sqlite, run_postgresql
from hearthline_cloud.backup.manifest import DATA, NAME, POSTGRESQL, READINGS, SQLITE, Manifest, Member, decode
from hearthline_cloud.backup.sealed import CHUNK, Unsealer, read_key
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database, known_revisions, sqlite_url
from hearthline_cloud.ingest.resending import ask_all
from hearthline_cloud.personal.erasing import apply_list
from hearthline_cloud.store.embedded import FILE_NAME as READINGS_FILE

ELSEWHERE = "from-elsewhere"  # in data_dir: what lay outside of it, to be put back by hand
DATABASE_FILE = "hearthline.db"
DUMP_FILE = "database.pgdump"
RESTORED = "restored"  # the kind of the journal's entry
NUMBERS_SKIPPED = 1_000_000
_STAGE = ".restoring"
_MAX_MANIFEST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Restored:
    """`broken_at`: the entry at which the journal's chain was broken already when the backup was made."""

    manifest: Manifest
    broken_at: int | None = None


def check_backup(file: Path, key_file: Path) -> Manifest:
    """Unseal all of it and write nothing. Raises BackupError, ConfigError, StorageError."""
    return _unseal(file, read_key(key_file), lambda manifest: None, lambda member: None)


def restore_into(file: Path, key_file: Path, folder: Path, now_ns: int, erased: Path | None = None) -> Restored:
    """Into a folder that is empty or absent. A PostgreSQL dump is left there as a file."""
    url = sqlite_url(folder / DATABASE_FILE)
    return _restore(file, read_key(key_file), folder, url, now_ns, erased, by_config=False)


def restore_by(file: Path, key_file: Path, config: CloudConfig, now_ns: int, erased: Path | None = None) -> Restored:
    """Into the `data_dir` and the database of a configuration; both must be empty."""
    key = read_key(key_file)
    return _restore(file, key, config.directory, config.database_url, now_ns, erased, by_config=True)


def _restore(
    file: Path, key: bytes, folder: Path, url: str, now_ns: int, erased: Path | None, *, by_config: bool
) -> Restored:
    final = _sqlite_path(url)
    staged = None if final is None else final.with_name(f"{_STAGE}-{final.name}")
    stage = folder / _STAGE

    def place(member: Member) -> Path:
        return staged if member.name == SQLITE and staged is not None else stage / _inside(member.name)

    def fits(manifest: Manifest) -> None:
        _check_fits(manifest, url, by_config)

    with _empty_place(folder, final, stage, staged):
        manifest = _unseal(file, key, fits, place)
        broken_at = None
        if manifest.engine == "sqlite" and staged is not None:
            broken_at = _settle_sqlite(staged, manifest, now_ns, erased)
        elif by_config:
            broken_at = _fill_postgresql(url, stage / DUMP_FILE, manifest, now_ns, erased)
            (stage / DUMP_FILE).unlink()
        if (stage / READINGS_FILE).exists():
            _check_file(stage / READINGS_FILE)
        for entry in sorted(stage.iterdir()):
            entry.rename(folder / entry.name)
        stage.rmdir()
        if final is not None and staged is not None and staged.exists():
            _put(staged, final)
        for changed in {folder, folder if final is None else final.parent}:
            _sync_folder(changed)
    return Restored(manifest, broken_at)


def _sqlite_path(url: str) -> Path | None:
    made = make_url(url)
    return Path(made.database or "") if made.get_backend_name() == "sqlite" else None


def _check_fits(manifest: Manifest, url: str, by_config: bool) -> None:
    if manifest.schema not in known_revisions():
        raise BackupError(
            f"this backup is of version {manifest.software} with schema {manifest.schema!r}, which this version does "
            "not know: install the version that made it, or a newer one"
        )
    wanted = make_url(url).get_backend_name()
    if by_config and manifest.engine != wanted:
        raise ConfigError(
            f"this backup holds a {manifest.engine} database and the configuration names {wanted}: change `database`; "
            "nothing is carried over from one to the other"
        )


@contextmanager
def _empty_place(folder: Path, final: Path | None, stage: Path, staged: Path | None) -> Iterator[None]:
    """Refuses a place where anything is; on failure it is as it was."""
    is_ours = not folder.exists()
    try:
        if is_ours:
            folder.mkdir(mode=0o700)
        found = sorted(path.name for path in folder.iterdir() if not path.name.startswith(_STAGE))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be used: {error.strerror}") from None
    if found:
        raise ConfigError(f"{folder}: something is there already ({found[0]}); a restore goes into an empty place only")
    if final is not None and final.exists():
        raise ConfigError(f"{final}: there is a database already; a restore goes into an empty place only")
    try:
        _clear(stage, staged)  # of one that was killed
        stage.mkdir(mode=0o700)
        yield
    except BaseException as error:  # also Ctrl-C leaves nothing half done
        _clear(stage, staged)
        if is_ours:
            shutil.rmtree(folder)
        if isinstance(error, OSError):
            raise StorageError(f"{folder}: cannot be written: {error.strerror}; nothing was restored") from None
        raise


def _clear(stage: Path, staged: Path | None) -> None:
    if stage.exists():
        shutil.rmtree(stage)
    if staged is not None:
        for end in ("", "-wal", "-shm", "-journal"):
            Path(f"{staged}{end}").unlink(missing_ok=True)


def _put(staged: Path, final: Path) -> None:
    """Never over another: a center that is started too early makes a database of its own."""
    try:
        os.link(staged, final)
    except FileExistsError:
        raise BackupError(f"{final}: a center was started there meanwhile; stop it, and empty its place") from None
    staged.unlink()


def _inside(name: str) -> Path:
    """Where a part lies in the restored folder. Raises BackupError for a name that leads out of it."""
    known = {SQLITE: DATABASE_FILE, POSTGRESQL: DUMP_FILE, READINGS: READINGS_FILE}
    path = Path(known.get(name) or (name.removeprefix(DATA) if name.startswith(DATA) else f"{ELSEWHERE}/{name}"))
    if path.is_absolute() or ".." in path.parts:
        raise BackupError(f"this backup names a part that leads out of its folder: {name!r}")
    return path


# --- reading -----------------------------------------------------------------------------------------------------


def _unseal(
    path: Path, key: bytes, check: Callable[[Manifest], None], place: Callable[[Member], Path | None]
) -> Manifest:
    """Read all of it, each part into its place, or nowhere where that is None."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        with file:
            return _read(Unsealer(file, key), check, place)
    except tarfile.TarError as error:
        raise BackupError(f"{path}: this backup cannot be read: {error}") from None
    except BackupError as error:
        raise BackupError(f"{path}: {error}") from None


def _read(unsealer: Unsealer, check: Callable[[Manifest], None], place: Callable[[Member], Path | None]) -> Manifest:
    with tarfile.open(fileobj=cast("BinaryIO", unsealer), mode="r|", bufsize=CHUNK) as tar:
        first = tar.next()
        told = None if first is None or first.name != NAME or first.size > _MAX_MANIFEST else tar.extractfile(first)
        if told is None:
            raise BackupError("it does not begin with its manifest")
        manifest = decode(told.read())
        check(manifest)
        for member in manifest.members:
            entry = tar.next()
            content = None if entry is None or entry.name != member.name else tar.extractfile(entry)
            if content is None:
                raise BackupError(f"{member.name} is missing")
            _take(cast("BinaryIO", content), member, place(member))
        if tar.next() is not None:
            raise BackupError("it holds more than its manifest names")
    while unsealer.read(CHUNK):  # to the last chunk: only that one says that nothing was cut off
        pass
    return manifest


def _take(content: BinaryIO, member: Member, path: Path | None) -> None:
    digest = hashlib.sha256()
    target = None
    if path is not None:
        _make_folders(path.parent)
        target = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    try:
        while data := content.read(CHUNK):
            digest.update(data)
            if target is not None:
                target.write(data)
        if target is not None:
            target.flush()
            os.fsync(target.fileno())
    finally:
        if target is not None:
            target.close()
    if digest.hexdigest() != member.sha256:
        raise BackupError(f"{member.name} is not what its checksum says")


def _make_folders(folder: Path) -> None:
    if not folder.exists():
        _make_folders(folder.parent)
        folder.mkdir(mode=0o700)


# --- the database ------------------------------------------------------------------------------------------------


def _settle_sqlite(path: Path, manifest: Manifest, now_ns: int, erased: Path | None) -> int | None:
    _check_file(path)
    database = Database(sqlite_url(path))
    try:
        return _settle(database, manifest, now_ns, erased)
    finally:
        database.close()


def _check_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        check_sqlite(connection, path.name)


def _fill_postgresql(url: str, dump: Path, manifest: Manifest, now_ns: int, erased: Path | None) -> int | None:
    database = Database(url)
    try:
        with database.reading() as connection:
            found = connection.exec_driver_sql(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema' LIMIT 1"
            ).scalar()
        if found is not None:
            raise ConfigError(f"{database.name}: it holds {found!r} already; a restore goes into an empty one only")
        arguments = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
        run_postgresql("pg_restore", database.engine.url, [*arguments, str(dump)])
        return _settle(database, manifest, now_ns, erased)
    finally:
        database.close()


def _settle(database: Database, manifest: Manifest, now_ns: int, erased: Path | None) -> int | None:
    """The entry at which the journal is broken, as it was when the backup was made; None for one that holds."""
    with database.reading() as connection:
        verdict = journal.check(connection)
    if verdict.broken_at is None and (verdict.entries, verdict.head) != (manifest.entries, manifest.head):
        raise BackupError(f"its journal has {verdict.entries} entries; the manifest says {manifest.entries}")
    database.migrate()
    detail = {"made": manifest.made_at, "entries": manifest.entries, "head": manifest.head}
    with database.transaction() as connection:
        connection.execute(delete(schema.session))
        connection.execute(delete(schema.login_step))
        _skip_numbers(connection)
        ask_all(connection, manifest.made_ns, now_ns)
        journal.append(connection, RESTORED, now_ns, detail)
    if erased is not None:
        apply_list(database, erased)
    return verdict.broken_at


def _skip_numbers(connection: Connection) -> None:
    """Of every table whose numbers are never given twice."""
    for table in schema.metadata.sorted_tables:
        if table.dialect_options["sqlite"]["autoincrement"]:
            skip = _skip_postgresql if connection.dialect.name == "postgresql" else _skip_sqlite
            skip(connection, table.name)


def _skip_sqlite(connection: Connection, table: str) -> None:
    last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).scalar()
    connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    seen = (table, (last or 0) + NUMBERS_SKIPPED)
    connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", seen)


def _skip_postgresql(connection: Connection, table: str) -> None:
    sequence = connection.exec_driver_sql("SELECT pg_get_serial_sequence(%s, 'id')", (table,)).scalar_one()
    connection.exec_driver_sql(f"SELECT setval(%s, last_value + {NUMBERS_SKIPPED}) FROM {sequence}", (sequence,))


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
