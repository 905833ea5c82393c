"""What an installer has bound in a home, into the registry, in the transaction that stores the event.

    gateway without a home ........ "unknown-gateway": kept as an event; the gateway asks again, until it has a home
    bound to another home ......... "elsewhere": nothing changed, shown to staff with the gateway
    what the registry refuses ..... "refused", the same
    else .......................... registered, journalled, "bound"; a repeat adds what the registry lacks of names,
                                    room, kind and user, takes the buttons anew, and is answered again

The answer is a command, sent until the gateway has taken it.
"""

from __future__ import annotations

from typing import Any

import uuid_utils
from sqlalchemy import Connection, insert, select, update

from hearthline import wire
from hearthline.errors import ProtocolError
from hearthline.model import BOUND
from hearthline_cloud import journal, schema
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.ingest.aside import storable
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.listing import make_list_due
from hearthline_cloud.registry.editing import RegistryError, put
from hearthline_cloud.registry.removing import remove
from hearthline_cloud.registry.shape import Kind

BINDING = "binding"  # of the journal: {"gateway", "device", "result"}
UNKNOWN_GATEWAY, ELSEWHERE, REFUSED, REMOVED = "unknown-gateway", "elsewhere", "refused", "removed"


def take_binding(connection: Connection, stored: int, event: wire.Event, gateway: str, now_ns: int) -> None:
    """Act on a binding that was not told before. `gateway`: of the topic; nobody binds for another."""
    try:
        word = wire.binding_of(event.data)
    except ProtocolError as error:
        suspect = {"suspect": storable(str(error), 200)}
        connection.execute(update(schema.event).where(schema.event.c.id == stored).values(**suspect))
        return
    if word.state == "lost":
        make_list_due(connection, [gateway])
        return
    result = _result(connection, word, gateway, now_ns)
    detail = {"gateway": gateway, "device": word.device, "result": result}
    journal.append(connection, BINDING, now_ns, detail, event=stored)
    body = {"type": BOUND, "device": word.device, "result": result}
    times = {"created_ns": now_ns, "next_attempt_ns": now_ns}
    name = str(uuid_utils.uuid7())
    connection.execute(insert(schema.command).values(id=name, gateway_id=gateway, body=body, **times))


def _result(connection: Connection, word: wire.Binding, gateway: str, now_ns: int) -> str:
    if not _has_home(connection, gateway):
        return UNKNOWN_GATEWAY
    if word.state == "removed":
        try:
            remove(connection, Kind.DEVICE, (gateway, word.device), SYSTEM, now_ns)
        except NotFoundError:
            pass  # told again, or never heard of
        except RegistryError:
            return REFUSED
        return REMOVED
    values = _missing(connection, word, gateway)
    try:
        put(connection, Kind.DEVICE, values, SYSTEM, now_ns)
    except RegistryError as error:
        return ELSEWHERE if any(each.problem.code.startswith("elsewhere") for each in error.found) else REFUSED
    table = schema.device
    same = (table.c.gateway_id == gateway) & (table.c.id == word.device)
    connection.execute(update(table).where(same).values(buttons=dict(word.buttons)))
    return BOUND


def _missing(connection: Connection, word: wire.Binding, gateway: str) -> dict[str, Any]:
    """What the registry lacks of the device. What the office wrote stays, and the gateway is told it again."""
    told = {"name": word.name, "room": word.room, "kind": word.kind or None, "user": word.user}
    table = schema.device
    same = (table.c.gateway_id == gateway) & (table.c.id == word.device) & table.c.registered
    known = connection.execute(
        select(table.c.name, table.c.room, table.c.kind, table.c.user_number).where(same)
    ).first()
    kept = dict(zip(told, known or (), strict=False))
    if any(kept.get(name) not in ("", None, value) for name, value in told.items()):
        make_list_due(connection, [gateway])
    new = {name: value for name, value in told.items() if value is not None and kept.get(name) in ("", None)}
    return {"gateway": gateway, "id": word.device} | new


def _has_home(connection: Connection, gateway: str) -> bool:
    table = schema.gateway
    return connection.execute(select(table.c.home_id).where(table.c.id == gateway)).scalar() is not None
