"""Commands to gateways: sent again with backoff until the gateway answers with an event, given up after a day."""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select, update

from hearthline import wire
from hearthline.clock import NS
from hearthline.model import BOUND, DEVICES, RESEND
from hearthline_cloud import schema
from hearthline_cloud.database import Database
from hearthline_cloud.ingest.session import Answers
from hearthline_cloud.listing import is_any_list_due, order_due_lists
from hearthline_cloud.remote.answering import expire

GIVE_UP_AFTER_S = 24 * 3600
_LATE = (RESEND, BOUND, DEVICES)  # what a gateway that was away is told all the same
_LATE_GIVE_UP_S = 30 * 24 * 3600  # for so long a gateway keeps what it has sent
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0
_LOCK_WAIT_S = 15.0  # a writer may have waited so long for the database since `now` was read
_AT_ONCE = 200


def send_due_commands(database: Database, session: Answers, now_ns: int) -> None:
    """One round: whatever is due goes down. Looks first without a lock, for mostly nothing is."""
    with database.reading() as connection:
        waiting = has_due_commands(connection, now_ns) or is_any_list_due(connection)
    if not waiting:
        return
    with database.transaction() as connection:
        order_due_lists(connection, now_ns)
        commands = due_commands(connection, now_ns)
    for gateway, command in commands:
        session.publish(wire.topic(gateway, wire.DOWN_COMMAND), wire.encode(command))


def has_due_commands(connection: Connection, now_ns: int) -> bool:
    table = schema.command
    query = select(table.c.id).where(table.c.answered_ns.is_(None) & _is_due(now_ns)).limit(1)
    return connection.execute(query).first() is not None


def _is_due(now_ns: int) -> ColumnElement[bool]:
    """Later than the longest pause nothing was ever put off: then the clock has been set back since."""
    next_ns = schema.command.c.next_attempt_ns
    return or_(next_ns <= now_ns, next_ns > now_ns + round((_LONGEST_PAUSE_S + _LOCK_WAIT_S) * NS))


def make_due(connection: Connection, gateway: str, now_ns: int) -> None:
    """The gateway is back: what it has not answered goes down at once, as if for the first time."""
    table = schema.command
    waiting = (table.c.gateway_id == gateway) & table.c.answered_ns.is_(None)
    connection.execute(update(table).where(waiting).values(next_attempt_ns=now_ns, attempts=0))


def due_commands(connection: Connection, now_ns: int) -> list[tuple[str, wire.Command]]:
    """Commands to send now, each put off for its next attempt: (gateway, command). Unanswered for a day: given up."""
    table = schema.command
    rows = connection.execute(
        select(table)
        .where(table.c.answered_ns.is_(None) & _is_due(now_ns))
        .order_by(table.c.next_attempt_ns, table.c.created_ns)
        .limit(_AT_ONCE)
    ).all()
    sent = []
    for row in rows:
        body = dict(row.body)
        give_up_s = _LATE_GIVE_UP_S if body.get("type") in _LATE else GIVE_UP_AFTER_S
        if now_ns - row.created_ns > give_up_s * NS:
            connection.execute(update(table).where(table.c.id == row.id).values(answered_ns=now_ns, result="expired"))
            expire(connection, row.id, now_ns)
            continue
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(row.attempts, 6), _LONGEST_PAUSE_S)
        connection.execute(
            update(table)
            .where(table.c.id == row.id)
            .values(attempts=row.attempts + 1, next_attempt_ns=now_ns + round(pause_s * NS))
        )
        sent.append((row.gateway_id, msgspec.convert(body | {"id": row.id}, wire.Command)))
    return sent
