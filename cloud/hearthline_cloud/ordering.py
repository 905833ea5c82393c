"""Work orders as the desk role makes and follows them: issued with the escalation step that asks for them, in
its transaction; who does not answer in time is followed by the next volunteer; with a closed alert they are withdrawn.

Which volunteer comes next is derived from the orders of the climb, so a process that is killed forgets nobody and asks
nobody twice: an order that has to be looked at has a `due_ns`, and whoever looks takes it away in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from hearthline.clock import NS
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.escalation import Reach, Target, TargetKind
from hearthline_cloud.alerts.lifecycle import State
from hearthline_cloud.alerts.orders import (
    GOING,
    OPEN,
    OrderAction,
    OrderKind,
    OrderState,
    OrderWish,
    act,
    another_needed,
    next_volunteer,
)
from hearthline_cloud.database import Database
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.notify.sending import call_back_phones
from hearthline_cloud.personal.vault import subject_of_case
from hearthline_cloud.stuck import Fail, take_each

JOURNAL_KIND = "work-order"
LINK_HOURS = 24  # closing the alert ends a link before that
KINDS = {
    TargetKind.CALL_BACK: OrderKind.CALL_BACK,
    TargetKind.STREET_DESK: OrderKind.STREET,
    TargetKind.VOLUNTEER: OrderKind.VOLUNTEER,
}
_LOCK_WAIT_NS = 15 * NS
_order = schema.work_order
_alert = schema.alert
_note = schema.notification


def volunteer_actor(volunteer: str) -> str:
    """How the journal names a volunteer."""
    return f"volunteer:{volunteer}"


def issue(
    connection: Connection,
    alert: Row[Any],
    target: Target,
    step: tuple[int, int],
    wait_ns: int,
    reaches: Sequence[Reach],
    now_ns: int,
) -> tuple[int, int]:
    """Make the work order that a firing step asks for, where none of its kind is open.

    How many orders now stand for the step, and how many messages tell of them. `step`: the escalation row that fires
    and its climb. `wait_ns`: how long a volunteer may take.
    """
    kind = KINDS[target.kind]
    found = connection.execute(
        select(_order).where(_order.c.alert_id == alert.id, _order.c.kind == kind, _order.c.state.in_(OPEN))
    ).first()
    if kind is OrderKind.CALL_BACK:
        can = found is not None or bool(call_back_phones(connection, alert.resident_id, alert.home_id))
        if can and found is None:
            _make(connection, alert, kind, step, now_ns)
        return int(can), 0
    if kind is OrderKind.STREET:
        order = _make(connection, alert, kind, step, now_ns) if found is None else found.id
        channels = [reach.name for reach in reaches if reach.name == target.name and not reach.contacts]
        return 1, _queue(connection, alert.id, order, step[0], channels, now_ns)
    return (1, 0) if found is not None else _ask_next(connection, alert, step, wait_ns, reaches, now_ns)


def follow_orders(database: Database, reaches: Sequence[Reach], now_ns: int, fail: Fail | None = None) -> int:
    """One round: how many orders it changed. `fail` gets the alert of an order that cannot be followed."""
    columns = select(_order.c.id, _order.c.alert_id)
    with database.reading() as connection:
        due = connection.execute(columns.where(_is_due(now_ns))).all()
        closed = select(_alert.c.id).where(_alert.c.id == _order.c.alert_id, _alert.c.state == State.RESOLVED).exists()
        left = connection.execute(columns.where(_order.c.state.in_(OPEN), closed)).all()
    alerts = {row.id: row.alert_id for row in (*due, *left)}
    told = None if fail is None else lambda order, error: fail(alerts[order], error)
    changed = 0
    for rows, follow in ((due, partial(_follow, reaches, now_ns)), (left, partial(_withdraw, now_ns))):
        for row in rows:
            changed += take_each(database, [row.id], follow, told)
    return changed


def write(connection: Connection, order: int, alert: int, actor: str, now_ns: int, **detail: Any) -> None:
    """An order's change in the alert's journal; never with a name or words."""
    journal.append(connection, JOURNAL_KIND, now_ns, {"order": order, **detail}, alert=alert, actor=actor)


def hasten(connection: Connection, alert: int) -> None:
    """Ask escalation for the policy's next step at once."""
    connection.execute(update(_alert).where(_alert.c.id == alert).values(hastened=_alert.c.hastened + 1))


def _is_due(now_ns: int) -> Any:
    """Later than it was ever put off: then the clock has been set back since."""
    is_due = or_(_order.c.due_ns <= now_ns, _order.c.due_ns > now_ns + _order.c.wait_ns + _LOCK_WAIT_NS)
    return and_(_order.c.due_ns > 0, is_due)  # the first of the two is what an index is searched by


