"""What a gateway answers to an ask, taken in the ingester's transaction; a word that belongs to nothing is ignored."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from hearthline_cloud import journal, schema
from hearthline_cloud.remote.asks import OPEN, State, What, after_answer, bounded

_ask = schema.remote_ask


def take_answer(connection: Connection, ask: str, gateway: str, result: str, detail: object, now_ns: int) -> bool:
    """Whether the command goes on being sent: of a change on trial the last word is still to come."""
    row = connection.execute(select(_ask).where(_ask.c.id == ask, _ask.c.gateway_id == gateway)).first()
    if row is None:
        return False
    state = after_answer(What(row.what), State(row.state), result)
    if state is not None:
        values: dict[str, Any] = {"state": state, "answered_ns": now_ns, "detail": bounded(detail)}
        connection.execute(update(_ask).where(_ask.c.id == ask).values(**values))
        told = {"gateway": gateway, "ask": ask, "what": row.what, "result": state.value}
        journal.append(connection, "gateway-answered", now_ns, told)
    return result == State.TRIAL and row.what == What.CONFIGURE


def expire(connection: Connection, ask: str, now_ns: int) -> None:
    """Its command is given up."""
    waits = (_ask.c.id == ask) & _ask.c.state.in_([*OPEN])
    connection.execute(update(_ask).where(waits).values(state=State.EXPIRED, answered_ns=now_ns))
