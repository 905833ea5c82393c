"""What people do with a work order, each in one transaction with what it does to the alert.

The street desk's staff act in the console, a volunteer by the link on his phone; staff may also write down what a
volunteer says by telephone. `version` counts the changes of an order; who comes too late is told who was first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from hearthline.errors import RefusedError
from hearthline_cloud.alerts.lifecycle import ImpossibleError, Refusal, State, Wish
from hearthline_cloud.alerts.orders import (
    TRANSITIONS,
    OrderKind,
    OrderState,
    OrderStep,
    OrderWish,
    act,
    alert_actions,
)
from hearthline_cloud.database import Database
from hearthline_cloud.desk import MAX_NOTE, ConflictError, First, NotFoundError, alert_row, take
from hearthline_cloud.ordering import hasten, volunteer_actor, write
from hearthline_cloud.personal.vault import note, sealed
from hearthline_cloud.schema import work_order as order_table
from hearthline_cloud.wake import Waker


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """A work order after an action, and its alert."""

    order_id: int
    state: OrderState
    version: int
    alert_id: int


class OrderDesk:
    """The work orders of one database. `waker` tells the other roles after each commit."""

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database = database
        self._waker = waker

    def act(
        self, order_id: int, wish: OrderWish, actor: str, now_ns: int, version: int | None = None, words: str = ""
    ) -> OrderChanged:
        """Take one step; `words` of a report are kept, and stand in the alert's journal as a note.

        Repeating one's own action is answered as before. Raises NotFoundError, ConflictError, ImpossibleError.
        """
        words = words.strip()
        if len(words) > MAX_NOTE:
            raise RefusedError(f"a report has {MAX_NOTE} characters at most")
        with self._database.transaction() as connection:
            row = order_row(connection, order_id)
            if version not in (None, row.version) or (OrderState(row.state), wish.action) not in TRANSITIONS:
                if (row.did, row.changed_by, row.outcome) == (wish.action, actor, wish.outcome):
                    return OrderChanged(row.id, OrderState(row.state), row.version, row.alert_id)
                if row.changed_by not in ("", actor):
                    raise _conflict(row)
            step = act(OrderKind(row.kind), OrderState(row.state), wish)
            tells_home = _take_along(connection, row, wish, actor, now_ns)
            changed = _write_step(connection, row, wish, step, actor, now_ns, words)
        if tells_home:
            self._waker.wake("ingest")
        self._waker.wake("web")
        return changed

    def open(self, order_id: int, now_ns: int) -> None:
        """The volunteer asks for the address: written down once, and he has the same time again to answer."""
        with self._database.transaction() as connection:
            row = order_row(connection, order_id)
            if row.opened_ns is not None or row.volunteer_id is None:
                return
            due_ns = now_ns + row.wait_ns if row.due_ns is not None and row.state == OrderState.ISSUED else row.due_ns
            where = order_table.c.id == row.id
            connection.execute(update(order_table).where(where).values(opened_ns=now_ns, due_ns=due_ns))
            actor = volunteer_actor(row.volunteer_id)
            write(connection, row.id, row.alert_id, actor, now_ns, kind=row.kind, state="opened")
        self._waker.wake("web")


def order_row(connection: Connection, order_id: int) -> Row[Any]:
    """The work order as it is now. Raises NotFoundError."""
    row = connection.execute(select(order_table).where(order_table.c.id == order_id)).first()
    if row is None:
        raise NotFoundError(f"there is no work order {order_id}")
    return row


def _take_along(connection: Connection, row: Row[Any], wish: OrderWish, actor: str, now_ns: int) -> bool:
    """Move the alert with the order; whether the home is told."""
    alert = alert_row(connection, row.alert_id)
    if alert.state == State.RESOLVED:
        raise ImpossibleError(Refusal.NOT_FROM_HERE, f"alert {alert.id} is closed, and its work orders with it")
    told = False
    for action in alert_actions(OrderKind(row.kind), wish.action, State(alert.state)):
        _, tells_home = take(connection, alert_row(connection, row.alert_id), Wish(action, actor), now_ns)
        told = told or tells_home
    return told


def _write_step(
    connection: Connection, row: Row[Any], wish: OrderWish, step: OrderStep, actor: str, now_ns: int, words: str
) -> OrderChanged:
    values: dict[str, Any] = {
        "state": step.state,
        "did": wish.action,
        "changed_by": actor,
        "changed_ns": now_ns,
        "outcome": wish.outcome,
        **_sealed_words(connection, row, words),
        "version": row.version + 1,
        "due_ns": now_ns if step.next_asked else None,
    }
    if step.state in (OrderState.ON_THE_WAY, OrderState.ARRIVED) and row.went_ns is None:
        values["went_ns"] = now_ns
    connection.execute(update(order_table).where(order_table.c.id == row.id).values(**values))
    outcome = {} if wish.outcome is None else {"reported": wish.outcome}
    write(connection, row.id, row.alert_id, actor, now_ns, kind=row.kind, state=step.state.value, **outcome)
    if words:
        note(connection, alert_row(connection, row.alert_id), words, actor, now_ns)
    if step.hastens:
        hasten(connection, row.alert_id)
    return OrderChanged(row.id, step.state, row.version + 1, row.alert_id)


def _sealed_words(connection: Connection, row: Row[Any], words: str) -> dict[str, Any]:
    values = {"id": row.id, "subject": row.subject, "words": words}
    return {"words": sealed(connection, order_table, values)["words"]}


def _conflict(row: Row[Any]) -> ConflictError:
    first = First(row.changed_by, row.did, row.state, row.changed_ns)
    return ConflictError(f"{row.changed_by} was first: the work order is {row.state}", first, row.version)
