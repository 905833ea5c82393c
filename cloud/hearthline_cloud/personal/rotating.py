"""Another key for the center: every data key is sealed anew by it, no value is touched.

    file: [new, old, …] .... flushed; the processes that run read it again when they meet the new key
    database ............... data keys sealed by the new one, a bundle a transaction: a press waits for one at most;
                             the center's last, so that it says whether all of it is done
    file: [new] ............ only when asked to forget the old ones; a backup holds the key of its own time

Killed anywhere, what is in the file opens what is in the database, and the command goes on where it stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from hearthline_cloud.database import Database
from hearthline_cloud.personal.keys import Keyring, new_key, read_keys, write_keys
from hearthline_cloud.personal.vault import CENTER
from hearthline_cloud.schema import personal_key

_AT_ONCE = 50
_BREATH_S = 0.02  # between two bundles: who waits to write goes first
_pause = threading.Event()  # never set


@dataclass(frozen=True, slots=True)
class Rotated:
    """`present`: the key that seals now; `data_keys`: how many were sealed anew; `kept`: old keys in the file."""

    present: str
    data_keys: int
    kept: int


def rotate(database: Database, file: Path, *, forget_old: bool) -> Rotated:
    """Raises ConfigError for a file that cannot be read or written, UnreadableError for a data key that is damaged."""
    keys = read_keys(file)
    if _is_in_use(database, Keyring(keys)):
        keys = [new_key(), *keys]
        write_keys(file, keys)
    count = _rewrap(database, Keyring(keys))
    if forget_old:
        keys = keys[:1]
        write_keys(file, keys)
    return Rotated(Keyring(keys).present, count, len(keys) - 1)


def _is_in_use(database: Database, keyring: Keyring) -> bool:
    """Whether the first key of the file has sealed already; else an earlier rotation was stopped before it did."""
    query = select(personal_key.c.sealed).where(personal_key.c.subject == CENTER)
    with database.reading() as connection:
        return str(connection.execute(query).scalar_one()).startswith(f"{keyring.present}.")


def _rewrap(database: Database, keyring: Keyring) -> int:
    count = 0
    while done := _rewrap_some(database, keyring):
        count += done
        _pause.wait(_BREATH_S)
    with database.transaction() as connection:  # with what was made since, and what new ones are made by
        return count + _seal_anew(connection, keyring, connection.execute(_others(keyring)).all())


def _rewrap_some(database: Database, keyring: Keyring) -> int:
    with database.transaction() as connection:
        some = _others(keyring).where(personal_key.c.subject != CENTER).limit(_AT_ONCE)
        return _seal_anew(connection, keyring, connection.execute(some).all())


def _others(keyring: Keyring) -> Select[Any]:
    return select(personal_key).where(personal_key.c.sealed.not_like(f"{keyring.present}.%"))


def _seal_anew(connection: Connection, keyring: Keyring, rows: Sequence[Row[Any]]) -> int:
    for row in rows:
        same = personal_key.c.subject == row.subject
        connection.execute(update(personal_key).where(same).values(sealed=keyring.rewrapped(row.sealed)))
    return len(rows)
