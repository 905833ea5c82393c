"""Gateways, homes, devices, residents; what was kept aside; who looked at whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import (
    MAX_ID,
    AuditEntry,
    Device,
    Gateway,
    Home,
    KeptAside,
    ResidentCard,
    Vital,
    refusals,
)
from hearthline_cloud.api.registry_reads import (
    list_audit,
    list_devices,
    list_gateways,
    list_homes,
    list_kept_aside,
    list_vitals,
    resident_card,
)
from hearthline_cloud.permissions import Permission

router = APIRouter(prefix="/api/v1", tags=["registry"], responses=refusals(401, 403, 503))
Id = Annotated[str, Path(max_length=64)]


@router.get("/gateways", summary="Every gateway that is registered or was ever heard")
def get_gateways(parts: PartsOf, session: Staff) -> list[Gateway]:
    with parts.database.reading() as connection:
        return list_gateways(connection, parts.now_ns(), 0, session.communities)


@router.get("/devices", summary="Every device, the unregistered first")
def get_devices(parts: PartsOf, session: Staff) -> list[Device]:
    with parts.database.reading() as connection:
        return list_devices(connection, session.communities)


@router.get("/homes", summary="Homes with their residents")
def get_homes(parts: PartsOf, session: Staff) -> list[Home]:
    with parts.database.reading() as connection:
        return list_homes(connection, session.communities, session.may(Permission.RESIDENTS))


@router.get("/residents/{resident_id}", summary="A resident's card", responses=refusals(404, 422))
def get_resident(resident_id: Id, parts: PartsOf, session: Staff) -> ResidentCard:
    """Leaves a trace in the audit: who looked, and when."""
    with parts.database.transaction() as connection:
        return resident_card(connection, resident_id, session.staff, parts.now_ns())


@router.get("/residents/{resident_id}/vitals", summary="Vital signs", responses=refusals(404, 422, 429))
def get_vitals(
    resident_id: Id, parts: PartsOf, session: Staff, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[Vital]:
    """The newest first."""
    with parts.database.reading() as connection:
        return list_vitals(connection, resident_id, limit)


@router.get("/kept-aside", summary="Payloads that could not be read, counted by reason", tags=["operation"])
def get_kept_aside(parts: PartsOf, session: Staff) -> list[KeptAside]:
    with parts.database.reading() as connection:
        return list_kept_aside(connection)


@router.get(
    "/audit",
    summary="Who looked at which card; for administrators and auditors",
    tags=["operation"],
    responses=refusals(403, 422, 429),
)
def get_audit(
    parts: PartsOf,
    session: Staff,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AuditEntry]:
    with parts.database.reading() as connection:
        return list_audit(connection, before, limit, session.communities)
