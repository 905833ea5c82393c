"""The center: the real lanes, command sender, desk and supervisor over a real SQLite database, and a store in memory.

The worker threads of the product are tasks here. Where a lane would wait in its thread for a database that is away, the
wait comes out as a `Pause`, and the worker begins the same batch again after it, as the lane itself would.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, insert
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline_cloud import schema
from hearthline_cloud.database import Database, is_away, sqlite_url
from hearthline_cloud.desk import Desk, beat
from hearthline_cloud.ingest.commands import send_due_commands
from hearthline_cloud.ingest.event_lane import EventLane
from hearthline_cloud.ingest.role import EVENT_RECEIVE_MAXIMUM, TELEMETRY_RECEIVE_MAXIMUM
from hearthline_cloud.ingest.telemetry_lane import TelemetryLane
from hearthline_cloud.store import Point
from hearthline_cloud.supervising import Supervisor
from hearthline_edge.outbox import PackRow
from personal_rows import give_key, put, with_key
from simulation.clients import IngestSession, Pause
from simulation.gateway import Truth
from simulation.network import Broker
from simulation.process import Crash, Process
from simulation.trace import Trace

COMMAND_S, BEAT_S, ROUND_S = 4.0, 4.0, 5.0  # the ingester's own periods are 1 s: fewer here, for speed
_SAME_TIME_NS = NS // 1000


class Site:
    """A folder with one migrated database, copied for each run, and the one engine that all runs share."""

    def __init__(self, folder: Path, gateways: Sequence[str]) -> None:
        self.folder = folder
        template = Database(sqlite_url(folder / "template.db"))
        template.migrate()
        with_key(template, folder)
        with template.transaction() as connection:
            _populate(connection, gateways)
        template.close()  # the last connection takes the log into the file
        self._bytes = (folder / "template.db").read_bytes()
        self.path = folder / "hearthline.db"
        self.database = Database(sqlite_url(self.path))
        give_key(self.database, folder)

    def fresh(self) -> None:
        self.database.engine.dispose()
        for leftover in (self.path.with_name(f"{self.path.name}-wal"), self.path.with_name(f"{self.path.name}-shm")):
            leftover.unlink(missing_ok=True)
        self.path.write_bytes(self._bytes)


def _populate(connection: Connection, gateways: Sequence[str]) -> None:
    connection.execute(insert(schema.community).values(id="com-1", name="East"))
    for gateway in gateways:
        put(connection, schema.home, id=f"home-{gateway}", community_id="com-1", name=gateway)


@dataclass(slots=True)
class DatabaseFault:
    """`away`: nothing works. `unsure`: the commit is done, and reported as failed. `dies`: the process ends there."""

    away: bool = False
    unsure: bool = False
    dies: Literal["", "before", "after"] = ""
    since: float = 0.0


class FaultyDatabase(Database):
    """The shared engine as one process sees it."""

    def __init__(self, database: Database, fault: DatabaseFault) -> None:
        self.url, self.engine = database.url, database.engine
        self._fault = fault

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self._fail_if_away()
        with super().transaction() as connection:
            yield connection
            if self._fault.dies == "before":
                self._fault.dies = ""
                raise Crash
        if self._fault.dies == "after":
            self._fault.dies = ""
            raise Crash
        if self._fault.unsure:
            self._fault.unsure = False
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._fail_if_away()
        with super().reading() as connection:
            yield connection

    def _fail_if_away(self) -> None:
        if self._fault.away:
            raise OperationalError("BEGIN", None, sqlite3.OperationalError("database is locked"))


@dataclass(slots=True)
class MemoryStore:
    """A time-series store. `unsure`: the write is done, and reported as failed."""

    away: bool = False
    unsure: bool = False
    samples: dict[tuple[str, str, str], dict[int, float]] = field(default_factory=dict)

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        self.check()
        for point in points:
            self.samples.setdefault((point.gateway, point.device, point.quantity), {})[point.time_ns] = point.value
        if self.unsure:
            self.unsure = False
            raise LinkError("the store did not answer in time")
        return []

    def read(self, query: Any) -> list[Any]:
        return []

    def check(self) -> None:
        if self.away:
            raise LinkError("the store is away")


class Stopping(threading.Event):
    """A wait in a worker's thread, told to the worker's task instead."""

    def wait(self, timeout: float | None = None) -> bool:
        raise Pause(timeout or 0.0)


class WakeIngest:
    """Instead of the datagrams: what wakes the command sender."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def wake(self, role: str) -> None:
        if role == "ingest":
            self.came.set()


