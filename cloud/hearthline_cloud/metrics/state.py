"""How the center stands, read from the database when it is asked for: what no process counts, or another one does.

One snapshot a scrape, kept for some seconds, so that many who ask cost no more than one. With a database that is away
`hearthline_database_up` is 0 and the rest is missing: a figure of before would look like one of now.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, case, func, or_, select, text
from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS
from hearthline.model import Lane
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import State
from hearthline_cloud.alerts.orders import OPEN
from hearthline_cloud.database import Database
from hearthline_cloud.store.embedded import FILE_NAME

KEPT_S = 5.0
EXPIRES_SOON_S = 30 * 86_400
_DAY_S = 86_400
_alert = schema.alert
_IS_OPEN = or_(
    _alert.c.state < State.RESOLVED, _alert.c.state > State.RESOLVED
)  # `<>` walks an index of all there were


class StateOfCenter(Collector):
    """A collector of the role desk."""

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        now_ns: Callable[[], int] = time.time_ns,
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._data_dir = data_dir
        self._now_ns = now_ns
        self._mono_s = mono_s
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._kept_until = float("-inf")

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if self._mono_s() >= self._kept_until:
                self._kept = self._read()
                self._kept_until = self._mono_s() + KEPT_S
            return self._kept

    def _read(self) -> list[Metric]:
        up = _gauge("database_up", "1: the database can be read", 1.0)
        try:
            with self._database.reading() as connection:
                found = [self._size(connection), *_from_database(connection, self._now_ns())]
        except SQLAlchemyError:
            return [_gauge("database_up", "1: the database can be read", 0.0)]
        store = _bytes_of(self._data_dir / FILE_NAME)
        size = [_gauge("store_size_bytes", "Of the embedded time-series store and its log", store)] if store else []
        return [up, *found, *size]

    def _size(self, connection: Connection) -> Metric:
        if self._database.is_server:
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        else:
            size = _bytes_of(Path(self._database.engine.url.database or ""))
        return _gauge("database_size_bytes", "Of the database; of SQLite with its log", size)


def _from_database(connection: Connection, now_ns: int) -> Iterator[Metric]:
    yield from _alerts(connection, now_ns)
    yield from _homes(connection)
    yield from _queues(connection, now_ns)
    yield from _roles(connection, now_ns)
    yield from _certificates(connection, now_ns)
    last = connection.execute(select(func.max(schema.journal.c.id))).scalar() or 0
    yield CounterMetricFamily("hearthline_journal_entries", "Entries of the journal", value=last)


def _alerts(connection: Connection, now_ns: int) -> Iterator[Metric]:
    rows = connection.execute(
        select(_alert.c.kind, _alert.c.state, func.count()).where(_IS_OPEN).group_by(_alert.c.kind, _alert.c.state)
    )
    yield _labelled(
        "alerts_open", "Open alerts", ["kind", "state"], {(kind, state): count for kind, state, count in rows}
    )
    untaken = select(_alert.c.kind, func.min(_alert.c.raised_ns)).where(_alert.c.state == State.RAISED)
    ages = {
        (kind,): _age_s(raised_ns, now_ns) for kind, raised_ns in connection.execute(untaken.group_by(_alert.c.kind))
    }
    yield _labelled("alert_oldest_untaken_seconds", "Since the oldest alert that nobody has was raised", ["kind"], ages)


def _homes(connection: Connection) -> Iterator[Metric]:
    gateways = connection.execute(select(schema.gateway.c.state, schema.gateway.c.status)).all()
    states = Counter(row.state for row in gateways)
    yield _labelled(
        "gateways", "Gateways by what was heard of them last", ["state"], {(k,): n for k, n in states.items()}
    )
    told = [row.status for row in gateways if isinstance(row.status, dict) and row.state == "online"]
    faulty = sum(1 for status in told if status.get("faults"))
    yield _gauge("gateways_with_faults", "Gateways that are online and tell of a fault", faulty)
    lanes = {lane: [_lane(status, lane) for status in told] for lane in Lane}
    yield _labelled(
        "gateway_outbox_records",
        "Records that wait in the outboxes of gateways that are online, together",
        ["lane"],
        {(lane,): sum(depth for depth, _ in found) for lane, found in lanes.items()},
    )
    yield _labelled(
        "gateway_outbox_oldest_seconds",
        "Age of the oldest record in the outbox of a gateway that is online",
        ["lane"],
        {(lane,): max((oldest for _, oldest in found), default=0.0) for lane, found in lanes.items()},
    )
    is_lost = case((schema.device.c.lost == "", "heard"), else_="lost")
    devices = connection.execute(select(is_lost, func.count()).group_by(is_lost))
    yield _labelled("devices", "Devices by whether they are lost", ["state"], {(state,): n for state, n in devices})


def _queues(connection: Connection, now_ns: int) -> Iterator[Metric]:
    message, order, test = schema.notification, schema.work_order, schema.self_test
    queued = select(message.c.channel, func.count()).where(message.c.state == "queued").group_by(message.c.channel)
    counts = {(channel,): count for channel, count in connection.execute(queued)}
    yield _labelled("notifications_queued", "Messages that wait to be sent", ["channel"], counts)
    open_orders = select(order.c.kind, func.count()).where(order.c.state.in_(OPEN)).group_by(order.c.kind)
    orders = {(kind,): count for kind, count in connection.execute(open_orders)}
    yield _labelled("work_orders_open", "Work orders that are not over", ["kind"], orders)
    for name, text_, table, where in (
        ("store_queue_points", "Vital signs that wait for the time-series store", schema.store_queue, None),
        ("commands_unanswered", "Commands that a gateway has not answered", schema.command,
         schema.command.c.answered_ns.is_(None)),
        ("kept_aside_records", "Messages that could not be read, or were refused", schema.kept_aside, None),
    ):  # fmt: skip
        query = select(func.count()).select_from(table)
        yield _gauge(name, text_, connection.execute(query if where is None else query.where(where)).scalar_one())
    standing = case(
        (test.c.received_ns.is_not(None), "proved"), (test.c.missed_ns.is_not(None), "missed"), else_="waiting"
    )
    of_today = select(standing, func.count()).where(test.c.asked_ns > now_ns - _DAY_S * NS).group_by(standing)
    tests = {(name,): count for name, count in connection.execute(of_today)}
    yield _labelled(
        "self_tests", "Proofs of their way that gateways were asked for in the last 24 h", ["standing"], tests
    )


def _roles(connection: Connection, now_ns: int) -> Iterator[Metric]:
    beats = connection.execute(select(schema.heartbeat)).all()
    ages = {(row.role,): _age_s(row.at_ns, now_ns) for row in beats}
    yield _labelled("heartbeat_age_seconds", "Since a part of the center was heard last", ["part"], ages)
    faulty = {(row.role,): float(bool(_faults(row.detail))) for row in beats}
    yield _labelled("part_faulty", "1: a part of the center says that it cannot work as it should", ["part"], faulty)


def _certificates(connection: Connection, now_ns: int) -> Iterator[Metric]:
    table = schema.certificate
    standing = case(
        (table.c.revoked_ns.is_not(None), "revoked"),
        (table.c.ends_ns <= now_ns, "expired"),
        (table.c.ends_ns <= now_ns + EXPIRES_SOON_S * NS, "expiring"),
        else_="valid",
    )
    counts = {(name,): n for name, n in connection.execute(select(standing, func.count()).group_by(standing))}
    yield _labelled("certificates", "Gateways' certificates; expiring: within 30 days", ["state"], counts)


def _gauge(name: str, text_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"hearthline_{name}", text_, value=value)


def _labelled(name: str, text_: str, labels: list[str], values: dict[tuple[Any, ...], float]) -> Metric:
    family = GaugeMetricFamily(f"hearthline_{name}", text_, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([str(each) for each in key], value)
    return family


def _age_s(at_ns: int, now_ns: int) -> float:
    return max(now_ns - at_ns, 0) / NS


def _lane(status: dict[str, Any], lane: Lane) -> tuple[float, float]:
    """Depth and age of the oldest record, as the gateway has told; what it tells is not to be trusted."""
    told = status.get(lane)
    numbers = [told.get(key) for key in ("depth", "oldest_s")] if isinstance(told, dict) else [0, 0]
    depth, oldest = (float(each) if isinstance(each, int | float) else 0.0 for each in numbers)
    return depth, oldest


def _faults(detail: Any) -> Any:
    return detail.get("fault") or detail.get("faults") if isinstance(detail, dict) else None


def _bytes_of(path: Path) -> int:
    return sum(each.stat().st_size for each in (path, path.with_name(f"{path.name}-wal")) if each.exists())
