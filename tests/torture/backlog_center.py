"""A center of real processes for one fault at a time: ingester, desk and web, with an operator at its stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud_center import Cloud
from cloud_processes import Role, until
from hearthline.clock import NS, rfc3339
from hearthline.errors import LinkError
from hearthline_cloud import schema
from hearthline_cloud.people import People
from hearthline_cloud.permissions import Role as StaffRole
from hearthline_sim.demo.operator import Notice, Operator, StreamWatch
from servers import HOST, Server, free_ports

PASSWORD = "correct horse battery"
Processes = tuple[tuple[str, ...], ...]  # the roles of each; a process is known by its first
TOGETHER: Processes = (("ingest", "desk", "web"),)
APART: Processes = (("ingest",), ("desk",), ("web",))
ALARM = "hearthline.alarm.v1"
_ALL_TIME = {"from": rfc3339(1), "to": rfc3339(2**62)}


def soon(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    """As `until`, for what asks a process: it looks less often, so that whoever is asked can work."""
    return until(found, seconds, 0.05)


@dataclass
class Center:
    """What one operator sees, and the processes behind it. The gateway `gw-1` belongs to `home-1`."""

    cloud: Cloud
    broker: Server
    roles: dict[str, Role]
    operator: Operator
    watch: StreamWatch
    seen_at: dict[str, float] = field(default_factory=dict)  # event id -> when it came down the stream (monotonic)

    def notice(self, notice: Notice) -> None:
        event = notice.body["event"]
        if notice.body["kind"] in ("raised", "joined") and event is not None:
            self.seen_at.setdefault(event["event_id"], time.monotonic())

    @property
    def log(self) -> str:
        """What all of them have said."""
        return self.roles["ingest"].log

    def start(self, *names: str) -> None:
        for name in names:
            self.roles[name].start()

    def kill(self, *names: str) -> None:
        """`kill -9`."""
        for name in names:
            self.roles[name].kill()

    def wait_until_answering(self, seconds: float = 60) -> None:
        """The ingester hears, the operator is logged in; a store that is away keeps nobody from it."""
        soon(self._hears, seconds)
        soon(self._logs_in, seconds)

    def _hears(self) -> bool:
        beats = [row for row in self.cloud.rows(schema.heartbeat) if row.role == "ingest"]
        return any(row.detail["broker"] and time.time_ns() - row.at_ns < 3 * NS for row in beats)

    def _logs_in(self) -> bool:
        try:
            self.operator.log_in()
        except LinkError:
            return False
        return True

    def alarms(self) -> list[dict[str, Any]]:
        return self.operator.alarm_events()

    def ordinals(self, device: str) -> list[int]:
        """Of every alarm event of a device, in order: 1 … n when nothing is lost and nothing doubled."""
        return sorted(event["ordinal"] for event in self.alarms() if event["device"] == device)

    def values(self, device: str, quantity: str) -> Counter[float]:
        return Counter(sample["value"] for sample in self.samples(device, quantity))

    def samples(self, device: str, quantity: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.operator.get(
            "/api/v1/readings", quantity=quantity, device=device, limit=10_000, **_ALL_TIME
        )["samples"]
        return found

    def gateway(self) -> dict[str, Any]:
        gateways: list[dict[str, Any]] = self.operator.get("/api/v1/gateways")
        return next(gateway for gateway in gateways if gateway["id"] == "gw-1")

    def wait_seen(self, count: int, seconds: float) -> float:
        """When the operator's stream had told `count` alarms (monotonic)."""
        until(lambda: len(self.seen_at) >= count, seconds, 0.002)
        return sorted(self.seen_at.values())[count - 1]


@contextmanager
def running_center(folder: Path, broker: Server, store: str = "", processes: Processes = TOGETHER) -> Iterator[Center]:
    """`store`: the `[store]` table."""
    folder.mkdir()
    cloud = Cloud(folder)
    cloud.populate()
    People(cloud.database).accounts.add("operator", PASSWORD, StaffRole.OPERATOR, time.time_ns())
    (port,) = free_ports(1)
    extra = f"{store}\n[web]\nport = {port}\n"
    roles = {process[0]: Role(folder, broker.port, process, extra) for process in processes}
    operator = Operator(f"http://{HOST}:{port}", "operator", PASSWORD)
    with ExitStack() as stack:
        stack.callback(cloud.close)
        for role in roles.values():
            stack.callback(role.kill)
        center = Center(cloud, broker, roles, operator, StreamWatch(operator, f"http://{HOST}:{port}", lambda _: None))
        center.watch = StreamWatch(operator, f"http://{HOST}:{port}", center.notice)
        center.start(*roles)
        center.wait_until_answering()
        center.watch.start()
        stack.callback(center.watch.stop)
        assert center.watch.connected.wait(20)
        yield center
