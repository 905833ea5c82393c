"""The queue of service calls: what is due the longest first, whether it was planned or only asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, select

from hearthline.clock import rfc3339
from hearthline_cloud.alerts.lifecycle import AlertKind, Category, State
from hearthline_cloud.api.alert_reads import ALERTS, shown, time_or_none
from hearthline_cloud.api.model import Alert, ServiceCall, ServiceCalls
from hearthline_cloud.schema import alert
from hearthline_cloud.scoping import Communities, alerts_seen

MAX_CALLS = 500
_OPEN = (alert.c.kind == AlertKind.SERVICE) & (alert.c.state != State.RESOLVED)


def list_service(connection: Connection, now_ns: int, limit: int, seen: Communities) -> ServiceCalls:
    """The open service calls in the order in which they need somebody."""
    since, is_meant = _since(), _OPEN & alerts_seen(seen)
    rows = connection.execute(ALERTS.where(is_meant).order_by(since, alert.c.id).limit(limit)).all()
    total = connection.execute(select(func.count()).select_from(alert).where(is_meant)).scalar_one()
    homes: defaultdict[tuple[str | None, str], list[Row[Any]]] = defaultdict(list)
    for row in rows:
        homes[_place(row)].append(row)
    calls = zip(rows, shown(connection, rows), strict=True)
    return ServiceCalls([_call(row, call, homes[_place(row)], now_ns) for row, call in calls], total)


def _since() -> ColumnElement[Any]:
    """What nobody has planned is due since it was asked for."""
    return case((alert.c.state == State.SCHEDULED, alert.c.due_ns), else_=alert.c.raised_ns)


def _place(row: Row[Any]) -> tuple[str | None, str]:
    return (row.home_id, "" if row.home_id else row.gateway_id)


def _call(row: Row[Any], call: Alert, of_home: Sequence[Row[Any]], now_ns: int) -> ServiceCall:
    is_planned = row.state == State.SCHEDULED
    since_ns = row.due_ns if is_planned else row.raised_ns
    others = [other for other in of_home if other.id != row.id]
    wishes = [other for other in others if other.category not in (None, Category.PENDANT_TEST)]
    planned = [] if is_planned else [other.id for other in wishes]
    asked = [other.last_press_ns or other.raised_ns for other in others if is_planned and other.category is None]
    return ServiceCall(
        call=call,
        since=rfc3339(since_ns),
        overdue=is_planned and since_ns < now_ns,
        planned=planned,
        asked_again=time_or_none(max(asked, default=None)),
    )
