"""What operators do to an alert, each in one transaction: a step of `lifecycle.TRANSITIONS`, or a note.

Two operators who reach for one alert: the first has it, the second is told who and what. When the first person takes an
alert, the home of every device that was pressed gets the command "a person has accepted" in the same transaction.

`alert.version` counts what people did. A press that joins changes no state, so nobody loses his click to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import uuid_utils
from sqlalchemy import Connection, Row, func, insert, select, update

from hearthline.clock import NS, rfc3339
from hearthline.errors import RefusedError
from hearthline.model import EventType, HomeSignal
from hearthline_cloud import journal
from hearthline_cloud.alerts.lifecycle import (
    JOURNAL_KIND,
    Action,
    AlertKind,
    Case,
    ImpossibleError,
    Outcome,
    Plan,
    Refusal,
    State,
    Step,
    Wish,
    act,
    planned_key,
    transitions,
)
from hearthline_cloud.alerts.service import SHIPPED_MEALS, Timetable, check_plan
from hearthline_cloud.database import Database
from hearthline_cloud.metrics.instruments import ALARM_ACKNOWLEDGED_SECONDS
from hearthline_cloud.personal.vault import note
from hearthline_cloud.schema import Urgency
from hearthline_cloud.schema import alert as alert_table
from hearthline_cloud.schema import command as command_table
from hearthline_cloud.schema import event as event_table
from hearthline_cloud.schema import heartbeat as heartbeat_table
from hearthline_cloud.schema import home as home_table
from hearthline_cloud.schema import journal as journal_table
from hearthline_cloud.schema import staff as staff_table
from hearthline_cloud.scoping import answering
from hearthline_cloud.wake import Waker

MAX_NOTE = 2000


class NotFoundError(RefusedError):
    """There is no such alert, resident, home or device."""


@dataclass(frozen=True, slots=True)
class First:
    """Who changed an alert last, how (the journal's word), to what, when; `to`: whom it was handed to."""

    actor: str
    did: str
    state: str
    at_ns: int
    to: str | None = None


class ConflictError(RefusedError):
    """Somebody else was first; `first` says who (None: the system)."""

    def __init__(self, message: str, first: First | None, version: int) -> None:
        super().__init__(message)
        self.first = first
        self.version = version


@dataclass(frozen=True, slots=True)
class Changed:
    """An alert after an action."""

    alert_id: int
    state: State
    version: int


class Desk:
    """The alert desk of one database. `waker` tells the other roles after each commit."""

    def __init__(self, database: Database, waker: Waker, meals: Timetable = SHIPPED_MEALS) -> None:
        self._database = database
        self._waker = waker
        self._meals = meals

    def acknowledge(self, alert_id: int, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.ACKNOWLEDGE, actor), now_ns, version)

    def attend(self, alert_id: int, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.ATTEND, actor), now_ns, version)

    def arrive(self, alert_id: int, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.ARRIVE, actor), now_ns, version)

    def schedule(self, alert_id: int, plan: Plan, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.SCHEDULE, actor, plan=plan), now_ns, version)

    def hand_over(self, alert_id: int, to: str, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.HAND_OVER, actor, to=to), now_ns, version)

    def resolve(self, alert_id: int, outcome: Outcome, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.RESOLVE, actor, outcome), now_ns, version)

    def reopen(self, alert_id: int, reason: str, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.REOPEN, actor, reason=_words(reason)), now_ns, version)

    def act(self, alert_id: int, wish: Wish, now_ns: int, version: int | None = None) -> Changed:
        """Take one step. `version` is the one that the operator saw; None asks for no check beyond the state's own.

        Repeating one's own action is answered as before. Raises NotFoundError, ConflictError, ImpossibleError.
        """
        with self._database.transaction() as connection:
            row = alert_row(connection, alert_id)
            kind, state = AlertKind(row.kind), State(row.state)
            is_late = version not in (None, row.version) and state is not State.RAISED
            if is_late or (state, wish.action) not in transitions(kind):
                repeated = _repeated(connection, row, wish, is_late, is_unseen=version is None)
                if repeated is not None:
                    return repeated
            if wish.plan is not None:
                check_plan(wish.plan, self._meals, now_ns)
            changed, tells_home = take(connection, row, wish, now_ns)
        if tells_home:
            self._waker.wake("ingest")
        self._waker.wake("web")
        return changed

    def note(self, alert_id: int, text: str, actor: str, now_ns: int) -> Changed:
        """Add a person's words to an alert in any state. Raises NotFoundError, RefusedError."""
        text = _words(text)
        with self._database.transaction() as connection:
            row = alert_row(connection, alert_id)
            note(connection, row, text, actor, now_ns)
        self._waker.wake("web")
        return Changed(alert_id, State(row.state), row.version)


