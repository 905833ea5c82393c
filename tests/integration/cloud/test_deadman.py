"""The center as processes: with any of its parts killed, the outside service hears nothing more within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud_center import Cloud
from cloud_processes import Role, running, until
from hearthline_cloud import journal
from outside_service import OutsideService, outside_service
from servers import Server, free_ports, mosquitto

pytestmark = pytest.mark.integration

SILENT_WITHIN_S = 6.0  # after the ingester or its broker has died
QUIET_S = 3.0  # three periods


@dataclass
class Center:
    cloud: Cloud
    broker: Server
    service: OutsideService
    ingester: Role
    desk: Role


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    for name in ("c", "b", "ingest", "desk"):
        (tmp_path / name).mkdir()
    cloud = Cloud(tmp_path / "c")
    cloud.populate()
    database = f'database = "{cloud.database.url}"'
    (web,) = free_ports(1)
    with ExitStack() as stack:
        stack.callback(cloud.close)
        broker = stack.enter_context(mosquitto(tmp_path / "b"))
        service = stack.enter_context(outside_service())
        ping = f'[deadman]\nurl = "{service.url}"\nperiod_s = 1.0\n[web]\nport = {web}'
        ingester = Role(tmp_path / "ingest", broker.port, extra=database)
        desk = Role(tmp_path / "desk", broker.port, ("desk", "web"), extra=f"{database}\n{ping}")
        stack.enter_context(running(ingester))
        stack.enter_context(running(desk))
        yield Center(cloud, broker, service, ingester, desk)


def hears(center: Center) -> None:
    """It is pinged now."""
    before = len(center.service.got)
    until(lambda: len(center.service.got) > before + 1, 40)


def falls_silent(center: Center, end: Callable[[], None]) -> None:
    """No ping later than the stated time after `end`."""
    end()
    ended = time.monotonic()
    until(lambda: time.monotonic() - ended > SILENT_WITHIN_S, 10)
    before = len(center.service.got)
    until(lambda: time.monotonic() - ended > SILENT_WITHIN_S + QUIET_S, 10)
    assert len(center.service.got) == before


def test_each_part_that_dies_ends_the_pings_and_they_come_back_with_it(center: Center) -> None:
    hears(center)
    falls_silent(center, center.ingester.kill)
    center.ingester.start()
    hears(center)
    falls_silent(center, center.broker.kill)
    center.broker.start()
    hears(center)
    falls_silent(center, center.desk.kill)
    center.desk.start()
    hears(center)
    with center.cloud.database.reading() as connection:
        head = center.service.got[-1][1]["head"]
        assert journal.check(connection, head).known_at is not None, "what was sent is an entry of the chain"
