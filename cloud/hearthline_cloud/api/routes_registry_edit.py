"""Changing the registry entry by entry; what is read of it is at `/homes`, `/gateways`, `/devices`, `/residents`.

Each change goes through `registry.editing` and `registry.removing`, which say what is wrong by field, in Chinese and
English, and which keep to the communities of the account. A resident goes by erasure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.registry_shapes import (
    Changed,
    Community,
    CommunityChange,
    ContactChange,
    DeviceChange,
    DeviceKey,
    GatewayChange,
    HomeChange,
    NewCommunity,
    NewContact,
    NewDevice,
    NewGateway,
    NewHome,
    NewResident,
    ResidentChange,
)
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.people import Session
from hearthline_cloud.personal import erasing
from hearthline_cloud.registry.checking import MAX_CONTACTS
from hearthline_cloud.registry.editing import add, edit, edit_contact
from hearthline_cloud.registry.reading import list_entries
from hearthline_cloud.registry.removing import ALONE, Along, remove, remove_contact
from hearthline_cloud.registry.shape import Key, Kind

router = APIRouter(prefix="/api/v1/registry", tags=["registry"], responses=refusals(401, 403, 503))
_NEW: Any = {"status_code": 201, "responses": refusals(400, 413, 422, 429)}
_NEW_IN: Any = {"status_code": 201, "responses": refusals(400, 404, 413, 422, 429)}
_CHANGE = refusals(400, 404, 413, 422, 429)
_REMOVE = refusals(404, 422, 429)
Number = Annotated[int, Query(ge=1, le=MAX_CONTACTS, description="from 1, in the order in which they are told")]
DeviceId = Annotated[DeviceKey, Query(description="as the gateway names it")]


@router.get("/communities", summary="Communities")
def get_communities(parts: PartsOf, session: Staff) -> list[Community]:
    with parts.database.reading() as connection:
        return [Community(**each) for each in list_entries(connection, Kind.COMMUNITY, session.communities)]


@router.post("/communities", summary="Register a community", **_NEW)
def post_community(wish: NewCommunity, parts: PartsOf, session: Staff) -> Changed:
    return _added(parts, session, Kind.COMMUNITY, wish)


@router.patch("/communities/{community_id}", summary="Change a community", responses=_CHANGE)
def patch_community(community_id: Id, wish: CommunityChange, parts: PartsOf, session: Staff) -> Changed:
    return _changed(parts, session, Kind.COMMUNITY, wish, (community_id,))


@router.delete("/communities/{community_id}", summary="Remove a community", responses=_REMOVE)
def delete_community(community_id: Id, parts: PartsOf, session: Staff) -> Changed:
    return _removed(parts, session, Kind.COMMUNITY, (community_id,))


@router.post("/homes", summary="Register a home", **_NEW)
def post_home(wish: NewHome, parts: PartsOf, session: Staff) -> Changed:
    return _added(parts, session, Kind.HOME, wish)


@router.patch("/homes/{home_id}", summary="Change a home", responses=_CHANGE)
def patch_home(home_id: Id, wish: HomeChange, parts: PartsOf, session: Staff) -> Changed:
    return _changed(parts, session, Kind.HOME, wish, (home_id,))


@router.delete("/homes/{home_id}", summary="Remove a home in which nobody lives", responses=_REMOVE)
def delete_home(home_id: Id, parts: PartsOf, session: Staff, with_gateways: bool = False) -> Changed:
    """`with_gateways`: also its gateways and their devices."""
    return _removed(parts, session, Kind.HOME, (home_id,), Along(gateways=with_gateways))


@router.post("/gateways", summary="Register a gateway", **_NEW)
def post_gateway(wish: NewGateway, parts: PartsOf, session: Staff) -> Changed:
    return _added(parts, session, Kind.GATEWAY, wish)


@router.patch("/gateways/{gateway_id}", summary="Put a gateway into another home", responses=_CHANGE)
def patch_gateway(gateway_id: Id, wish: GatewayChange, parts: PartsOf, session: Staff) -> Changed:
    return _changed(parts, session, Kind.GATEWAY, wish, (gateway_id,))


@router.delete("/gateways/{gateway_id}", summary="Remove a gateway", responses=_REMOVE)
def delete_gateway(gateway_id: Id, parts: PartsOf, session: Staff, with_devices: bool = False) -> Changed:
    """`with_devices`: also its devices. One with valid certificates is revoked first."""
    return _removed(parts, session, Kind.GATEWAY, (gateway_id,), Along(devices=with_devices))


@router.post("/gateways/{gateway_id}/devices", summary="Register a device", **_NEW_IN)
def post_device(gateway_id: Id, wish: NewDevice, parts: PartsOf, session: Staff) -> Changed:
    return _added(parts, session, Kind.DEVICE, {**wish, "gateway": gateway_id})


@router.patch("/gateways/{gateway_id}/devices", summary="Change a device", responses=_CHANGE)
def patch_device(gateway_id: Id, id: DeviceId, wish: DeviceChange, parts: PartsOf, session: Staff) -> Changed:
    return _changed(parts, session, Kind.DEVICE, wish, (gateway_id, id))


@router.delete("/gateways/{gateway_id}/devices", summary="Remove a device", responses=_REMOVE)
def delete_device(gateway_id: Id, id: DeviceId, parts: PartsOf, session: Staff) -> Changed:
    return _removed(parts, session, Kind.DEVICE, (gateway_id, id))


@router.post("/residents", summary="Register a resident", **_NEW)
def post_resident(wish: NewResident, parts: PartsOf, session: Staff) -> Changed:
    return _added(parts, session, Kind.RESIDENT, wish)


@router.patch("/residents/{resident_id}", summary="Change a resident's entry", responses=_CHANGE)
def patch_resident(resident_id: Id, wish: ResidentChange, parts: PartsOf, session: Staff) -> Changed:
    return _changed(parts, session, Kind.RESIDENT, wish, (resident_id,))


@router.delete("/residents/{resident_id}", summary="Erase a resident, for good", responses=_REMOVE)
def delete_resident(resident_id: Id, erase: Literal["yes"], parts: PartsOf, session: Staff) -> Changed:
    """Answers 503 while the time-series store is away: ask again, and the rest is erased."""
    config, now_ns = parts.config, parts.now_ns()
    erasing.erase(parts.database, resident_id, session.staff, now_ns)
    erasing.finish(parts.database, config.store, config.directory, now_ns)
    parts.waker.wake("web")
    return Changed(Kind.RESIDENT, resident_id, "erased")


@router.post("/residents/{resident_id}/contacts", summary="Add a contact, to be told last", **_NEW_IN)
def post_contact(resident_id: Id, wish: NewContact, parts: PartsOf, session: Staff) -> Changed:
    _added(parts, session, Kind.CONTACT, {**wish, "resident": resident_id})
    return Changed(Kind.CONTACT, resident_id, "added")


@router.patch("/residents/{resident_id}/contacts", summary="Change a contact", responses=_CHANGE)
def patch_contact(resident_id: Id, number: Number, wish: ContactChange, parts: PartsOf, session: Staff) -> Changed:
    with parts.database.transaction() as connection:
        seen, now_ns = session.communities, parts.now_ns()
        edit_contact(connection, resident_id, number, dict(wish), session.staff, now_ns, seen)
    return Changed(Kind.CONTACT, resident_id, "changed")


@router.delete("/residents/{resident_id}/contacts", summary="Remove a contact", responses=_REMOVE)
def delete_contact(resident_id: Id, number: Number, parts: PartsOf, session: Staff) -> Changed:
    with parts.database.transaction() as connection:
        remove_contact(connection, resident_id, number, session.staff, parts.now_ns(), session.communities)
    return Changed(Kind.CONTACT, resident_id, "removed")


def _added(parts: Parts, session: Session, kind: Kind, wish: Mapping[str, Any]) -> Changed:
    with parts.database.transaction() as connection:
        add(connection, kind, wish, session.staff, parts.now_ns(), session.communities)
    parts.waker.wake("web")
    return Changed(kind, str(wish.get("id", "")), "added")


def _changed(parts: Parts, session: Session, kind: Kind, wish: Mapping[str, Any], key: Key) -> Changed:
    names = ("gateway", "id") if kind is Kind.DEVICE else ("id",)
    with parts.database.transaction() as connection:
        values = {**wish, **dict(zip(names, key, strict=True))}
        edit(connection, kind, values, session.staff, parts.now_ns(), session.communities)
    parts.waker.wake("web")
    return Changed(kind, key[-1], "changed")


def _removed(parts: Parts, session: Session, kind: Kind, key: Key, along: Along = ALONE) -> Changed:
    with parts.database.transaction() as connection:
        remove(connection, kind, key, session.staff, parts.now_ns(), session.communities, along)
    parts.waker.wake("web")
    return Changed(kind, key[-1], "removed")