class Ingester:
    """The role `ingest`: two sessions with a worker each, the command sender and the heartbeat."""

    def __init__(self, center: Center, number: int) -> None:
        trace, broker = center.trace, center.broker
        self.process = process = Process(f"ingest#{number}")
        self._center = center
        self._database = FaultyDatabase(center.site.database, center.fault)
        rng = trace.rng(f"ingest:{number}")
        stopping = Stopping()
        every = f"{wire.PREFIX}/+/"
        self.event_lane = EventLane(self._database, center.waker, stopping, trace.wall_ns)  # type: ignore[arg-type]
        self.telemetry_lane = TelemetryLane(self._database, center.store, stopping, trace.wall_ns, trace.now)
        self.events = IngestSession(
            broker,
            process,
            rng,
            "event",
            [every + wire.UP_EVENT, every + wire.UP_STATUS],
            EVENT_RECEIVE_MAXIMUM,
            lambda batch: self.event_lane.handle(batch),
        )
        self.telemetry = IngestSession(
            broker,
            process,
            rng,
            "telemetry",
            [every + wire.UP_TELEMETRY],
            TELEMETRY_RECEIVE_MAXIMUM,
            lambda batch: self.telemetry_lane.handle(batch),
            forgets=True,
        )
        self.event_lane.attach(self.events)
        self.telemetry_lane.attach(self.telemetry)

    def start(self) -> None:
        for coroutine in (self.events.run(), self.telemetry.run(), self._command(), self._beat()):
            self.process.run(coroutine)

    async def _command(self) -> None:
        came = self._center.waker.came
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMAND_S):
                    await came.wait()
            came.clear()
            if self.events.connected:
                with self._center.patient():
                    send_due_commands(self._database, self.events, self._center.trace.wall_ns())

    async def _beat(self) -> None:
        while True:
            detail = {"broker": self.events.connected and self.telemetry.connected, "store": True}
            with self._center.patient(), self._database.transaction() as connection:
                beat(connection, "ingest", self._center.trace.wall_ns(), detail)
            await asyncio.sleep(BEAT_S)


class Center(Truth):
    """Database, store, ingester, desk. `start`, `kill`; the nemeses do the rest."""

    def __init__(self, trace: Trace, site: Site, broker: Broker, gateways: Sequence[str]) -> None:
        self.trace = trace
        self.site = site
        self.broker = broker
        self.fault = DatabaseFault()
        self.store = MemoryStore()
        self.waker = WakeIngest()
        self.ingester: Ingester | None = None
        self.on_ingester: Callable[[Ingester], None] = lambda ingester: None  # where a mutation is planted
        self.incarnation = 0
        self.alive_since = 0.0
        self.rounds = 0
        site.fresh()
        self._eyes = sqlite3.connect(site.path, isolation_level=None)
        self._eyes.executemany("INSERT INTO gateway (id, home_id) VALUES (?1, 'home-' || ?1)", [(g,) for g in gateways])
        desk_database = FaultyDatabase(site.database, DatabaseFault())
        self._desk_fault = desk_database._fault
        self.desk = Desk(desk_database, self.waker)  # type: ignore[arg-type]
        self._supervisor = Supervisor(desk_database, self.waker, trace.wall_ns(), self._mono_ns())  # type: ignore[arg-type]

    def start(self) -> None:
        if self.ingester is not None and self.ingester.process.alive:
            return
        self.incarnation += 1
        self.trace.note("ingest", f"starts, number {self.incarnation}")
        self.ingester = Ingester(self, self.incarnation)
        self.ingester.process.on_kill(lambda: self.trace.note("ingest", "killed"))
        self.on_ingester(self.ingester)
        self.alive_since = self.trace.now()
        self.ingester.start()

    def kill(self) -> None:
        if self.ingester is not None:
            self.ingester.process.kill()

    @property
    def alive(self) -> bool:
        return self.ingester is not None and self.ingester.process.alive

    def database_away(self, away: bool) -> None:
        if self.fault.away != away:
            self.fault.since = self.trace.now()
        self.fault.away = self._desk_fault.away = away

    @contextmanager
    def patient(self) -> Iterator[None]:
        """A database that is away is waited for; a kill inside kills."""
        try:
            yield
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
        except Crash:
            self.kill()

    async def supervise(self) -> None:
        """The role `desk`."""
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                changes = self._supervisor.round(self.trace.wall_ns(), self._mono_ns())
            except SQLAlchemyError as error:
                if not is_away(error):
                    raise
                self._supervisor.start_over(self.trace.wall_ns(), self._mono_ns())
                continue
            self.rounds += 1
            for change in changes:
                self.trace.note("desk", f"alert {change.alert_id} {change.state}")

    def _mono_ns(self) -> int:
        return round(self.trace.now() * NS)

    # --- the truth ---

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._eyes.execute(sql, values).fetchall()

    def has_event(self, gateway: str, event_id: str) -> bool:
        return bool(self.ask("SELECT 1 FROM event WHERE gateway_id = ? AND event_id = ?", gateway, event_id))

    def is_accepted(self, gateway: str, event_id: str) -> bool:
        sql = (
            "SELECT 1 FROM event JOIN alert ON alert.id = event.alert_id"
            " WHERE event.gateway_id = ? AND event_id = ? AND acknowledged_ns IS NOT NULL"
        )
        return bool(self.ask(sql, gateway, event_id))

    def has_pack(self, gateway: str, pack: PackRow) -> bool:
        """Whether each of its values is there, at whatever time; the times are judged at the end.

        Of two messages that come at one virtual instant the last says what a series was then.
        """
        values = {(each.device, each.quantity, offset_ns): each.value for each, offset_ns in pack.readings}
        return all(
            value in self.store.samples.get((gateway, device, quantity), {}).values()
            for (device, quantity, _), value in values.items()
        )

    def close(self) -> None:
        self._eyes.close()
