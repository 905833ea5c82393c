"""Reading alerts and events out of the database, with names for staff, and the timeline of an alert."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, select

from hearthline.clock import NS, rfc3339
from hearthline_cloud.alerts.lifecycle import MAX_URGENCY, AlertKind, State, allowed, urgency
from hearthline_cloud.alerts.windows import Declared, Place, Windows
from hearthline_cloud.api.model import Alert, AlertDetail, Event, Hop, StaffMember
from hearthline_cloud.declaring import windows
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.journal import CARD_SHOWN
from hearthline_cloud.personal.vault import open_notes
from hearthline_cloud.schema import alert, device, event, home, journal, resident, staff
from hearthline_cloud.scoping import Communities, alerts_seen, answering, gateways_seen

ALERTS: Select[Any] = (
    select(
        alert,
        home.c.name.label("home_name"),
        home.c.address,
        home.c.community_id,
        resident.c.name.label("resident_name"),
        device.c.name.label("device_name"),
        device.c.room,
        device.c.registered,
    )
    .outerjoin(home, home.c.id == alert.c.home_id)
    .outerjoin(resident, resident.c.id == alert.c.resident_id)
    .outerjoin(device, and_(device.c.gateway_id == alert.c.gateway_id, device.c.id == alert.c.device_id))
)

_URGENCY = case((alert.c.presses > MAX_URGENCY, MAX_URGENCY), (alert.c.presses < 1, 1), else_=alert.c.presses)


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts: `states` empty means every state; `before` an id, for paging to older ones.

    `homes` None means every home and none; `from_ns` and `to_ns` bound the raising, `to_ns` excluded.
    """

    states: tuple[State, ...] = ()
    kind: str | None = None
    home: str | None = None
    before: int | None = None
    limit: int = 100
    homes: tuple[str, ...] | None = None
    cause: str | None = None
    outcome: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None


def list_alerts(connection: Connection, wanted: AlertFilter, seen: Communities) -> list[Alert]:
    """The newest first."""
    query = ALERTS.where(*_conditions(wanted, seen)).order_by(alert.c.id.desc()).limit(wanted.limit)
    return shown(connection, connection.execute(query).all())


def list_queue(connection: Connection, wanted: AlertFilter, seen: Communities) -> list[Alert]:
    """As operators take them: what nobody has first, the more urgent before the less, then the longer waiting.

    Of more than `limit` the newest of the least urgent are kept, so that a new press is never out of sight.
    """
    is_taken = case((alert.c.state == State.RAISED, 0), else_=1)
    first = select(alert.c.id).where(*_conditions(wanted, seen)).order_by(is_taken, _URGENCY.desc(), alert.c.id.desc())
    query = ALERTS.where(alert.c.id.in_(first.limit(wanted.limit)))
    rows = connection.execute(query.order_by(is_taken, _URGENCY.desc(), alert.c.raised_ns, alert.c.id))
    return shown(connection, rows.all())


def count_alerts(connection: Connection, wanted: AlertFilter, seen: Communities) -> int:
    """How many there are, on all pages."""
    query = select(func.count()).select_from(alert).where(*_conditions(replace(wanted, before=None), seen))
    return connection.execute(query).scalar_one()


def has_alert(connection: Connection, alert_id: int, seen: Communities) -> bool:
    query = select(alert.c.id).where(alert.c.id == alert_id, alerts_seen(seen))
    return connection.execute(query).first() is not None


