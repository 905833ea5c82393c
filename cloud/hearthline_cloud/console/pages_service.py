"""The queue of service calls: what is due the longest first, each planned or closed in one step."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from hearthline_cloud.alerts.lifecycle import SERVICE_OUTCOMES, Category
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.service_reads import list_service
from hearthline_cloud.console.pages import shown_orders
from hearthline_cloud.console.view import page

router = APIRouter(include_in_schema=False)
_SHOWN = 200


@router.get("/service")
def service_page(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _service(request, parts, session, "service.html")


@router.get("/fragments/service")
def service_fragment(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _service(request, parts, session, "_service.html")


def _service(request: Request, parts: PartsOf, session: Staff, template: str) -> Response:
    now_ns = parts.now_ns()
    with parts.database.reading() as connection:
        found = list_service(connection, now_ns, _SHOWN, session.communities)
    return page(
        request,
        template,
        session,
        calls=found.calls,
        total=found.total,
        outcomes=list(SERVICE_OUTCOMES),
        categories=list(Category),
        orders=shown_orders(parts.meals.orders(now_ns)),
    )
