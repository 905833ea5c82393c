"""The desk role's escalation: a round each second sets, moves and fires the timers of the open alerts.

An alert's timer is derived from the alert, so none can be forgotten: whatever raised or reopened it, and whenever this
process was killed, an open alert without a timer is found by the next round. A firing is claimed, its messages queued
and the next timer set in one transaction; indexes allow one timer an alert and one firing a step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS
from hearthline.log import Log
from hearthline_cloud import journal, ordering, schema
from hearthline_cloud.alerts.escalation import (
    AlertView,
    Firing,
    Move,
    Policies,
    Policy,
    Reach,
    Timer,
    Waits,
    advance,
    deliveries,
    stale_after_ns,
)
from hearthline_cloud.alerts.lifecycle import State
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database, is_away, upsert
from hearthline_cloud.desk import beat
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.links import open_links
from hearthline_cloud.metrics.instruments import ESCALATION_LAG_SECONDS
from hearthline_cloud.notify.channels import Opened, open_channels
from hearthline_cloud.notify.retention import delete_finished
from hearthline_cloud.notify.sending import Worker, contact_phones
from hearthline_cloud.ordering import follow_orders
from hearthline_cloud.policy_store import holding, newest_version
from hearthline_cloud.stuck import Fail, Stuck, take_each
from hearthline_cloud.telling import Fault, failing_channels, link_faults, policy_faults
from hearthline_cloud.wake import Waker

ROLE = "escalation"  # of the heartbeat that says how it stands
PERIOD_S = 1.0
_BEAT_S = 5.0
_LOOK_S = 60.0  # between two searches of the schedules for gaps, and of the queue for what is old
_STOP_S = 1.0
_AT_ONCE = 20  # alerts a transaction: a press waits for no longer one
_BREATH_S = 0.02  # between two of them: who waits for the lock looks every 2 ms, and would never find it free
log = Log(__name__)

_alert = schema.alert
_timer = schema.escalation
_SIDES = (_alert.c.state < State.RESOLVED, _alert.c.state > State.RESOLVED)  # `<>` walks an index of all there were
_COUNTS = ("hastened", "presses", "hurried")
_BELOW, _ABOVE = (select(func.count()).where(side).scalar_subquery() for side in _SIDES)
_OPEN_COUNT = select(_BELOW + _ABOVE)
_TIMER_COUNT = select(func.count()).select_from(_timer).where(_timer.c.fired_ns.is_(None))
_TIMER_COLUMNS = [
    _timer.c.id.label("timer_id"),
    *(
        _timer.c[name].label(f"timer_{name}")
        for name in ("climb", "step", "waits_for", "began_ns", "due_ns", "set_ns", "version", *_COUNTS)
    ),
]
_pending = and_(_timer.c.alert_id == _alert.c.id, _timer.c.fired_ns.is_(None))
_WITHOUT = select(_alert.c.id).where(or_(*_SIDES), ~select(_timer.c.id).where(_pending).correlate(_alert).exists())
_LOOKED_AT = (
    select(_alert, schema.home.c.community_id, *_TIMER_COLUMNS)
    .select_from(_alert)
    .outerjoin(_timer, _pending)
    .outerjoin(schema.home, schema.home.c.id == _alert.c.home_id)
)


class Escalator:
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: CloudConfig, database: Database) -> None:
        """Raises ConfigError for a channel that is wrong."""
        channels = open_channels(config.channel)
        self._reaches = tuple(opened.reach for opened in channels)
        self._links = open_links(config)
        self._link_faults = link_faults(config.web.public_url, self._reaches)
        self._database = database
        self._message_days = config.retention.messages_days
        with database.reading() as connection:
            self._held = holding(connection)
        self._policy_faults: list[Fault] = []
        self._stuck = Stuck()
        self._told: set[str] = set()  # faults that the log has
        self._looked_at = float("-inf")
        self._waker = Waker(config.directory)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._beaten_at = float("-inf")
        self._threads = [self._thread("escalation", self._climb)]
        self._threads += [self._thread(f"notify-{opened.config.name}", self._worker(opened)) for opened in channels]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Within a second; a channel that hangs is left to the end of the process, its message to the next."""
        self._stopping.set()
        deadline = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(timeout=max(deadline - time.monotonic(), 0))
        self._waker.close()

    def rules(self) -> tuple[Policies, tuple[Reach, ...]]:
        """What it decides by."""
        return self._held.policies, self._reaches

    def failed(self) -> BaseException | None:
        """The bug that ended one of the threads, if one did."""
        return self._failure

    def _thread(self, name: str, run: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(run,), name=name, daemon=True)

    def _worker(self, opened: Opened) -> Callable[[], None]:
        return Worker(self._database, self._waker, opened, self._stopping, links=self._links).run

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # told to the watching thread, which ends the process
            self._failure = error
            log.exception("escalation died")
            raise

    def _climb(self) -> None:
        while not self._stopping.is_set():
            try:
                self._keep_up()
                changed = self._round()
                self._beat()
            except SQLAlchemyError as error:
                if not is_away(error):
                    raise
                log.error("database away, escalation waits", error=str(error))
                changed = 0
            if changed:
                self._waker.wake("web")
            else:
                self._stopping.wait(PERIOD_S)

    def _round(self) -> int:
        changed = escalate_once(
            self._database,
            self._held.policies,
            self._reaches,
            time.time_ns(),
            lambda: self._stopping.wait(_BREATH_S),
            self._stuck.failed,
        )
        changed += follow_orders(self._database, self._reaches, time.time_ns(), self._stuck.failed)
        self._stuck.end_round()
        return changed

    def _keep_up(self) -> None:
        """Go by the version of the policies that was saved last; now and then look ahead, and clear up."""
        now_ns = time.time_ns()
        with self._database.reading() as connection:
            is_new = newest_version(connection) != self._held.newest
            if is_new:
                self._held = holding(connection)
        if is_new:
            log.info("the policies are another version", version=self._held.version)
        if is_new or time.monotonic() - self._looked_at >= _LOOK_S:
            self._policy_faults = policy_faults(self._held, self._reaches, now_ns)
            delete_finished(self._database, self._message_days, now_ns)
            self._looked_at = time.monotonic()

    def _beat(self) -> None:
        """Say that escalation lives, by which policies, and in words what it cannot do."""
        if time.monotonic() - self._beaten_at < _BEAT_S:
            return
        now_ns = time.time_ns()
        faults = [*self._stuck.faults(), *self._policy_faults, *self._link_faults]
        with self._database.reading() as connection:
            faults += failing_channels(connection, self._reaches, now_ns)
        with self._database.transaction() as connection:
            channels = [reach.name for reach in self._reaches]
            detail = {"channels": channels, "policy": self._held.version, "faults": [each.as_row() for each in faults]}
            beat(connection, ROLE, now_ns, detail)
        for fault in {str(each) for each in faults} - self._told:
            log.warning("telling people does not work as it should", fault=fault)
        self._told = {str(each) for each in faults}
        self._beaten_at = time.monotonic()


