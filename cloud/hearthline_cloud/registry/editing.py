"""One entry of the registry: added or changed, checked, sealed and journalled, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, update

from hearthline.errors import RefusedError
from hearthline_cloud import schema
from hearthline_cloud.personal.vault import sealed
from hearthline_cloud.registry.checking import Contacts, Entry, Found, Rules, check
from hearthline_cloud.registry.reading import find
from hearthline_cloud.registry.shape import Kind, key_fields, problem
from hearthline_cloud.registry.texts import SPEECH, field_word, in_words
from hearthline_cloud.registry.writing import prepare, write
from hearthline_cloud.scoping import EVERY, Communities


class RegistryError(RefusedError):
    """An entry that cannot be: every problem of it."""

    def __init__(self, found: list[Found]) -> None:
        self.found = found
        super().__init__("; ".join(_line(each) for each in found))


def _line(found: Found) -> str:
    where = field_word(found.entry.kind, found.problem.field)
    return SPEECH.say("line", where=where, text=in_words(found.problem))


def add(
    connection: Connection, kind: Kind, values: Mapping[str, Any], actor: str, now_ns: int, seen: Communities = EVERY
) -> None:
    """What is not there yet. Raises RegistryError, and then changed nothing."""
    _do(connection, kind, values, actor, now_ns, Rules(new_only=True, seen=seen))


def put(
    connection: Connection, kind: Kind, values: Mapping[str, Any], actor: str, now_ns: int, seen: Communities = EVERY
) -> None:
    """Add an entry or bring it up to date; a field that is not given is left as it is. Raises RegistryError.

    `values` by the names of `shape.FIELDS`, as somebody wrote them: {"gateway": "gw-1", "id": "enocean:002EE196",
    "room": "bedroom"}. In a `Database.transaction()`.
    """
    _do(connection, kind, values, actor, now_ns, Rules(update=True, seen=seen))


def edit(
    connection: Connection, kind: Kind, values: Mapping[str, Any], actor: str, now_ns: int, seen: Communities = EVERY
) -> None:
    """What is there already. Raises NotFoundError, RegistryError."""
    find(connection, kind, tuple(str(values[name]) for name in key_fields(kind)), seen)
    put(connection, kind, values, actor, now_ns, seen)


def edit_contact(
    connection: Connection,
    resident: str,
    number: int,
    values: Mapping[str, Any],
    actor: str,
    now_ns: int,
    seen: Communities = EVERY,
) -> None:
    """`number`: from 1, in the order in which they are told. Raises NotFoundError, RegistryError."""
    found: Contacts = find(connection, Kind.RESIDENT, (resident,), seen)["contacts"]
    if not 1 <= number <= len(found):
        wrong = problem("no-contact", "number", id=resident, count=len(found))
        raise RegistryError([Found(Entry(Kind.CONTACT, {}), wrong)])
    changed = [dict(each) for each in found]
    changed[number - 1] |= values
    put(connection, Kind.RESIDENT, {"id": resident, "contacts": changed}, actor, now_ns, seen)


def put_contacts(connection: Connection, resident: str, contacts: Contacts) -> None:
    """The whole list, which was checked. The caller writes the journal."""
    values = sealed(connection, schema.resident, {"id": resident, "contacts": contacts})
    connection.execute(update(schema.resident).where(schema.resident.c.id == resident).values(**values))


def _do(connection: Connection, kind: Kind, values: Mapping[str, Any], actor: str, now_ns: int, rules: Rules) -> None:
    plan = check(connection, [Entry(kind, dict(values))], now_ns, rules)
    if plan.problems:
        raise RegistryError(plan.problems)
    if not write(connection, prepare(connection, plan), actor, now_ns):
        raise AssertionError("the transaction that checked is the one that writes")
