"""Alerts and what people do to them; events as they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from hearthline_cloud import desk
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.alert_reads import (
    AlertFilter,
    EventFilter,
    alert_detail,
    list_alerts,
    list_events,
    list_staff,
)
from hearthline_cloud.api.model import MAX_ID, AlertDetail, Alerts, Changed, Events, StaffMember, refusals
from hearthline_cloud.people import MAX_NAME
from hearthline_cloud.tracing import Trace, trace

router = APIRouter(prefix="/api/v1", tags=["alerts"], responses=refusals(401, 403, 422, 503))
_NOT_FOUND = refusals(404)
_NOTE = refusals(400, 403, 404, 413)
_ACTION = refusals(400, 403, 404, 409, 413)
Key = Annotated[int, Path(ge=1, le=MAX_ID)]
Cursor = Annotated[int, Query(ge=0, le=MAX_ID)]
Version = Annotated[
    int | None, Field(description="the version that the operator saw; without it no check", ge=1, le=MAX_ID)
]


@dataclass(frozen=True, slots=True)
class Seen:
    version: Version = None


@dataclass(frozen=True, slots=True)
class Resolution:
    outcome: Outcome
    version: Version = None


@dataclass(frozen=True, slots=True)
class HandOver:
    to: Annotated[str, Field(description="a member of the staff", min_length=1, max_length=MAX_NAME)]
    version: Version = None


@dataclass(frozen=True, slots=True)
class Reopening:
    reason: Annotated[str, Field(description="kept as a note", min_length=1, max_length=desk.MAX_NOTE)]
    version: Version = None


@dataclass(frozen=True, slots=True)
class Note:
    text: Annotated[str, Field(min_length=1, max_length=desk.MAX_NOTE)]


@router.get("/alerts/{alert_id}/trace", summary="The way of an alert through every machine", responses=_NOT_FOUND)
def get_trace(alert_id: Key, parts: PartsOf, session: Staff) -> Trace:
    """Each press' hops with the clock that timed them, and how far the clocks may differ. Hops that are not known yet,
    or that nobody noted, are missing."""
    with parts.database.reading() as connection:
        found = trace(connection, alert_id)
    if found is None:
        raise desk.NotFoundError(f"there is no alert {alert_id}")
    return found


@router.get("/alerts", summary="Alerts, the newest first")
def get_alerts(
    parts: PartsOf,
    session: Staff,
    state: Annotated[list[State | Literal["open"]] | None, Query(description="may repeat; `open`: unresolved")] = None,
    kind: AlertKind | None = None,
    home: str | None = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Alerts:
    states: set[State] = set()
    for item in state or []:
        states |= set(State) - {State.RESOLVED} if item == "open" else {State(item)}
    wanted = AlertFilter(tuple(sorted(states)), kind.value if kind else None, home, before, limit)
    with parts.database.reading() as connection:
        found = list_alerts(connection, wanted, session.communities)
    return Alerts(found, found[-1].id if len(found) == limit else None)


@router.get("/alerts/{alert_id}", summary="One alert with its way from the press to now", responses=_NOT_FOUND)
def get_alert(alert_id: Key, parts: PartsOf, session: Staff) -> AlertDetail:
    with parts.database.reading() as connection:
        return alert_detail(connection, alert_id)


@router.post("/alerts/{alert_id}/acknowledge", summary="A person has it", responses=_ACTION)
def acknowledge(alert_id: Key, parts: PartsOf, session: Staff, seen: Seen | None = None) -> Changed:
    """The home is told that a person has accepted. One's own repetition is answered as before."""
    version = seen.version if seen else None
    return _changed(parts.desk.acknowledge(alert_id, session.staff, parts.now_ns(), version))


@router.post("/alerts/{alert_id}/attend", summary="Somebody is on the way", responses=_ACTION)
def attend(alert_id: Key, parts: PartsOf, session: Staff, seen: Seen | None = None) -> Changed:
    version = seen.version if seen else None
    return _changed(parts.desk.attend(alert_id, session.staff, parts.now_ns(), version))


@router.post("/alerts/{alert_id}/arrive", summary="Somebody has arrived", responses=_ACTION)
def arrive(alert_id: Key, parts: PartsOf, session: Staff, seen: Seen | None = None) -> Changed:
    version = seen.version if seen else None
    return _changed(parts.desk.arrive(alert_id, session.staff, parts.now_ns(), version))


@router.post("/alerts/{alert_id}/hand-over", summary="Another member of the staff has it now", responses=_ACTION)
def hand_over(alert_id: Key, parts: PartsOf, session: Staff, handing: HandOver) -> Changed:
    """Anyone on duty may do it, also to himself. The state stays; the journal has who gave and who got."""
    return _changed(parts.desk.hand_over(alert_id, handing.to, session.staff, parts.now_ns(), handing.version))


@router.post("/alerts/{alert_id}/resolve", summary="Close with an outcome", responses=_ACTION)
def resolve(alert_id: Key, parts: PartsOf, session: Staff, resolution: Resolution) -> Changed:
    """The outcome `restored` is not for people: it is the system's, for a gateway that is heard again."""
    outcome, version = resolution.outcome, resolution.version
    return _changed(parts.desk.resolve(alert_id, outcome, session.staff, parts.now_ns(), version))


@router.post("/alerts/{alert_id}/reopen", summary="It was closed too early", responses=_ACTION)
def reopen(alert_id: Key, parts: PartsOf, session: Staff, reopening: Reopening) -> Changed:
    """Whoever reopens it has it, acknowledged. Refused while another alert of the same home and cause is open."""
    return _changed(parts.desk.reopen(alert_id, reopening.reason, session.staff, parts.now_ns(), reopening.version))


@router.post("/alerts/{alert_id}/notes", status_code=201, summary="Add a note", responses=_NOTE)
def add_note(alert_id: Key, parts: PartsOf, session: Staff, note: Note) -> Changed:
    return _changed(parts.desk.note(alert_id, note.text, session.staff, parts.now_ns()))


@router.get("/staff", summary="The staff: whom an alert can be handed to")
def get_staff(parts: PartsOf, session: Staff) -> list[StaffMember]:
    with parts.database.reading() as connection:
        return list_staff(connection, session.communities)


@router.get("/events", summary="Events in the order of their commits", tags=["events"], responses=refusals(429))
def get_events(
    parts: PartsOf,
    session: Staff,
    type: Annotated[str | None, Query(description="e.g. hearthline.alarm.v1")] = None,
    gateway: str | None = None,
    device: str | None = None,
    after: Cursor = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Events:
    """Page on with `after` = `next` until `next` is null."""
    with parts.database.reading() as connection:
        found = list_events(connection, EventFilter(type, gateway, device, after, limit), session.communities)
    return Events(found, found[-1].id if len(found) == limit else None)


def _changed(changed: desk.Changed) -> Changed:
    return Changed(changed.alert_id, changed.state.value, changed.version)
