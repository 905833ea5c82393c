"""The press by which a device was learned must end in a binding; what nobody has claimed was perhaps somebody's.

    marked press of a run "pair-…" --> bound to this gateway within two minutes --> it was the installer's
                                   \\-> not bound ---------------------------------> a possible alarm, raised late

The wizard marks the first press that it hears of a device that is not this home's. A neighbour's pendant, or one that
the installer then left aside, was pressed by a person. Derived from the rows: whoever is killed, the next desk raises.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, exists, select, update

from hearthline import wire
from hearthline.clock import NS
from hearthline.commissioning import PAIRING
from hearthline_cloud.database import Database
from hearthline_cloud.ingest.raising import raise_or_join
from hearthline_cloud.schema import commissioning, commissioning_press, device, event

CLAIM_S: Final = 120  # the installer names device and room, and it may take the binding some seconds to come
_AT_ONCE = 20

_is_bound = exists().where(
    device.c.gateway_id == commissioning.c.gateway_id,
    device.c.id == commissioning_press.c.device_id,
    device.c.registered,
)
_PRESSES = (
    select(commissioning_press, commissioning.c.gateway_id, commissioning.c.home_id, _is_bound.label("is_bound"))
    .join(commissioning, commissioning.c.id == commissioning_press.c.commissioning_id)
    .where(commissioning_press.c.decided_ns.is_(None), commissioning.c.run.startswith(PAIRING, autoescape=True))
    .order_by(commissioning_press.c.id)
)


def settle(database: Database, now_ns: int) -> int:
    """Settle each learning press that is bound, and raise each that is not in time; how many were raised."""
    with database.reading() as connection:
        due = [row.id for row in connection.execute(_PRESSES.limit(_AT_ONCE)) if row.is_bound or _is_late(row, now_ns)]
    if not due:
        return 0
    raised = 0
    with database.transaction() as connection:  # asked again: of two desks one raises
        for row in connection.execute(_PRESSES.where(commissioning_press.c.id.in_(due))).all():
            alert = None if row.is_bound else _raise(connection, row, now_ns)
            decided = {"decided_ns": now_ns, "decision": {"alert": alert}}
            connection.execute(update(commissioning_press).where(commissioning_press.c.id == row.id).values(**decided))
            raised += alert is not None
    return raised


def _is_late(row: Row[Any], now_ns: int) -> bool:
    away_ns: int = abs(now_ns - row.received_ns)  # a center's clock that was set back must not wait for long
    return away_ns >= CLAIM_S * NS


def _raise(connection: Connection, row: Row[Any], now_ns: int) -> int | None:
    """The alert of the press; None for an event that is not kept any more."""
    stored = connection.execute(select(event).where(event.c.id == row.event_key)).first()
    if stored is None:
        return None
    told = wire.Event(
        stored.event_id, f"hearthline/{row.gateway_id}", stored.type, stored.device_id, stored.occurred_ns,
        stored.data | {"certainty": "possible"}, wire.Envelope(stored.outbox, stored.seq, stored.boot, True, 0),
    )  # fmt: skip
    return raise_or_join(connection, stored.id, told, row.gateway_id, row.home_id, stored.resident_id, now_ns)
