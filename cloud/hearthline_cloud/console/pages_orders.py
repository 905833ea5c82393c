"""The page of work orders, and the forms of a work order on every page that shows one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hearthline_cloud.alerts.lifecycle import ImpossibleError
from hearthline_cloud.alerts.orders import OPEN, OrderAction, OrderKind, OrderState, OrderWish
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import MAX_ID
from hearthline_cloud.api.order_reads import OrderFilter, list_orders
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.routes_orders import Key, PeoplesAction
from hearthline_cloud.console.view import page
from hearthline_cloud.desk import MAX_NOTE, ConflictError
from hearthline_cloud.people import Session

router = APIRouter(include_in_schema=False)
_VISITS = (OrderKind.STREET, OrderKind.VOLUNTEER)
_DONE = tuple(state for state in OrderState if state not in OPEN)
_SHOWN, _SHOWN_DONE = 200, 10


@router.get("/orders")
def orders_page(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _orders(request, parts, session, "orders.html")


@router.get("/fragments/orders")
def orders_fragment(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _orders(request, parts, session, "_orders.html")


@router.post("/orders/{order_id}")
def act_on_order(
    order_id: Key,
    request: Request,
    parts: PartsOf,
    session: Staff,
    action: Annotated[PeoplesAction, Form()],
    version: Annotated[int, Form(ge=1, le=MAX_ID)],
    outcome: Annotated[str, Form(max_length=32)] = "",
    words: Annotated[str, Form(max_length=MAX_NOTE)] = "",
    alert: Annotated[int, Form(ge=0, le=MAX_ID)] = 0,
) -> Response:
    """Without JavaScript: goes back to where the form stood, or says why nothing was done."""
    wish = OrderWish(OrderAction(action), outcome or None)
    try:
        parts.orders.act(order_id, wish, session.staff, parts.now_ns(), version, words)
    except (ConflictError, ImpossibleError):
        return _orders(request, parts, session, "orders.html", "orders.too-late")
    return RedirectResponse(f"/alerts/{alert}" if alert else "/orders", 303)


def _orders(request: Request, parts: Parts, session: Session, template: str, problem: str = "") -> Response:
    """What is open by state, late ones first, then the longest waiting; and what was done last."""
    with parts.database.reading() as connection:
        now_ns = parts.now_ns()
        found = list_orders(connection, OrderFilter(OPEN, _VISITS, limit=_SHOWN), now_ns, session.communities)
        done = list_orders(connection, OrderFilter(_DONE, _VISITS, limit=_SHOWN_DONE), now_ns, session.communities)
    found.sort(key=lambda order: (not order.is_late, order.id))
    states = [(state.value, [order for order in found if order.state == state]) for state in OPEN]
    return page(request, template, session, 409 if problem else 200, states=states, done=done, problem=problem)
