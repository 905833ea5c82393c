"""Work orders and what people do with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from hearthline_cloud.alerts.orders import OPEN, OrderAction, OrderKind, OrderState, OrderWish
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import MAX_ID, refusals
from hearthline_cloud.api.order_reads import OrderFilter, WorkOrders, list_orders
from hearthline_cloud.api.routes_alerts import Version
from hearthline_cloud.desk import MAX_NOTE

router = APIRouter(prefix="/api/v1", tags=["orders"], responses=refusals(401, 403, 422, 503))
Key = Annotated[int, Path(ge=1, le=MAX_ID)]


class PeoplesAction(StrEnum):
    """What people may do; to expire and to withdraw are the system's."""

    ACCEPT = OrderAction.ACCEPT
    GO = OrderAction.GO
    ARRIVE = OrderAction.ARRIVE
    REPORT = OrderAction.REPORT
    DECLINE = OrderAction.DECLINE


@dataclass(frozen=True, slots=True)
class Doing:
    """`outcome` belongs to a report: of a call back `fine`, `needs-help`, `no-answer`, of a visit an outcome."""

    version: Version = None
    outcome: Annotated[str | None, Field(max_length=32)] = None
    words: Annotated[str, Field(description="kept as a note of the alert", max_length=MAX_NOTE)] = ""


@dataclass(frozen=True, slots=True)
class ChangedOrder:
    id: int
    state: str
    version: int
    alert: int


@router.get("/orders", summary="Work orders, the newest first")
def get_orders(
    parts: PartsOf,
    session: Staff,
    state: Annotated[list[OrderState | Literal["open"]] | None, Query(description="may repeat")] = None,
    kind: Annotated[list[OrderKind] | None, Query(description="may repeat")] = None,
    alert: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> WorkOrders:
    states: set[OrderState] = set()
    for item in state or []:
        states |= set(OPEN) if item == "open" else {OrderState(item)}
    wanted = OrderFilter(tuple(sorted(states)), tuple(kind or ()), alert, before, limit)
    with parts.database.reading() as connection:
        found = list_orders(connection, wanted, parts.now_ns(), session.communities)
    return WorkOrders(found, found[-1].id if len(found) == limit else None)


@router.post(
    "/orders/{order_id}/{action}",
    summary="Take a step with a work order; the alert goes along, and is never closed by it",
    responses=refusals(400, 403, 404, 409, 413),
)
def act_on_order(
    order_id: Key, action: PeoplesAction, parts: PartsOf, session: Staff, doing: Doing | None = None
) -> ChangedOrder:
    """Recording a call back without an answer, or with a need for help, brings the policy's next step at once."""
    given = doing or Doing()
    wish = OrderWish(OrderAction(action), given.outcome)
    done = parts.orders.act(order_id, wish, session.staff, parts.now_ns(), given.version, given.words)
    return ChangedOrder(done.order_id, done.state.value, done.version, done.alert_id)
