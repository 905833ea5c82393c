"""A marked alarm that answers a self-test: kept as an alert that is raised and closed in one transaction.

Only what this center has asked this gateway for counts: the gateway of the topic, its own id as subject and in the
source, the role `self-test`, and the id of a test that nothing has answered yet. No device can have a gateway's id. A
mark on anything else is no mark: in doubt, raise.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from hearthline import wire
from hearthline.model import SELF_TEST, EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.journal import SYSTEM

_test = schema.self_test


def answered_test(connection: Connection, event: wire.Event, gateway: str) -> str | None:
    """The id of the self-test that this alarm proves, or None for an alarm like any other."""
    mark = event.data.get("test")
    is_id = isinstance(mark, str) and len(mark) <= 64 and mark.isascii() and mark.isprintable()
    is_marked = is_id and event.data.get("role") == SELF_TEST and event.type == EventType.ALARM
    is_own = event.subject == gateway and event.source == f"hearthline/{gateway}"
    if not (is_marked and is_own):
        return None
    outstanding = (_test.c.id == mark) & (_test.c.gateway_id == gateway) & _test.c.received_ns.is_(None)
    return connection.execute(select(_test.c.id).where(outstanding)).scalar()


def prove(
    connection: Connection,
    test: str,
    stored: int,
    gateway: str,
    home: str | None,
    made: tuple[int, str],
    now_ns: int,
) -> None:
    """The alert of a test that came through. `made`: when, by the gateway's clock, and what that is worth."""
    alert: int = connection.execute(
        insert(schema.alert)
        .values(
            kind=AlertKind.SELF_TEST,
            join_key=f"{AlertKind.SELF_TEST}:{test}",
            state=State.RESOLVED,
            home_id=home,
            gateway_id=gateway,
            device_id=gateway,
            presses=1,
            raised_ns=now_ns,
            last_press_ns=now_ns,
            resolved_by=SYSTEM,
            resolved_ns=now_ns,
            outcome=Outcome.TEST,
        )
        .returning(schema.alert.c.id)
    ).scalar_one()
    connection.execute(update(schema.event).where(schema.event.c.id == stored).values(alert_id=alert))
    made_ns, quality = made
    values = {"received_ns": now_ns, "made_ns": made_ns, "time_quality": quality, "alert_id": alert}
    connection.execute(update(_test).where(_test.c.id == test).values(**values))
    connection.execute(update(schema.gateway).where(schema.gateway.c.id == gateway).values(proved_id=test))
    command = schema.command
    waiting = (command.c.id == test) & command.c.answered_ns.is_(None)
    connection.execute(update(command).where(waiting).values(answered_ns=now_ns, result="proved"))
    detail = {"gateway": gateway, "test": test}
    journal.append(connection, "raised", now_ns, detail, alert=alert, event=stored)
    closing = {"state": State.RESOLVED.value, "version": 1, "outcome": Outcome.TEST.value}
    journal.append(connection, "resolved", now_ns, closing, alert=alert, actor=SYSTEM)
