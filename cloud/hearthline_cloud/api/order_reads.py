"""Reading work orders out of the database, with names, addresses and telephone numbers for staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row, Select, and_, or_, select

from hearthline.clock import rfc3339
from hearthline_cloud.alerts.orders import OPEN, SUGGESTED, OrderKind, OrderState, allowed, is_late, outcomes
from hearthline_cloud.api.alert_reads import time_or_none
from hearthline_cloud.api.model import Time
from hearthline_cloud.schema import alert, home, resident, volunteer, work_order
from hearthline_cloud.scoping import Communities, alerts_seen

_ORDERS: Select[Any] = (
    select(
        work_order,
        alert.c.kind.label("alert_kind"),
        alert.c.cause,
        alert.c.state.label("alert_state"),
        alert.c.home_id,
        home.c.name.label("home_name"),
        home.c.address,
        resident.c.name.label("resident_name"),
        volunteer.c.name.label("volunteer_name"),
        volunteer.c.phone.label("volunteer_phone"),
    )
    .join(alert, alert.c.id == work_order.c.alert_id)
    .outerjoin(home, home.c.id == alert.c.home_id)
    .outerjoin(resident, resident.c.id == alert.c.resident_id)
    .outerjoin(volunteer, volunteer.c.id == work_order.c.volunteer_id)
)


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Who is asked to do something about an alert. `version` goes back with an action.

    `phones`: of a call back, the numbers to call; of a volunteer's order, his. `opened`: when the volunteer asked for
    the address. `suggested`: the outcome of the alert that the report speaks for.
    """

    id: int
    alert: int
    alert_kind: str
    alert_state: str
    cause: str
    kind: str
    state: str
    home: str | None
    home_name: str | None
    address: str | None
    resident_name: str | None
    volunteer: str | None
    volunteer_name: str | None
    phones: list[str]
    made: Time
    due: Time | None
    opened: Time | None
    changed: Time
    changed_by: str
    outcome: str | None
    suggested: str | None
    words: str
    is_late: Annotated[bool, Field(description="nobody has taken it, or got there, in time")]
    allowed: list[str]
    outcomes: Annotated[list[str], Field(description="what a report may say")]
    version: int


@dataclass(frozen=True, slots=True)
class WorkOrders:
    """`next`: give it as `before` for the page of older ones."""

    orders: list[WorkOrder]
    next: int | None


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders; `states` and `kinds` empty mean all; `before` an id."""

    states: tuple[OrderState, ...] = ()
    kinds: tuple[OrderKind, ...] = ()
    alert: int | None = None
    before: int | None = None
    limit: int = 100


def list_orders(connection: Connection, wanted: OrderFilter, now_ns: int, seen: Communities) -> list[WorkOrder]:
    """The newest first."""
    query = _ORDERS.where(alerts_seen(seen)).order_by(work_order.c.id.desc()).limit(wanted.limit)
    if wanted.states:
        query = query.where(work_order.c.state.in_(wanted.states))
    if wanted.kinds:
        query = query.where(work_order.c.kind.in_(wanted.kinds))
    if wanted.alert is not None:
        query = query.where(work_order.c.alert_id == wanted.alert)
    if wanted.before is not None:
        query = query.where(work_order.c.id < wanted.before)
    rows = connection.execute(query).all()
    calls = call_backs(connection, [row.alert_id for row in rows if row.kind == OrderKind.CALL_BACK])
    return [_order(row, calls, now_ns) for row in rows]


def call_backs(connection: Connection, alerts: Sequence[int]) -> dict[int, list[str]]:
    """The numbers to call back for those of the alerts that wait for it: the resident's, or all of the home."""
    lives_there = and_(alert.c.resident_id.is_(None), resident.c.home_id == alert.c.home_id)
    query = (
        select(work_order.c.alert_id, resident.c.phone)
        .join(alert, alert.c.id == work_order.c.alert_id)
        .join(resident, or_(resident.c.id == alert.c.resident_id, lives_there))
        .where(work_order.c.kind == OrderKind.CALL_BACK, work_order.c.state.in_(OPEN))
        .where(work_order.c.alert_id.in_(alerts))
        .order_by(resident.c.id)
    )
    found: dict[int, list[str]] = {}
    for row in connection.execute(query):
        if row.phone:
            found.setdefault(row.alert_id, []).append(row.phone)
    return found


def _order(row: Row[Any], calls: dict[int, list[str]], now_ns: int) -> WorkOrder:
    kind, state = OrderKind(row.kind), OrderState(row.state)
    phones = calls.get(row.alert_id, []) if kind is OrderKind.CALL_BACK else [row.volunteer_phone or ""]
    return WorkOrder(
        id=row.id,
        alert=row.alert_id,
        alert_kind=row.alert_kind,
        alert_state=row.alert_state,
        cause=row.cause,
        kind=row.kind,
        state=row.state,
        home=row.home_id,
        home_name=row.home_name,
        address=row.address,
        resident_name=row.resident_name,
        volunteer=row.volunteer_id,
        volunteer_name=row.volunteer_name,
        phones=[phone for phone in phones if phone],
        made=rfc3339(row.made_ns),
        due=time_or_none(row.due_ns),
        opened=time_or_none(row.opened_ns),
        changed=rfc3339(row.changed_ns),
        changed_by=row.changed_by,
        outcome=row.outcome,
        suggested=None if row.outcome not in SUGGESTED else SUGGESTED[row.outcome].value,
        words=row.words,
        is_late=is_late(kind, state, row.made_ns, now_ns),
        allowed=[action.value for action in allowed(kind, state)],
        outcomes=list(outcomes(kind)),
        version=row.version,
    )
