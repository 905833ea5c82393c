"""A small community in a database, presses as the ingester writes them, and the web role on a free port."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uuid_utils
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.event import listen, remove

from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.model import VITAL_UNITS, EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import AlertKind, State, join_key
from hearthline_cloud.config import CloudConfig, WebConfig
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.desk import beat
from hearthline_cloud.pacing import RATES, Cost, Rate
from hearthline_cloud.people import People
from hearthline_cloud.permissions import Role
from hearthline_cloud.store import Point, Sample, SeriesQuery, Summary, Tier
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.wake import Waker
from hearthline_cloud.web import WebServer, create_app
from personal_rows import give_key, put, with_key
from web.client import PASSWORD, Client
from web.community import COMMUNITY

__all__ = ["PASSWORD", "STAFF", "Center", "Client", "SwitchedStore"]


STAFF = {"mei": Role.OPERATOR, "jun": Role.OPERATOR, "boss": Role.ADMINISTRATOR, "wall": Role.VIEWER}


class SwitchedStore:
    """The embedded store, in a file that is made at its first use, or away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store: EmbeddedStore | None = None
        self.away = False

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        return self._opened().write(points)

    def read(self, query: SeriesQuery) -> list[Sample]:
        return self._opened().read(query)

    def summaries(self, tier: Tier, query: SeriesQuery) -> list[Summary]:
        return self._opened().summaries(tier, query)

    def roll_up(self, tier: Tier, from_ns: int, to_ns: int) -> None:
        self._opened().roll_up(tier, from_ns, to_ns)

    def check(self) -> None:
        self._opened()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _opened(self) -> EmbeddedStore:
        if self.away:
            raise LinkError("the store is away")
        if self._store is None:
            self._store = EmbeddedStore(self._folder)
        return self._store


