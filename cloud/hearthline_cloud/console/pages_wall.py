"""The wall view: one page for the center's big screen, that a screen's own account may see."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.console.view import page
from hearthline_cloud.console.wall import look, midnight_ns

router = APIRouter(include_in_schema=False)


@router.get("/wall")
def wall_page(request: Request, session: Staff) -> Response:
    """The frame alone: only the screen knows its time zone, and with it where today begins."""
    return page(request, "wall.html", session)


@router.get("/fragments/wall")
def wall_fragment(
    request: Request,
    parts: PartsOf,
    session: Staff,
    utc_offset_min: Annotated[int, Query(ge=-840, le=840)] = 0,
) -> Response:
    now_ns = parts.now_ns()
    with parts.database.reading() as connection:
        wall = look(
            connection, midnight_ns(now_ns, utc_offset_min), now_ns, parts.config.web.wall_names, session.communities
        )
    return page(request, "_wall.html", session, wall=wall)
