"""The role `ingest`: two sessions at the broker with a worker each, and three small loops beside them.

session "event"      up/event, up/status --> EventLane --------> database --> down/ack, wake web
session "telemetry"  up/telemetry ---------> TelemetryLane ----> store -----> down/ack
loop "drain"         store_queue ----------------------------> store
loop "command"       command --> down/command (woken by the desk)
loop "heartbeat"     once a second: alive, broker, store
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from hearthline import wire
from hearthline.errors import LinkError
from hearthline.log import Log
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.desk import beat
from hearthline_cloud.ingest.commands import send_due_commands
from hearthline_cloud.ingest.event_lane import EventLane
from hearthline_cloud.ingest.session import Session
from hearthline_cloud.ingest.telemetry_lane import TelemetryLane, drain_store_queue
from hearthline_cloud.store import Store
from hearthline_cloud.wake import WakeListener, Waker

# Messages that one commit can take together. The broker's own bound holds too: set its max_inflight_messages as high.
EVENT_RECEIVE_MAXIMUM = 100
TELEMETRY_RECEIVE_MAXIMUM = 500
_BEAT_S = 1.0
_STOP_S = 3.5
_CHECK_STORE_S = 5.0
log = Log(__name__)


class IngestRole:
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: CloudConfig, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._waker = Waker(config.directory)
        self._listener = WakeListener(config.directory, "ingest")
        self._event_lane = EventLane(database, self._waker, self._stopping)
        self._telemetry_lane = TelemetryLane(database, store, self._stopping, raw_days=config.store.raw_days)
        self._raw_days = config.store.raw_days
        every = f"{wire.PREFIX}/+/"
        self._events = Session(
            config.broker,
            "event",
            [every + wire.UP_EVENT, every + wire.UP_STATUS],
            EVENT_RECEIVE_MAXIMUM,
            self._event_lane.handle,
        )
        self._telemetry = Session(
            config.broker,
            "telemetry",
            [every + wire.UP_TELEMETRY],
            TELEMETRY_RECEIVE_MAXIMUM,
            self._telemetry_lane.handle,
            forgets=True,
        )
        self._event_lane.attach(self._events)
        self._telemetry_lane.attach(self._telemetry)
        self._store_fault = ""
        self._store_checked_at = 0.0
        self._loops = [
            threading.Thread(target=self._guard, args=(loop,), name=f"ingest-{name}", daemon=True)
            for name, loop in (("drain", self._drain), ("command", self._command), ("heartbeat", self._beat))
        ]

    def start(self) -> None:
        self._events.start()
        self._telemetry.start()
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """Within four seconds; a store that hangs is left to the end of the process."""
        deadline = time.monotonic() + _STOP_S
        self._stopping.set()
        self._events.stop(deadline)
        self._telemetry.stop(deadline)
        for loop in self._loops:
            loop.join(timeout=max(deadline - time.monotonic(), 0))
        self._listener.close()
        self._waker.close()

    def failed(self) -> BaseException | None:
        """The bug that ended one of the threads, if one did."""
        return self._failure or self._events.failed() or self._telemetry.failed()

    def _guard(self, loop: Callable[[], None]) -> None:
        """Run one round after the other; a database that is away is waited for, a bug ends the process."""
        try:
            while not self._stopping.is_set():
                try:
                    loop()
                except SQLAlchemyError as error:
                    if not is_away(error):
                        raise
                    log.error("database away", error=str(error))
                    self._stopping.wait(_BEAT_S)
        except BaseException as error:  # told to the main thread, which ends the process
            self._failure = error
            log.exception("ingest loop died")
            raise

    def _drain(self) -> None:
        moved = 0
        try:
            moved = drain_store_queue(self._database, self._store, raw_days=self._raw_days)
            if moved or time.monotonic() - self._store_checked_at > _CHECK_STORE_S:
                if not moved:
                    self._store.check()  # a quiet center must know too that its store is away
                self._store_fault = ""
                self._store_checked_at = time.monotonic()
        except LinkError as error:
            self._store_fault = str(error)
            self._store_checked_at = 0.0
        if not moved:
            self._stopping.wait(_BEAT_S)

    def _command(self) -> None:
        self._listener.wait(_BEAT_S)
        if self._events.connected:
            send_due_commands(self._database, self._events, time.time_ns())

    def _beat(self) -> None:
        detail = {
            "broker": self._events.connected and self._telemetry.connected,
            "store": not (self._store_fault or self._telemetry_lane.store_fault),
        }
        self._events.check()
        self._telemetry.check()
        with self._database.transaction() as connection:
            beat(connection, "ingest", time.time_ns(), detail)
            self._event_lane.note_committed(connection)
        self._stopping.wait(_BEAT_S)
