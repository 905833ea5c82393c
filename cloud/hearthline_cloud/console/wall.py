"""What the big screen of the center shows: the most urgent open cases, what is silent, and today's figures.

Everybody in the room reads it, visitors too: nobody's name or address is on it, and a home goes by the pseudonymous
id that the wire uses, unless the center has decided to show the names of homes and rooms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, select

from hearthline.clock import NS, rfc3339
from hearthline_cloud.alerts.lifecycle import LATCHED, AlertKind, Outcome, State, urgency
from hearthline_cloud.schema import alert, device, home
from hearthline_cloud.scoping import Communities, alerts_seen

CASES = 7  # that fit a screen of 1920 x 1080 in letters to be read at 5 m
SILENCES = 6
_PROMPT_S, _LATE_S = 60, 180
_DAY_NS = 86_400 * NS

_LATCHED = [kind.value for kind in LATCHED]
_OPEN = alert.c.state != State.RESOLVED
_SILENT = _OPEN & alert.c.kind.not_in([*_LATCHED, AlertKind.CENTER_BLIND, AlertKind.ACCESS_FAULT])
_CALL = alert.c.kind.in_(_LATCHED)


@dataclass(frozen=True, slots=True)
class Line:
    """One case or one silence. `place` is empty for what belongs to no home."""

    number: int
    kind: str
    cause: str
    state: str
    place: str
    room: str
    urgency: int
    raised: str


@dataclass(frozen=True, slots=True)
class Call:
    """Of one call of today: when it was raised, when a person had it, and how it ended."""

    raised_ns: int
    answered_ns: int | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Today:
    """Figures since midnight; None where there is nothing to count yet."""

    calls: int
    median_s: float | None
    prompt_percent: int | None
    late_percent: int | None
    false_alarms: int


@dataclass(frozen=True, slots=True)
class Wall:
    cases: list[Line]
    open: int
    silences: list[Line]
    silent: int
    today: Today


def look(connection: Connection, since_ns: int, now_ns: int, names: bool, seen: Communities) -> Wall:
    """`since_ns`: when today began; `names`: whether homes and rooms are named."""
    is_seen = alerts_seen(seen)
    return Wall(
        cases=_lines(connection, _OPEN & _CALL & is_seen, CASES, names),
        open=_count(connection, _OPEN & _CALL & is_seen),
        silences=_lines(connection, _SILENT & is_seen, SILENCES, names),
        silent=_count(connection, _SILENT & is_seen),
        today=figures(_calls(connection, since_ns, is_seen), now_ns),
    )


def midnight_ns(now_ns: int, utc_offset_min: int) -> int:
    """When today began in that time zone."""
    ahead_ns = utc_offset_min * 60 * NS
    return (now_ns + ahead_ns) // _DAY_NS * _DAY_NS - ahead_ns


def figures(calls: Sequence[Call], now_ns: int) -> Today:
    """A call that nobody has answered counts as late once its time is over, and not at all before."""
    waits = [(call.answered_ns - call.raised_ns) / NS for call in calls if call.answered_ns is not None]
    waiting = [(now_ns - call.raised_ns) / NS for call in calls if call.answered_ns is None]
    return Today(
        calls=len(calls),
        median_s=median(waits) if waits else None,
        prompt_percent=_share_within(_PROMPT_S, waits, waiting),
        late_percent=_share_within(_LATE_S, waits, waiting),
        false_alarms=sum(call.outcome == Outcome.FALSE_ALARM for call in calls),
    )


def _share_within(limit_s: int, waits: list[float], waiting: list[float]) -> int | None:
    """In whole per cent, rounded down: 100 means all."""
    counted = len(waits) + sum(so_far > limit_s for so_far in waiting)
    return 100 * sum(wait <= limit_s for wait in waits) // counted if counted else None


def _lines(connection: Connection, which: ColumnElement[bool], limit: int, names: bool) -> list[Line]:
    """What nobody has first, what is planned last; emergencies before service calls, the urgent, the longer waiting."""
    order = (
        case((alert.c.state == State.RAISED, 0), (alert.c.state == State.SCHEDULED, 2), else_=1),
        case((alert.c.kind == AlertKind.SERVICE, 1), else_=0),
        case((alert.c.presses > 2, 0), (alert.c.presses == 2, 1), else_=2),
        alert.c.raised_ns,
    )
    query = (
        select(alert, home.c.name.label("home_name"), device.c.room)
        .outerjoin(home, home.c.id == alert.c.home_id)
        .outerjoin(device, and_(device.c.gateway_id == alert.c.gateway_id, device.c.id == alert.c.device_id))
    )
    return [_line(row, names) for row in connection.execute(query.where(which).order_by(*order).limit(limit))]


def _line(row: Row[Any], names: bool) -> Line:
    return Line(
        number=row.id,
        kind=row.kind,
        cause=row.cause,
        state=row.state,
        place=(row.home_name if names else row.home_id) or row.gateway_id or "",
        room=(row.room or "") if names else "",
        urgency=urgency(row.presses),
        raised=rfc3339(row.raised_ns),
    )


def _count(connection: Connection, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(alert).where(which)).scalar_one()


def _calls(connection: Connection, since_ns: int, which: ColumnElement[bool]) -> list[Call]:
    query = select(alert.c.raised_ns, alert.c.acknowledged_ns, alert.c.outcome)
    return [Call(*row) for row in connection.execute(query.where(_CALL, which, alert.c.raised_ns >= since_ns))]
