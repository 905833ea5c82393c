"""Asking a gateway: a row and its command in one transaction, and an entry of the journal that says who asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import uuid_utils
from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline.remote import MAX_LINES, TRIAL_BOUNDS_S, config_digest, config_fault
from hearthline_cloud import journal, schema
from hearthline_cloud.desk import ConflictError, NotFoundError
from hearthline_cloud.remote.asks import OPEN, State, What
from hearthline_cloud.scoping import Communities, homes_seen

PATIENCE_S = 600  # so long a change that no gateway reacts to keeps others out
PAUSE_S = 30  # between two changes: each makes the gateway begin anew, and deaf for a moment
_ask, _command, _gateway = schema.remote_ask, schema.command, schema.gateway


@dataclass(frozen=True, slots=True)
class Order:
    """`config`, of a change: the whole of it. `based_on`: the change that was in force when it was thought out."""

    what: What
    config: dict[str, Any] = field(default_factory=dict)
    within_s: float | None = None
    lines: int = MAX_LINES
    based_on: str | None = None


def ask(connection: Connection, gateway: str, order: Order, actor: str, now_ns: int, seen: Communities) -> str:
    """The id of the ask: of one that waits already, when it asks for the same.

    Raises NotFoundError, ConflictError when somebody else is at it, RefusedError for what no gateway would take.
    """
    find_gateway(connection, gateway, seen)
    waiting = _last(connection, gateway, and_(_ask.c.what == order.what, _ask.c.state.in_([*OPEN])))
    if order.what is What.CONFIGURE:
        _check_change(connection, gateway, order, waiting, now_ns)
        if waiting is not None:
            _replace(connection, waiting.id, now_ns)
    elif waiting is not None:
        made: str = waiting.id
        return made
    return _write(connection, gateway, order, actor, now_ns)


def find_gateway(connection: Connection, gateway: str, seen: Communities) -> None:
    """Only of a home that the account sees: whoever has no home yet is for those who see all. Raises NotFoundError."""
    theirs = and_(_gateway.c.id == gateway, homes_seen(seen, _gateway.c.home_id))
    if connection.execute(select(_gateway.c.id).where(theirs)).first() is None:
        raise NotFoundError(f"there is no gateway {gateway}")


def in_force(connection: Connection, gateway: str) -> Row[Any] | None:
    """The last change that the gateway has proved."""
    return _last(connection, gateway, and_(_ask.c.what == What.CONFIGURE, _ask.c.state == State.DONE))


def _last(connection: Connection, gateway: str, which: ColumnElement[bool]) -> Row[Any] | None:
    query = select(_ask).where(_ask.c.gateway_id == gateway, which)
    return connection.execute(query.order_by(_ask.c.asked_ns.desc(), _ask.c.id.desc()).limit(1)).first()


def _check_change(connection: Connection, gateway: str, order: Order, waiting: Row[Any] | None, now_ns: int) -> None:
    if (fault := config_fault(order.config)) is not None:
        raise RefusedError(fault)
    low, high = TRIAL_BOUNDS_S
    if order.within_s is not None and not low <= order.within_s <= high:
        raise RefusedError(f"within_s must be a number from {low:g} to {high:g}")
    if waiting is not None and (waiting.state == State.TRIAL or now_ns - waiting.asked_ns < PATIENCE_S * NS):
        raise ConflictError("another change of this gateway is under way", None, 0)
    present = in_force(connection, gateway)
    if order.based_on is not None and order.based_on != ("" if present is None else present.id):
        raise ConflictError("somebody has changed this gateway meanwhile: look at it again", None, 0)
    tried = and_(_ask.c.what == What.CONFIGURE, _ask.c.state.in_([State.DONE, State.UNDONE]))
    last = _last(connection, gateway, tried)
    if last is not None and 0 <= now_ns - last.answered_ns < PAUSE_S * NS:
        raise ConflictError(f"this gateway was changed just now: wait {PAUSE_S} seconds", None, 0)


def _replace(connection: Connection, older: str, now_ns: int) -> None:
    connection.execute(update(_ask).where(_ask.c.id == older).values(state=State.REPLACED, answered_ns=now_ns))
    sent = (_command.c.id == older) & _command.c.answered_ns.is_(None)
    connection.execute(update(_command).where(sent).values(answered_ns=now_ns, result=State.REPLACED))


def _write(connection: Connection, gateway: str, order: Order, actor: str, now_ns: int) -> str:
    made = str(uuid_utils.uuid7())
    body: dict[str, Any] = {"type": order.what.value}
    about: dict[str, Any] = {}
    if order.what is What.CONFIGURE:
        body |= {"config": order.config} | ({"within_s": order.within_s} if order.within_s is not None else {})
        about = {"keys": sorted(order.config), "digest": config_digest(order.config)}
    elif order.what is What.LOG:
        body["lines"] = min(max(order.lines, 1), MAX_LINES)
    values = {"id": made, "gateway_id": gateway, "asked_ns": now_ns, "asked_by": actor}
    config = order.config if order.what is What.CONFIGURE else None
    connection.execute(insert(_ask).values(**values, what=order.what, state=State.ASKED, config=config))
    due = {"id": made, "gateway_id": gateway, "body": body, "created_ns": now_ns, "next_attempt_ns": now_ns}
    connection.execute(insert(_command).values(**due))
    detail = {"gateway": gateway, "ask": made, "what": order.what.value, **about}
    journal.append(connection, "gateway-asked", now_ns, detail, actor=actor)
    return made
