"""Commands to gateways: sent again with backoff until the gateway answers with an event, given up after a day.

In each round signals go first, then self-tests, then the rest, each with its own share: none waits behind another.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select, update

from hearthline import wire
from hearthline.clock import NS
from hearthline.log import Log
from hearthline.model import BOUND, DEVICES, RESEND
from hearthline_cloud import schema
from hearthline_cloud.database import Database
from hearthline_cloud.ingest.session import Answers
from hearthline_cloud.listing import is_any_list_due, make_list_due, order_due_lists
from hearthline_cloud.remote.answering import expire

GIVE_UP_AFTER_S = 24 * 3600
_LATE = (RESEND, BOUND, DEVICES)  # what a gateway that was away is told all the same
_LATE_GIVE_UP_S = 30 * 24 * 3600  # for so long a gateway keeps what it has sent
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0
_LOCK_WAIT_S = 15.0  # a writer may have waited so long for the database since `now` was read
_AT_ONCE = 200  # of each urgency
# The broker disconnects whoever sends a larger packet than it takes (262,144 bytes, `identity.broker`), and paho sends
# it again after each reconnection: the session would be deaf to alarms for ever.
MAX_COMMAND_BYTES = 192 * 1024
TOO_LARGE = "too-large"  # the result of a command that can never be sent
log = Log(__name__)


def send_due_commands(database: Database, session: Answers, now_ns: int) -> None:
    """One round: whatever is due goes down. Looks first without a lock, for mostly nothing is."""
    with database.reading() as connection:
        waiting = has_due_commands(connection, now_ns) or is_any_list_due(connection)
    if not waiting:
        return
    with database.transaction() as connection:
        order_due_lists(connection, now_ns)
        payloads = list(_payloads(connection, due_commands(connection, now_ns), now_ns))
    for gateway, payload in payloads:
        session.publish(wire.topic(gateway, wire.DOWN_COMMAND), payload)


def _payloads(
    connection: Connection, commands: list[tuple[str, wire.Command]], now_ns: int
) -> Iterator[tuple[str, bytes]]:
    """What can be sent; a command that is too large is ended, and never sent."""
    for gateway, command in commands:
        payload = wire.encode(command)
        if len(payload) <= MAX_COMMAND_BYTES:
            yield gateway, payload
        else:
            _end(connection, command.id, TOO_LARGE, now_ns)
            log.error("command too large", gateway=gateway, command=command.id, type=command.type, bytes=len(payload))


def _end(connection: Connection, command: str, result: str, now_ns: int) -> None:
    table = schema.command
    connection.execute(update(table).where(table.c.id == command).values(answered_ns=now_ns, result=result))
    expire(connection, command, now_ns)


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
    due = table.c.answered_ns.is_(None) & _is_due(now_ns)
    in_turn = select(table).where(due).order_by(table.c.next_attempt_ns, table.c.created_ns).limit(_AT_ONCE)
    sent = []
    for row in [row for each in schema.Urgency for row in connection.execute(in_turn.where(table.c.urgency == each))]:
        body = dict(row.body)
        give_up_s = _LATE_GIVE_UP_S if body.get("type") in _LATE else GIVE_UP_AFTER_S
        if now_ns - row.created_ns > give_up_s * NS:
            _end(connection, row.id, "expired", now_ns)
            if body.get("type") == DEVICES:
                make_list_due(connection, [row.gateway_id])  # ordered once it is not offline
            continue
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(row.attempts, 6), _LONGEST_PAUSE_S)
        connection.execute(
            update(table)
            .where(table.c.id == row.id)
            .values(attempts=row.attempts + 1, next_attempt_ns=now_ns + round(pause_s * NS))
        )
        sent.append((row.gateway_id, msgspec.convert(body | {"id": row.id}, wire.Command)))
    return sent