def _conditions(wanted: AlertFilter, seen: Communities) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [alerts_seen(seen)]
    if wanted.states:
        conditions.append(alert.c.state.in_([state.value for state in wanted.states]))
    if wanted.kind is None:
        conditions.append(alert.c.kind != AlertKind.SELF_TEST)  # a proof a gateway and day is for whoever asks for it
    if wanted.homes is not None:
        conditions.append(alert.c.home_id.in_(wanted.homes))
    for column, value in (
        (alert.c.kind, wanted.kind),
        (alert.c.home_id, wanted.home),
        (alert.c.cause, wanted.cause),
        (alert.c.outcome, wanted.outcome),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.from_ns is not None:
        conditions.append(alert.c.raised_ns >= wanted.from_ns)
    if wanted.to_ns is not None:
        conditions.append(alert.c.raised_ns < wanted.to_ns)
    if wanted.before is not None:
        conditions.append(alert.c.id < wanted.before)
    return conditions


def list_staff(connection: Connection, seen: Communities) -> list[StaffMember]:
    """Whom an alert can be handed to, by name: who answers alarms, and sees a community that the asker sees."""
    query = select(staff.c.name, staff.c.role).where(answering(seen)).order_by(staff.c.name)
    return [StaffMember(row.name, row.role) for row in connection.execute(query)]


def open_counts(connection: Connection, seen: Communities) -> dict[tuple[str, str], int]:
    """How many unresolved alerts there are of each (kind, state)."""
    query = select(alert.c.kind, alert.c.state, func.count()).where(alert.c.state != State.RESOLVED, alerts_seen(seen))
    rows = connection.execute(query.group_by(alert.c.kind, alert.c.state))
    return {(row[0], row[1]): row[2] for row in rows}


def alert_detail(connection: Connection, alert_id: int) -> AlertDetail:
    """One alert with its events and its timeline. Raises NotFoundError."""
    row = connection.execute(ALERTS.where(alert.c.id == alert_id)).first()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    events = connection.execute(select(event).where(event.c.alert_id == alert_id).order_by(event.c.id)).all()
    return AlertDetail(
        alert=shown(connection, [row])[0],
        allowed=[action.value for action in allowed(State(row.state), AlertKind(row.kind))],
        events=[event_of(item) for item in events],
        timeline=_timeline(connection, alert_id, events),
    )


@dataclass(frozen=True, slots=True)
class EventFilter:
    type: str | None = None
    gateway: str | None = None
    device: str | None = None
    after: int = 0
    limit: int = 100


def list_events(connection: Connection, wanted: EventFilter, seen: Communities) -> list[Event]:
    """In the order of their commits."""
    is_new = (event.c.id > wanted.after) & gateways_seen(seen, event.c.gateway_id)
    query = select(event).where(is_new).order_by(event.c.id).limit(wanted.limit)
    if wanted.type is not None:
        query = query.where(event.c.type == wanted.type)
    if wanted.gateway is not None:
        query = query.where(event.c.gateway_id == wanted.gateway)
    if wanted.device is not None:
        query = query.where(event.c.device_id == wanted.device)
    return [event_of(row) for row in connection.execute(query)]


def event_of(row: Row[Any]) -> Event:
    data = row.data if isinstance(row.data, dict) else {"value": row.data}
    ordinal = data.get("ordinal")
    return Event(
        id=row.id,
        gateway=row.gateway_id,
        device=row.device_id,
        event_id=row.event_id,
        type=row.type,
        occurred=rfc3339(row.occurred_ns),
        time_quality=row.time_quality,
        received=rfc3339(row.received_ns),
        outbox=row.outbox,
        seq=row.seq,
        ordinal=ordinal if isinstance(ordinal, int) else None,
        suspect=row.suspect,
        resident=row.resident_id,
        alert_id=row.alert_id,
        data=data,
    )


def time_or_none(at_ns: int | None) -> str | None:
    return None if at_ns is None else rfc3339(at_ns)


def shown(connection: Connection, rows: Sequence[Row[Any]]) -> list[Alert]:
    """The alerts with what is declared for their places now."""
    now_ns = time.time_ns()
    declared = windows(connection, now_ns) if rows else Windows(())
    return [_alert(row, Windows(()) if row.state == State.RESOLVED else declared, now_ns) for row in rows]


def _alert(row: Row[Any], declared: Windows, now_ns: int) -> Alert:
    place = Place(row.gateway_id or None, row.home_id, row.community_id)
    return Alert(
        id=row.id,
        kind=row.kind,
        state=row.state,
        home=row.home_id,
        home_name=row.home_name,
        address=row.address,
        resident=row.resident_id,
        resident_name=row.resident_name,
        gateway=row.gateway_id,
        device=row.device_id,
        device_name=row.device_name,
        room=row.room,
        device_registered=bool(row.registered),
        presses=row.presses,
        urgency=urgency(row.presses),
        certainty=row.certainty,
        cause=row.cause,
        raised=rfc3339(row.raised_ns),
        last_press=time_or_none(row.last_press_ns),
        acknowledged_by=row.acknowledged_by,
        acknowledged=time_or_none(row.acknowledged_ns),
        assigned_to=row.assigned_to,
        attending=time_or_none(row.attending_ns),
        arrived=time_or_none(row.arrived_ns),
        resolved_by=row.resolved_by,
        resolved=time_or_none(row.resolved_ns),
        outcome=row.outcome,
        reopened=row.reopened,
        cancelled=time_or_none(row.cancelled_ns),
        resent=row.resent,
        category=row.category,
        due=time_or_none(row.due_ns),
        provider=row.provider,
        version=row.version,
        note=row.note,
        since=time_or_none(row.since_ns),
        maintenance_until=time_or_none(declared.until(Declared.MAINTENANCE, place, now_ns)),
        away_until=time_or_none(declared.until(Declared.ABSENCE, place, now_ns)),
    )


@dataclass(frozen=True, slots=True)
class _Station:
    at_ns: int
    kind: str
    actor: str = ""
    event_id: str | None = None
    detail: dict[str, Any] | None = None
    not_after_ns: int | None = None  # a press comes before its receipt, whatever the two clocks say

    @property
    def order_ns(self) -> int:
        return self.at_ns if self.not_after_ns is None else min(self.at_ns, self.not_after_ns)


def _timeline(connection: Connection, alert_id: int, events: Sequence[Row[Any]]) -> list[Hop]:
    """Every press on its way, what people did, and what the home was told; in the order of their times."""
    stations: list[_Station] = []
    for row in events:
        where = {"gateway": row.gateway_id, "device": row.device_id}
        pressed = {**where, "time_quality": row.time_quality}
        stations.append(_Station(row.occurred_ns, "pressed", row.device_id, row.event_id, pressed, row.received_ns))
        stations.append(_Station(row.received_ns, "received", row.gateway_id, row.event_id, where))
    ids = {row.id: row.event_id for row in events}
    told = select(journal).where(journal.c.alert_id == alert_id, journal.c.kind != CARD_SHOWN).order_by(journal.c.id)
    entries = connection.execute(told).all()
    for row, detail in zip(entries, open_notes(connection, entries), strict=True):
        stations.append(_Station(row.at_ns, row.kind, row.actor, ids.get(row.event_key), detail))
    stations.sort(key=lambda station: station.order_ns)
    return _hops(stations)


def _hops(stations: list[_Station]) -> list[Hop]:
    hops: list[Hop] = []
    previous_ns = first_ns = stations[0].at_ns if stations else 0
    for station in stations:
        hops.append(
            Hop(
                at=rfc3339(station.at_ns),
                kind=station.kind,
                actor=station.actor,
                event_id=station.event_id,
                detail=station.detail or {},
                since_first_s=(station.at_ns - first_ns) / NS,
                since_previous_s=(station.at_ns - previous_ns) / NS,
            )
        )
        previous_ns = station.at_ns
    return hops
