"""The alerts of the system's own: raised once for each silence, resolved when it is over, and remembered in between.

A silence lasts from `since_ns` until `ended_ns`, whoever closes its alert when. A unique index allows one lasting
silence a key, so that neither two desks nor a desk that starts anew raise one twice, and one that a person has closed
stays closed until there is another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, and_, insert, update
from sqlalchemy import select as _select

from hearthline_cloud import journal
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.alerts.supervision import credible
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Changed
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.schema import alert

T = TypeVar("T")
HEARD_AGAIN = "heard-again"  # in the journal: the silence is over whose alert a person had closed
LASTS = and_(alert.c.since_ns.is_not(None), alert.c.ended_ns.is_(None))
AT_ONCE = 8  # a transaction: a press waits for no longer one
_BREATH_S = 0.02  # between two of them: who waits for the lock looks every 2 ms, and would never find it free


def in_bundles(
    database: Database, rows: Sequence[T], change: Callable[[Connection, T], list[Changed]]
) -> list[Changed]:
    """Change what each row asks for, a few rows a transaction: a city falls silent at once, and presses go before."""
    changes: list[Changed] = []
    for first in range(0, len(rows), AT_ONCE):
        if first:
            time.sleep(_BREATH_S)
        with database.transaction() as connection:
            for row in rows[first : first + AT_ONCE]:
                changes += change(connection, row)
    return changes


def lasting(connection: Connection, key: str) -> Row[Any] | None:
    """The silence of that key that lasts, open or closed by a person."""
    return connection.execute(_select(alert).where(LASTS, alert.c.join_key == key)).first()


def raise_once(
    connection: Connection,
    kind: AlertKind,
    key: str,
    since_ns: int | None,
    now_ns: int,
    values: dict[str, Any],
    detail: dict[str, Any],
) -> list[Changed]:
    """Raise it unless it lasts already. `since_ns` None: nobody knows when it began, so it does now."""
    if lasting(connection, key) is not None:
        return []
    began = credible(since_ns, now_ns)
    row = {"kind": kind, "join_key": key, "state": State.RAISED, "device_id": "", "gateway_id": "", **values}
    found: Any = connection.execute(
        insert(alert)
        .values(**row, raised_ns=now_ns, since_ns=now_ns if began is None else min(began, now_ns))
        .returning(alert.c.id)
    ).scalar_one()
    journal.append(connection, "raised", now_ns, detail, alert=found, actor=SYSTEM)
    return [Changed(found, State.RAISED, 1)]


def end(connection: Connection, key: str, now_ns: int) -> list[Changed]:
    """The silence is over: resolved with the outcome `restored`, unless a person has closed its alert before."""
    row = lasting(connection, key)
    if row is None:
        return []
    values: dict[str, Any] = {"ended_ns": max(now_ns, row.since_ns)}
    if row.state == State.RESOLVED:
        connection.execute(update(alert).where(alert.c.id == row.id).values(**values))
        journal.append(connection, HEARD_AGAIN, now_ns, {}, alert=row.id, actor=SYSTEM)
        return [Changed(row.id, State.RESOLVED, row.version)]
    values |= {"state": State.RESOLVED, "version": row.version + 1, "outcome": Outcome.RESTORED}
    values |= {"resolved_by": SYSTEM, "resolved_ns": now_ns}
    connection.execute(update(alert).where(alert.c.id == row.id).values(**values))
    detail = {"outcome": Outcome.RESTORED.value}
    journal.append(connection, "restored", now_ns, detail, alert=row.id, actor=SYSTEM)
    return [Changed(row.id, State.RESOLVED, row.version + 1)]


def began_anew(row: Row[Any], last_seen_ns: int | None, now_ns: int) -> bool:
    """Whether a silence is another one than that whose alert a person closed: it was heard in between, unseen by us."""
    raised_ns = credible(row.silence_raised_ns, now_ns)
    if row.silence_state != State.RESOLVED or raised_ns is None:
        return False
    return (credible(last_seen_ns, now_ns) or 0) > raised_ns
