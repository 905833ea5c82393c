"""Maintenance and absence: declared by staff, ended early, listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from sqlalchemy import Row

from hearthline.clock import NS, rfc3339
from hearthline_cloud.alerts.windows import Declared, Scope
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import MAX_ID, Time, refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.declaring import MAX_REASON, Declaration, declare, end_early, list_declared
from hearthline_cloud.people import Session
from hearthline_cloud.permissions import Permission

router = APIRouter(prefix="/api/v1", tags=["supervision"], responses=refusals(401, 403, 422, 503))
_CHANGE = refusals(400, 403, 404, 413, 429)
Number = Annotated[int, Path(ge=1, le=MAX_ID)]
Words = Annotated[str, Field(min_length=1, max_length=MAX_REASON)]


@dataclass(frozen=True, slots=True)
class Window:
    """`to` is when it ends, or was ended by `ended_by`. `place`: the name of its community or home. `reason`: of an
    absence null for a role that sees no residents, for it speaks of one.
    """

    id: int
    what: str
    scope: str
    scope_id: str
    place: str
    begins: Time
    ends: Time
    reason: str | None
    declared_by: str
    declared: Time
    ended_by: str | None


@dataclass(frozen=True, slots=True)
class Maintenance:
    scope: Scope
    scope_id: Annotated[str, Field(min_length=1, max_length=64)]
    begins: Annotated[datetime, Field(description="with its time zone")]
    ends: datetime
    reason: Words


@dataclass(frozen=True, slots=True)
class Absence:
    home: Annotated[str, Field(min_length=1, max_length=64)]
    begins: Annotated[datetime, Field(description="with its time zone")]
    ends: datetime
    reason: Words


@dataclass(frozen=True, slots=True)
class DeclaredAs:
    id: int


@router.get("/declared", summary="Maintenance and absences, the latest ends first")
def get_declared(parts: PartsOf, session: Staff) -> list[Window]:
    with parts.database.reading() as connection:
        return [window(row, session) for row in list_declared(connection, session.communities)]


@router.post("/maintenance", status_code=201, summary="Work on a community, home or gateway", responses=_CHANGE)
def post_maintenance(parts: PartsOf, session: Staff, work: Maintenance) -> DeclaredAs:
    """No silence is raised there meanwhile; its end gives every period anew. A press is raised as always."""
    begins, ends = _ns(work.begins), _ns(work.ends)
    wanted = Declaration(Declared.MAINTENANCE, work.scope, work.scope_id, begins, ends, work.reason)
    return DeclaredAs(write(parts, wanted, session))


@router.post("/absences", status_code=201, summary="Nobody is at home", responses=_CHANGE)
def post_absence(parts: PartsOf, session: Staff, absence: Absence) -> DeclaredAs:
    """What is worn, moves or measures may be silent; the gateway and the detectors may not. A press is raised."""
    begins, ends = _ns(absence.begins), _ns(absence.ends)
    wanted = Declaration(Declared.ABSENCE, Scope.HOME, absence.home, begins, ends, absence.reason)
    return DeclaredAs(write(parts, wanted, session))


@router.post("/declared/{number}/end", summary="It is over now", responses=_CHANGE)
def post_end(number: Number, parts: PartsOf, session: Staff) -> DeclaredAs:
    return DeclaredAs(end(parts, number, session.staff))


def write(parts: Parts, wanted: Declaration, session: Session) -> int:
    with parts.database.transaction() as connection:
        number = declare(connection, wanted, session.staff, parts.now_ns(), session.communities)
    parts.waker.wake("web")
    return number


def end(parts: Parts, number: int, by: str) -> int:
    with parts.database.transaction() as connection:
        end_early(connection, number, by, parts.now_ns())
    parts.waker.wake("web")
    return number


def _ns(at: datetime) -> int:
    """A time without a zone is UTC here, as everywhere in the API."""
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * NS


def window(row: Row[Any], session: Session) -> Window:
    is_of_a_resident = row.what == Declared.ABSENCE and not session.may(Permission.RESIDENTS)
    return Window(
        id=row.id,
        what=row.what,
        scope=row.scope,
        scope_id=row.scope_id,
        place=row.community_name or row.home_name or row.scope_id,
        begins=rfc3339(row.from_ns),
        ends=rfc3339(row.to_ns),
        reason=None if is_of_a_resident else row.reason,
        declared_by=row.declared_by,
        declared=rfc3339(row.declared_ns),
        ended_by=row.ended_by,
    )
