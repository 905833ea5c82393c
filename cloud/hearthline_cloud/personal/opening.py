"""The center's database with the key of its personal data: which file, and whether it is this database's key.

The database knows its key by the data key `center`, which is made when the two meet.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from hearthline.errors import ConfigError
from hearthline_cloud import schema
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.personal.column import bind
from hearthline_cloud.personal.keys import KEY_FILE, Keyring, UnreadableError, keyring_from, new_key, write_keys
from hearthline_cloud.personal.vault import CENTER, data_key

_keys = schema.personal_key


def key_file(config: CloudConfig) -> Path:
    return Path(config.personal_key_file) if config.personal_key_file else config.directory / KEY_FILE


def open_database(config: CloudConfig) -> Database:
    """Of this version's schema, with its key. Raises ConfigError, StorageError."""
    database = Database(config.database_url)
    try:
        database.migrate()
        unlock(database, key_file(config), may_make=not config.personal_key_file)
    except BaseException:  # whatever it is, the database is closed
        database.close()
        raise
    return database


def unlock(database: Database, file: Path, *, may_make: bool) -> None:
    """Bind the key to a database, and the database to the key where it has none yet. Raises ConfigError.

    `may_make`: a database that has no key yet gets one, in a file that is made.
    """
    with database.reading() as connection:
        is_bound = _center_key(connection) is not None
    if may_make and not is_bound:
        make_once(file)
    if not file.exists():
        remedy = (
            "put it back from a backup or its copy: without it no name and no address can be read"
            if is_bound
            else f"make it: hearthline cloud personal-key new --key-file {file}"
        )
        raise ConfigError(f"personal_key_file: {file} is not there; {remedy}. Nothing was changed.")
    keyring = keyring_from(file)
    bind(database.engine, keyring)
    if is_bound:
        with database.reading() as connection:
            _check(connection, keyring, file)
        return
    with database.transaction() as connection:
        if _center_key(connection) is None:
            data_key(connection, CENTER)
        _check(connection, keyring, file)


def make_once(path: Path) -> None:
    """A key's file, whole or not at all, made by one of the processes that start at once. Raises ConfigError."""
    if path.exists():
        return
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    write_keys(fresh, [new_key()])
    try:
        os.link(fresh, path)  # fails where another was first
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be written: {error.strerror}") from None
    finally:
        fresh.unlink()


def _center_key(connection: Connection) -> str | None:
    try:
        found: str | None = connection.execute(select(_keys.c.sealed).where(_keys.c.subject == CENTER)).scalar()
    except SQLAlchemyError as error:
        raise ConfigError(f"the database cannot be read: {error}") from None
    return found


def _check(connection: Connection, keyring: Keyring, file: Path) -> None:
    wrapped = _center_key(connection) or ""
    try:
        keyring.data_key(wrapped)
    except UnreadableError:
        wanted = wrapped.split(".", 1)[0]
        raise ConfigError(
            f"personal_key_file = {str(file)!r}: this is the key {keyring.present}, and the database was sealed with "
            f"the key {wanted}; put that one there. Nothing was changed."
        ) from None
