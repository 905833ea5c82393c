"""The journal as messages of the live stream: what happened, to which alert and by which event, without names.

Ids are read in the order of commits: there is one writer at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, func, select

from hearthline.clock import rfc3339
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.alerts.windows import Scope
from hearthline_cloud.journal import CARD_SHOWN
from hearthline_cloud.schema import alert, device, event, gateway, home, journal
from hearthline_cloud.scoping import Communities


class Audience(StrEnum):
    """Who hears of an entry whose community is not known."""

    EVERYBODY = "everybody"  # an alarm of no home, the center's own: in doubt it is heard
    CENTER = "center"  # what concerns the center, e.g. its policies: who sees all communities


@dataclass(frozen=True, slots=True)
class Frame:
    """One journal entry ready for the wire, and for which community it is.

    `alarm`: of an entry that a press has made its event's key, and when the center received it.
    """

    id: int
    message: bytes
    audience: str | Audience
    alarm: tuple[int, int] | None = None

    def is_for(self, seen: Communities) -> bool:
        return seen is None or self.audience is Audience.EVERYBODY or self.audience in seen

    @property
    def hint(self) -> bytes:
        """That the journal went on, and nothing else."""
        return server_event("journal", {"journal": self.id}, self.id)


PAGE = 500
_encode = msgspec.json.Encoder(enc_hook=str).encode

_sender = gateway.alias("sender")
_sent_from = home.alias("sent_from")
_QUERY: Select[Any] = (
    select(
        journal.c.id,
        journal.c.at_ns,
        journal.c.kind,
        journal.c.actor,
        journal.c.detail,
        journal.c.alert_id,
        alert.c.kind.label("alert_kind"),
        alert.c.state,
        alert.c.presses,
        alert.c.certainty,
        alert.c.cause,
        alert.c.raised_ns,
        alert.c.last_press_ns,
        alert.c.acknowledged_by,
        alert.c.version,
        alert.c.home_id,
        alert.c.gateway_id.label("alert_gateway"),
        alert.c.device_id.label("alert_device"),
        home.c.name.label("home_name"),
        home.c.community_id,
        _sent_from.c.community_id.label("event_community"),
        device.c.room,
        device.c.name.label("device_name"),
        event.c.id.label("event_key"),
        event.c.event_id,
        event.c.type,
        event.c.device_id,
        event.c.gateway_id,
        event.c.occurred_ns,
        event.c.received_ns,
        event.c.data,
    )
    .select_from(journal)
    .outerjoin(alert, alert.c.id == journal.c.alert_id)
    .outerjoin(event, event.c.id == journal.c.event_key)
    .outerjoin(home, home.c.id == alert.c.home_id)
    .outerjoin(_sender, _sender.c.id == event.c.gateway_id)
    .outerjoin(_sent_from, _sent_from.c.id == _sender.c.home_id)
    .outerjoin(device, and_(device.c.gateway_id == alert.c.gateway_id, device.c.id == alert.c.device_id))
    .order_by(journal.c.id)
)


def last_id(connection: Connection) -> int:
    return connection.execute(select(func.max(journal.c.id))).scalar() or 0


def frames_after(connection: Connection, after: int, up_to: int | None = None) -> list[Frame]:
    """The messages of the next journal rows after `after`, at most a page of them, none after `up_to`."""
    unheard = (alert.c.kind.is_distinct_from(AlertKind.SELF_TEST), journal.c.kind != CARD_SHOWN)
    query = _QUERY.where(journal.c.id > after, *unheard)
    if up_to is not None:
        query = query.where(journal.c.id <= up_to)
    rows = connection.execute(query.limit(PAGE)).all()
    places = _places(connection, rows)
    return [Frame(row.id, _message(row), _audience(row, places), _alarm(row)) for row in rows]


def _alarm(row: Row[Any]) -> tuple[int, int] | None:
    return (row.event_key, row.received_ns) if row.kind in ("raised", "joined") and row.event_key is not None else None


def progress(key: int) -> bytes:
    """Moves a listener's last id on, and tells nothing: browsers do not even dispatch it."""
    return b"id: %d\n\n" % key


def _audience(row: Row[Any], places: dict[tuple[Scope, str], str]) -> str | Audience:
    """The community of the alert, the event's gateway, or the place that the detail names."""
    if row.alert_id is not None:
        return row.community_id or Audience.EVERYBODY
    if row.event_key is not None:
        return row.event_community or Audience.EVERYBODY
    place = _place(row.detail)
    return Audience.CENTER if place is None else places.get(place, Audience.CENTER)


def _place(detail: Any) -> tuple[Scope, str] | None:
    match detail:
        case {"scope": str(scope), "scope_id": str(name)} if scope in set(Scope):
            return Scope(scope), name
        case {"gateway": str(name)}:
            return Scope.GATEWAY, name
        case _:
            return None


def _places(connection: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[Scope, str], str]:
    """The community, or everybody, of each place that entries without an alert or an event name."""
    named = {place for row in rows if row.alert_id is None and row.event_key is None and (place := _place(row.detail))}
    gateways = [name for scope, name in named if scope is Scope.GATEWAY]
    homes = [name for scope, name in named if scope is Scope.HOME]
    found = {(Scope.COMMUNITY, name): name for scope, name in named if scope is Scope.COMMUNITY}
    if gateways:
        of_gateway = select(gateway.c.id, home.c.community_id).outerjoin(home, home.c.id == gateway.c.home_id)
        for row in connection.execute(of_gateway.where(gateway.c.id.in_(gateways))):
            found[Scope.GATEWAY, row.id] = row.community_id or Audience.EVERYBODY
    if homes:
        for row in connection.execute(select(home.c.id, home.c.community_id).where(home.c.id.in_(homes))):
            found[Scope.HOME, row.id] = row.community_id
    return found


def server_event(name: str, data: dict[str, Any], key: int | None = None) -> bytes:
    """One server-sent event; JSON has no line breaks, so one data line is enough."""
    head = f"id: {key}\n" if key is not None else ""
    return b"%sevent: %s\ndata: %s\n\n" % (head.encode(), name.encode(), _encode(data))


def _message(row: Row[Any]) -> bytes:
    data = {
        "journal": row.id,
        "kind": row.kind,
        "at": rfc3339(row.at_ns),
        "actor": row.actor,
        "alert": _alert(row) if row.alert_id is not None else None,
        "event": _event(row) if row.event_key is not None else None,
        "detail": {} if row.kind == "note" else row.detail,  # a note's words are read on the alert's own page
    }
    return server_event("journal", data, row.id)


def _alert(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.alert_id,
        "kind": row.alert_kind,
        "state": row.state,
        "presses": row.presses,
        "certainty": row.certainty,
        "cause": row.cause,
        "raised": rfc3339(row.raised_ns),
        "last_press": None if row.last_press_ns is None else rfc3339(row.last_press_ns),
        "acknowledged_by": row.acknowledged_by,
        "home": row.home_id,
        "home_name": row.home_name,
        "room": row.room,
        "gateway": row.alert_gateway,
        "device": row.alert_device,
        "device_name": row.device_name,
        "version": row.version,
    }


def _event(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.event_key,
        "event_id": row.event_id,
        "type": row.type,
        "gateway": row.gateway_id,
        "device": row.device_id,
        "ordinal": row.data.get("ordinal") if isinstance(row.data, dict) else None,
        "occurred": rfc3339(row.occurred_ns),
        "received": rfc3339(row.received_ns),
    }