@dataclass
class Center:
    """A database with one community, two homes, three people and their devices, and the accounts of `STAFF`."""

    folder: Path
    port: int = 0
    wall_names: bool = False
    rates: Mapping[Cost, Rate] = field(default_factory=lambda: RATES)
    second_factor: list[Role] = field(default_factory=list)  # the roles that need one

    def __post_init__(self) -> None:
        self.database = Database(sqlite_url(self.folder / "hearthline.db"))
        give_key(self.database, self.folder)
        self.store = SwitchedStore(self.folder)
        (self.folder / "wake").mkdir(exist_ok=True)
        self.waker = Waker(self.folder)
        self.people = People(self.database)
        self._seq = 0
        self.beat_broker = True
        self.port = self.port or free_port()

    @property
    def config(self) -> CloudConfig:
        web = WebConfig(port=self.port, wall_names=self.wall_names, second_factor=self.second_factor)
        return CloudConfig(data_dir=str(self.folder), web=web)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> FastAPI:
        return create_app(self.config, self.database, self.store, self.rates)

    def populate(self) -> None:
        now = time.time_ns()
        self.database.migrate()
        with_key(self.database, self.folder)
        hashed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)  # as quick as it can be
        accounts = [
            {"name": name, "password_hash": hashed, "role": role, "created_ns": now, "center_wide": True}
            for name, role in STAFF.items()
        ]
        with self.database.transaction() as connection:  # not by `Accounts.add`: the journal begins with the test
            connection.execute(insert(schema.staff), accounts)
            for table, rows in COMMUNITY:
                for row in rows:
                    put(connection, table, **row)
        self.refresh()

    def refresh(self) -> None:
        """As if every gateway and the ingester had just been heard."""
        with self.database.transaction() as connection:
            connection.execute(update(schema.gateway).values(state="online", last_seen_ns=time.time_ns()))
        self.heartbeat()

    def close(self) -> None:
        self.waker.close()
        self.store.close()
        self.database.close()

    def press(
        self,
        gateway: str = "gw-east-1",
        device: str = "enocean:01a2b3c4",
        role: str = "emergency",
        occurred_ns: int | None = None,
        ordinal: int | None = None,
    ) -> int:
        """Write one press as the ingester does: event, alert, journal, in one transaction; then the wake."""
        now = time.time_ns()
        self._seq += 1
        with self.database.transaction() as connection:
            alert_id, is_new = self._raise_or_join(connection, gateway, device, role, now)
            event = self._event(connection, gateway, device, EventType.ALARM, occurred_ns or now - NS // 4, now)
            number = ordinal or self._seq
            data = {"role": role, "ordinal": number, "receiver": "usb-enocean", "driver": "enocean", "rssi_dbm": -67}
            where = schema.event.c.id == event
            connection.execute(update(schema.event).where(where).values(alert_id=alert_id, data=data))
            kind = "raised" if is_new else "joined"
            journal.append(connection, kind, time.time_ns(), {}, alert=alert_id, event=event)
        self.waker.wake("web")
        return alert_id

    def _raise_or_join(
        self, connection: Connection, gateway: str, device: str, role: str, now: int
    ) -> tuple[int, bool]:
        alert, devices = schema.alert, schema.device
        home = connection.execute(select(schema.gateway.c.home_id).where(schema.gateway.c.id == gateway)).scalar()
        kind = AlertKind.SERVICE if role == "service" else AlertKind.EMERGENCY
        key = join_key(kind, home, gateway)
        is_open = (alert.c.join_key == key) & (alert.c.state != State.RESOLVED)
        opened = connection.execute(select(alert).where(is_open)).first()
        if opened is not None:
            pressed = {"presses": opened.presses + 1, "last_press_ns": now}
            connection.execute(update(alert).where(alert.c.id == opened.id).values(**pressed))
            return opened.id, False
        where = (devices.c.gateway_id == gateway) & (devices.c.id == device)
        values = {
            "kind": kind,
            "join_key": key,
            "state": State.RAISED,
            "home_id": home,
            "resident_id": connection.execute(select(devices.c.resident_id).where(where)).scalar(),
            "gateway_id": gateway,
            "device_id": device,
            "presses": 1,
            "raised_ns": now,
            "last_press_ns": now,
        }
        made: int = connection.execute(insert(alert).values(**values).returning(alert.c.id)).scalar_one()
        return made, True

    def measure(self, resident: str, occurred_ns: int, **values: float) -> None:
        """One blood pressure."""
        with self.database.transaction() as connection:
            key = self._event(connection, "gw-east-1", "bp:cuff-1", EventType.VITAL, occurred_ns, occurred_ns + NS)
            changes = {
                "resident_id": resident,
                "data": {"values": [{"quantity": q, "value": v, "unit": VITAL_UNITS[q]} for q, v in values.items()]},
            }
            connection.execute(update(schema.event).where(schema.event.c.id == key).values(**changes))

    def heartbeat(self, age_s: float = 0, **flags: bool) -> None:
        detail = {"broker": True, "store": True, **flags}
        with self.database.transaction() as connection:
            beat(connection, "ingest", time.time_ns() - round(age_s * NS), detail)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """An ingester whose heart beats until the block ends."""
        stop = threading.Event()

        def beat_on() -> None:
            while not stop.wait(1.0):
                self.heartbeat(broker=self.beat_broker)

        thread = threading.Thread(target=beat_on, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """SQLite refuses every write, as where its disk was mounted anew without the right to; save the heart's."""

        def refuse(connection: sqlite3.Connection, *_: object) -> None:
            is_heart = threading.current_thread().name == "heartbeat"
            connection.execute(f"PRAGMA query_only={'OFF' if is_heart else 'ON'}")

        listen(self.database.engine, "checkout", refuse)
        try:
            yield
        finally:
            remove(self.database.engine, "checkout", refuse)
            self.database.engine.dispose()

    def _event(self, connection: Connection, gateway: str, device: str, kind: str, occurred: int, received: int) -> int:
        self._seq += 1
        values = {
            "gateway_id": gateway,
            "event_id": str(uuid_utils.uuid7()),
            "type": kind,
            "device_id": device,
            "occurred_ns": occurred,
            "time_quality": "synced",
            "received_ns": received,
            "outbox": "outbox-1",
            "seq": self._seq,
            "boot": "boot-1",
            "data": {},
        }
        key: int = connection.execute(insert(schema.event).values(**values).returning(schema.event.c.id)).scalar_one()
        return key

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The web role in a thread, until the block ends."""
        stop = threading.Event()
        app = self.app()
        following = app.state.parts.follower.started
        server = WebServer(app, self.config, stop)
        thread = threading.Thread(target=server.run, name="web")
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not (server.started and following.is_set()) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.started
            assert following.is_set()
            yield
        finally:
            stop.set()
            thread.join(10)
        assert not thread.is_alive()

    def client(self, name: str | None = None) -> Client:
        client = Client(self.url)
        if name:
            client.log_in(name)
        return client


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