def escalate_once(
    database: Database,
    policies: Policies,
    reaches: Sequence[Reach],
    now_ns: int,
    breathe: Callable[[], object] = lambda: None,
    fail: Fail | None = None,
) -> int:
    """One round: how many alerts it changed. Again at once until it is 0: a late desk has more than one step to do.

    Looks on a snapshot, so that no alarm waits for it; what it found is looked at again in the transaction that writes.
    `breathe` is called after each of them, to leave the database to others. `fail` gets an alert that cannot be taken.
    """
    with database.reading() as connection:
        found = _in_need(connection, now_ns)
    changed = 0
    for first in range(0, len(found), _AT_ONCE):
        some = found[first : first + _AT_ONCE]
        changed += take_each(database, some, partial(_take, policies, tuple(reaches), now_ns), fail)
        breathe()
    return changed


def _in_need(connection: Connection, now_ns: int) -> list[int]:
    """The alerts whose timer is missing, due, behind the alert's acts or presses, of another time, or left over.

    It runs each second over all open alerts: one walk along their timers; and since no alert has two, counting both
    tells whether an alert is without.
    """
    needs = or_(
        _timer.c.due_ns <= now_ns,
        _timer.c.version != _alert.c.version,
        _timer.c.presses < _alert.c.presses,
        _timer.c.hastened != _alert.c.hastened,
        _timer.c.set_ns > stale_after_ns(now_ns),
        _alert.c.state == State.RESOLVED,
    )
    columns = select(_alert.c.id, _alert.c.state).select_from(_timer)
    behind = connection.execute(columns.join(_alert, _pending).where(_timer.c.fired_ns.is_(None), needs)).all()
    found = [row.id for row in behind]
    left_over = sum(row.state == State.RESOLVED for row in behind)
    if connection.execute(_OPEN_COUNT).scalar_one() > connection.execute(_TIMER_COUNT).scalar_one() - left_over:
        found += connection.execute(_WITHOUT).scalars()
    return sorted(set(found))


