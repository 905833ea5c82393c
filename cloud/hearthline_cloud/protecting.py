"""Protected hours out of the database: the chains of each resident, and what broke them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from hearthline_cloud.alerts.intervals import Interval
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.alerts.profiles import why_unwatched
from hearthline_cloud.alerts.protection import Chain, Protection, protection
from hearthline_cloud.alerts.windows import Declared, Place, Windows
from hearthline_cloud.declaring import WINDOW, window_of
from hearthline_cloud.schema import alert, declared, device, gateway, home, resident, unwatched
from hearthline_cloud.scoping import Communities, communities_seen

PENDANTS = ("pendant", "pendant-tunstall", "pendant-tellu", "push-button", "fob")


@dataclass(frozen=True, slots=True)
class Protected:
    """A resident's hours. `pendant`: watched, not-watched (it cannot be, or nobody does), or none."""

    resident: str
    name: str
    home: str
    home_name: str
    community: str
    pendant: str
    hours: Protection


def protected_hours(connection: Connection, month: Interval, now_ns: int, seen: Communities) -> list[Protected]:
    """Of every resident whom they see, by home."""
    silences = _silences(connection, month, now_ns)
    center = silences.pop(("", ""), []) + _unwatched(connection, month)
    windows = _maintenance(connection, month)
    own_pendants = select(device).where(device.c.kind.in_(PENDANTS), device.c.registered)
    pendants = _by(connection.execute(own_pendants), "resident_id")
    gateways = _by(connection.execute(select(gateway)), "home_id")
    watched_ns = {row.id: row.watched_ns for rows in gateways.values() for row in rows}
    people = select(resident.c.id, resident.c.name, resident.c.home_id, home.c.name.label("home_name"))
    found = []
    for person in connection.execute(
        people.add_columns(home.c.community_id)
        .join(home)
        .where(communities_seen(seen, home.c.community_id))
        .order_by(resident.c.id)
    ):
        own = pendants.get(person.id, [])
        ways = [(row.gateway_id, row.id) for row in own]
        ways = ways or [(row.id, "") for row in gateways.get(person.home_id, [])]
        chains = [
            Chain(watched, tuple(silences.get((name, ""), ())), tuple(silences.get((name, which), ()) if which else ()))
            for name, which in ways
            if (watched := watched_ns.get(name)) is not None
        ]
        works = windows.of(Declared.MAINTENANCE, Place(None, person.home_id, person.community_id))
        for name in {name for name, _ in ways}:
            works += windows.of(Declared.MAINTENANCE, Place(name))
        hours = protection(month, now_ns, chains, center, works)
        place = (person.home_id, person.home_name, person.community_id)
        found.append(Protected(person.id, person.name, *place, _how(own), hours))
    return sorted(found, key=lambda each: each.home_name)


def _maintenance(connection: Connection, month: Interval) -> Windows:
    between = (declared.c.to_ns > month[0]) & (declared.c.from_ns < month[1])
    rows = connection.execute(select(*WINDOW).where(declared.c.what == Declared.MAINTENANCE, between))
    return Windows(window_of(row) for row in rows)


def _how(own: list[Row[Any]]) -> str:
    if not own:
        return "none"
    is_watched = any(why_unwatched(row.kind, row.supervise_s, True) is None for row in own)
    return "watched" if is_watched else "not-watched"


def _silences(connection: Connection, month: Interval, now_ns: int) -> dict[tuple[str, str], list[Interval]]:
    """(gateway, device) -> when it was silent; a gateway's own has no device, the center's neither."""
    query = select(alert.c.gateway_id, alert.c.device_id, alert.c.since_ns, alert.c.ended_ns).where(
        alert.c.kind.in_([AlertKind.GATEWAY_SILENT, AlertKind.DEVICE_SILENT, AlertKind.CENTER_BLIND]),
        alert.c.since_ns < month[1],
        or_(alert.c.ended_ns.is_(None), alert.c.ended_ns > month[0]),
    )
    found: dict[tuple[str, str], list[Interval]] = {}
    for row in connection.execute(query):
        end = now_ns if row.ended_ns is None else row.ended_ns
        found.setdefault((row.gateway_id, row.device_id), []).append((row.since_ns, end))
    return found


def _unwatched(connection: Connection, month: Interval) -> list[Interval]:
    """When no desk watched. A store that is away stops no alarm."""
    between = (unwatched.c.to_ns > month[0]) & (unwatched.c.from_ns < month[1])
    rows = connection.execute(select(unwatched).where(between, unwatched.c.why == "desk"))
    return [(row.from_ns, row.to_ns) for row in rows]


def _by(rows: Iterable[Row[Any]], column: str) -> dict[str | None, list[Row[Any]]]:
    found: dict[str | None, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(getattr(row, column), []).append(row)
    return found
