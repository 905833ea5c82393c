"""The commissioning of a gateway: its runs and reports, what is left to do, and closing that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import MAX_ID, refusals
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.commissioning.closing import Why, close
from hearthline_cloud.commissioning.reading import Commissioning, commissioning_of, download

router = APIRouter(prefix="/api/v1", tags=["operation"], responses=refusals(401, 403, 404, 422, 503))
Number = Annotated[int, Field(ge=1, le=MAX_ID)]
RunNumber = Annotated[int, Query(ge=1, le=MAX_ID)]


@dataclass(frozen=True, slots=True)
class Closing:
    """`to_do`: its number."""

    to_do: Number
    why: Why


@router.get("/gateways/{gateway_id}/commissioning", summary="Its runs, one report, and what is left to do")
def get_commissioning(gateway_id: Id, parts: PartsOf, session: Staff, run: RunNumber | None = None) -> Commissioning:
    """`run`: the number of the run whose report is wanted; without it that of the last report."""
    with parts.database.reading() as connection:
        return commissioning_of(connection, gateway_id, parts.now_ns(), run)


@router.get(
    "/gateways/{gateway_id}/commissioning/report",
    summary="A report as it came, with its signature",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}},
)
def get_report(gateway_id: Id, parts: PartsOf, session: Staff, run: RunNumber) -> Response:
    with parts.database.reading() as connection:
        body = download(connection, gateway_id, run)
    name = f"commissioning-{gateway_id}-{run}.json"
    disposition = f'attachment; filename="{name}"'
    return Response(body, media_type="application/json", headers={"content-disposition": disposition})


@router.post(
    "/gateways/{gateway_id}/commissioning/to-dos",
    status_code=204,
    summary="Close what is left to do, with a reason",
    responses=refusals(400, 403, 413, 429),
)
def post_closing(gateway_id: Id, closing: Closing, parts: PartsOf, session: Staff) -> None:
    """What has failed is better done again: a report that has it passed closes it, too."""
    with parts.database.transaction() as connection:
        close(connection, gateway_id, closing.to_do, closing.why, session.staff, parts.now_ns())