def _take(policies: Policies, reaches: tuple[Reach, ...], now_ns: int, connection: Connection, alert_id: int) -> bool:
    """Do what is due for one alert, if it still is."""
    row = connection.execute(_LOOKED_AT.where(_alert.c.id == alert_id)).one()
    timer = _timer_of(row)
    last_climb = -1 if timer is not None else _last_climb(connection, alert_id)
    policy = policies.policy_for(row.kind, row.cause, row.community_id or "")
    move = advance(policy, _view(row), timer, last_climb, now_ns)
    if move.timer == timer:
        return False
    if timer is None:
        assert move.timer is not None
        return _set_first(connection, alert_id, move.timer)
    if move.timer is not None and (move.timer.climb, move.timer.step) == (timer.climb, timer.step):
        return _move(connection, row.timer_id, move.timer)
    if not _close(connection, row.timer_id, now_ns):
        return False
    _follow(connection, row, move, reaches, now_ns, policies, policy)
    return True


def _view(row: Row[Any]) -> AlertView:
    acts = [at for at in (row.acknowledged_ns, row.attending_ns, row.arrived_ns) if at is not None]
    touched_ns = max(acts, default=None)
    return AlertView(
        row.kind,
        row.state,
        row.raised_ns,
        row.version,
        touched_ns,
        hastened=row.hastened,
        presses=row.presses,
        pressed_ns=row.last_press_ns,
        due_ns=row.due_ns,
    )


def _timer_of(row: Row[Any]) -> Timer | None:
    if row.timer_id is None:
        return None
    return Timer(
        row.timer_climb,
        row.timer_step,
        Waits(row.timer_waits_for),
        row.timer_began_ns,
        row.timer_due_ns,
        row.timer_set_ns,
        row.timer_version,
        hastened=row.timer_hastened,
        presses=row.timer_presses,
        hurried=row.timer_hurried,
    )


def _last_climb(connection: Connection, alert_id: int) -> int:
    last = connection.execute(select(func.max(_timer.c.climb)).where(_timer.c.alert_id == alert_id)).scalar()
    return -1 if last is None else int(last)


def _values(alert_id: int, timer: Timer) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "climb": timer.climb,
        "step": timer.step,
        "waits_for": timer.waits_for,
        "began_ns": timer.began_ns,
        "due_ns": timer.due_ns,
        "set_ns": timer.set_ns,
        "version": timer.version,
        "hastened": timer.hastened,
        "presses": timer.presses,
        "hurried": timer.hurried,
    }


