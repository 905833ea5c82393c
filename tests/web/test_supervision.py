"""A gateway's silence: raised once, cleared when heard, never raised again after a person closed it."""

from __future__ import annotations

import time

from sqlalchemy import Row, select, update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.desk import Desk, supervise_once
from web.seeding import Center


def _silences(center: Center) -> list[tuple[str, str, str | None]]:
    with center.database.reading() as connection:
        rows = connection.execute(select(schema.alert).order_by(schema.alert.c.id)).all()
    return [(row.gateway_id, row.state, row.outcome) for row in rows]


def _hear(center: Center, gateway: str, at_ns: int) -> None:
    with center.database.transaction() as connection:
        connection.execute(
            update(schema.gateway).where(schema.gateway.c.id == gateway).values(state="online", last_seen_ns=at_ns)
        )


def test_silence_is_raised_once_and_cleared_when_heard(center: Center) -> None:
    now = time.time_ns()
    for gateway in ("gw-east-1", "gw-stray"):
        _hear(center, gateway, now + 3600 * NS)
    assert supervise_once(center.database, now + 70 * NS, now) == []
    raised = supervise_once(center.database, now + 90 * NS, now)
    assert len(raised) == 1
    assert supervise_once(center.database, now + 95 * NS, now) == []
    assert _silences(center) == [("gw-east-2", "raised", None)]
    _hear(center, "gw-east-2", now + 100 * NS)
    assert [change.alert_id for change in supervise_once(center.database, now + 101 * NS, now)] == [raised[0].alert_id]
    assert _silences(center) == [("gw-east-2", "resolved", "restored")]
    supervise_once(center.database, now + 200 * NS, now)
    assert _silences(center)[-1] == ("gw-east-2", "raised", None)
    with center.database.reading() as connection:
        journal: list[Row[object]] = list(connection.execute(select(schema.journal)).all())
    assert [(row.kind, row.actor) for row in journal] == [
        ("raised", "system"),
        ("restored", "system"),
        ("raised", "system"),
    ]


def test_nothing_is_known_right_after_the_start(center: Center) -> None:
    now = time.time_ns() + 3600 * NS
    assert supervise_once(center.database, now, now - 10 * NS) == []
    assert len(supervise_once(center.database, now, now - 80 * NS)) == 3


def test_a_silence_that_a_person_closed_stays_closed(center: Center) -> None:
    now = time.time_ns()
    later = now + 80 * NS
    raised = supervise_once(center.database, later, now)
    desk = Desk(center.database, center.waker)
    for change in raised:
        desk.resolve(change.alert_id, Outcome.TEST, "mei", later + NS)
    assert supervise_once(center.database, later + 600 * NS, now) == []


def test_a_registered_gateway_that_was_never_heard_is_silent_too(center: Center) -> None:
    now = time.time_ns()
    with center.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(last_seen_ns=None, state="unknown"))
    raised = supervise_once(center.database, now + 80 * NS, now)
    assert sorted(gateway for gateway, _, _ in _silences(center)) == ["gw-east-1", "gw-east-2"]
    assert len(raised) == 2
    assert supervise_once(center.database, now + 160 * NS, now + 80 * NS) == []
