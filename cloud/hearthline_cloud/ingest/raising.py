"""An alarm event raises an alert or joins the open one, in the transaction that stores the event.

The database holds at most one open alert a join key (a unique index), so two ingesters cannot raise twice.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, insert, select, update

from hearthline import wire
from hearthline.model import EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import CANCELLED_AT_HOME, State, alert_cause, alert_kind, join_key
from hearthline_cloud.desk import tell_accepted
from hearthline_cloud.ingest.aside import storable


def raise_or_join(
    connection: Connection,
    stored: int,
    event: wire.Event,
    gateway: str,
    home: str | None,
    resident: str | None,
    now_ns: int,
    *,
    resent: bool = False,
) -> int:
    """The id of the one alert that the event `stored` now belongs to. `resent`: after a restore, nobody pressed now."""
    kind = alert_kind(str(event.data.get("role", "")))
    cause = alert_cause(event.data.get("cause"))
    key = join_key(kind, home, gateway, cause)
    certainty = "possible" if event.data.get("certainty") == "possible" else "certain"
    table = schema.alert
    open_alert = connection.execute(
        select(table.c.id, table.c.presses, table.c.state).where(
            (table.c.join_key == key) & (table.c.state != State.RESOLVED)
        )
    ).first()
    if open_alert is None:
        raised = connection.execute(
            insert(table)
            .values(
                kind=kind,
                join_key=key,
                state=State.RAISED,
                home_id=home,
                resident_id=resident,
                gateway_id=gateway,
                device_id=event.subject,
                presses=1,
                certainty=certainty,
                cause=cause,
                raised_ns=now_ns,
                last_press_ns=now_ns,
                resent=resent,
            )
            .returning(table.c.id)
        )
        alert_id, journal_kind = int(raised.scalar_one()), "raised"
    else:
        _join(connection, open_alert, event, gateway, certainty, now_ns)
        if not resent:
            connection.execute(update(table).where(table.c.id == open_alert.id, table.c.resent).values(resent=False))
        alert_id, journal_kind = int(open_alert.id), "joined"
    connection.execute(update(schema.event).where(schema.event.c.id == stored).values(alert_id=alert_id))
    ordinal = event.data.get("ordinal")
    detail = {"device": event.subject, "gateway": gateway, "ordinal": ordinal if type(ordinal) is int else None}
    if resent:
        detail["resent"] = True
    journal.append(connection, journal_kind, now_ns, detail, alert=alert_id, event=stored)
    return alert_id


def _join(
    connection: Connection, open_alert: Any, event: wire.Event, gateway: str, certainty: str, now_ns: int
) -> None:
    """One more press of an open alert. When a person has the alert already, the home is told so of this press too."""
    values: dict[str, Any] = {"presses": open_alert.presses + 1, "last_press_ns": now_ns, "cancelled_ns": None}
    if certainty == "certain":
        values["certainty"] = certainty
    connection.execute(update(schema.alert).where(schema.alert.c.id == open_alert.id).values(**values))
    if open_alert.state != State.RAISED:
        tell_accepted(connection, gateway, event.id, now_ns)


def note_cancellation(connection: Connection, stored: int, event: wire.Event, gateway: str, now_ns: int) -> None:
    """The elder took a press back at home: the journal has it, the open alert shows it, and nothing is closed.

    `data.event` names the press; without it the device's last one is meant. Alarms overtake what else the lane carries:
    a press that was made again since is not taken back. Nor is a neighbour's press of the same alert: it shows nothing.
    """
    table = schema.event
    named = event.data.get("event")
    which = table.c.device_id == event.subject
    if isinstance(named, str):
        which = table.c.event_id == storable(named, wire.MAX_ID)
    press = connection.execute(
        select(table.c.id, table.c.alert_id, table.c.device_id)
        .where(which, table.c.gateway_id == gateway, table.c.alert_id.is_not(None), table.c.type == EventType.ALARM)
        .order_by(table.c.id.desc())
        .limit(1)
    ).first()
    alert = None if press is None else press.alert_id
    if press is not None:
        own = and_(table.c.gateway_id == gateway, table.c.device_id == press.device_id, table.c.id <= press.id)
        others = select(table.c.id).where(table.c.alert_id == alert, ~own).exists()
        is_open = (schema.alert.c.id == alert) & (schema.alert.c.state != State.RESOLVED) & ~others
        connection.execute(update(schema.alert).where(is_open).values(cancelled_ns=now_ns))
    detail = {"device": event.subject, "gateway": gateway}
    journal.append(connection, CANCELLED_AT_HOME, now_ns, detail, alert=alert, event=stored)
