"""The list of its devices that a gateway is told, and when: the registry is the truth, the gateway works by its copy.

    the registry changes a device --> gateway.list_due, in the same transaction
    ingest's round of commands ------> command "devices" with the whole list, in the place of an older one unanswered

Only a gateway that was heard before and is not offline is told; a new one gets its list when it is enrolled. The list
is bounded: a broker throws out who sends a packet over its bound, and the ingester sends over the session that alarms
come by.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import uuid_utils
from sqlalchemy import ColumnElement, Connection, insert, select, update

from hearthline.enrolment import MAX_DEVICES
from hearthline.log import Log
from hearthline.model import DEVICES
from hearthline_cloud import schema
from hearthline_cloud.alerts.notes import PORT

SUPERSEDED = "superseded"  # the result of a list that a newer one took the place of
MAX_LIST_BYTES = 128 * 1024  # of the devices as they are encoded
_AT_ONCE = 50
log = Log(__name__)


def make_list_due(connection: Connection, gateways: Collection[str]) -> None:
    """What these gateways know of their devices is no longer right. In a `Database.transaction()`."""
    table = schema.gateway
    connection.execute(update(table).where(table.c.id.in_(gateways)).values(list_due=True))


def device_list(connection: Connection, gateway: str) -> list[dict[str, Any]]:
    """What the registry has for this gateway, as the wire carries it; what is empty is left out."""
    table = schema.device
    own = (table.c.gateway_id == gateway) & table.c.registered & (table.c.kind != PORT)
    return [
        {
            key: value
            for key, value in (
                ("id", row.id),
                ("name", row.name),
                ("room", row.room),
                ("kind", row.kind),
                ("user", row.user_number),
                ("buttons", row.buttons),
            )
            if value not in ("", None, {})
        }
        for row in connection.execute(select(table).where(own).order_by(table.c.id))
    ]


def is_any_list_due(connection: Connection) -> bool:
    return connection.execute(select(schema.gateway.c.id).where(_is_due()).limit(1)).first() is not None


def order_due_lists(connection: Connection, now_ns: int) -> None:
    """A command for each gateway whose list has changed. In a `Database.transaction()`."""
    table = schema.gateway
    for gateway in connection.execute(select(table.c.id).where(_is_due()).limit(_AT_ONCE)).scalars().all():
        _supersede(connection, gateway, now_ns)
        body = {"type": DEVICES, "devices": _bounded(gateway, device_list(connection, gateway))}
        times = {"created_ns": now_ns, "next_attempt_ns": now_ns}
        name = str(uuid_utils.uuid7())
        connection.execute(insert(schema.command).values(id=name, gateway_id=gateway, body=body, **times))
        connection.execute(update(table).where(table.c.id == gateway).values(list_due=False))


def _is_due() -> ColumnElement[bool]:
    table = schema.gateway
    return table.c.list_due & table.c.last_seen_ns.is_not(None) & (table.c.state != "offline")


def _bounded(gateway: str, devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as the bounds allow. Of a device that is left out every press still raises, as of an unknown one."""
    kept: list[dict[str, Any]] = []
    left_bytes = MAX_LIST_BYTES
    for device in devices[:MAX_DEVICES]:
        left_bytes -= len(msgspec.json.encode(device)) + 1
        if left_bytes < 0:
            break
        kept.append(device)
    if len(kept) < len(devices):
        log.error(
            "device list too long for its gateway", gateway=gateway, told=len(kept), left_out=len(devices) - len(kept)
        )
    return kept


def _supersede(connection: Connection, gateway: str, now_ns: int) -> None:
    table = schema.command
    waiting = (table.c.gateway_id == gateway) & table.c.answered_ns.is_(None)
    older = [row.id for row in connection.execute(select(table).where(waiting)) if row.body.get("type") == DEVICES]
    ended = {"answered_ns": now_ns, "result": SUPERSEDED}
    connection.execute(update(table).where(table.c.id.in_(older)).values(**ended))
