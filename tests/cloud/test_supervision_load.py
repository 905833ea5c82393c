"""A city that falls silent at once, and the silences of years: no press waits, no round walks through them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, insert, update

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline_cloud import schema, silences
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.alerts.supervision import Sight
from hearthline_cloud.database import Database
from hearthline_cloud.supervising import supervise_once
from hearthline_cloud.supervising_devices import supervise_devices

MANY = 3 * silences.AT_ONCE + 1


@contextmanager
def raised_in_each_transaction(cloud: Cloud) -> Iterator[list[int]]:
    """How many alerts each transaction that committed has raised."""
    raised, done = [0], []

    def inserted(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        raised[0] += statement.startswith("INSERT INTO alert ")

    def committed(_connection: Any) -> None:
        done.append(raised[0])
        raised[0] = 0

    event.listen(cloud.database.engine, "after_cursor_execute", inserted)
    event.listen(cloud.database.engine, "commit", committed)
    yield done
    event.remove(cloud.database.engine, "after_cursor_execute", inserted)
    event.remove(cloud.database.engine, "commit", committed)


def test_a_city_that_falls_silent_is_raised_in_bundles(cloud: Cloud) -> None:
    now = time.time_ns()
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway), [{"id": f"g-{n}", "last_seen_ns": now} for n in range(MANY)])
    with raised_in_each_transaction(cloud) as raised:
        supervise_once(cloud.database, now + 80 * NS, now)
    assert sum(raised) == MANY + 1
    assert max(raised) <= silences.AT_ONCE


class SpeaksMeanwhile(Database):
    """Every gateway speaks as soon as somebody has looked at them."""

    at_ns = 0

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with super().reading() as connection:
            yield connection
        with self.transaction() as connection:
            connection.execute(update(schema.gateway).values(last_seen_ns=self.at_ns))


def test_a_gateway_that_speaks_while_others_are_written_is_not_raised(cloud: Cloud) -> None:
    now = time.time_ns()
    supervise_once(cloud.database, now, now)
    database = SpeaksMeanwhile(cloud.database.url)
    late = database.at_ns = now + 80 * NS
    database.at_ns += 60 * NS  # a round over a city takes its time, and its `now` is the beginning's
    assert supervise_once(database, late, now) == []
    database.close()


def test_no_round_walks_through_the_silences_of_years(cloud: Cloud) -> None:
    now = time.time_ns()
    old = {"state": "resolved", "gateway_id": "gw-1", "device_id": "enocean:1", "raised_ns": now - 9 * NS}
    rows = [
        {**old, "kind": kind, "join_key": f"{kind}:{n}", "since_ns": now - 9 * NS, "ended_ns": now - 8 * NS}
        for kind in (AlertKind.DEVICE_SILENT, AlertKind.GATEWAY_SILENT, AlertKind.TEST_MISSED)
        for n in range(300)
    ]
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.alert), rows)
        late = {"kind": "detector", "last_seen_ns": now - 86_400 * 30 * NS, "watched_ns": now - 86_400 * 30 * NS}
        connection.execute(update(schema.device).values(**late))
        connection.execute(update(schema.gateway).values(state="online", last_seen_ns=now))
    if cloud.database.is_server:
        with cloud.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE alert")
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "alert.ended_ns" in statement:
            word = "EXPLAIN" if cloud.database.is_server else "EXPLAIN QUERY PLAN"
            cursor = connection.connection.driver_connection.cursor()
            plans.append(" ".join(str(row) for row in cursor.execute(f"{word} {statement}", parameters)))

    event.listen(cloud.database.engine, "after_cursor_execute", explain)
    changed, late_devices = supervise_devices(cloud.database, now, Sight.opened(now - 86_400 * NS, 0))
    event.remove(cloud.database.engine, "after_cursor_execute", explain)
    assert (len(changed), late_devices) == (2, 2)
    walks = [plan for plan in plans if "ix_alert_since (kind=?)" in plan or "Seq Scan on alert" in plan]
    assert plans
    assert not walks
