"""What the database knows of the ids that some entries name: looked up for these alone, some hundred at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from hearthline_cloud import schema
from hearthline_cloud.alerts.notes import PORT
from hearthline_cloud.personal.column import Personal
from hearthline_cloud.registry.shape import FIELDS, TABLES, Key, Kind, Values

_AT_ONCE = 500  # parameters of a query
_ALONE_IN_THE_WORLD = ("enocean:", "ble:", "lorawan:", "shelly:", "z2m:0x")


def is_alone(device: str) -> bool:
    """Whether no other device in the world has this id: the maker gave it. A port's name or a fob's code is no such."""
    return device.startswith(_ALONE_IN_THE_WORLD)


@dataclass(slots=True)
class Known:
    """`rows`: by kind and key, what is registered, with `place`, its community; personal columns are opened.

    `places`: device id -> gateways that it is registered with, each with its home. `counts`: how many devices are
    registered with a gateway that gets another.
    """

    rows: dict[Kind, dict[Key, Values]] = field(default_factory=lambda: {kind: {} for kind in Kind})
    erased: set[str] = field(default_factory=set)
    places: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    heard: set[Key] = field(default_factory=set)  # gateways and devices that were heard and are not registered

    def has(self, kind: Kind, key: Key) -> bool:
        return key in self.rows[kind]


def look_up(connection: Connection, wanted: dict[Kind, set[Key]], whole: dict[Kind, set[Key]]) -> Known:
    """What is there of `wanted`. `whole`: those whose personal values are wanted too."""
    known = Known()
    for kind, keys in wanted.items():
        if kind not in TABLES:
            continue  # contacts stand in their residents' rows
        for part in _parts(keys - whole.get(kind, set())):
            _take(connection, known, kind, part, [])
        for part in _parts(whole.get(kind, set())):
            _take(connection, known, kind, part, _personal(kind))
    _find_erased(connection, known, wanted.get(Kind.RESIDENT, set()))
    _find_places(connection, known, wanted.get(Kind.DEVICE, set()))
    _count_devices(connection, known, wanted.get(Kind.DEVICE, set()))
    return known


def _take(connection: Connection, known: Known, kind: Kind, keys: list[Key], personal: list[str]) -> None:
    table = TABLES[kind]
    query: Select[Any] = _query(kind, personal).where(table.c.id.in_([key[-1] for key in keys]))
    if kind is Kind.DEVICE:
        query = query.where(table.c.gateway_id.in_({key[0] for key in keys}))
    asked = set(keys)
    for row in connection.execute(query):
        values = row_values(kind, row, personal)
        key: Key = (values["gateway"], values["id"]) if kind is Kind.DEVICE else (values["id"],)
        if key not in asked:
            continue
        if (kind is Kind.GATEWAY and row.home_id is None) or (kind is Kind.DEVICE and not row.registered):
            known.heard.add(key)
        else:
            known.rows[kind][key] = values


def rows_of(connection: Connection, kind: Kind) -> Iterator[Values]:
    """Everything that is registered of a kind, in the order of ids, with its personal values."""
    table, personal = TABLES[kind], _personal(kind)
    query = _query(kind, personal).order_by(*table.primary_key)
    if kind is Kind.GATEWAY:
        query = query.where(table.c.home_id.is_not(None))
    elif kind is Kind.DEVICE:
        query = query.where(table.c.registered)
    for row in connection.execute(query):
        yield row_values(kind, row, personal)


def _query(kind: Kind, personal: list[str]) -> Select[Any]:
    table = TABLES[kind]
    bare = [column for column in table.columns if not _is_personal(column) or column.name in personal]
    match kind:
        case Kind.COMMUNITY:
            return select(*bare, table.c.id.label("place"))
        case Kind.HOME | Kind.VOLUNTEER:
            return select(*bare, table.c.community_id.label("place"))
        case Kind.DEVICE:
            joined = table.join(schema.gateway, schema.gateway.c.id == table.c.gateway_id)
            joined = joined.outerjoin(schema.home, schema.home.c.id == schema.gateway.c.home_id)
        case _:
            joined = table.outerjoin(schema.home, schema.home.c.id == table.c.home_id)
    return select(*bare, schema.home.c.community_id.label("place")).select_from(joined)


def row_values(kind: Kind, row: Row[Any], personal: Iterable[str]) -> Values:
    """A row by the fields' names; without the personal ones that were not asked for."""
    named = row._mapping
    values = {field.name: named[field.stored] for field in FIELDS[kind] if field.stored in named}
    if "contacts" in personal:
        values["contacts"] = [dict(each) for each in named["contacts"] or () if isinstance(each, dict)]
    values["place"] = named["place"]
    return values


def _personal(kind: Kind) -> list[str]:
    return [column.name for column in TABLES[kind].columns if _is_personal(column)]


def _is_personal(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, Personal)


def _find_erased(connection: Connection, known: Known, residents: set[Key]) -> None:
    gone = schema.erasure.c.resident_id
    for part in _parts(residents):
        known.erased.update(connection.execute(select(gone).where(gone.in_([key[0] for key in part]))).scalars())


def _find_places(connection: Connection, known: Known, devices: set[Key]) -> None:
    device, gateway = schema.device, schema.gateway
    query = select(device.c.id, device.c.gateway_id, gateway.c.home_id).join(gateway)
    query = query.where(device.c.registered)
    for part in _parts({(key[1],) for key in devices if is_alone(key[1])}):
        for row in connection.execute(query.where(device.c.id.in_([key[0] for key in part]))):
            known.places.setdefault(row.id, []).append((row.gateway_id, row.home_id))


def _count_devices(connection: Connection, known: Known, devices: set[Key]) -> None:
    table = schema.device
    listed = table.c.registered & (table.c.kind != PORT)
    query = select(table.c.gateway_id, func.count().label("count")).where(listed).group_by(table.c.gateway_id)
    for part in _parts({(key[0],) for key in devices if not known.has(Kind.DEVICE, key)}):
        for row in connection.execute(query.where(table.c.gateway_id.in_([key[0] for key in part]))):
            known.counts[row.gateway_id] = row._mapping["count"]


def _parts(keys: Iterable[Key]) -> Iterator[list[Key]]:
    left = iter(sorted(keys))
    while part := list(islice(left, _AT_ONCE)):
        yield part
