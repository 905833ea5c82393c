"""A small community in a database, presses as the ingester writes them, and the web role on a free port."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import uuid_utils
from fastapi import FastAPI
from sqlalchemy import insert, select, update

from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.model import VITAL_UNITS, EventType
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import AlertKind, State, join_key
from hearthline_cloud.config import CloudConfig, WebConfig
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.desk import beat
from hearthline_cloud.people import People, Role
from hearthline_cloud.store import Point, Sample, SeriesQuery
from hearthline_cloud.wake import Waker
from hearthline_cloud.web import WebServer, create_app

PASSWORD = "correct horse battery"


class MemoryStore:
    """A store in memory that can be away."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.away = False

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        self.check()
        self.points += points
        return []

    def read(self, query: SeriesQuery) -> list[Sample]:
        from hearthline_cloud.store import Tags

        self.check()
        found = [
            Sample(p.time_ns, p.value, Tags(p.community, p.home, p.gateway, p.device))
            for p in sorted(self.points, key=lambda point: point.time_ns)
            if p.quantity == query.quantity
            and query.from_ns <= p.time_ns < query.to_ns
            and query.home in (None, p.home)
            and query.device in (None, p.device)
        ]
        return list(reversed(found))[: query.limit] if query.newest_first else found[: query.limit]

    def check(self) -> None:
        if self.away:
            raise LinkError("the store is away")