def _set_first(connection: Connection, alert_id: int, timer: Timer) -> bool:
    """Another desk may set it at the same moment: there is one timer an alert."""
    made = connection.execute(upsert(connection, _timer).values(_values(alert_id, timer)).on_conflict_do_nothing())
    return bool(made.rowcount)


def _move(connection: Connection, timer_id: int, timer: Timer) -> bool:
    moved = ("waits_for", "began_ns", "due_ns", "set_ns", "version", *_COUNTS)
    values = {name: getattr(timer, name) for name in moved}
    where = (_timer.c.id == timer_id) & _timer.c.fired_ns.is_(None)
    return bool(connection.execute(update(_timer).where(where).values(**values)).rowcount)


def _close(connection: Connection, timer_id: int, now_ns: int) -> bool:
    """Claim the timer: of all desks one."""
    where = (_timer.c.id == timer_id) & _timer.c.fired_ns.is_(None)
    return bool(connection.execute(update(_timer).where(where).values(fired_ns=now_ns)).rowcount)


def _follow(
    connection: Connection,
    row: Row[Any],
    move: Move,
    reaches: tuple[Reach, ...],
    now_ns: int,
    policies: Policies,
    policy: Policy,
) -> None:
    """What a claimed timer leads to: messages in the queue, work orders, the journal, the next timer."""
    if move.firing is not None:
        ESCALATION_LAG_SECONDS.observe(max(now_ns - row.timer_due_ns, 0) / NS)
        on_duty = policies.on_duty(move.firing, now_ns)
        told = _queue(connection, row, move.firing, reaches, on_duty, now_ns)
        orders, messages = _order(connection, row, move.firing, policy, reaches, now_ns)
        targets = [str(target) for target in move.firing.targets]
        detail: dict[str, Any] = {
            "policy": policy.name,
            "climb": move.firing.climb,
            "step": move.firing.step,
            "to": targets,
            "told": told + messages,
            "orders": orders,
        }
        if on_duty:
            detail["on_duty"] = {name: sorted(staff) for name, staff in on_duty.items()}
        journal.append(connection, "escalated", now_ns, detail, alert=row.id, actor=SYSTEM)
    elif move.expired:
        detail = {"policy": policy.name, "state": row.state}
        journal.append(connection, "expired", now_ns, detail, alert=row.id, actor=SYSTEM)
    else:  # the alert is closed, or was reopened: nothing was told by this timer
        connection.execute(update(_timer).where(_timer.c.id == row.timer_id).values(waits_for="closed"))
    if move.timer is not None:
        connection.execute(insert(_timer).values(_values(row.id, move.timer)))


def _order(
    connection: Connection, row: Row[Any], firing: Firing, policy: Policy, reaches: tuple[Reach, ...], now_ns: int
) -> tuple[int, int]:
    """Make the step's work orders; how many there are, and how many messages tell of them."""
    step, wait_ns = (row.timer_id, firing.climb), round(policy.volunteer_s * NS)
    orders = dict.fromkeys(target for target in firing.targets if target.kind in ordering.KINDS)
    made = [ordering.issue(connection, row, target, step, wait_ns, reaches, now_ns) for target in orders]
    return sum(count for count, _ in made), sum(messages for _, messages in made)


def _queue(
    connection: Connection,
    row: Row[Any],
    firing: Firing,
    reaches: tuple[Reach, ...],
    on_duty: Mapping[str, frozenset[str]],
    now_ns: int,
) -> int:
    """How many messages the step put into the queue."""
    contacts = len(contact_phones(connection, row.resident_id, row.home_id))
    found = deliveries(firing, reaches, contacts, on_duty)
    for delivery in found:
        connection.execute(
            insert(schema.notification).values(
                escalation_id=row.timer_id,
                alert_id=row.id,
                channel=delivery.channel,
                contact=-1 if delivery.contact is None else delivery.contact,
                created_ns=now_ns,
                next_try_ns=now_ns,
            )
        )
    return len(found)