def _make(
    connection: Connection,
    alert: Row[Any],
    kind: OrderKind,
    step: tuple[int, int],
    now_ns: int,
    volunteer: str | None = None,
    wait_ns: int | None = None,
) -> int:
    values = {
        "alert_id": alert.id,
        "subject": subject_of_case(alert),
        "escalation_id": step[0],
        "climb": step[1],
        "kind": kind,
        "state": OrderState.ISSUED,
        "volunteer_id": volunteer,
        "made_ns": now_ns,
        "wait_ns": wait_ns,
        "due_ns": None if wait_ns is None else now_ns + wait_ns,
        "expires_ns": (now_ns // NS + LINK_HOURS * 3600) * NS,
        "changed_ns": now_ns,
    }
    made: int = connection.execute(insert(_order).values(**values).returning(_order.c.id)).scalar_one()
    who = {} if volunteer is None else {"for": volunteer_actor(volunteer)}
    write(connection, made, alert.id, SYSTEM, now_ns, kind=kind.value, state=OrderState.ISSUED.value, **who)
    return made


def _queue(
    connection: Connection, alert: int, order: int, escalation: int, channels: Sequence[str], now_ns: int
) -> int:
    for channel in channels:
        values = {"escalation_id": escalation, "alert_id": alert, "channel": channel, "contact": -1, "order_id": order}
        connection.execute(insert(_note).values(**values, created_ns=now_ns, next_try_ns=now_ns))
    return len(channels)


def _ask_next(
    connection: Connection, alert: Row[Any], step: tuple[int, int], wait_ns: int, reaches: Sequence[Reach], now_ns: int
) -> tuple[int, int]:
    """Ask the next paired volunteer, over so many channels; with nobody left the policy's next step is due."""
    paired = select(schema.pairing.c.volunteer_id).where(schema.pairing.c.home_id == alert.home_id)
    asked = select(_order.c.volunteer_id).where(_order.c.alert_id == alert.id, _order.c.climb == step[1])
    chosen = next_volunteer(
        list(connection.execute(paired.order_by(schema.pairing.c.place)).scalars()),
        [each for each in connection.execute(asked).scalars() if each is not None],
    )
    if chosen is None:
        hasten(connection, alert.id)
        return 0, 0
    order = _make(connection, alert, OrderKind.VOLUNTEER, step, now_ns, chosen, wait_ns)
    channels = [reach.name for reach in reaches if reach.contacts]
    return 1, _queue(connection, alert.id, order, step[0], channels, now_ns)


def _follow(reaches: Sequence[Reach], now_ns: int, connection: Connection, order: int) -> bool:
    """An order that is due: expired when it still waits, and in any case the next volunteer, where one is needed."""
    row = connection.execute(select(_order).where(_order.c.id == order, _is_due(now_ns))).first()
    if row is None:
        return False  # another desk was first
    if row.due_ns > now_ns:  # of a time before the clock was set back
        return _put(connection, row, {"due_ns": now_ns + row.wait_ns})
    alert = connection.execute(select(_alert).where(_alert.c.id == row.alert_id)).one()
    values: dict[str, Any] = {"due_ns": None}
    if row.state in OPEN and alert.state != State.RESOLVED:
        step = act(OrderKind(row.kind), OrderState(row.state), OrderWish(OrderAction.EXPIRE))
        values |= _changed(row, OrderAction.EXPIRE, step.state, now_ns)
        write(connection, row.id, row.alert_id, SYSTEM, now_ns, kind=row.kind, state=step.state.value)
    _put(connection, row, values)
    is_other = and_(_order.c.alert_id == row.alert_id, _order.c.id != row.id)
    is_asked = and_(_order.c.kind == OrderKind.VOLUNTEER, _order.c.state.in_(OPEN))  # by a step, meanwhile
    is_at_it = and_(is_other, or_(_order.c.state.in_(GOING), is_asked))
    others_at_it = connection.execute(select(_order.c.id).where(is_at_it)).first() is not None
    if another_needed(State(alert.state), row.went_ns is not None, others_at_it):
        _ask_next(connection, alert, (row.escalation_id, row.climb), row.wait_ns, reaches, now_ns)
    return True


def _withdraw(now_ns: int, connection: Connection, order: int) -> bool:
    row = connection.execute(select(_order).where(_order.c.id == order, _order.c.state.in_(OPEN))).first()
    if row is None:
        return False
    step = act(OrderKind(row.kind), OrderState(row.state), OrderWish(OrderAction.WITHDRAW))
    write(connection, row.id, row.alert_id, SYSTEM, now_ns, kind=row.kind, state=step.state.value)
    return _put(connection, row, {"due_ns": None} | _changed(row, OrderAction.WITHDRAW, step.state, now_ns))


def _changed(row: Row[Any], action: OrderAction, state: OrderState, now_ns: int) -> dict[str, Any]:
    return {"state": state, "did": action, "changed_by": SYSTEM, "changed_ns": now_ns, "version": row.version + 1}


def _put(connection: Connection, row: Row[Any], values: dict[str, Any]) -> bool:
    where = (_order.c.id == row.id) & (_order.c.version == row.version)
    return bool(connection.execute(update(_order).where(where).values(**values)).rowcount)
