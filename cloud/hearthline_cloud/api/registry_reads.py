"""Reading the registry: gateways with their state, homes, devices, a resident's card and vital signs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from hearthline.model import EventType
from hearthline_cloud.alerts.profiles import period_s, why_unwatched
from hearthline_cloud.alerts.supervision import is_silent
from hearthline_cloud.api.alert_reads import event_of, time_or_none
from hearthline_cloud.api.model import (
    AuditEntry,
    Contact,
    Device,
    Gateway,
    Home,
    HomeResident,
    KeptAside,
    LaneDepth,
    ResidentCard,
    Vital,
    VitalValue,
)
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.journal import CARD_SHOWN, append
from hearthline_cloud.personal.consents import Kind, has_stopped
from hearthline_cloud.schema import community, device, event, gateway, home, journal, kept_aside, resident
from hearthline_cloud.scoping import Communities, homes_not_hidden, homes_seen


def list_gateways(connection: Connection, now_ns: int, watching_since_ns: int, seen: Communities) -> list[Gateway]:
    query = select(gateway, home.c.name.label("home_name")).outerjoin(home, home.c.id == gateway.c.home_id)
    query = query.where(homes_not_hidden(seen, gateway.c.home_id))
    rows = connection.execute(query.order_by(gateway.c.id)).all()
    by_home = sorted(rows, key=lambda row: (row.home_id is None, row.home_name or ""))
    return [_gateway(row, now_ns, watching_since_ns) for row in by_home]


def one_gateway(connection: Connection, name: str, now_ns: int) -> Gateway:
    """One that is there."""
    query = select(gateway, home.c.name.label("home_name")).outerjoin(home, home.c.id == gateway.c.home_id)
    return _gateway(connection.execute(query.where(gateway.c.id == name)).one(), now_ns, 0)


def list_devices(connection: Connection, seen: Communities, gateway_id: str | None = None) -> list[Device]:
    """Those of all gateways, or of one. What was never registered comes first: somebody has to look at it."""
    query = select(device, gateway.c.home_id).join(gateway, gateway.c.id == device.c.gateway_id)
    query = query.where(homes_not_hidden(seen, gateway.c.home_id))
    if gateway_id is not None:
        query = query.where(device.c.gateway_id == gateway_id)
    rows = connection.execute(query.order_by(device.c.registered, device.c.gateway_id, device.c.id))
    return [
        Device(
            gateway=row.gateway_id,
            id=row.id,
            registered=bool(row.registered),
            name=row.name,
            room=row.room,
            home=row.home_id,
            resident=row.resident_id,
            user_number=row.user_number,
            last_seen=time_or_none(row.last_seen_ns),
            last_note=row.last_note,
            kind=row.kind,
            supervised_s=period_s(row.kind, row.supervise_s) if row.registered else 0,
            unwatched=why_unwatched(row.kind, row.supervise_s, bool(row.registered)),
            lost=row.lost,
        )
        for row in rows
    ]


def list_homes(connection: Connection, seen: Communities, residents: bool) -> list[Home]:
    """`residents`: whether they are named to the reader."""
    people: dict[str, list[HomeResident]] = {}
    living = select(resident.c.id, resident.c.name, resident.c.home_id).where(homes_seen(seen, resident.c.home_id))
    for row in connection.execute(living.order_by(resident.c.id)) if residents else ():
        people.setdefault(row.home_id, []).append(HomeResident(row.id, row.name))
    query = select(home, community.c.name.label("community_name")).join(community).order_by(home.c.id)
    rows = connection.execute(query.where(homes_seen(seen, home.c.id))).all()
    return [
        Home(row.id, row.name, row.address, row.community_id, row.community_name, people.get(row.id, []))
        for row in sorted(rows, key=lambda row: row.name)
    ]


def resident_card(
    connection: Connection, resident_id: str, staff: str, now_ns: int, alert: int | None = None
) -> ResidentCard:
    """The card, and the trace of who looked at it (on which alert's page), in one transaction. Raises NotFoundError."""
    query = select(resident, home.c.name.label("home_name"), home.c.address).join(home)
    row = connection.execute(query.where(resident.c.id == resident_id)).first()
    if row is None:
        raise NotFoundError("there is no such resident")
    append(connection, CARD_SHOWN, now_ns, {"resident": resident_id}, alert=alert, actor=staff)
    return ResidentCard(
        id=row.id,
        name=row.name,
        birth_year=row.birth_year,
        phone=row.phone,
        illnesses=row.illnesses,
        notes=row.notes,
        contacts=[_contact(item) for item in row.contacts or () if isinstance(item, dict)],
        home=row.home_id,
        home_name=row.home_name,
        address=row.address,
    )


def list_vitals(connection: Connection, resident_id: str, limit: int) -> list[Vital]:
    """The newest first; none of who has withdrawn the consent. Raises NotFoundError."""
    if connection.execute(select(resident.c.id).where(resident.c.id == resident_id)).first() is None:
        raise NotFoundError("there is no such resident")
    if has_stopped(connection, Kind.VITALS, resident_id):
        return []
    query = (
        select(event)
        .where(event.c.resident_id == resident_id, event.c.type == EventType.VITAL)
        .order_by(event.c.occurred_ns.desc())
        .limit(limit)
    )
    return [_vital(row) for row in connection.execute(query)]


def list_kept_aside(connection: Connection) -> list[KeptAside]:
    query = select(kept_aside.c.reason, func.count().label("count"), func.max(kept_aside.c.received_ns).label("last"))
    rows = connection.execute(query.group_by(kept_aside.c.reason).order_by(func.count().desc()).limit(100))
    return [KeptAside(row.reason, row[1], time_or_none(row.last) or "") for row in rows]


def list_audit(connection: Connection, before: int | None, limit: int, seen: Communities) -> list[AuditEntry]:
    query = select(journal).where(journal.c.kind == CARD_SHOWN).order_by(journal.c.id.desc()).limit(limit)
    if seen is not None:
        theirs = select(resident.c.id).where(homes_seen(seen, resident.c.home_id))
        query = query.where(journal.c.detail["resident"].as_string().in_(theirs))
    if before is not None:
        query = query.where(journal.c.id < before)
    return [
        AuditEntry(row.id, time_or_none(row.at_ns) or "", row.actor, row.kind, str(row.detail.get("resident")))
        for row in connection.execute(query)
    ]


def _gateway(row: Row[Any], now_ns: int, watching_since_ns: int) -> Gateway:
    status: dict[str, Any] = row.status if isinstance(row.status, dict) else {}
    heard = row.last_seen_ns is not None
    silent = heard and is_silent(row.state, row.last_seen_ns, watching_since_ns, now_ns)
    refusals = status.get("refusals")
    return Gateway(
        id=row.id,
        registered=row.home_id is not None,
        home=row.home_id,
        home_name=row.home_name,
        state="silent" if silent else (row.state if heard else "unknown"),
        last_seen=time_or_none(row.last_seen_ns),
        version=_text(status.get("version")),
        clock=_text(status.get("clock")),
        event_lane=_lane(status.get("event")),
        telemetry_lane=_lane(status.get("telemetry")),
        faults=[str(fault) for fault in status.get("faults") or []],
        refusals={str(name): int(count) for name, count in refusals.items()} if isinstance(refusals, dict) else {},
    )


def _lane(raw: object) -> LaneDepth | None:
    if not isinstance(raw, dict):
        return None
    return LaneDepth(raw.get("depth"), raw.get("oldest_s"), raw.get("room_h"), raw.get("dropped"))


def _text(raw: object) -> str | None:
    return str(raw) if raw else None


def _value(raw: dict[str, Any]) -> VitalValue:
    number = raw.get("value")
    value = float(number) if isinstance(number, int | float) else None
    return VitalValue(str(raw.get("quantity", "")), value, str(raw.get("unit", "")))


def _contact(raw: dict[str, Any]) -> Contact:
    return Contact(str(raw.get("name", "")), str(raw.get("relation", "")), str(raw.get("phone", "")))


def _vital(row: Row[Any]) -> Vital:
    seen = event_of(row)
    raw = seen.data.get("values")
    values = [_value(item) for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []
    rest = {name: value for name, value in seen.data.items() if name != "values"}
    return Vital(
        id=seen.id,
        occurred=seen.occurred,
        time_quality=seen.time_quality,
        gateway=seen.gateway,
        device=seen.device,
        values=values,
        suspect=seen.suspect,
        data=rest,
    )
