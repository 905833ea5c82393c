"""A gateway's notes about its devices: what is lost is marked for the desk's next round, a fault is raised at once.

A fault joins the open one of the same device and note, in the transaction that stores the event. A repeat changes
nothing that anybody sees but the event's place in the alert.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from hearthline import wire
from hearthline.model import EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts import notes
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.ingest.aside import storable
from hearthline_cloud.journal import SYSTEM

TOLD_AGAIN = "told-again"  # in the journal: a fault that is open already
_NOTE_LIMIT = 200


def subject_of(event: wire.Event, gateway: str) -> str:
    """Which device an event is of. A port of the gateway stands for itself, as if it were one of its devices."""
    receiver = event.data.get("receiver")
    about_port = event.type == EventType.DEVICE and event.data.get("kind") in notes.OF_PORTS
    if event.subject == gateway and about_port and isinstance(receiver, str) and receiver:
        return storable(notes.port_id(receiver), wire.MAX_DEVICE)
    return event.subject


def is_loss(event: wire.Event) -> bool:
    """Whether others say of the device that it is gone: then it was not heard."""
    return event.type == EventType.DEVICE and event.data.get("kind") in notes.LOST


def take_note(
    connection: Connection,
    stored: int,
    event: wire.Event,
    device: Row[Any],
    home: str | None,
    occurred_ns: int,
    now_ns: int,
) -> None:
    """Act on a note that was not told before. `device`: its row."""
    note = str(event.data.get("kind", ""))
    table = schema.device
    values: dict[str, Any] = {"last_note": storable(f"{note}: {event.data.get('detail', '')}", _NOTE_LIMIT)}
    if note in notes.LOST:
        values |= {"lost": note, "lost_ns": min(occurred_ns, now_ns)}
    if device.id.startswith(f"{notes.PORT}:") and event.subject == device.gateway_id:
        values |= {"registered": True, "kind": notes.PORT}
    same = (table.c.gateway_id == device.gateway_id) & (table.c.id == device.id)
    connection.execute(update(table).where(same).values(**values))
    if note in notes.FAULTS and device.registered and device.supervise_s != 0:
        _raise_fault(connection, stored, device, home, note, now_ns)
    elif note in notes.OVER:
        _end_fault(connection, device, notes.OVER[note], now_ns)


def fault_key(gateway: str, device: str, note: str) -> str:
    return f"{AlertKind.DEVICE_FAULT}:{gateway}:{device}:{note}"


def _raise_fault(
    connection: Connection, stored: int, device: Row[Any], home: str | None, note: str, now_ns: int
) -> None:
    key = fault_key(device.gateway_id, device.id, note)
    detail = {"device": device.id, "gateway": device.gateway_id, "note": note}
    alert = _open(connection, key)
    word = "raised" if alert is None else TOLD_AGAIN
    if alert is None:
        values = {"home_id": home, "resident_id": device.resident_id, "gateway_id": device.gateway_id}
        row = {"kind": AlertKind.DEVICE_FAULT, "join_key": key, "state": State.RAISED, "note": note}
        statement = insert(schema.alert).values(**values, **row, device_id=device.id, raised_ns=now_ns)
        alert = connection.execute(statement.returning(schema.alert.c.id)).scalar_one()
    connection.execute(update(schema.event).where(schema.event.c.id == stored).values(alert_id=alert))
    journal.append(connection, word, now_ns, detail, alert=alert, event=stored)


def _end_fault(connection: Connection, device: Row[Any], note: str, now_ns: int) -> None:
    """The device says itself that it is mended."""
    alert = _open(connection, fault_key(device.gateway_id, device.id, note))
    if alert is None:
        return
    table = schema.alert
    values = {"state": State.RESOLVED, "outcome": Outcome.RESTORED, "resolved_by": SYSTEM, "resolved_ns": now_ns}
    connection.execute(update(table).where(table.c.id == alert).values(**values, version=table.c.version + 1))
    journal.append(connection, "restored", now_ns, {"outcome": Outcome.RESTORED.value}, alert=alert, actor=SYSTEM)


def _open(connection: Connection, key: str) -> int | None:
    table = schema.alert
    where = (table.c.join_key == key) & (table.c.state != State.RESOLVED)
    found: int | None = connection.execute(select(table.c.id).where(where)).scalar()
    return found
