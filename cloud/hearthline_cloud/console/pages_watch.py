"""The page on which staff declare maintenance and absence, and end them early: plain forms, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from sqlalchemy import Connection, Row, select
from starlette.responses import RedirectResponse, Response

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud.alerts.windows import Declared, Scope
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.routes_watch import Number, end, window, write
from hearthline_cloud.console.view import page
from hearthline_cloud.declaring import MAX_REASON, Declaration, list_declared
from hearthline_cloud.people import Session
from hearthline_cloud.schema import community, gateway, home
from hearthline_cloud.scoping import Communities, communities_seen, homes_not_hidden, homes_seen

router = APIRouter(include_in_schema=False)
_FORM_TIME = "%Y-%m-%dT%H:%M"
Text = Annotated[str, Form(max_length=MAX_REASON)]


@router.get("/watch")
def watch_page(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _page(request, parts, session)


@router.post("/watch")
def post_window(
    request: Request,
    parts: PartsOf,
    session: Staff,
    what: Annotated[Declared, Form()],
    place: Annotated[str, Form(max_length=100)] = "",
    begins: Annotated[str, Form(max_length=20)] = "",
    ends: Annotated[str, Form(max_length=20)] = "",
    reason: Text = "",
) -> Response:
    """`place` as `scope:id`, times by the clock of the center."""
    scope, _, name = place.partition(":")
    zone = ZoneInfo(parts.config.figures.zone)
    try:
        if scope not in set(Scope):
            raise RefusedError("choose a place")
        from_ns = parts.now_ns() if not begins else _ns(begins, zone)
        wanted = Declaration(what, Scope(scope), name, from_ns, _ns(ends, zone), reason.strip())
        write(parts, wanted, session)
    except RefusedError as error:
        return _page(request, parts, session, str(error), 422)
    return RedirectResponse("/watch", 303)


@router.post("/watch/{number}/end")
def post_end(number: Number, request: Request, parts: PartsOf, session: Staff) -> Response:
    try:
        end(parts, number, session.staff)
    except RefusedError as error:
        return _page(request, parts, session, str(error), 422)
    return RedirectResponse("/watch", 303)


def _page(request: Request, parts: Parts, session: Session, problem: str = "", status: int = 200) -> Response:
    now_ns = parts.now_ns()
    with parts.database.reading() as connection:
        rows = list_declared(connection, session.communities)
        places = _places(connection, session.communities)
    local = datetime.fromtimestamp(now_ns // NS, ZoneInfo(parts.config.figures.zone)).strftime(_FORM_TIME)
    values = {"current": [window(row, session) for row in rows if row.to_ns > now_ns], "places": places, "local": local}
    past = [window(row, session) for row in rows if row.to_ns <= now_ns][:20]
    zone = parts.config.figures.zone
    return page(request, "watch.html", session, status, **values, past=past, zone=zone, problem=problem)


def _places(connection: Connection, seen: Communities) -> dict[str, Sequence[Row[Any, Any]]]:
    """What something can be declared for, by scope."""
    communities = select(community.c.id, community.c.name).where(communities_seen(seen, community.c.id))
    homes = select(home.c.id, home.c.name).where(homes_seen(seen, home.c.id))
    gateways = select(gateway.c.id, gateway.c.id.label("name")).where(homes_not_hidden(seen, gateway.c.home_id))
    return {
        "community": connection.execute(communities.order_by(community.c.name)).all(),
        "home": sorted(connection.execute(homes).all(), key=lambda row: row.name),
        "gateway": connection.execute(gateways.order_by(gateway.c.id)).all(),
    }


def _ns(text: str, zone: ZoneInfo) -> int:
    try:
        return round(datetime.strptime(text, _FORM_TIME).replace(tzinfo=zone).timestamp()) * NS
    except ValueError:
        raise RefusedError("give the day and the time at which it ends") from None
