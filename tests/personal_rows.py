"""Rows with personal data, sealed as the product seals them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from hearthline_cloud.database import Database
from hearthline_cloud.personal.column import bind
from hearthline_cloud.personal.keys import KEY_FILE, keyring_from, write_keys
from hearthline_cloud.personal.opening import unlock
from hearthline_cloud.personal.vault import sealed

KEY = bytes(range(32))  # of every test, so that a populated database can be copied


def lay_key(folder: Path) -> None:
    """The one key of all tests, where a role with this folder looks for it."""
    if not (folder / KEY_FILE).exists():
        write_keys(folder / KEY_FILE, [KEY])


def give_key(database: Database, folder: Path) -> None:
    """The key in the folder, where the product has it by default, and in this process; the database need not exist."""
    lay_key(folder)
    bind(database.engine, keyring_from(folder / KEY_FILE))


def with_key(database: Database, folder: Path) -> Database:
    """A migrated database with the key of the folder."""
    give_key(database, folder)
    unlock(database, folder / KEY_FILE, may_make=False)
    return database


def put(connection: Connection, table: Table, **values: Any) -> int | None:
    """Insert one row; its number, where the table numbers its rows. Personal columns of such a table are put after."""
    if "id" in values:
        connection.execute(insert(table).values(**sealed(connection, table, values)))
        return None
    later = {name: values[name] for name in ("reason", "words") if name in values}
    first = values | dict.fromkeys(later, "")
    number: int = connection.execute(insert(table).values(**first).returning(table.c.id)).scalar_one()
    change(connection, table, number, **later)
    return number


def change(connection: Connection, table: Table, key: Any = None, **values: Any) -> None:
    """Of the row with this id, or of all rows."""
    query = select(table.c.id, *([table.c.subject] if "subject" in table.c else []))
    for row in connection.execute(query if key is None else query.where(table.c.id == key)).mappings().all():
        ready = sealed(connection, table, dict(row) | values)
        connection.execute(update(table).where(table.c.id == row["id"]).values(**ready))
