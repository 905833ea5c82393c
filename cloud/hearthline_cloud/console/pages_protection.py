"""The page of protected hours: who could be heard for how much of a month."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.routes_protection import hours_of, read, this_month
from hearthline_cloud.console.view import page

router = APIRouter(include_in_schema=False)
Month = Annotated[str, Query(pattern=r"^(?:20[0-9][0-9]-(?:0[1-9]|1[0-2]))?$")]


@router.get("/protection")
def protection_page(request: Request, parts: PartsOf, session: Staff, month: Month = "") -> Response:
    chosen = month or this_month(parts)
    people = [(each, hours_of(each)) for each in read(parts, chosen, session.communities)]
    people.sort(key=lambda item: (item[1].share is None, item[1].share or 0))
    return page(request, "protection.html", session, month=chosen, people=people)
