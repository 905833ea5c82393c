"""Service calls: their queue, the meals that can be ordered, and the plan of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from hearthline.clock import parse_rfc3339, rfc3339
from hearthline.errors import RefusedError
from hearthline_cloud.alerts.lifecycle import Category, Plan
from hearthline_cloud.alerts.service import MAX_PROVIDER
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import Changed, MealOrder, ServiceCalls, refusals
from hearthline_cloud.api.routes_alerts import Key, Version
from hearthline_cloud.api.service_reads import MAX_CALLS, list_service

router = APIRouter(prefix="/api/v1", tags=["service"], responses=refusals(401, 403, 422, 503))


@dataclass(frozen=True, slots=True)
class Planning:
    category: Category
    due: Annotated[
        str, Field(description="RFC 3339, from now on within a year", json_schema_extra={"format": "date-time"})
    ]
    provider: Annotated[str, Field(description="who does it; empty: the staff", max_length=MAX_PROVIDER)] = ""
    version: Version = None


@router.get("/service", summary="Open service calls, what is due the longest first")
def get_service(
    parts: PartsOf, session: Staff, limit: Annotated[int, Query(ge=1, le=MAX_CALLS)] = MAX_CALLS
) -> ServiceCalls:
    """What nobody has planned yet counts as due since it was asked for."""
    with parts.database.reading() as connection:
        return list_service(connection, parts.now_ns(), limit, session.communities)


@router.get("/service/meals", summary="The next serving of each meal that can still be ordered")
def get_meals(parts: PartsOf, session: Staff) -> list[MealOrder]:
    return [
        MealOrder(order.meal, rfc3339(order.served_ns), rfc3339(order.closes_ns))
        for order in parts.meals.orders(parts.now_ns())
    ]


@router.post("/alerts/{alert_id}/schedule", summary="Plan a service call", responses=refusals(400, 403, 404, 409, 413))
def schedule(alert_id: Key, parts: PartsOf, session: Staff, planning: Planning) -> Changed:
    """What, when, and who does it; also anew. From then on the next green press of the home is a call of its own.

    A meal is refused with `orders-closed` when the kitchen takes no more orders for that serving.
    """
    try:
        due_ns = parse_rfc3339(planning.due)
    except ValueError:
        raise RefusedError(f"due = {planning.due!r}: not a time of RFC 3339") from None
    plan = Plan(planning.category, due_ns, planning.provider.strip())
    changed = parts.desk.schedule(alert_id, plan, session.staff, parts.now_ns(), planning.version)
    return Changed(changed.alert_id, changed.state.value, changed.version)
