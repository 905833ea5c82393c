"""What a resident has agreed to: read, agreed, withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import Connection, select

from hearthline.clock import rfc3339
from hearthline_cloud import schema
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import Time, refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.personal.consents import MAX_DOCUMENT, MAX_GUARDIAN, By, Kind, agree, list_consents, withdraw

router = APIRouter(prefix="/api/v1", tags=["residents"], responses=refusals(401, 403, 404, 422, 429, 503))
_CHANGE = refusals(400, 413)


@dataclass(frozen=True, slots=True)
class Consent:
    """One agreement. `document`: "" where nothing was recorded before it was withdrawn. `guardian`: "" for oneself."""

    id: int
    kind: Kind
    agreed_by: By
    guardian: str
    document: str
    agreed: Time
    recorded_by: str
    withdrawn: Time | None
    withdrawn_by: str | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """`document`: which one and which version was signed. `guardian`: the name of who signed in one's place."""

    kind: Kind
    document: Annotated[str, Field(min_length=1, max_length=MAX_DOCUMENT)]
    guardian: Annotated[str, Field(max_length=MAX_GUARDIAN)] = ""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    kind: Kind


@router.get("/residents/{resident_id}/consents", summary="What a resident has agreed to and withdrawn")
def get_consents(resident_id: Id, parts: PartsOf, session: Staff) -> list[Consent]:
    """The oldest first."""
    return read(parts, resident_id)


@router.post("/residents/{resident_id}/consents", summary="Write down an agreement", responses=_CHANGE)
def post_consent(resident_id: Id, wish: Agreement, parts: PartsOf, session: Staff) -> list[Consent]:
    record(parts, resident_id, wish, session.staff)
    return read(parts, resident_id)


@router.post(
    "/residents/{resident_id}/consents/withdraw",
    summary="Write down that a consent is withdrawn; what can stop, stops at once",
    responses=_CHANGE,
)
def post_withdrawal(resident_id: Id, wish: Withdrawal, parts: PartsOf, session: Staff) -> list[Consent]:
    take_back(parts, resident_id, wish.kind, session.staff)
    return read(parts, resident_id)


def read(parts: Parts, resident: str) -> list[Consent]:
    """Raises NotFoundError."""
    with parts.database.reading() as connection:
        _check(connection, resident)
        rows = list_consents(connection, resident)
    return [
        Consent(
            id=row.id,
            kind=Kind(row.kind),
            agreed_by=By(row.agreed_by),
            guardian=row.guardian or "",
            document=row.document,
            agreed=rfc3339(row.agreed_ns),
            recorded_by=row.recorded_by,
            withdrawn=None if row.withdrawn_ns is None else rfc3339(row.withdrawn_ns),
            withdrawn_by=row.withdrawn_by,
        )
        for row in rows
    ]


def record(parts: Parts, resident: str, wish: Agreement, actor: str) -> None:
    """Raises RefusedError, NotFoundError."""
    by = By.GUARDIAN if wish.guardian.strip() else By.RESIDENT
    with parts.database.transaction() as connection:
        _check(connection, resident)
        agree(connection, resident, wish.kind, by, wish.guardian, wish.document, actor, parts.now_ns())


def take_back(parts: Parts, resident: str, kind: Kind, actor: str) -> None:
    """Raises RefusedError, NotFoundError."""
    with parts.database.transaction() as connection:
        _check(connection, resident)
        withdraw(connection, resident, kind, actor, parts.now_ns())


def _check(connection: Connection, resident: str) -> None:
    if connection.execute(select(schema.resident.c.id).where(schema.resident.c.id == resident)).first() is None:
        raise NotFoundError("there is no such resident")
