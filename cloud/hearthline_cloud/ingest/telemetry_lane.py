"""The worker of the telemetry lane: packs into points, one write to the store, then PUBACK and `down/ack`.

While the store is away nothing is acknowledged: the window fills, the edges keep their readings, and the event lane,
which has its own session, does not notice.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hearthline import wire
from hearthline.errors import LinkError, ProtocolError
from hearthline.log import Log
from hearthline.model import SIGN_OF_LIFE, TELEMETRY_UNITS, Lane, Reading
from hearthline_cloud import schema
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.ingest.aside import keep_aside
from hearthline_cloud.ingest.events import MAX_NS, Outcome, touch_device, touch_gateway, touch_known_device
from hearthline_cloud.ingest.plausible import oddity
from hearthline_cloud.ingest.rolling import Mark, Marker, mark
from hearthline_cloud.ingest.session import Answers, Message
from hearthline_cloud.ingest.timing import record_time
from hearthline_cloud.metrics.instruments import RECORDS
from hearthline_cloud.store import Point, Store

_RETRY_FIRST_S, _RETRY_MAX_S = 0.5, 10.0
_TOUCH_EVERY_S = 20.0
_PLACES_FOR_S = 5.0
_REMEMBERED = 100_000
REFUSED = "refused by the store: "  # how the reasons of points begin that are kept aside
log = Log(__name__)


class TelemetryLane:
    """Handles `up/telemetry`. `attach` the session before messages come."""

    def __init__(
        self,
        database: Database,
        store: Store,
        stopping: threading.Event,
        now_ns: Callable[[], int] = time.time_ns,
        mono_s: Callable[[], float] = time.monotonic,
        raw_days: int = 0,
    ) -> None:
        """`raw_days`: for how long the store keeps raw values, 0 for ever."""
        self._database = database
        self._store = store
        self._stopping = stopping
        self._now_ns = now_ns
        self._mono_s = mono_s
        self._raw_days = raw_days
        self._marker = Marker()
        self._session: Answers | None = None
        self._places: dict[str, tuple[str, str]] = {}
        self._places_until = 0.0
        self._touched: dict[tuple[str, str], float] = {}
        self._offsets: dict[tuple[str, str], int] = {}
        self.store_fault = ""

    def attach(self, session: Answers) -> None:
        self._session = session

    def handle(self, messages: list[Message]) -> None:
        """Returns when everything is in the store, or when the process is stopping."""
        assert self._session is not None
        wait_s = _RETRY_FIRST_S
        while not self._stopping.is_set():
            try:
                outcome = self._take(messages)
            except (LinkError, SQLAlchemyError) as error:
                if isinstance(error, SQLAlchemyError) and not is_away(error):
                    raise
                self.store_fault = str(error)
                log.error("store away, telemetry waits at the edges", error=self.store_fault)
                self._stopping.wait(wait_s)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)
                continue
            self.store_fault = ""
            for result, records in (("taken", outcome.taken), ("refused", outcome.refused)):
                RECORDS.labels(Lane.TELEMETRY, result).inc(sum(map(len, records.values())))
            for gateway, ack in outcome.acks(Lane.TELEMETRY):
                # QoS 0 at half the cost: one that gets lost is made good by the pack's next repeat
                self._session.publish(wire.topic(gateway, wire.DOWN_ACK), wire.encode(ack), qos=0)
            self._session.acknowledge(messages)
            return

    def _take(self, messages: list[Message]) -> Outcome:
        outcome = Outcome()
        points: list[Point] = []
        aside: list[tuple[Message, str]] = []
        heard: dict[tuple[str, str], int] = {}  # device -> when it said the last that was heard of it
        measured: set[tuple[str, str]] = set()  # those that gave more than a sign of life
        self._refresh_places()
        for message in messages:
            gateway = wire.gateway_of(message.topic)
            if gateway is None:
                aside.append((message, "no gateway id in the topic"))
                continue
            try:
                pack = wire.decode_pack(message.payload)
            except ProtocolError as error:
                aside.append((message, str(error)))
                envelope = wire.read_envelope(Lane.TELEMETRY, message.payload)
                if envelope is not None:
                    outcome.refused.setdefault((gateway, envelope[0]), []).append(envelope[1])
                continue
            found, odd = self._points(gateway, pack)
            points += found
            if odd:
                aside.append((replace(message, payload=_encode_odd(pack, odd)), odd[-1][1]))
            for reading, offset_ns in pack.readings:
                if wire.text_fault(reading.device, wire.MAX_DEVICE) is not None:
                    continue
                said_ns = pack.wall_ns + offset_ns if pack.envelope.synced else MAX_NS
                if reading.quantity != SIGN_OF_LIFE:
                    measured.add((gateway, reading.device))
                heard[gateway, reading.device] = max(heard.get((gateway, reading.device), 0), said_ns)
            outcome.taken.setdefault((gateway, pack.envelope.outbox), []).append(pack.envelope.seq)
        for point, reason in self._store.write(points) if points else ():
            aside.append(_refused(point, wire.UP_TELEMETRY, reason))
        self._write_down(aside, heard, measured, self._marker.needed(points, self._now_ns()))
        return outcome

    def _points(self, gateway: str, pack: wire.Pack) -> tuple[list[Point], list[tuple[Reading, str]]]:
        """The points of a pack, and the readings that make none, with what is odd about each."""
        community, home = self._places.get(gateway, ("", ""))
        base_ns = pack.wall_ns if pack.envelope.synced else self._estimate(gateway, pack)
        points = []
        odd = []
        for reading, offset_ns in pack.readings:
            quantity = reading.quantity
            if quantity == SIGN_OF_LIFE:
                continue
            unit = TELEMETRY_UNITS.get(quantity)
            fault = wire.text_fault(reading.device, wire.MAX_DEVICE)
            if fault is not None:
                odd.append((reading, f"device {fault}"))
                continue
            if unit is not None and unit != reading.unit:
                odd.append((reading, f"{quantity} in {reading.unit!r}, not in {unit!r}"))
                continue
            time_ns = base_ns + offset_ns
            fault = oddity(quantity, reading.value, time_ns, self._now_ns(), self._raw_days)
            if fault is not None:
                odd.append((reading, fault))
                continue
            points.append(Point(quantity, community, home, gateway, reading.device, reading.value, time_ns))
        return points, odd

    def _estimate(self, gateway: str, pack: wire.Pack) -> int:
        """When a pack with a free clock began, by the estimate that holds for its boot."""
        boot = (gateway, pack.envelope.boot)
        if boot not in self._offsets:
            with self._database.transaction() as connection:
                time_ns = record_time(connection, gateway, pack.wall_ns, pack.envelope, self._now_ns())[0]
            if len(self._offsets) >= _REMEMBERED:
                self._offsets.clear()
            self._offsets[boot] = time_ns - pack.envelope.mono_ns
        return self._offsets[boot] + pack.envelope.mono_ns

    def _refresh_places(self) -> None:
        """Community and home of every gateway, read again every few seconds."""
        if self._mono_s() < self._places_until:
            return
        with self._database.reading() as connection:
            rows = connection.execute(
                select(schema.gateway.c.id, schema.home.c.community_id, schema.home.c.id.label("home_id")).join(
                    schema.home, schema.gateway.c.home_id == schema.home.c.id
                )
            )
            self._places = {row.id: (row.community_id, row.home_id) for row in rows}
        self._places_until = self._mono_s() + _PLACES_FOR_S

    def _write_down(
        self,
        aside: list[tuple[Message, str]],
        heard: dict[tuple[str, str], int],
        measured: set[tuple[str, str]],
        marks: set[Mark],
    ) -> None:
        """What was kept aside, what is to be summarised, and now and then that gateways and devices were heard."""
        now = self._mono_s()
        late = {key for key in heard if now - self._touched.get(key, -_TOUCH_EVERY_S) >= _TOUCH_EVERY_S}
        if not aside and not late and not marks:
            return
        now_ns = self._now_ns()
        with self._database.transaction() as connection:
            for message, reason in aside:
                keep_aside(connection, message, reason, now_ns)
            mark(connection, marks)
            for gateway, device in late:
                touch_gateway(connection, gateway, now_ns)
                touch = touch_device if (gateway, device) in measured else touch_known_device
                touch(connection, gateway, device, now_ns, heard[gateway, device])
        self._marker.written(marks)
        if len(self._touched) > _REMEMBERED:
            self._touched.clear()
        self._touched.update(dict.fromkeys(late, now))


def _encode_odd(pack: wire.Pack, odd: list[tuple[Reading, str]]) -> bytes:
    """The readings of a pack that make no points; the others are in the store."""
    readings = [
        {"device": each.device, "quantity": each.quantity, "value": each.value, "unit": each.unit} for each, _ in odd
    ]
    envelope = pack.envelope
    # the standard library's encoder takes any number and any text
    return json.dumps({"outbox": envelope.outbox, "seq": envelope.seq, "readings": readings}).encode()


def _refused(point: Point, lane: str, reason: str) -> tuple[Message, str]:
    """What is kept aside of a point that the store does not take."""
    topic = wire.topic(point.gateway, lane)
    return Message(topic, msgspec.json.encode(point), False, 0, 0), f"{REFUSED}{reason}"


def drain_store_queue(
    database: Database, store: Store, limit: int = 500, now_ns: Callable[[], int] = time.time_ns, raw_days: int = 0
) -> int:
    """Copy what events have queued for the time-series store; how many points went. Raises LinkError."""
    with database.reading() as connection:
        rows = connection.execute(select(schema.store_queue).order_by(schema.store_queue.c.id).limit(limit)).all()
    if not rows:
        return 0
    points: list[Point] = []
    aside: list[tuple[Message, str]] = []
    for row in rows:
        try:
            point = msgspec.json.decode(row.point, type=Point)
        except (msgspec.DecodeError, ValueError) as error:
            aside.append((Message("", row.point, False, 0, 0), f"not a point: {error}"))
            continue
        fault = oddity(point.quantity, point.value, point.time_ns, now_ns(), raw_days)
        if fault is None:
            points.append(point)
        else:
            aside.append(_refused(point, wire.UP_EVENT, fault))
    aside += [_refused(point, wire.UP_EVENT, reason) for point, reason in (store.write(points) if points else ())]
    marks = Marker().needed(points, now_ns())
    with database.transaction() as connection:
        for message, reason in aside:
            keep_aside(connection, message, reason, now_ns())
        mark(connection, marks)
        connection.execute(schema.store_queue.delete().where(schema.store_queue.c.id <= rows[-1].id))
    return len(rows)
