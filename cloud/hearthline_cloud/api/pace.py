"""Around every route: what is expensive is paced (`pacing`) and waits its turn (`lane`)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from hearthline_cloud.api.access import authorize, client_address
from hearthline_cloud.api.lane import TooManyError
from hearthline_cloud.api.parts import parts_of
from hearthline_cloud.console.view import page
from hearthline_cloud.pacing import COSTS, Cost
from hearthline_cloud.people import Session


async def paced(request: Request, session: Annotated[Session | None, Depends(authorize)]) -> AsyncIterator[None]:
    """Around every route, once it is allowed. Raises TooManyError; an answer of 429 with `Retry-After`."""
    cost = COSTS.get(f"{request.method} {request.scope['route'].path}")
    if cost is None:
        yield
        return
    parts = parts_of(request)
    person, address = _asks(request, session)
    wait_s = parts.pacing.wait_s(cost, person, address, time.monotonic_ns())
    if wait_s > 0:
        raise TooManyError(wait_s)
    if cost in (Cost.DEMAND, Cost.REGISTER, Cost.LINK, Cost.ENROLMENT):
        yield
        return
    async with parts.lane.turn(person):
        yield


def _asks(request: Request, session: Session | None) -> tuple[str, str]:
    """Whose request is counted: a person's and an address's, a link's, or an address's alone."""
    if session is not None:
        return session.staff, client_address(request)
    token = request.path_params.get("token", "")
    return (token, "") if token else ("", client_address(request))


def busy_page(request: Request, error: TooManyError) -> Response:
    """In both languages: who has a link has no account."""
    return page(request, "busy.html", None, 429, wait_s=error.wait_s)
