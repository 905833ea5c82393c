"""Mistakes planted into the desk's code for one run, to see whether its simulation finds them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import insert

from hearthline_cloud import escalating
from hearthline_cloud.alerts import escalation
from hearthline_cloud.alerts.escalation import Move
from hearthline_cloud.notify import sending
from hearthline_cloud.notify.port import Result

NONE = "none"
_FAR_NS = 10**19 // 4


@contextmanager
def planted(room: Any, name: str, mistaken: Any) -> Iterator[None]:
    right = getattr(room, name)
    setattr(room, name, mistaken)
    try:
        yield
    finally:
        setattr(room, name, right)


@contextmanager
def nothing() -> Iterator[None]:
    yield


def no_timer_after_reopening() -> AbstractContextManager[None]:
    """An alert that was closed and reopened is never looked at again."""
    right = escalation.advance

    def mistaken(policy: Any, alert: Any, timer: Any, last_climb: int, now_ns: int) -> Move:
        return Move(None) if timer is None and last_climb >= 0 else right(policy, alert, timer, last_climb, now_ns)

    return planted(escalating, "advance", mistaken)


def expiry_ignored() -> AbstractContextManager[None]:
    """Who has taken an alert keeps it, whatever he does."""
    right = escalation.advance

    def mistaken(policy: Any, alert: Any, timer: Any, last_climb: int, now_ns: int) -> Move:
        move = right(policy, alert, timer, last_climb, now_ns)
        return Move(replace(timer, due_ns=_FAR_NS, version=alert.version)) if move.expired else move

    return planted(escalating, "advance", mistaken)


def clock_set_back_ignored() -> AbstractContextManager[None]:
    """A timer waits for the time that it was set to, however far the clock went back."""
    return planted(escalation, "_rebased", lambda timer, *_: timer)


@contextmanager
def claimed_on_the_snapshot() -> Iterator[None]:
    """What was found is done without another look, and the timer is claimed whoever was first."""
    found: dict[int, Any] = {}
    need, view = escalating._in_need, escalating._LOOKED_AT

    def remembering(connection: Any, now_ns: int) -> list[int]:
        alerts = need(connection, now_ns)
        for alert in alerts:
            found[alert] = connection.execute(view.where(escalating._alert.c.id == alert)).one()
        return alerts

    def blindly(policies: Any, reaches: Any, now_ns: int, connection: Any, alert_id: int) -> bool:
        row = found[alert_id]
        timer = escalating._timer_of(row)
        policy = policies.policy_for(row.kind, row.cause, row.community_id or "")
        move = escalation.advance(policy, escalating._view(row), timer, -1, now_ns)
        if timer is None or move.timer is None or move.firing is None:
            return take(policies, reaches, now_ns, connection, alert_id)
        claimed = {**escalating._values(alert_id, timer), "step": next(numbers), "fired_ns": now_ns}
        made = connection.execute(insert(escalating._timer).values(claimed).returning(escalating._timer.c.id))
        as_found: Any = SimpleNamespace(**{**row._mapping, "timer_id": made.scalar_one()})
        escalating._follow(connection, as_found, replace(move, timer=None), reaches, now_ns, policies, policy)
        is_first = escalating._close(connection, row.timer_id, now_ns)
        if is_first:
            connection.execute(insert(escalating._timer).values(escalating._values(alert_id, move.timer)))
        return True

    numbers = itertools.count(1_000_000)
    take = escalating._take
    with planted(escalating, "_in_need", remembering), planted(escalating, "_take", blindly):
        yield


@contextmanager
def result_before_sending() -> Iterator[None]:
    """The result is written first, so that the message goes out once at most."""
    right = sending.Worker.send_one

    def mistaken(self: Any) -> bool:
        name, now_ns = self._opened.config.name, self._now_ns()
        with self._database.reading() as connection:
            found = connection.execute(sending._due(name, now_ns)).first()
        if found is None:
            return False
        with self._database.transaction() as connection:
            claimed = sending.claim(connection, self._opened, found.id, now_ns)
        if claimed is not None:
            result = Result(claimed.message is not None, "ok" if claimed.message else claimed.refusal)
            with self._database.transaction() as connection:
                sending.finish(connection, name, claimed, result, self._now_ns())
            if claimed.message is not None:
                self._opened.channel.send(claimed.message)
        return True

    with planted(sending.Worker, "send_one", mistaken):
        yield
    assert sending.Worker.send_one is right


class _NeverClosed:
    RESOLVED = "never"


def closed_alerts_told_of() -> AbstractContextManager[None]:
    """Nobody asks before sending whether the alert is still open."""
    return planted(sending, "State", _NeverClosed)


def no_lease() -> AbstractContextManager[None]:
    """A claimed message is not put off: whoever looks next may send it too."""
    return planted(sending, "LEASE_S", 0.0)


@contextmanager
def messages_in_a_transaction_of_their_own() -> Iterator[None]:
    """The step is claimed and written down first; its messages are queued after that commit."""
    right_queue, right_round = escalating._queue, escalating.escalate_once
    waiting: list[tuple[Any, ...]] = []

    def later(connection: Any, *rest: Any) -> int:
        waiting.append(rest)
        row, firing, reaches, on_duty, _ = rest
        contacts = len(sending.contact_phones(connection, row.resident_id, row.home_id))
        return len(escalation.deliveries(firing, reaches, contacts, on_duty))

    def mistaken(database: Any, *rest: Any) -> int:
        waiting.clear()
        changed = right_round(database, *rest)
        with database.transaction() as connection:
            for queued in waiting:
                right_queue(connection, *queued)
        return changed

    with planted(escalating, "_queue", later), planted(escalating, "escalate_once", mistaken):
        yield


MISTAKES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    NONE: nothing,
    **{
        mistake.__name__: mistake
        for mistake in (
            no_timer_after_reopening,
            expiry_ignored,
            clock_set_back_ignored,
            claimed_on_the_snapshot,
            result_before_sending,
            closed_alerts_told_of,
            no_lease,
            messages_in_a_transaction_of_their_own,
        )
    },
}
