"""A person closes what a commissioning has left to do, with a reason of a closed list; its words name nobody."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, select, update

from hearthline.commissioning import StepState
from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.schema import commissioning_step

CLOSED = "commissioning-closed"  # in the journal


class Why(StrEnum):
    """Why there is nothing left to do."""

    TRIED = "tried"  # by another way, and it works
    REPLACED = "replaced"  # the device is not in the home any more
    NOT_USED = "not-used"  # not in this room
    DECLINED = "declined"  # the resident does not want it


def close(connection: Connection, gateway: str, to_do: int, why: Why, actor: str, now_ns: int) -> None:
    """Raises NotFoundError, RefusedError for what is closed already."""
    table = commissioning_step
    same = (table.c.id == to_do) & (table.c.gateway_id == gateway) & (table.c.state != StepState.PASSED)
    row = connection.execute(select(table).where(same)).first()
    if row is None:
        raise NotFoundError(f"the gateway {gateway} has nothing to do under number {to_do}")
    if row.closed_ns is not None:
        raise RefusedError("this is closed already")
    values = {"closed_ns": now_ns, "closed_by": actor, "closed_why": why}
    connection.execute(update(table).where(table.c.id == to_do).values(**values))
    detail = {"gateway": gateway, "device": row.device_id, "to_do": to_do, "why": why.value}
    journal.append(connection, CLOSED, now_ns, detail, actor=actor)
