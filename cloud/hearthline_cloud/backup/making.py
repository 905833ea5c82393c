"""A backup, made beside the one that it replaces and put in its place when it is whole and on the disk."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from sqlalchemy.exc import DatabaseError

from hearthline.errors import ConfigError, StorageError
from hearthline_cloud.backup import BackupError
from hearthline_cloud.backup.copying import copy_database, copy_sqlite_file
from hearthline_cloud.backup.gathering import gather
from hearthline_cloud.backup.manifest import NAME, POSTGRESQL, READINGS, SQLITE, Manifest, Member, facts
from hearthline_cloud.backup.sealed import CHUNK, Sealer, read_key
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.store.embedded import FILE_NAME as READINGS_FILE


def make_backup(
    config_file: Path, config: CloudConfig, target: Path, key_file: Path, now_ns: int, *, with_readings: bool = False
) -> Manifest:
    """The backup of a center that may be working. Raises ConfigError, BackupError, StorageError.

    Whatever happens, `target` is afterwards as it was before, or a whole backup.
    """
    key = read_key(key_file)
    with ExitStack() as stack:
        file = stack.enter_context(_replacing(target))
        try:
            manifest, parts = _snapshot(config, now_ns, with_readings, stack)
        except OSError as error:
            raise StorageError(f"{config.data_dir}: no room to copy the database: {error.strerror}") from None
        # afterwards, so that no key is missing that the database already speaks of
        gathered = gather(config_file, config, (key_file, target, _beside(target)))
        for (name, origin), content in gathered.content.items():
            parts.append((_member(name, origin, io.BytesIO(content)), io.BytesIO(content)))
        members = tuple(member for member, _ in parts)
        manifest = msgspec.structs.replace(manifest, members=members, left_out=tuple(gathered.left_out))
        sealer = Sealer(file, key)
        _write(sealer, manifest, parts)
        sealer.finish()
    return manifest


def _snapshot(
    config: CloudConfig, now_ns: int, with_readings: bool, stack: ExitStack
) -> tuple[Manifest, list[tuple[Member, BinaryIO]]]:
    """Copies without names in data_dir, closed with the stack."""
    database = stack.enter_context(_existing_database(config))
    parts = []
    try:
        with database.reading() as connection:
            manifest = facts(connection, now_ns)
            copy = stack.enter_context(copy_database(connection, config.directory))
    except DatabaseError as error:
        raise BackupError(f"{database.name}: cannot be read: {error.orig}") from None
    name = POSTGRESQL if database.is_server else SQLITE
    origin = database.name if database.is_server else str(database.engine.url.database)
    parts.append((_member(name, origin, copy), copy))
    readings = config.directory / READINGS_FILE
    if with_readings and readings.exists():
        copied = stack.enter_context(copy_sqlite_file(readings, config.directory))
        parts.append((_member(READINGS, str(readings), copied), copied))
    return manifest, parts


@contextmanager
def _existing_database(config: CloudConfig) -> Iterator[Database]:
    database = Database(config.database_url)
    path = database.engine.url.database
    if not database.is_server and (path is None or not Path(path).exists()):
        raise ConfigError(f"{database.name}: there is no database there: nothing to back up")
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target that takes its place at the end. What a killed one has left is overwritten."""
    beside = _beside(target)
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with cast("BinaryIO", os.fdopen(handle, "wb")) as file:
            if not _is_ours(handle, beside):
                raise BackupError(f"{beside}: another backup is being written there")
            try:
                os.ftruncate(handle, 0)
                yield file
                beside.replace(target)
            except BaseException:  # also Ctrl-C leaves nothing half done
                beside.unlink(missing_ok=True)
                raise
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror}; what was there is untouched") from None


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.new")


def _is_ours(handle: int, beside: Path) -> bool:
    """Whether nobody else writes it, or has just put it in its place."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), beside.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _write(sealer: Sealer, manifest: Manifest, parts: list[tuple[Member, BinaryIO]]) -> None:
    with tarfile.open(fileobj=cast("BinaryIO", sealer), mode="w|", bufsize=CHUNK, format=tarfile.PAX_FORMAT) as tar:
        told = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        tar.addfile(_entry(NAME, len(told), manifest), io.BytesIO(told))
        for member, content in parts:
            tar.addfile(_entry(member.name, member.size, manifest), content)


def _entry(name: str, size: int, manifest: Manifest) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, manifest.made_ns // 10**9
    return entry


def _member(name: str, origin: str, content: BinaryIO) -> Member:
    """Measured from where the content begins, and left there again."""
    content.seek(0)
    digest = hashlib.sha256()
    size = 0
    while data := content.read(CHUNK):
        digest.update(data)
        size += len(data)
    content.seek(0)
    return Member(name, origin, size, digest.hexdigest())