def take(connection: Connection, row: Row[Any], wish: Wish, now_ns: int) -> tuple[Changed, bool]:
    """One step of the alert `row` in a transaction; True when the home is told, for which the ingester is to be woken.

    Raises ImpossibleError, ConflictError.
    """
    step = act(Case(AlertKind(row.kind), State(row.state), row.assigned_to), wish)
    _check_surroundings(connection, row, wish)
    changed = _write_step(connection, row, wish, step, now_ns)
    if step.tells_home:
        _tell_home(connection, row.id, now_ns)
    if row.acknowledged_ns is None:
        ALARM_ACKNOWLEDGED_SECONDS.labels(row.kind).observe(max(now_ns - row.raised_ns, 0) / NS)
    return changed, step.tells_home


def alert_row(connection: Connection, alert_id: int) -> Row[Any]:
    """The alert as it is now. Raises NotFoundError."""
    row = connection.execute(select(alert_table).where(alert_table.c.id == alert_id)).first()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return row


def _words(text: str) -> str:
    """A person's words, kept as they are but for the blanks around them."""
    text = text.strip()
    if not 1 <= len(text) <= MAX_NOTE:
        raise ImpossibleError(Refusal.NEEDS_WORDS, f"a note has 1 to {MAX_NOTE} characters")
    return text


def _check_surroundings(connection: Connection, row: Row[Any], wish: Wish) -> None:
    """What a step needs beyond the alert itself: a receiver on the staff; no other open alert of the same key."""
    place = connection.execute(select(home_table.c.community_id).where(home_table.c.id == row.home_id)).scalar()
    is_there = (staff_table.c.name == wish.to) & answering(None if place is None else frozenset({place}))
    if wish.to and connection.execute(select(staff_table.c.name).where(is_there)).first() is None:
        raise ImpossibleError(Refusal.UNKNOWN_PERSON, f"nobody who answers alarms there is called {wish.to}")
    if wish.action is Action.REOPEN:
        is_open = (alert_table.c.join_key == row.join_key) & (alert_table.c.state != State.RESOLVED)
        other = connection.execute(select(alert_table.c.id).where(is_open)).scalar()
        if other is not None:
            raise ImpossibleError(Refusal.ANOTHER_IS_OPEN, f"alert {other} is open for the same cause: go on there")


def _write_step(connection: Connection, row: Row[Any], wish: Wish, step: Step, now_ns: int) -> Changed:
    version = row.version + 1
    values: dict[str, Any] = {"state": step.state, "version": version, "assigned_to": step.holder}
    if row.acknowledged_ns is None:
        values |= {"acknowledged_by": wish.actor, "acknowledged_ns": now_ns}
    detail: dict[str, Any] = {"state": step.state.value, "version": version}
    match wish.action:
        case Action.SCHEDULE if wish.plan is not None:
            plan = wish.plan
            values |= {"category": plan.category, "due_ns": plan.due_ns, "provider": plan.provider}
            values["join_key"] = planned_key(row.join_key, row.id)
            detail |= _told_plan(plan)
        case Action.ATTEND:
            values["attending_ns"] = now_ns
        case Action.ARRIVE:
            values["arrived_ns"] = now_ns
        case Action.HAND_OVER:
            detail |= {"from": row.assigned_to, "to": wish.to}
        case Action.RESOLVE:
            values |= {"resolved_by": wish.actor, "resolved_ns": now_ns, "outcome": wish.outcome}
            detail["outcome"] = wish.outcome
        case Action.REOPEN:
            closing = ("resolved_by", "resolved_ns", "outcome", "attending_ns", "arrived_ns")
            values |= dict.fromkeys(closing) | {"reopened": row.reopened + 1}
    same = (alert_table.c.id == row.id) & (alert_table.c.version == row.version)
    if connection.execute(update(alert_table).where(same).values(**values)).rowcount != 1:
        raise ConflictError("somebody else was first", None, row.version)
    journal.append(connection, JOURNAL_KIND[wish.action], now_ns, detail, alert=row.id, actor=wish.actor)
    if wish.reason:  # as a note, whose words leave the alert's own page nowhere
        note(connection, row, wish.reason, wish.actor, now_ns)
    return Changed(row.id, step.state, version)