@dataclass
class Center:
    """A database with one community, two homes, three people and their devices, and staff `mei`, `jun`, `boss`."""

    folder: Path
    port: int = 0
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.database = Database(sqlite_url(self.folder / "hearthline.db"))
        (self.folder / "wake").mkdir(exist_ok=True)
        self.waker = Waker(self.folder)
        self.people = People(self.database)
        self._seq = 0
        self.beat_broker = True
        self.port = self.port or free_port()

    @property
    def config(self) -> CloudConfig:
        return CloudConfig(data_dir=str(self.folder), web=WebConfig(port=self.port))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> FastAPI:
        return create_app(self.config, self.database, self.store)

    def populate(self) -> None:
        now = time.time_ns()
        self.database.migrate()
        for name, role in (("mei", Role.OPERATOR), ("jun", Role.OPERATOR), ("boss", Role.ADMINISTRATOR)):
            self.people.add_staff(name, PASSWORD, role, now)
        with self.database.transaction() as connection:
            for table, rows in _COMMUNITY:
                for row in rows:
                    connection.execute(insert(table).values(**row))
        self.refresh()

    def refresh(self) -> None:
        """As if every gateway and the ingester had just been heard."""
        with self.database.transaction() as connection:
            connection.execute(update(schema.gateway).values(state="online", last_seen_ns=time.time_ns()))
        self.heartbeat()

    def close(self) -> None:
        self.waker.close()
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
            place = connection.execute(select(schema.gateway.c.home_id).where(schema.gateway.c.id == gateway)).first()
            home = place.home_id if place else None
            kind = AlertKind.SERVICE if role == "service" else AlertKind.EMERGENCY
            key = join_key(kind, home, gateway)
            alert = schema.alert
            is_open = (alert.c.join_key == key) & (alert.c.state != State.RESOLVED)
            opened = connection.execute(select(alert).where(is_open)).first()
            if opened is None:
                resident = connection.execute(
                    select(schema.device.c.resident_id).where(
                        schema.device.c.gateway_id == gateway, schema.device.c.id == device
                    )
                ).scalar()
                values = {
                    "kind": kind,
                    "join_key": key,
                    "state": State.RAISED,
                    "home_id": home,
                    "resident_id": resident,
                    "gateway_id": gateway,
                    "device_id": device,
                    "presses": 1,
                    "raised_ns": now,
                    "last_press_ns": now,
                }
                alert_id: int = connection.execute(insert(alert).values(**values).returning(alert.c.id)).scalar_one()
            else:
                alert_id = opened.id
                pressed = {"presses": opened.presses + 1, "last_press_ns": now}
                connection.execute(update(alert).where(alert.c.id == alert_id).values(**pressed))
            event = self._event(connection, gateway, device, EventType.ALARM, occurred_ns or now - NS // 4, now)
            data = {
                "role": role,
                "ordinal": ordinal or self._seq,
                "receiver": "usb-enocean",
                "driver": "enocean",
                "rssi_dbm": -67,
            }
            where = schema.event.c.id == event
            connection.execute(update(schema.event).where(where).values(alert_id=alert_id, data=data))
            journal = {"at_ns": time.time_ns(), "kind": "joined" if opened else "raised", "alert_id": alert_id}
            connection.execute(insert(schema.journal).values(**journal, event_key=event, detail={}))
        self.waker.wake("web")
        return alert_id

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

    def _event(self, connection: Any, gateway: str, device: str, kind: str, occurred: int, received: int) -> int:
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
        server = WebServer(self.app(), self.config, stop)
        thread = threading.Thread(target=server.run, name="web")
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.started
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


class Client:
    """A machine that talks to the API; with `browser=True` requests it sends a cookie instead of the token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""
        self._pool = urllib3.PoolManager(retries=False)

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        answer = self.post("login", {"name": name, "password": password})
        assert answer.status == 200, answer.data
        self.token = answer.json()["token"]

    def get(self, path: str, **query: Any) -> urllib3.BaseHTTPResponse:
        return self.request("GET", f"/api/v1/{path}" + ("?" + urlencode(query, doseq=True) if query else ""))

    def post(self, path: str, body: Any = None) -> urllib3.BaseHTTPResponse:
        return self.request("POST", f"/api/v1/{path}", body)

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        sent = {"content-type": "application/json"}
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        sent = sent | (headers or {})
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        return self._pool.request(method, self.url + path, body=data, headers=sent, redirect=False)

    def stream(self, after: int | None = None) -> Stream:
        return Stream(self.url, self.token, after)


class Stream:
    """A live stream being read."""

    def __init__(self, url: str, token: str, after: int | None) -> None:
        headers = {"authorization": f"Bearer {token}"}
        if after is not None:
            headers["last-event-id"] = str(after)
        self._pool = urllib3.PoolManager(retries=False)
        self.answer = self._pool.request(
            "GET", f"{url}/api/v1/stream", headers=headers, preload_content=False, timeout=8
        )
        self._lines = self._read()

    def _read(self) -> Iterator[str]:
        inner = self.answer._original_response  # type: ignore[attr-defined]
        assert isinstance(inner, HTTPResponse)
        for line in inner:
            yield line.decode().rstrip("\n")

    def next(self) -> tuple[str, int | None, dict[str, Any]] | None:
        """(event, id, data) of the next message, or None at the end."""
        name, key, data = "", None, ""
        for line in self._lines:
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                key = int(line[4:])
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and data:
                return name, key, json.loads(data)
        self.close()
        return None

    def journal(self) -> dict[str, Any] | None:
        """The next journal message, or None at the end."""
        while (message := self.next()) is not None:
            if message[0] == "journal":
                assert message[1] == message[2]["journal"]
                return message[2]
        return None

    def close(self) -> None:
        self.answer.close()
        self._pool.clear()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


_COMMUNITY: list[tuple[Any, list[dict[str, Any]]]] = [
    (schema.community, [{"id": "c-1", "name": "梧桐苑社区"}]),
    (
        schema.home,
        [
            {"id": "h-1", "community_id": "c-1", "name": "3号楼 502室", "address": "梧桐路18弄3号502室"},
            {"id": "h-2", "community_id": "c-1", "name": "7号楼 101室", "address": "梧桐路18弄7号101室"},
        ],
    ),
    (
        schema.resident,
        [
            {
                "id": "r-1",
                "home_id": "h-1",
                "name": "王秀兰",
                "birth_year": 1941,
                "phone": "021-5550-0142",
                "illnesses": "高血压；膝关节炎",
                "notes": "听力不好，请大声说话。备用钥匙在居委会。",
                "contacts": [{"name": "王建国", "relation": "儿子", "phone": "138-0000-0142"}],
            },
            {"id": "r-2", "home_id": "h-2", "name": "陈阿宝", "birth_year": 1938, "contacts": []},
        ],
    ),
    (
        schema.gateway,
        [
            {
                "id": "gw-east-1",
                "home_id": "h-1",
                "status": {
                    "state": "online",
                    "version": "0.1.0",
                    "clock": "synced",
                    "event": {"depth": 0},
                    "telemetry": {"depth": 12, "oldest_s": 4.0, "room_h": 9000.0, "dropped": 0},
                },
            },
            {"id": "gw-east-2", "home_id": "h-2", "status": {"state": "online", "clock": "free"}},
            {"id": "gw-stray", "home_id": None},
        ],
    ),
    (
        schema.device,
        [
            {
                "gateway_id": "gw-east-1",
                "id": "enocean:01a2b3c4",
                "registered": True,
                "name": "挂件",
                "room": "卧室",
                "resident_id": "r-1",
                "last_note": "",
            },
            {
                "gateway_id": "gw-east-1",
                "id": "bp:cuff-1",
                "registered": True,
                "name": "血压计",
                "room": "客厅",
                "resident_id": "r-1",
                "last_note": "",
            },
            {
                "gateway_id": "gw-east-2",
                "id": "rf433:a1b2c3",
                "registered": True,
                "name": "服务按钮",
                "room": "厨房",
                "resident_id": "r-2",
                "last_note": "battery-low",
            },
            {
                "gateway_id": "gw-stray",
                "id": "rf433:ffee01",
                "registered": False,
                "name": "",
                "room": "",
                "resident_id": None,
                "last_note": "",
            },
        ],
    ),
]
