"""The data keys of many subjects at once: found or made before the transaction that writes, so that it is short.

What is `made` is written in that transaction. `still_holds` says there whether the center's key is the one by
which new data keys were sealed: after a rotation nobody could open them; and whether none of their subjects got a key
from somebody else meanwhile. That no subject was erased since, the caller checks, who knows what it seals for.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.engine import Dialect

from hearthline_cloud.batches import Batch, inserts
from hearthline_cloud.personal.column import keyring_of, place_of
from hearthline_cloud.personal.keys import DataKey
from hearthline_cloud.personal.vault import CENTER, personal_columns
from hearthline_cloud.schema import personal_key

_AT_ONCE = 500


class Bundle:
    """Seals rows of several tables. Raises UnreadableError for a key that does not open."""

    def __init__(self, connection: Connection, subjects: Iterable[str]) -> None:
        """`connection`: a snapshot, or the transaction itself."""
        self._keyring = keyring_of(connection.dialect)
        self._by = _center_of(connection)
        self._keys: dict[str, DataKey] = {}
        self._made: list[dict[str, Any]] = []
        wanted = sorted(set(subjects))
        left = iter(wanted)
        while part := list(islice(left, _AT_ONCE)):
            query = select(personal_key).where(personal_key.c.subject.in_(part))
            for row in connection.execute(query):
                self._keys[row.subject] = self._keyring.data_key(row.sealed)

    def seal(self, table: Table, values: dict[str, Any]) -> dict[str, Any]:
        """As `vault.sealed`."""
        ready = dict(values)
        for name, kind in personal_columns(table).items():
            if ready.get(name) is None or ready[name] == "":
                continue
            key = self._key(kind.subject_of(values))
            ready[name] = key.seal(kind.as_text(ready[name]), place_of(table.name, name, values["id"]))
        return ready

    def still_holds(self, connection: Connection) -> bool:
        if _center_of(connection) != self._by:
            return False
        left = iter([row["subject"] for row in self._made])
        while part := list(islice(left, _AT_ONCE)):
            query = select(personal_key.c.subject).where(personal_key.c.subject.in_(part)).limit(1)
            if connection.execute(query).first() is not None:
                return False
        return True

    def made(self, dialect: Dialect) -> list[Batch]:
        """The keys that were made, to be written in the transaction that writes what they seal."""
        return list(inserts(dialect, lambda: insert(personal_key), self._made))

    def _key(self, subject: str) -> DataKey:
        if subject not in self._keys:
            wrapped = self._keyring.new_data_key(self._by)
            self._made.append({"subject": subject, "sealed": wrapped})
            self._keys[subject] = self._keyring.data_key(wrapped)
        return self._keys[subject]


def _center_of(connection: Connection) -> str:
    """The id of the key that seals the center's data key: new ones are sealed by it too."""
    query = select(personal_key.c.sealed).where(personal_key.c.subject == CENTER)
    return str(connection.execute(query).scalar() or "").split(".", 1)[0]
