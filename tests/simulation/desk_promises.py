"""What a seed of the desk's simulation is judged by, from the database and from what the channels heard."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Row, func, select

from hearthline.clock import NS
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.escalation import SHIPPED, Policy
from hearthline_cloud.alerts.lifecycle import (
    JOURNAL_KIND,
    LATCHED,
    Action,
    AlertKind,
    State,
    allowed,
    outcomes,
    transitions,
)
from hearthline_cloud.alerts.orders import OPEN
from hearthline_cloud.notify.sending import GIVE_UP_AFTER_S, UNMADE
from simulation.desk_world import LOST, TIMEOUT, BrokenPromiseError, World

_SLACK_S = 30.0  # two rounds, and what a writer may have waited for the database
_ACTS = {kind: action for action, kind in JOURNAL_KIND.items()}


def check_now(world: World) -> None:
    """While it runs: nobody is forgotten, and an open alert has its one timer."""
    with world.database.reading() as connection:
        alerts = connection.execute(select(schema.alert)).all()
        timers = connection.execute(select(schema.escalation).where(schema.escalation.c.fired_ns.is_(None))).all()
    if min(desk.alive_from_s for desk in world.desks) > world.now_s:
        return
    timed = Counter(timer.alert_id for timer in timers)
    for alert in alerts:
        if timed[alert.id] > 1:
            raise BrokenPromiseError(f"alert {alert.id} has {timed[alert.id]} timers")
        if alert.state == State.RESOLVED or alert.id not in world.last_s:
            continue
        last_s, what = world.last_s[alert.id]
        policy = SHIPPED.policy_for(alert.kind, alert.cause, "com-1")
        limit_s = _patience_s(policy, alert.state, what)
        until_s = max(last_s + limit_s, (alert.due_ns - world.offset_ns) / NS + limit_s if _waits(alert) else 0)
        until_s += sum(limit_s for at_s in world.back_s if at_s >= last_s)
        until_s += sum(to_s - max(from_s, last_s) for from_s, to_s in world.down_s if to_s > last_s)
        if world.now_s > until_s + _SLACK_S:
            since = (world.now_s - last_s) / 3600
            raise BrokenPromiseError(
                f"alert {alert.id} ({alert.kind}, {alert.state}) is forgotten: {what} {since:.1f} h ago"
            )


def _waits(alert: Row[Any]) -> bool:
    return bool(alert.state == State.SCHEDULED)


def _patience_s(policy: Policy, state: str, what: str) -> float:
    """How long after `what` nothing may be heard of an open alert."""
    gaps = [after.after_s - before.after_s for before, after in zip(policy.steps, policy.steps[1:], strict=False)]
    climbing_s = max([*gaps, policy.steps[0].after_s, policy.repeat_s])
    if state == State.RAISED or what in ("escalated", "expired"):
        return climbing_s
    return max(policy.progress_s if state == State.ACKNOWLEDGED else policy.visit_s, climbing_s)


def check_end(world: World) -> None:
    """When all faults are over and the desks have had a quiet time."""
    check_now(world)
    check_steps(world)
    check_messages(world)
    check_orders(world)
    check_journal(world)
    check_closing(world)


def check_steps(world: World) -> None:
    """Each step of each climb is told once, in order, and its messages stand in the queue."""
    with world.database.reading() as connection:
        rows = connection.execute(
            select(schema.journal).where(schema.journal.c.kind == "escalated").order_by(schema.journal.c.id)
        ).all()
        counted = select(schema.notification.c.alert_id, func.count()).group_by(schema.notification.c.alert_id)
        queued = {row[0]: row[1] for row in connection.execute(counted)}
    last: dict[int, tuple[int, int]] = {}
    told: Counter[int] = Counter()
    for row in rows:
        step = (row.detail["climb"], row.detail["step"])
        if step <= last.get(row.alert_id, (-1, -1)):
            raise BrokenPromiseError(f"alert {row.alert_id}: step {step} was told again, or out of order")
        last[row.alert_id] = step
        told[row.alert_id] += row.detail["told"]
    for alert, count in told.items():
        if queued.get(alert, 0) < count:
            raise BrokenPromiseError(
                f"alert {alert}: {count} messages were told of, {queued.get(alert, 0)} were queued"
            )


def check_messages(world: World) -> None:
    """At least once each: sent is heard, and what was given up was given up for a reason that holds."""
    with world.database.reading() as connection:
        rows = connection.execute(select(schema.notification)).all()
    keys = {f"hearthline-{row.alert_id}-{row.id}" for row in rows}
    for row in rows:
        key = f"hearthline-{row.alert_id}-{row.id}"
        if row.state == "queued":
            raise BrokenPromiseError(f"{key} still waits")
        if row.state == "sent" and not world.tellings[key]:
            raise BrokenPromiseError(f"{key} is called sent, and nobody heard it")
        if row.result.startswith(UNMADE):
            raise BrokenPromiseError(f"{key}: {row.result}")
        if row.state == "failed" and row.result in (LOST, TIMEOUT) and not _gave_up(row.done_ns - row.created_ns):
            raise BrokenPromiseError(f"{key} was given up too early")
    unknown = {telling.key for telling in world.told} - keys
    if unknown:
        raise BrokenPromiseError(f"{sorted(unknown)} stand in no queue")


def check_orders(world: World) -> None:
    """No order waits for a look that does not come, and nobody is asked twice in one climb."""
    with world.database.reading() as connection:
        rows = connection.execute(select(schema.work_order)).all()
    asked = Counter((row.alert_id, row.climb, row.volunteer_id) for row in rows if row.volunteer_id is not None)
    for (alert, climb, volunteer), count in asked.items():
        if count > 1:
            raise BrokenPromiseError(f"alert {alert}, climb {climb}: {volunteer} was asked {count} times")
    late = [row.id for row in rows if row.due_ns is not None and row.due_ns < world.wall_ns() - _SLACK_S * NS]
    if late:
        raise BrokenPromiseError(f"the work orders {late} are looked at by nobody")


def _gave_up(after_ns: int) -> bool:
    return after_ns > GIVE_UP_AFTER_S * NS


def check_journal(world: World) -> None:
    """The chain holds, and read in order it leads each alert by its table to the state that it has."""
    with world.database.reading() as connection:
        verdict = journal.check(connection)
        alerts = {row.id: row for row in connection.execute(select(schema.alert))}
        rows = connection.execute(select(schema.journal).order_by(schema.journal.c.id)).all()
        events = connection.execute(select(schema.event.c.alert_id, func.count()).group_by(schema.event.c.alert_id))
        presses = {row[0]: row[1] for row in events}
    if verdict.broken_at is not None:
        raise BrokenPromiseError(f"the journal's chain breaks at {verdict.broken_at}")
    states: dict[int, State] = {}
    versions: Counter[int] = Counter()
    pressed: Counter[int] = Counter()
    for row in (row for row in rows if row.alert_id is not None):
        alert = row.alert_id
        if row.kind == "raised":
            states[alert], versions[alert] = State.RAISED, 1
        elif row.kind == "restored":
            states[alert] = State.RESOLVED
            versions[alert] += 1
        elif row.kind in _ACTS:
            step = (states[alert], Action(_ACTS[row.kind]))
            states[alert] = transitions(AlertKind(alerts[alert].kind))[step]
            versions[alert] += 1
            if row.detail["version"] != versions[alert]:
                raise BrokenPromiseError(f"alert {alert}: the journal lacks an act before {row.id}")
        pressed[alert] += row.kind in ("raised", "joined")
    for key, alert_row in alerts.items():
        if (alert_row.state, alert_row.version) != (states[key], versions[key]):
            raise BrokenPromiseError(f"alert {key} is {alert_row.state}, by the journal {states[key]}")
        if alert_row.kind in LATCHED and not pressed[key] == presses.get(key, 0) == alert_row.presses:
            raise BrokenPromiseError(f"alert {key} has {alert_row.presses} presses, {pressed[key]} by the journal")
    if sum(presses.get(key, 0) for key, row in alerts.items() if row.kind in LATCHED) != world.seq:
        raise BrokenPromiseError("a press is in no alert, or in two")


def check_closing(world: World) -> None:
    """No dead state: a person can close whatever is open; then it is still."""
    with world.database.reading() as connection:
        rows = connection.execute(select(schema.alert).where(schema.alert.c.state != State.RESOLVED)).all()
    for row in rows:
        kind = AlertKind(row.kind)
        if Action.RESOLVE not in allowed(State(row.state), kind):
            raise BrokenPromiseError(f"alert {row.id} cannot be closed")
        world.desk.resolve(row.id, outcomes(kind)[0], "mei", world.wall_ns())
    world.read_journal()
    world.turn_began += 1
    before = len(world.told)
    world.advance(world.now_s + 1800)
    with world.database.reading() as connection:
        timers = connection.execute(select(schema.escalation).where(schema.escalation.c.fired_ns.is_(None))).all()
    silent = {row.alert_id for row in timers}
    with world.database.reading() as connection:
        still_open = {row.id for row in connection.execute(select(schema.alert)) if row.state != State.RESOLVED}
    if silent - still_open:
        raise BrokenPromiseError(f"closed alerts {sorted(silent - still_open)} have timers")
    with world.database.reading() as connection:
        left = connection.execute(select(schema.work_order).where(schema.work_order.c.state.in_(OPEN))).all()
    kept = {row.alert_id for row in left} - still_open
    if kept:
        raise BrokenPromiseError(f"closed alerts {sorted(kept)} have open work orders")
    late = {telling.alert for telling in world.told[before:]} - still_open
    if late:
        raise BrokenPromiseError(f"closed alerts {sorted(late)} were told of")
