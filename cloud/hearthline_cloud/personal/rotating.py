"""Another key for the center: every data key is sealed anew by it, no value is touched.

    file: [new, old, …] .... flushed; the processes that run read it again when they meet the new key
    database ............... every data key sealed by the new one, in one transaction
    file: [new] ............ only when asked to forget the old ones: then no backup from before opens its people

Killed anywhere, what is in the file opens what is in the database, and the command goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update

from hearthline_cloud.database import Database
from hearthline_cloud.personal.keys import Keyring, new_key, read_keys, write_keys
from hearthline_cloud.personal.vault import CENTER
from hearthline_cloud.schema import personal_key


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
    with database.transaction() as connection:
        rows = connection.execute(select(personal_key)).all()
        others = [row for row in rows if not row.sealed.startswith(f"{keyring.present}.")]
        for row in others:
            same = personal_key.c.subject == row.subject
            connection.execute(update(personal_key).where(same).values(sealed=keyring.rewrapped(row.sealed)))
    return len(others)
