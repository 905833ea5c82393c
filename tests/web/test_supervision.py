"""A gateway's silence: raised once, cleared when heard, never raised again after a person closed it."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Row, select, text, update

from hearthline.clock import NS
from hearthline_cloud import desk, schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.desk import _WATCHED, Desk, supervise_once
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
    people = Desk(center.database, center.waker)
    for change in raised:
        people.resolve(change.alert_id, Outcome.TEST, "mei", later + NS)
    assert supervise_once(center.database, later + 600 * NS, now) == []


def test_a_registered_gateway_that_was_never_heard_is_silent_too(center: Center) -> None:
    now = time.time_ns()
    with center.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(last_seen_ns=None, state="unknown"))
    raised = supervise_once(center.database, now + 80 * NS, now)
    assert sorted(gateway for gateway, _, _ in _silences(center)) == ["gw-east-1", "gw-east-2"]
    assert len(raised) == 2
    assert supervise_once(center.database, now + 160 * NS, now + 80 * NS) == []


def test_a_long_history_is_not_read_through_and_alarms_never_wait_for_the_look(center: Center) -> None:
    now = time.time_ns()
    alert, gateway = schema.alert, schema.gateway
    with center.database.transaction() as connection:
        connection.execute(
            gateway.insert(),
            [{"id": f"gw-{n}", "home_id": "h-1", "state": "online", "last_seen_ns": now} for n in range(300)],
        )
        old = {"kind": "gateway-silent", "state": "resolved", "outcome": "restored", "device_id": "", "raised_ns": 1}
        rows = [{**old, "gateway_id": f"gw-{n % 300}", "join_key": f"gateway-silent:gw-{n % 300}"} for n in range(9000)]
        connection.execute(alert.insert(), rows)
    plain = _WATCHED.compile(center.database.engine, compile_kwargs={"literal_binds": True})
    with center.database.reading() as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {plain}"))
        steps = [row[-1] for row in plan]
    assert not [step for step in steps if step.startswith("SCAN") and "gateway" not in step], steps
    with center.database.transaction():  # somebody writes an alarm; the look itself asks for no lock
        began = time.monotonic()
        with center.database.reading() as connection:
            assert len(connection.execute(_WATCHED).all()) == 303
        assert time.monotonic() - began < 0.1
    assert supervise_once(center.database, now + NS, now) == []
    assert len(supervise_once(center.database, now + 80 * NS, now)) == 303


def test_what_has_changed_since_the_look_is_left_alone(center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway is heard between the look and the lock."""
    now = time.time_ns()
    later = now + 80 * NS
    due = desk._due
    looks: list[str] = []

    def heard_meanwhile(row: Row[object], watching_since_ns: int, now_ns: int) -> object:
        found = due(row, watching_since_ns, now_ns)
        if row.id == "gw-east-1" and not looks:
            looks.append(row.id)
            _hear(center, "gw-east-1", later)
        return found

    monkeypatch.setattr(desk, "_due", heard_meanwhile)
    supervise_once(center.database, later, now)
    assert sorted(gateway for gateway, _, _ in _silences(center)) == ["gw-east-2", "gw-stray"]
