"""Child of the power cuts: the center's database under its event lane, the desk and the embedded store at once.

Tells what it found when it opened them; then each `down/ack` that the event lane would have sent, each step of an
operator and each point of a series, after their commits.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table, event, select

from hearthline import wire
from hearthline.clock import NS
from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome, State
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.desk import Desk
from hearthline_cloud.ingest.event_lane import EventLane
from hearthline_cloud.ingest.session import Message
from hearthline_cloud.store import Point, SeriesQuery
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.wake import Waker
from power.telling import make_durably, serve, tell

GATEWAYS = 3
TOLD_AGAIN = 5  # the first batch of a boot repeats so many that were acknowledged
START_NS = 1_790_000_000 * NS
KINDS = {3: EventType.VITAL, 5: EventType.DEVICE}
VALUES = [
    {"quantity": "systolic", "value": 132, "unit": "mm[Hg]"},
    {"quantity": "diastolic", "value": 84, "unit": "mm[Hg]"},
    {"quantity": "heart_rate", "value": 71, "unit": "/min"},
]


def message(number: int) -> Message:
    """The record `number` as its gateway sends it, the same each time."""
    gateway = f"gw-{number % GATEWAYS}"
    kind = KINDS.get(number % 7, EventType.ALARM)
    data: dict[str, Any] = {"role": "emergency", "button": "A0", "ordinal": number, "certainty": "certain"}
    if kind is not EventType.ALARM:
        data = {"values": VALUES} if kind is EventType.VITAL else {"kind": "low-battery", "detail": "2.1 V"}
    envelope = wire.Envelope(f"outbox-{gateway}", number + 1, "boot", True, number)
    record = wire.Event(f"event-{number}", f"hearthline/{gateway}", kind, "device", START_NS + number, data, envelope)
    return Message(wire.topic(gateway, wire.UP_EVENT), wire.encode_event(record), False, 1, 1)


class Gateways:
    """The other end of the event lane: what it is told counts as told to the home."""

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        ack = wire.decode_ack(payload)
        assert not ack.refused
        tell("acked", wire.gateway_of(topic), ack.event)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        pass  # the broker's part; nothing rests on it


def found(database: Database, store: EmbeddedStore, revision: str | None) -> dict[str, Any]:
    def rows(table: Table, *columns: str) -> list[list[Any]]:
        return [
            list(row) for row in connection.execute(select(*(table.c[name] for name in columns)).order_by(table.c.id))
        ]

    with database.reading() as connection:
        return {
            "integrity": connection.exec_driver_sql("PRAGMA integrity_check").fetchall()[0][0],
            "dangling": len(connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()),
            "revision": revision,
            "events": rows(schema.event, "gateway_id", "seq", "event_id", "type", "id", "alert_id"),
            "alerts": rows(schema.alert, "id", "presses", "state"),
            "journal": rows(schema.journal, "event_key", "kind", "alert_id"),
            "commands": [[gateway, body["event"]] for gateway, body in rows(schema.command, "gateway_id", "body")],
            "vitals": len(rows(schema.store_queue, "id")),
            "points": [sample.value for sample in store.read(SeriesQuery("power", 0, 2**62, limit=1_000_000))],
        }


def ingest(lane: EventLane, start: int, rng: random.Random) -> None:
    lane.handle([message(number) for number in range(max(start - TOLD_AGAIN, 0), start + 1)])
    number = start + 1
    while True:
        size = rng.randrange(1, 8)
        lane.handle([message(each) for each in range(number, number + size)])
        number += size


def attend(database: Database, desk: Desk) -> None:
    """Take the oldest alert that is open, one step at a time."""
    order = schema.alert.c.id
    while True:
        with database.reading() as connection:
            alert = connection.execute(
                select(schema.alert).where(schema.alert.c.state != State.RESOLVED).order_by(order)
            ).first()
        if alert is None:
            time.sleep(0.005)
        elif alert.state == State.RAISED:
            tell("acted", alert.id, desk.acknowledge(alert.id, "mei", time.time_ns()).state)
        else:
            tell("acted", alert.id, desk.resolve(alert.id, Outcome.HELP_GIVEN, "mei", time.time_ns()).state)
            time.sleep(0.03)


def measure(store: EmbeddedStore, start: int) -> None:
    for number in itertools.count(start):
        assert store.write([Point("power", "c", "h", "gw", "meter", float(number), START_NS + number)]) == []
        tell("point", number)
        time.sleep(0.005)


def open_database(folder: Path, heard: dict[str, Any]) -> tuple[Database, str | None]:
    """The database, migrated, and the revision that it had before."""
    database = Database(sqlite_url(folder / "hearthline.db"))
    pragma = {"checkpoint": "wal_autocheckpoint=12"}.get(heard["mode"], "wal_autocheckpoint=1000")
    if heard["control"]:
        pragma = "synchronous=NORMAL"
    if heard["control"] or heard["mode"] == "checkpoint":
        event.listen(database.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}").close())
    with database.reading() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    database.migrate()
    return database, revision


def boot(heard: dict[str, Any]) -> None:
    folder = Path(heard["data"])
    make_durably(folder)
    database, revision = open_database(folder, heard)
    store = EmbeddedStore(folder)
    tell("opened", found(database, store, revision))
    waker = Waker(folder)
    lane = EventLane(database, waker, threading.Event())
    lane.attach(Gateways())
    threading.Thread(target=attend, args=(database, Desk(database, waker)), daemon=True).start()
    threading.Thread(target=measure, args=(store, heard["point"]), daemon=True).start()
    ingest(lane, heard["number"], random.Random(heard["boot"]))


serve(boot)
