"""The page on which a resident's consents are read, written down and withdrawn: plain forms, without a script."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hearthline.errors import RefusedError
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.registry_reads import resident_card
from hearthline_cloud.api.routes_consents import Agreement, Consent, read, record, take_back
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.console.view import page
from hearthline_cloud.people import Session
from hearthline_cloud.personal.consents import MAX_DOCUMENT, MAX_GUARDIAN, Kind

router = APIRouter(include_in_schema=False)


@router.get("/residents/{resident_id}/consents")
def consents_page(resident_id: Id, request: Request, parts: PartsOf, session: Staff) -> Response:
    return _page(request, parts, session, resident_id)


@router.post("/residents/{resident_id}/consents")
def post_consents(
    resident_id: Id,
    request: Request,
    parts: PartsOf,
    session: Staff,
    kind: Annotated[Kind, Form()],
    document: Annotated[str, Form(max_length=MAX_DOCUMENT)] = "",
    guardian: Annotated[str, Form(max_length=MAX_GUARDIAN)] = "",
    withdraw: Annotated[bool, Form()] = False,
) -> Response:
    try:
        if withdraw:
            take_back(parts, resident_id, kind, session.staff)
        else:
            record(parts, resident_id, Agreement(kind, document, guardian), session.staff)
    except RefusedError as error:
        return _page(request, parts, session, resident_id, str(error), 422)
    return RedirectResponse(f"/residents/{resident_id}/consents", 303)


def _page(
    request: Request, parts: Parts, session: Session, resident: str, problem: str = "", status: int = 200
) -> Response:
    with parts.database.transaction() as connection:
        card = resident_card(connection, resident, session.staff, parts.now_ns())
    rows = read(parts, resident)
    kinds = [(kind, _standing(rows, kind), [row for row in rows if row.kind is kind]) for kind in Kind]
    return page(request, "consents.html", session, status, card=card, kinds=kinds, problem=problem)


def _standing(rows: list[Consent], kind: Kind) -> str:
    """agreed, withdrawn, or unknown: nobody has written anything down."""
    own = [row for row in rows if row.kind is kind]
    if not own:
        return "unknown"
    return "agreed" if any(row.withdrawn is None for row in own) else "withdrawn"
