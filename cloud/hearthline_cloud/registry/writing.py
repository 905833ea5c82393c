"""A plan into the database: sealed before the transaction, which then only inserts, updates and journals.

Between the snapshot that was checked and the transaction somebody may have changed what the plan is about, erased a
resident or made a new key: the transaction sees that in the journal and at the keys, and then writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update, bindparam, func, insert, select, update

from hearthline_cloud import journal, schema
from hearthline_cloud.batches import Batch, inserts, updates
from hearthline_cloud.database import upsert
from hearthline_cloud.listing import make_list_due
from hearthline_cloud.personal.bundle import Bundle
from hearthline_cloud.personal.erasing import ERASED
from hearthline_cloud.personal.vault import personal_columns
from hearthline_cloud.registry.checking import Move, Plan
from hearthline_cloud.registry.concerning import Mark, marks_of
from hearthline_cloud.registry.shape import FIELDS, TABLES, Kind, field_of, pseudonym

REGISTRY = "registry"  # of the journal: {"do": added, changed, removed; "kind", "ids"}
ADDED, CHANGED, REMOVED = "added", "changed", "removed"
_AT_ONCE = 1000  # ids in an entry of the journal
_HEARD_BEFORE = (Kind.GATEWAY, Kind.DEVICE)  # a row may be there of what was heard and is not registered


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the transaction does. `cursor`: the journal's last entry of the snapshot that it was made of."""

    bundle: Bundle
    cursor: int
    concerned: frozenset[Mark]
    batches: list[Batch]
    told: list[tuple[str, Kind, list[str]]]  # do, kind, ids: an entry of the journal each


@dataclass(slots=True)
class _Rows:
    """As they are stored, by what is done with them."""

    new: dict[Kind, list[dict[str, Any]]] = field(default_factory=dict)
    changed: dict[tuple[Kind, tuple[str, ...]], list[dict[str, Any]]] = field(default_factory=dict)


def last_entry(connection: Connection) -> int:
    return connection.execute(select(func.max(schema.journal.c.id))).scalar() or 0


def prepare(connection: Connection, plan: Plan, progress: Callable[[int], None] = lambda done: None) -> Prepared:
    """On the snapshot, or in the transaction, that the plan was made on."""
    bundle, rows, cursor = Bundle(connection, _subjects(plan)), _Rows(), last_entry(connection)
    contacts = dict(plan.contacts)
    for done, move in enumerate(plan.moves, 1):
        if move.kind is not Kind.CONTACT:
            values = dict(move.values)
            if move.kind is Kind.RESIDENT and (move.is_new or move.key[0] in contacts):
                values["contacts"] = contacts.pop(move.key[0], values.get("contacts", []))
            _add(rows, bundle, move, values)
        progress(done)
    for resident, whole in contacts.items():
        _add(rows, bundle, Move(Kind.RESIDENT, (resident,), {}, is_new=False), {"contacts": whole})
    batches = [*bundle.made(connection.dialect), *_batches(connection, rows)]
    return Prepared(bundle, cursor, plan.concerned, batches, list(_entries(plan)))


def write(connection: Connection, ready: Prepared, actor: str, now_ns: int) -> bool:
    """In a `Database.transaction()`. False, and nothing written, when what was prepared may no longer be right."""
    if not ready.bundle.still_holds(connection) or _changed_since(connection, ready):
        return False
    for each in ready.batches:
        each.execute(connection)
    for do, kind, ids in ready.told:
        note(connection, do, kind, ids, actor, now_ns)
    return True


def note(connection: Connection, do: str, kind: Kind, ids: list[str], actor: str, now_ns: int) -> None:
    """What was done, with pseudonymous ids alone; the gateways of changed devices are told."""
    if kind is Kind.DEVICE:
        make_list_due(connection, {each.partition("/")[0] for each in ids})
    journal.append(connection, REGISTRY, now_ns, {"do": do, "kind": kind.value, "ids": ids}, actor=actor)


def _changed_since(connection: Connection, ready: Prepared) -> bool:
    table = schema.journal
    query = select(table.c.kind, table.c.detail).where(table.c.id > ready.cursor)
    for row in connection.execute(query.where(table.c.kind.in_((REGISTRY, ERASED)))):
        if row.kind == ERASED or not ready.concerned.isdisjoint(marks_of(Kind(row.detail["kind"]), row.detail["ids"])):
            return True
    return False


def _subjects(plan: Plan) -> Iterator[str]:
    for move in plan.moves:
        if move.kind is not Kind.CONTACT:
            for personal in personal_columns(TABLES[move.kind]).values():
                yield personal.subject_of({"id": move.key[-1]})
    yield from (f"resident:{resident}" for resident in plan.contacts)


def _add(rows: _Rows, bundle: Bundle, move: Move, values: dict[str, Any]) -> None:
    stored = {
        (name if name == "contacts" else field_of(move.kind, name).stored): value for name, value in values.items()
    }
    key = {"gateway_id": move.key[0], "id": move.key[1]} if move.kind is Kind.DEVICE else {"id": move.key[0]}
    sealed = bundle.seal(TABLES[move.kind], stored | key)
    if move.is_new:
        rows.new.setdefault(move.kind, []).append(_whole(move.kind, sealed))
        return
    names = tuple(sorted(name for name in stored if name not in key))
    row = {f"key_{name}": value for name, value in key.items()} | {f"new_{name}": sealed[name] for name in names}
    rows.changed.setdefault((move.kind, names), []).append(row)


def _whole(kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
    """Every column that the registry fills, so that all rows go in by one statement."""
    columns = TABLES[kind].c
    empty = {each.stored: None if columns[each.stored].nullable else "" for each in FIELDS[kind]}
    return empty | ({"registered": True} if kind is Kind.DEVICE else {}) | row


def _batches(connection: Connection, rows: _Rows) -> Iterator[Batch]:
    dialect = connection.dialect
    for kind in TABLES:
        if new := rows.new.get(kind):
            yield from inserts(dialect, partial(_insert, connection, kind, list(new[0])), new)
    for (kind, names), changed in rows.changed.items():
        yield updates(dialect, _update(TABLES[kind], names), changed)


def _insert(connection: Connection, kind: Kind, names: list[str]) -> Insert:
    table = TABLES[kind]
    if kind not in _HEARD_BEFORE:
        return insert(table)
    statement = upsert(connection, table)
    keys = [column.name for column in table.primary_key]
    again = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=again)


def _update(table: Table, names: tuple[str, ...]) -> Update:
    keys = [column.name for column in table.primary_key]
    where = [table.c[name] == bindparam(f"key_{name}") for name in keys]
    return (
        update(table).where(*where).values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names})
    )


def _entries(plan: Plan) -> Iterator[tuple[str, Kind, list[str]]]:
    told: dict[tuple[Kind, str], dict[str, None]] = {}
    for move in plan.moves:
        done = ADDED if move.is_new else CHANGED
        told.setdefault((move.kind, done), {})[pseudonym(move.kind, move.key)] = None
    for kind in Kind:
        for do in (ADDED, CHANGED):
            left = iter(told.get((kind, do), ()))
            while ids := list(islice(left, _AT_ONCE)):
                yield do, kind, ids
