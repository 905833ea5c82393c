"""A table of figures with the names that its lines have for people, by what its reader may see.

Figures of a member of the staff are about that person's work: administrators and auditors
see everybody's, others the own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from hearthline_cloud.alerts.figures import Calendar, Case, Line, Month, table
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.figuring import Period, read_cases
from hearthline_cloud.ordering import volunteer_actor
from hearthline_cloud.people import Session
from hearthline_cloud.permissions import Permission
from hearthline_cloud.schema import community, device, gateway, home, volunteer
from hearthline_cloud.scoping import EVERY, Communities, communities_seen


class By(StrEnum):
    MONTH = "month"
    COMMUNITY = "community"
    OPERATOR = "operator"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Cases of one kind, raised from the first month to the last, of one community or all."""

    first: Month
    last: Month
    by: By = By.MONTH
    kind: AlertKind = AlertKind.EMERGENCY
    community: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """One line. `key` empty: nobody has answered yet, or the community is not known."""

    key: str
    name: str
    line: Line


@dataclass(frozen=True, slots=True)
class Report:
    """`is_own`: of the operators' lines only the reader's own is here."""

    wanted: Wanted
    total: Line
    groups: list[Group]
    is_own: bool


def report(connection: Connection, wanted: Wanted, zone: ZoneInfo, reader: Session, now_ns: int) -> Report:
    calendar = Calendar(wanted.first, wanted.last, zone)
    period = Period(wanted.kind, calendar.begin_ns, calendar.end_ns, _communities(wanted, reader))
    cases = read_cases(connection, period)
    total, lines = table(cases, _key(connection, wanted.by, calendar), now_ns)
    is_own = wanted.by is By.OPERATOR and not reader.may(Permission.EVERYBODYS_FIGURES)
    if is_own:
        lines = {key: line for key, line in lines.items() if key == reader.staff}
    names = _names(connection, wanted.by)
    groups = [Group(key, names.get(key, key), line) for key, line in lines.items()]
    if wanted.by is By.DEVICE:
        groups.sort(key=lambda group: -group.line.false_alarm.count)
    elif wanted.by is not By.MONTH:
        groups.sort(key=lambda group: group.name)
    return Report(wanted, total, groups, is_own)


def _communities(wanted: Wanted, reader: Session) -> Communities:
    """Of a community that the reader does not see there is nothing."""
    if wanted.community is None:
        return reader.communities
    asked = frozenset({wanted.community})
    return asked if reader.communities is None else asked & reader.communities


def list_communities(connection: Connection, seen: Communities) -> list[tuple[str, str]]:
    """(id, name), by name."""
    query = select(community.c.id, community.c.name).where(communities_seen(seen, community.c.id))
    query = query.order_by(community.c.name, community.c.id)
    return [(row.id, row.name) for row in connection.execute(query)]


def _key(connection: Connection, by: By, calendar: Calendar) -> Callable[[Case], str]:
    match by:
        case By.MONTH:
            words = {month: str(month) for month in calendar.months}
            return lambda case: words[calendar.month(case.raised_ns)]
        case By.OPERATOR:
            return lambda case: case.answered_by or ""
        case By.DEVICE:
            return lambda case: f"{case.gateway} {case.device}"
        case By.COMMUNITY:
            homes = select(home.c.id, home.c.community_id)
            belongs: dict[str | None, str] = {row.id: row.community_id for row in connection.execute(homes)}
            return lambda case: belongs.get(case.home, "")


def _names(connection: Connection, by: By) -> Mapping[str, str]:
    match by:
        case By.COMMUNITY:
            return dict(list_communities(connection, EVERY))
        case By.DEVICE:
            query = (
                select(device.c.gateway_id, device.c.id, device.c.name, device.c.room, home.c.name.label("home_name"))
                .join(gateway, gateway.c.id == device.c.gateway_id)
                .outerjoin(home, home.c.id == gateway.c.home_id)
            )
            return {
                f"{row.gateway_id} {row.id}": " · ".join(filter(None, (row.home_name, row.room, row.name or row.id)))
                for row in connection.execute(query)
            }
        case By.OPERATOR:
            people = select(volunteer.c.id, volunteer.c.name)
            return {volunteer_actor(row.id): row.name for row in connection.execute(people)}
        case By.MONTH:
            return {}