_ASKED = ("outcome", "to", "category", "due", "provider")  # what a wish is known by in the journal's detail


def _asked(wish: Wish) -> dict[str, Any]:
    asked = {"outcome": wish.outcome, "to": wish.to} | ({} if wish.plan is None else _told_plan(wish.plan))
    return {name: value for name, value in asked.items() if value is not None}


def _told_plan(plan: Plan) -> dict[str, Any]:
    """A plan as the journal has it."""
    return {"category": plan.category.value, "due": rfc3339(plan.due_ns), "provider": plan.provider}


def _repeated(connection: Connection, row: Row[Any], wish: Wish, is_late: bool, is_unseen: bool) -> Changed | None:
    """The answer to a step that may have come too late: one's own is repeated, after another's it is a conflict.

    `is_late`: the operator saw an older version; `is_unseen`: nobody knows what he saw. None: nobody was in the way,
    the step itself is impossible.
    """
    query = (
        select(journal_table)
        .where(journal_table.c.alert_id == row.id, journal_table.c.kind.in_([*JOURNAL_KIND.values(), "restored"]))
        .order_by(journal_table.c.id.desc())
        .limit(1)
    )
    last = connection.execute(query).first()
    if last is None:
        if not is_late:
            return None
        raise ConflictError(f"the alert is already {row.state}", None, row.version)
    asked = (wish.actor, JOURNAL_KIND[wish.action], _asked(wish))
    if asked == (last.actor, last.kind, {name: last.detail[name] for name in _ASKED if name in last.detail}):
        return Changed(row.id, State(row.state), row.version)
    if not is_late and (not is_unseen or last.actor == wish.actor):
        return None
    first = First(last.actor, last.kind, row.state, last.at_ns, last.detail.get("to"))
    raise ConflictError(f"{last.actor} was first: the alert is {row.state}", first, row.version)


def _tell_home(connection: Connection, alert_id: int, now_ns: int) -> None:
    """Queue "a person has accepted" for each gateway that sent a press, about its latest one.

    Not for each device: a corridor's thirty pendants in one alert would be thirty commands and answers ahead of the
    next press, which on a line of 64 kbit/s that loses a third made the median press wait 0.3 s instead of 0.01 s.
    """
    latest = (
        select(func.max(event_table.c.id))
        .where(event_table.c.alert_id == alert_id, event_table.c.type == EventType.ALARM)
        .group_by(event_table.c.gateway_id)
    )
    presses = connection.execute(
        select(event_table.c.gateway_id, event_table.c.event_id).where(event_table.c.id.in_(latest))
    ).all()
    for press in presses:
        tell_accepted(connection, press.gateway_id, press.event_id, now_ns)


def tell_accepted(connection: Connection, gateway: str, event_id: str, now_ns: int) -> None:
    """Queue the command that tells the home that a person has this press."""
    connection.execute(
        insert(command_table).values(
            id=str(uuid_utils.uuid7()),
            gateway_id=gateway,
            body={"type": "signal", "signal": HomeSignal.ACCEPTED.value, "event": event_id},
            created_ns=now_ns,
            next_attempt_ns=now_ns,
            urgency=Urgency.SIGNAL,
        )
    )


def beat(connection: Connection, role: str, now_ns: int, detail: dict[str, Any]) -> None:
    """Say that a role is alive."""
    values = {"at_ns": now_ns, "detail": detail}
    changed = connection.execute(update(heartbeat_table).where(heartbeat_table.c.role == role).values(**values))
    if not changed.rowcount:
        connection.execute(insert(heartbeat_table).values(role=role, **values))
