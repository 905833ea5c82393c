"""How the center stands, as points of the time-series store: counts and states, each under an id, never a name.

    database --snapshot each minute--> points at the full minute --> store

So that whoever looks at Grafana sees open alerts and silent homes beside what was measured, and how it was yesterday,
by one data source. Two desks write the same points at the same times, which the store keeps once. While the store is
away the minutes of that time are missing: nothing waits for them, and the truth is the database.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, func, select
from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.log import Log
from hearthline_cloud.alerts.figures import ANSWER_LIMITS_S, COUNTED
from hearthline_cloud.alerts.lifecycle import AlertKind, State
from hearthline_cloud.config import FiguresConfig
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.figuring import Period, read_cases
from hearthline_cloud.ingest.rolling import Marker, mark
from hearthline_cloud.loop import Loop
from hearthline_cloud.schema import alert, community, device, gateway, home
from hearthline_cloud.silences import LASTS
from hearthline_cloud.store import Point, Store

MINUTE_NS = 60 * NS
# Each gateway and device costs a point each time: of 200 homes some 100,000 a day, as much as their meters say.
GATEWAYS_EVERY_NS = 5 * MINUTE_NS
OUTBOXES_EVERY_NS = 15 * MINUTE_NS
DEVICES_EVERY_NS = 60 * MINUTE_NS
_POLL_S = 1.0
log = Log(__name__)


class Standing(Loop):
    """The role desk's thread that writes them. Start it, ask `failed()`, stop it."""

    def __init__(
        self, config: FiguresConfig, database: Database, store: Store, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__("standing")
        self._zone = ZoneInfo(config.zone)
        self._database = database
        self._store = store
        self._now_ns = now_ns
        self._marker = Marker()
        self._written_ns = 0
        self._is_away = False

    def round(self) -> int:
        """Write the points of the present minute unless that was done; how many."""
        at_ns = self._now_ns() // MINUTE_NS * MINUTE_NS
        if at_ns == self._written_ns:
            return 0
        self._written_ns = at_ns
        try:
            with self._database.reading() as connection:
                points = list(points_of(connection, at_ns, self._zone))
            self._store.write(points)
            self._mark(points)
        except (LinkError, SQLAlchemyError) as error:
            if isinstance(error, SQLAlchemyError) and not is_away(error):
                raise
            if not self._is_away:
                log.error("store or database away, Grafana lacks these minutes", error=str(error))
            self._is_away = True
            return 0
        self._is_away = False
        return len(points)

    def _mark(self, points: list[Point]) -> None:
        """Have them summarised: a community's counts have no gateway, and go with everybody's."""
        marks = self._marker.needed([each for each in points if not each.gateway], self._now_ns())
        if marks:
            with self._database.transaction() as connection:
                mark(connection, marks)
            self._marker.written(marks)

    def _work(self) -> None:
        while not self._stopping.wait(_POLL_S):
            self.round()


def points_of(connection: Connection, at_ns: int, zone: tzinfo) -> Iterator[Point]:
    """All points of one minute. `at_ns` is a full minute; a day begins at midnight in `zone`."""
    for name, counts in _communities(connection, at_ns, zone).items():
        for quantity, count in counts.items():
            yield Point(quantity, name, "", "", "", float(count), at_ns)
    if at_ns % GATEWAYS_EVERY_NS == 0:
        lost = {row.gateway_id for row in connection.execute(_lasting(AlertKind.GATEWAY_SILENT))}
        for gate in connection.execute(_GATEWAYS):
            place = (gate.community_id or "", gate.home_id or "", gate.id, "")
            is_online = gate.state == "online" and gate.id not in lost
            yield Point("gateway_online", *place, float(is_online), at_ns)
            if is_online and at_ns % OUTBOXES_EVERY_NS == 0:
                yield from (Point(quantity, *place, value, at_ns) for quantity, value in _outbox(gate.status))
    if at_ns % DEVICES_EVERY_NS == 0:
        silent = {(row.gateway_id, row.device_id) for row in connection.execute(_lasting(AlertKind.DEVICE_SILENT))}
        for row in connection.execute(_DEVICES):
            is_silent = (row.gateway_id, row.id) in silent
            place = (row.community_id or "", row.home_id or "", row.gateway_id, row.id)
            yield Point("device_silent", *place, float(is_silent), at_ns)


_GATEWAYS = (
    select(gateway.c.id, gateway.c.home_id, gateway.c.state, gateway.c.status, home.c.community_id)
    .select_from(gateway)
    .outerjoin(home, home.c.id == gateway.c.home_id)
    .where(gateway.c.last_seen_ns.is_not(None))
)
_DEVICES = (
    select(device.c.gateway_id, device.c.id, gateway.c.home_id, home.c.community_id)
    .select_from(device)
    .join(gateway, gateway.c.id == device.c.gateway_id)
    .outerjoin(home, home.c.id == gateway.c.home_id)
    .where(device.c.registered)
)
_OPEN = (
    select(alert.c.kind, alert.c.state, home.c.community_id, func.count().label("count"), func.min(alert.c.raised_ns))
    .select_from(alert)
    .outerjoin(home, home.c.id == alert.c.home_id)
    .where(alert.c.state != State.RESOLVED)
    .group_by(alert.c.kind, alert.c.state, home.c.community_id)
)


def _lasting(kind: AlertKind) -> Any:
    """The silences of that kind that last, whether or not a person has closed their alert, with their community."""
    return (
        select(alert.c.gateway_id, alert.c.device_id, alert.c.home_id, home.c.community_id)
        .select_from(alert)
        .outerjoin(home, home.c.id == alert.c.home_id)
        .where(and_(LASTS, alert.c.kind == kind))
    )


def _communities(connection: Connection, at_ns: int, zone: tzinfo) -> dict[str, Counter[str]]:
    """Each community's counts; those of no community under an empty text."""
    names = list(connection.execute(select(community.c.id)).scalars())
    of: dict[str, Counter[str]] = {name: Counter() for name in (*names, "")}
    _count_open(of, connection.execute(_OPEN), at_ns)
    for row in connection.execute(select(home.c.community_id, func.count()).group_by(home.c.community_id)):
        of[row[0]]["homes"] = row[1]
    for home_id, name in {
        (row.home_id, row.community_id) for row in connection.execute(_lasting(AlertKind.GATEWAY_SILENT))
    }:
        if home_id is not None:
            of[name or ""]["silent_homes"] += 1
    for row in connection.execute(_lasting(AlertKind.DEVICE_SILENT)):
        of[row.community_id or ""]["silent_devices"] += 1
    _count_today(connection, of, at_ns, zone)
    return {name: Counter({quantity: counts[quantity] for quantity in _COUNTS}) for name, counts in of.items()}


_COUNTS = (
    *("open_emergencies", "open_service_calls", "open_faults", "unanswered", "longest_wait"),
    *("homes", "silent_homes", "silent_devices"),
    *("calls_today", "answered_today", "answered_60s_today", "answered_180s_today"),
)
_OPEN_AS = {AlertKind.EMERGENCY: "open_emergencies", AlertKind.SERVICE: "open_service_calls"}


def _count_open(of: dict[str, Counter[str]], rows: Iterable[Any], at_ns: int) -> None:
    for kind, state, name, count, first_ns in rows:
        counts = of[name or ""]
        counts[_OPEN_AS.get(kind, "open_faults")] += count
        if kind == AlertKind.EMERGENCY and state == State.RAISED:
            counts["unanswered"] += count
            counts["longest_wait"] = max(0, (at_ns - first_ns) // NS)


def _count_today(connection: Connection, of: dict[str, Counter[str]], at_ns: int, zone: tzinfo) -> None:
    midnight = datetime.fromtimestamp(at_ns // NS, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    period = Period(COUNTED[0], round(midnight.timestamp()) * NS, at_ns)
    places = {row.id: row.community_id for row in connection.execute(select(home.c.id, home.c.community_id))}
    for case in read_cases(connection, period):
        counts = of[places.get(case.home, "")]
        counts["calls_today"] += 1
        if case.answered_ns is None:
            continue
        counts["answered_today"] += 1
        for limit_s in ANSWER_LIMITS_S:
            counts[f"answered_{limit_s}s_today"] += case.answered_ns - case.raised_ns <= limit_s * NS


_OUTBOX = (
    ("event", "depth", "outbox_events"),
    ("telemetry", "depth", "outbox_readings"),
    ("telemetry", "dropped", "outbox_dropped"),
)


def _outbox(status: Any) -> Iterator[tuple[str, float]]:
    """Of a gateway's last word about itself, as it was kept."""
    said = status if isinstance(status, dict) else {}
    lanes = {lane: said[lane] for lane in ("event", "telemetry") if isinstance(said.get(lane), dict)}
    for lane, word, quantity in _OUTBOX:
        if lane in lanes:
            yield quantity, float(lanes[lane][word])
    rooms = [lane["room_h"] for lane in lanes.values() if lane.get("room_h") is not None]
    if rooms:
        yield "outbox_room", float(min(rooms))
