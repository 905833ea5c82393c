"""A plan into the database: sealed before the transaction, which then only inserts, updates and journals.

Between the snapshot that was checked and the transaction somebody may have changed the registry, erased a resident or
made a new key: the transaction sees that in the journal and at the center's key, and then writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from hearthline_cloud import journal, schema
from hearthline_cloud.database import upsert
from hearthline_cloud.listing import make_list_due
from hearthline_cloud.personal.bundle import Bundle
from hearthline_cloud.personal.erasing import ERASED
from hearthline_cloud.personal.vault import personal_columns
from hearthline_cloud.registry.checking import Move, Plan
from hearthline_cloud.registry.shape import FIELDS, TABLES, Kind, field_of, pseudonym

REGISTRY = "registry"  # of the journal: {"do": added, changed, removed; "kind", "ids"}
ADDED, CHANGED, REMOVED = "added", "changed", "removed"
_AT_ONCE = 500  # ids in an entry of the journal
_HEARD_BEFORE = (Kind.GATEWAY, Kind.DEVICE)  # a row may be there of what was heard and is not registered


@dataclass(slots=True)
class Prepared:
    """Rows as they are stored. `cursor`: the journal's last entry of the snapshot that they were made of."""

    bundle: Bundle
    cursor: int
    new: dict[Kind, list[dict[str, Any]]] = field(default_factory=dict)
    changed: list[tuple[Kind, dict[str, Any], dict[str, Any]]] = field(default_factory=list)  # kind, key, values
    told: list[tuple[str, Kind, str]] = field(default_factory=list)  # do, kind, id


def last_entry(connection: Connection) -> int:
    return connection.execute(select(func.max(schema.journal.c.id))).scalar() or 0


def prepare(connection: Connection, plan: Plan, progress: Callable[[int], None] = lambda done: None) -> Prepared:
    """On the snapshot, or in the transaction, that the plan was made on."""
    ready = Prepared(Bundle(connection, _subjects(plan)), last_entry(connection))
    contacts = dict(plan.contacts)
    for done, move in enumerate(plan.moves, 1):
        if move.kind is not Kind.CONTACT:
            values = dict(move.values)
            if move.kind is Kind.RESIDENT and (move.is_new or move.key[0] in contacts):
                values["contacts"] = contacts.pop(move.key[0], values.get("contacts", []))
            _add(ready, move, values)
        ready.told.append((ADDED if move.is_new else CHANGED, move.kind, pseudonym(move.kind, move.key)))
        progress(done)
    for resident, whole in contacts.items():
        _add(ready, Move(Kind.RESIDENT, (resident,), {}, is_new=False), {"contacts": whole})
    return ready


def write(connection: Connection, ready: Prepared, actor: str, now_ns: int) -> bool:
    """In a `Database.transaction()`. False, and nothing written, when what was prepared may no longer be right."""
    if not ready.bundle.still_holds(connection) or _changed_since(connection, ready.cursor):
        return False
    ready.bundle.keep(connection)
    for kind in TABLES:
        if rows := ready.new.get(kind):
            _insert(connection, kind, rows)
    for (kind, names), group in groupby(ready.changed, key=lambda each: (each[0], tuple(each[2]))):
        _update(connection, TABLES[kind], names, [(key, values) for _, key, values in group])
    for do, kind, ids in _bundles(ready.told):
        note(connection, do, kind, ids, actor, now_ns)
    return True


def note(connection: Connection, do: str, kind: Kind, ids: list[str], actor: str, now_ns: int) -> None:
    """What was done, with pseudonymous ids alone; the gateways of changed devices are told."""
    if kind is Kind.DEVICE:
        make_list_due(connection, {each.partition("/")[0] for each in ids})
    journal.append(connection, REGISTRY, now_ns, {"do": do, "kind": kind.value, "ids": ids}, actor=actor)


def _changed_since(connection: Connection, cursor: int) -> bool:
    table = schema.journal
    later = select(table.c.id).where(table.c.id > cursor, table.c.kind.in_((REGISTRY, ERASED))).limit(1)
    return connection.execute(later).first() is not None


def _subjects(plan: Plan) -> Iterator[str]:
    for move in plan.moves:
        if move.kind is not Kind.CONTACT:
            for personal in personal_columns(TABLES[move.kind]).values():
                yield personal.subject_of({"id": move.key[-1]})
    yield from (f"resident:{resident}" for resident in plan.contacts)


def _add(ready: Prepared, move: Move, values: dict[str, Any]) -> None:
    stored = {
        (name if name == "contacts" else field_of(move.kind, name).stored): value for name, value in values.items()
    }
    key = {"gateway_id": move.key[0], "id": move.key[1]} if move.kind is Kind.DEVICE else {"id": move.key[0]}
    sealed = ready.bundle.seal(TABLES[move.kind], stored | key)
    if move.is_new:
        ready.new.setdefault(move.kind, []).append(_whole(move.kind, sealed))
    else:
        ready.changed.append((move.kind, key, {name: sealed[name] for name in sorted(stored) if name not in key}))


def _whole(kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
    """Every column that the registry fills, so that all rows go in by one statement."""
    columns = TABLES[kind].c
    empty = {each.stored: None if columns[each.stored].nullable else "" for each in FIELDS[kind]}
    return empty | ({"registered": True} if kind is Kind.DEVICE else {}) | row


def _insert(connection: Connection, kind: Kind, rows: list[dict[str, Any]]) -> None:
    table = TABLES[kind]
    if kind not in _HEARD_BEFORE:
        connection.execute(insert(table), rows)
        return
    statement = upsert(connection, table)
    keys = [column.name for column in table.primary_key]
    again = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=again), rows)


def _update(
    connection: Connection, table: Table, names: tuple[str, ...], rows: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    where = [table.c[name] == bindparam(f"key_{name}") for name in rows[0][0]]
    statement = (
        update(table).where(*where).values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names})
    )
    named = [
        {f"key_{name}": value for name, value in key.items()} | {f"new_{name}": values[name] for name in names}
        for key, values in rows
    ]
    connection.execute(statement, named)


def _bundles(told: list[tuple[str, Kind, str]]) -> Iterator[tuple[str, Kind, list[str]]]:
    order = list(Kind)
    for (do, kind), group in groupby(
        sorted(told, key=lambda each: (order.index(each[1]), each[0])), key=lambda e: e[:2]
    ):
        left = iter(dict.fromkeys(each[2] for each in group))
        while ids := list(islice(left, _AT_ONCE)):
            yield do, kind, ids
