"""Who has not pressed for a month is called: a planned service call of the home, for the staff or volunteers.

    commissioned home, a pendant not pressed for a month --> service call `pendant-test`, planned for the week to come
    pressed at last, for whatever reason ------------------> closed, unless somebody is on the way

The elder presses, the alarm comes as it would in need, and whoever takes it hears that it is the test. Everything is
derived from the database in each round: a home has one open call, whoever is killed and however many desks there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, literal, select, update

from hearthline.clock import rfc3339
from hearthline.commissioning import What
from hearthline.model import EventType
from hearthline_cloud import journal
from hearthline_cloud.alerts.lifecycle import AlertKind, Category, Outcome, State
from hearthline_cloud.alerts.reminders import call_at_ns, is_due
from hearthline_cloud.alerts.windows import Declared, Place
from hearthline_cloud.database import Database
from hearthline_cloud.declaring import windows
from hearthline_cloud.desk import Changed
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.schema import alert, commissioning, commissioning_step, device, event, gateway, home
from hearthline_cloud.silences import in_bundles

_IS_CALL = (alert.c.kind == AlertKind.SERVICE) & (alert.c.category == Category.PENDANT_TEST)
_IS_OPEN = _IS_CALL & (alert.c.state != State.RESOLVED)


@dataclass(frozen=True, slots=True)
class Pendant:
    """A registered pendant that a report has tried. `last_ns`: its last press, or its commissioning."""

    home: str
    gateway: str
    community: str
    device: str
    resident: str | None
    last_ns: int


def _pressed(gateway_id: ColumnElement[Any], device_id: ColumnElement[Any]) -> Select[Any]:
    """When the center last received a press of the device."""
    same = (event.c.gateway_id == gateway_id) & (event.c.device_id == device_id) & (event.c.type == EventType.ALARM)
    return select(func.max(event.c.received_ns)).where(same)


def pendants(connection: Connection) -> dict[str, list[Pendant]]:
    """Home -> the pendants that a readable report of its gateway has tried."""
    step = commissioning_step
    pressed_ns = func.coalesce(_pressed(device.c.gateway_id, device.c.id).scalar_subquery(), 0)
    query = (
        select(
            gateway.c.home_id,
            gateway.c.id.label("gateway"),
            home.c.community_id,
            device.c.id.label("device"),
            device.c.resident_id,
            pressed_ns.label("pressed_ns"),
            func.max(commissioning.c.ended_ns).label("ended_ns"),
        )
        .select_from(step)
        .join(commissioning, commissioning.c.id == step.c.commissioning_id)
        .join(gateway, gateway.c.id == commissioning.c.gateway_id)
        .join(home, home.c.id == gateway.c.home_id)
        .join(device, (device.c.gateway_id == gateway.c.id) & (device.c.id == step.c.device_id))
        .where(step.c.what == What.PRESS, device.c.registered)
        .group_by(gateway.c.home_id, gateway.c.id, home.c.community_id, device.c.gateway_id, device.c.id)
        .group_by(device.c.resident_id)
        .order_by(gateway.c.home_id, gateway.c.id, device.c.id)
    )
    found: defaultdict[str, list[Pendant]] = defaultdict(list)
    for row in connection.execute(query):
        last_ns = max(row.pressed_ns, row.ended_ns)
        found[row.home_id].append(
            Pendant(row.home_id, row.gateway, row.community_id, row.device, row.resident_id, last_ns)
        )
    return dict(found)


def remind(database: Database, every_days: int, zone: tzinfo, now_ns: int) -> int:
    """Plan the calls that are due, and close those that a press has answered; how many alerts changed."""
    with database.reading() as connection:
        homes = pendants(connection)
        calls = {row.home_id: row for row in connection.execute(select(alert).where(_IS_OPEN))}
        asked = _last_asked(connection)
        declared = windows(connection, now_ns)
    answered = [row for name, row in calls.items() if _is_answered(row, homes.get(name, []), every_days, now_ns)]
    due: list[list[Pendant]] = []
    for name, worn in homes.items():
        place = Place(worn[0].gateway, name, worn[0].community)
        is_away = declared.until(Declared.ABSENCE, place, now_ns) is not None
        overdue = _overdue(worn, asked.get(name, 0), every_days, now_ns)
        if name not in calls and not is_away and overdue:
            due.append(overdue)
    changed = in_bundles(database, answered, lambda connection, row: _close(connection, row, now_ns))
    changed += in_bundles(database, due, lambda connection, worn: _plan(connection, worn, every_days, zone, now_ns))
    return len(changed)


def _overdue(worn: Sequence[Pendant], asked_ns: int, every_days: int, now_ns: int) -> list[Pendant]:
    return [each for each in worn if is_due(max(each.last_ns, asked_ns), every_days, now_ns)]


def _last_asked(connection: Connection) -> dict[str, int]:
    """Home -> when a person closed its last such call; what a press has closed, the press itself tells."""
    last = func.max(alert.c.resolved_ns).label("at_ns")
    is_said = _IS_CALL & (alert.c.state == State.RESOLVED) & (alert.c.resolved_by != SYSTEM)
    query = select(alert.c.home_id, last).where(is_said).group_by(alert.c.home_id)
    return {row.home_id: row.at_ns for row in connection.execute(query)}


def _plan(
    connection: Connection, overdue: Sequence[Pendant], every_days: int, zone: tzinfo, now_ns: int
) -> list[Changed]:
    """Looked at again in the transaction that writes: another desk, a press, or a person may have been first."""
    name = overdue[0].home
    key = f"{AlertKind.SERVICE}:{Category.PENDANT_TEST}:home:{name}"  # no press joins it
    before = connection.execute(
        select(alert).where(alert.c.join_key == key).order_by(alert.c.id.desc()).limit(1)
    ).first()
    if before is not None and not _may_follow(before, every_days, now_ns):
        return []
    still = [each for each in overdue if is_due(_last_press(connection, each), every_days, now_ns)]
    if not still:
        return []
    due_ns = call_at_ns(name, now_ns, zone)
    values = {
        "kind": AlertKind.SERVICE,
        "join_key": key,
        "state": State.SCHEDULED,
        "home_id": name,
        "resident_id": still[0].resident,
        "gateway_id": still[0].gateway,
        "device_id": still[0].device,
        "raised_ns": now_ns,
        "category": Category.PENDANT_TEST,
        "due_ns": due_ns,
        "provider": "",
    }
    number = connection.execute(insert(alert).values(**values).returning(alert.c.id)).scalar_one()
    detail = {"state": State.SCHEDULED.value, "category": Category.PENDANT_TEST.value, "due": rfc3339(due_ns)}
    devices = [each.device for each in still]
    journal.append(connection, "scheduled", now_ns, {**detail, "devices": devices}, alert=number, actor=SYSTEM)
    return [Changed(number, State.SCHEDULED, 1)]


def _may_follow(before: Row[Any], every_days: int, now_ns: int) -> bool:
    """Whether there may be another call after this one: it is closed, and by a person long ago."""
    if before.state != State.RESOLVED:
        return False
    return before.resolved_by == SYSTEM or is_due(before.resolved_ns, every_days, now_ns)


def _last_press(connection: Connection, worn: Pendant) -> int:
    return connection.execute(_pressed(literal(worn.gateway), literal(worn.device))).scalar() or 0


def _is_answered(row: Row[Any], worn: Sequence[Pendant], every_days: int, now_ns: int) -> bool:
    """No pendant waits for its press any more; who is on the way closes it himself. One that a person planned stays."""
    is_ours = row.state == State.SCHEDULED and row.acknowledged_by is None
    return is_ours and not _overdue(worn, 0, every_days, now_ns)


def _close(connection: Connection, row: Row[Any], now_ns: int) -> list[Changed]:
    values = {"state": State.RESOLVED, "outcome": Outcome.SERVICE_DONE, "version": row.version + 1}
    values |= {"resolved_by": SYSTEM, "resolved_ns": now_ns}
    same = (alert.c.id == row.id) & (alert.c.version == row.version) & (alert.c.state == State.SCHEDULED)
    changed = connection.execute(update(alert).where(same).values(**values).returning(alert.c.id)).first()
    if changed is None:
        return []
    detail = {"state": State.RESOLVED.value, "version": row.version + 1, "outcome": Outcome.SERVICE_DONE.value}
    journal.append(connection, "resolved", now_ns, detail, alert=row.id, actor=SYSTEM)
    return [Changed(row.id, State.RESOLVED, row.version + 1)]
