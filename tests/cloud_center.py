"""A cloud database with a small community, the event lane over it, and a gateway that makes messages; no broker."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uuid_utils
from sqlalchemy import Row, Table, func, insert, select

from hearthline import wire
from hearthline.model import EventType, Lane, Reading
from hearthline_cloud import schema
from hearthline_cloud.backup.making import make_backup
from hearthline_cloud.config import RetentionConfig, load_cloud_config
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.ingest.event_lane import EventLane
from hearthline_cloud.ingest.session import Message
from hearthline_cloud.retention.job import remove_all
from hearthline_cloud.wake import Waker
from personal_rows import put, with_key

HOMES = ("home-1", "home-2")


@dataclass
class TestGateway:
    """What a gateway would send; numbers its records by itself."""

    __test__ = False

    id: str = "gw-1"
    outbox: str = "outbox-1"
    boot: str = "boot-1"
    seqs: dict[Lane, itertools.count[int]] = field(default_factory=lambda: {lane: itertools.count(1) for lane in Lane})

    def envelope(self, lane: Lane = Lane.EVENT, **changes: Any) -> wire.Envelope:
        made = wire.Envelope(self.outbox, next(self.seqs[lane]), self.boot, True, time.monotonic_ns())
        return replace(made, **changes)

    def event(self, kind: str = EventType.ALARM, device: str = "enocean:1", **data: Any) -> wire.Event:
        key = str(uuid_utils.uuid7())
        return wire.Event(key, f"hearthline/{self.id}", kind, device, time.time_ns(), data, self.envelope())

    def press(self, role: str = "emergency", device: str = "enocean:1", **data: Any) -> wire.Event:
        return self.event(EventType.ALARM, device, role=role, **data)

    def pack(self, *values: float, quantity: str = "power", unit: str = "W", device: str = "meter:1") -> wire.Pack:
        readings = tuple(
            (Reading(device, quantity, value, unit), place * 1_000_000) for place, value in enumerate(values)
        )
        return wire.Pack(time.time_ns(), readings, self.envelope(Lane.TELEMETRY))

    def message(self, what: wire.Event | wire.Pack | wire.Status | bytes, leaf: str = wire.UP_EVENT) -> Message:
        match what:
            case wire.Event():
                payload = wire.encode_event(what)
            case wire.Pack():
                payload, leaf = wire.encode_pack(what), wire.UP_TELEMETRY
            case wire.Status():
                payload, leaf = wire.encode(what), wire.UP_STATUS
            case _:
                payload = what
        return Message(wire.topic(self.id, leaf), payload, False, 1, 1)

    def odd(self, event: wire.Event, **changes: Any) -> bytes:
        """The event with some of its fields replaced by anything."""
        return json.dumps(json.loads(wire.encode_event(event)) | changes).encode()


class Cloud:
    """A migrated database with two homes; gateway `gw-1` in the first; user 1 of its cuff is `res-1`."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        """In SQLite below `folder`, unless the URL names another database."""
        self.folder = folder
        self.database = Database(url or sqlite_url(folder / "hearthline.db"))
        self.database.migrate()
        with_key(self.database, folder)
        self.waker = Waker(folder)
        self.lane = EventLane(self.database, self.waker, threading.Event())
        self.gateway = TestGateway()

    def populate(self) -> None:
        with self.database.transaction() as connection:
            connection.execute(insert(schema.community).values(id="com-1", name="East"))
            for home in HOMES:
                put(connection, schema.home, id=home, community_id="com-1", name=home)
            put(connection, schema.resident, id="res-1", home_id="home-1", name="Li", contacts=[])
            connection.execute(insert(schema.gateway).values(id="gw-1", home_id="home-1"))
            for device, user in (("cuff:1", 1), ("enocean:1", None)):
                values = {"gateway_id": "gw-1", "id": device, "resident_id": "res-1", "user_number": user}
                connection.execute(insert(schema.device).values(registered=True, **values))

    def take(self, *whats: wire.Event | wire.Status | bytes | Message) -> list[tuple[str, wire.Ack]]:
        """Hand a batch to the event lane; the acknowledgements."""
        messages = [what if isinstance(what, Message) else self.gateway.message(what) for what in whats]
        outcome = self.lane.commit(messages)
        assert outcome is not None
        return outcome.acks(Lane.EVENT)

    def rows(self, table: Table) -> Sequence[Row[Any]]:
        with self.database.reading() as connection:
            return connection.execute(select(table).order_by(*table.primary_key)).all()

    def count(self, table: Table) -> int:
        with self.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def close(self) -> None:
        self.waker.close()
        self.database.close()


def ingest_in_a_process(folder: str, url: str, start: Any) -> None:
    cloud = Cloud(Path(folder), url)
    start.wait(20)
    for number in range(20):
        gateway = TestGateway(outbox="outbox-1")
        press = replace(gateway.press(), id=f"press-{number}")
        cloud.take(gateway.message(press))
    cloud.close()


def migrate(url: str) -> None:
    database = Database(url)
    try:
        database.migrate()
    finally:
        database.close()


def migrate_in_a_process(url: str, start: Any) -> None:
    start.wait(20)
    migrate(url)


def stop_in_a_write(url: str, holding: Any) -> None:
    """As a process does that is stopped in the middle of a transaction."""
    with Database(url).transaction() as connection:
        connection.execute(insert(schema.community).values(id="half", name="done"))
        holding.set()
        os.kill(os.getpid(), signal.SIGSTOP)


def back_up_in_a_process(config_file: Path, file: Path, key_file: Path) -> None:
    """One backup after another, until killed."""
    config = load_cloud_config(config_file)
    while True:
        make_backup(config_file, config, file, key_file, time.time_ns())


def remove_old_in_a_process(url: str, now_ns: int, start: Any) -> None:
    database = Database(url)
    start.wait(20)
    remove_all(database, RetentionConfig(), now_ns, lambda: threading.Event().wait(0.02))
    database.close()
