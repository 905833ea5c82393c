"""The page of a gateway's commissioning: what is left to do first, then what was tried, as a report to print."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from hearthline.errors import RefusedError
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import MAX_ID
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.routes_commissioning import RunNumber
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.commissioning.closing import Why, close
from hearthline_cloud.commissioning.reading import commissioning_of
from hearthline_cloud.console.view import page
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.people import Session
from hearthline_cloud.schema import home

router = APIRouter(include_in_schema=False)


@router.get("/homes/gateways/{gateway_id}/commissioning")
def commissioning_page(
    gateway_id: Id, request: Request, parts: PartsOf, session: Staff, run: RunNumber | None = None
) -> Response:
    return _shown(gateway_id, request, parts, session, "commissioning.html", run)


@router.get("/fragments/gateways/{gateway_id}/commissioning")
def commissioning_fragment(gateway_id: Id, request: Request, parts: PartsOf, session: Staff) -> Response:
    return _shown(gateway_id, request, parts, session, "_commissioning_live.html", None)


@router.post("/homes/gateways/{gateway_id}/commissioning")
def close_to_do(
    gateway_id: Id,
    request: Request,
    parts: PartsOf,
    session: Staff,
    to_do: Annotated[int, Form(ge=1, le=MAX_ID)],
    why: Annotated[Why, Form()],
) -> Response:
    """One that somebody else has closed meanwhile is closed."""
    with parts.database.transaction() as connection:
        try:
            close(connection, gateway_id, to_do, why, session.staff, parts.now_ns())
        except NotFoundError:
            raise
        except RefusedError:
            pass
    return RedirectResponse(f"/homes/gateways/{quote(gateway_id, safe='')}/commissioning", 303)


def _shown(
    gateway_id: str, request: Request, parts: Parts, session: Session, template: str, run: int | None
) -> Response:
    with parts.database.reading() as connection:
        found = commissioning_of(connection, gateway_id, parts.now_ns(), run)
        name = connection.execute(select(home.c.name).where(home.c.id == found.home)).scalar()
    return page(request, template, session, found=found, home_name=name, reasons=list(Why))
