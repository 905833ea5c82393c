"""A center of real processes for one fault at a time: ingester, desk and web, with an operator at its stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud_center import Cloud
from cloud_processes import Role, until
from hearthline.clock import rfc3339
from hearthline_cloud.people import People
from hearthline_cloud.people import Role as StaffRole
from hearthline_sim.demo.operator import Notice, Operator, StreamWatch
from servers import HOST, Server, free_ports

PASSWORD = "correct horse battery"
ALARM = "hearthline.alarm.v1"
_ALL_TIME = {"from": rfc3339(1), "to": rfc3339(2**62)}


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

    def start(self, *names: str) -> None:
        for name in names:
            self.roles[name].start()

    def kill(self, *names: str) -> None:
        """`kill -9`."""
        for name in names:
            self.roles[name].kill()

    def wait_until_ready(self, seconds: float = 30) -> None:
        until(self.operator.is_ready, seconds)

    def log_in(self) -> None:
        self.operator.log_in()

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
def running_center(folder: Path, broker: Server, store: str = "", web: bool = True) -> Iterator[Center]:
    """`store`: the `[store]` table. Without `web`, only ingester and database."""
    folder.mkdir()
    cloud = Cloud(folder)
    cloud.populate()
    People(cloud.database).add_staff("operator", PASSWORD, StaffRole.OPERATOR, time.time_ns())
    (port,) = free_ports(1)
    extra = f"{store}\n[web]\nport = {port}\n"
    names = ("ingest", "desk", "web") if web else ("ingest",)
    roles = {name: Role(folder, broker.port, (name,), extra) for name in names}
    operator = Operator(f"http://{HOST}:{port}", "operator", PASSWORD)
    with ExitStack() as stack:
        stack.callback(cloud.close)
        for role in roles.values():
            stack.callback(role.kill)
        center = Center(cloud, broker, roles, operator, StreamWatch(operator, f"http://{HOST}:{port}", lambda _: None))
        center.watch = StreamWatch(operator, f"http://{HOST}:{port}", center.notice)
        center.start(*names)
        if web:
            until(operator.is_ready, 30)
            center.log_in()
            center.watch.start()
            stack.callback(center.watch.stop)
            assert center.watch.connected.wait(10)
        yield center
