"""Whose homes an account sees: those of its communities, or all of them. What belongs to no home is seen by everybody.

An unregistered gateway's alarm, and the center's own, have no community: whoever answers alarms is shown them. So is
one whose home the registry does not know. In doubt an alarm is shown; anything else in doubt is not.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, true

from hearthline_cloud.alerts.windows import Scope
from hearthline_cloud.permissions import GRANTED, Permission
from hearthline_cloud.schema import (
    alert,
    declared,
    gateway,
    home,
    resident,
    staff,
    staff_community,
    work_order,
)

Communities = frozenset[str] | None
"""The ids of an account's communities; None: every one, also those that do not exist yet."""

EVERY: Communities = None


def homes_seen(seen: Communities, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """A home's id that is one of theirs; never NULL, unless all are seen."""
    if seen is None:
        return true()
    return column.in_(select(home.c.id).where(home.c.community_id.in_(sorted(seen))))


def homes_not_hidden(seen: Communities, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """A home's id that is not known to be another's; NULL and unknown homes are shown."""
    if seen is None:
        return true()
    others = select(home.c.id).where(home.c.community_id.not_in(sorted(seen)))
    return or_(column.is_(None), column.not_in(others))


def alerts_seen(seen: Communities) -> ColumnElement[bool]:
    """For a query over `alert`."""
    return homes_not_hidden(seen, alert.c.home_id)


def gateways_seen(seen: Communities, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """A gateway's id that is theirs or nobody's, e.g. of an event."""
    if seen is None:
        return true()
    return column.not_in(select(gateway.c.id).where(~homes_not_hidden(seen, gateway.c.home_id)))


def communities_seen(seen: Communities, column: ColumnElement[Any]) -> ColumnElement[bool]:
    return true() if seen is None else column.in_(sorted(seen))


def declared_seen(seen: Communities) -> ColumnElement[bool]:
    """For a query over `declared`: what holds for a place that they see."""
    if seen is None:
        return true()
    scope, place = declared.c.scope, declared.c.scope_id
    return or_(
        and_(scope == Scope.COMMUNITY, communities_seen(seen, place)),
        and_(scope == Scope.HOME, homes_seen(seen, place)),
        and_(scope == Scope.GATEWAY, gateways_seen(seen, place)),
    )


def answering(seen: Communities) -> ColumnElement[bool]:
    """For a query over `staff`: who answers alarms of one of these communities; None: of any."""
    roles = [role.value for role, granted in GRANTED.items() if Permission.ANSWER in granted]
    is_able = and_(staff.c.role.in_(roles), ~staff.c.disabled)
    if seen is None:
        return is_able
    belongs = select(staff_community.c.staff_name).where(communities_seen(seen, staff_community.c.community_id))
    return and_(is_able, or_(staff.c.center_wide, staff.c.name.in_(belongs)))


def sees_place(connection: Connection, seen: Communities, scope: Scope, name: str) -> bool:
    """Whether the community, home or gateway is theirs. A gateway that is nobody's is everybody's."""
    if seen is None:
        return True
    match scope:
        case Scope.COMMUNITY:
            return name in seen
        case Scope.HOME:
            return _exists(connection, home, name, homes_seen(seen, home.c.id))
        case Scope.GATEWAY:
            return not _exists(connection, gateway, name, ~homes_not_hidden(seen, gateway.c.home_id))


def sees_alert(connection: Connection, seen: Communities, alert_id: int) -> bool:
    return not _exists(connection, alert, alert_id, ~alerts_seen(seen))


def sees_order(connection: Connection, seen: Communities, order_id: int) -> bool:
    alert_id = connection.execute(select(work_order.c.alert_id).where(work_order.c.id == order_id)).scalar()
    return alert_id is None or sees_alert(connection, seen, alert_id)


def sees_resident(connection: Connection, seen: Communities, resident_id: str) -> bool:
    return _exists(connection, resident, resident_id, homes_seen(seen, resident.c.home_id))


def sees_declared(connection: Connection, seen: Communities, number: int) -> bool:
    return not _exists(connection, declared, number, ~declared_seen(seen))


def _exists(connection: Connection, table: Table, key: Any, condition: ColumnElement[bool]) -> bool:
    """Whether the row of that key has the condition."""
    return connection.execute(select(table.c.id).where(table.c.id == key, condition)).first() is not None
