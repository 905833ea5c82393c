"""A disk that is full or refuses to grow a file: alarms go on or sound at home, nothing is acknowledged unstored."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, Client, Gateway, HomeEar, NotifySocket, steady, wait_for
from servers import Server

pytestmark = pytest.mark.integration

SIREN = '[[siren]]\nkind = "zigbee"\ntarget = "zigbee2mqtt/siren"'
STATUS = '{"id":0,"apower":1.5}'
MB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if mounted.returncode:
        pytest.skip(f"mounting a small filesystem needs root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)


@pytest.fixture
def bridge(local_broker: Server, stack: ExitStack) -> Client:
    client = Client(local_broker.port, ())
    stack.callback(client.close)
    return client


def fill(folder: Path) -> None:
    """Every byte that is left."""
    handle = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (MB, 4096, 1):
            with contextlib.suppress(OSError):
                while os.write(handle, b"\0" * size):
                    pass
    finally:
        os.close(handle)


def ready(gateway: Gateway) -> None:
    wait_for(lambda: gateway.told("local broker connected") == 3, "the local sessions")


def test_a_full_disk(
    make_gateway: MakeGateway,
    small_disk: Path,
    bridge: Client,
    make_center: Callable[..., Center],
    make_ear: Callable[..., HomeEar],
) -> None:
    gateway = make_gateway(data_dir=small_disk / "data", top="status_period_s = 1.0", tables=SIREN)
    gateway.start()
    center, ear = make_center(gateway), make_ear(gateway)
    ready(gateway)
    ballast = gateway.data / "ballast"
    assert ballast.stat().st_size == 16 * MB

    fill(small_disk)
    bridge.publish("zigbee2mqtt/first", '{"action":"emergency"}')
    center.wait_alarms(1)
    assert not ballast.exists(), "stored without the ballast: the disk was not full"
    wait_for(lambda: center.fault("nearly full"), "the fault in the status")
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 0, "the outbox to let go")

    fill(small_disk)
    for number in range(30):  # more than a broker's usual window: readings must not hold up a press
        bridge.publish(f"plug{number}/status/switch:0", STATUS)
    bridge.publish("zigbee2mqtt/second", '{"action":"emergency"}')
    wait_for(lambda: ear.sounding, "the siren, at once", 5)
    wait_for(lambda: center.fault("cannot be stored"), "the fault in the status")
    assert len(center.alarms) == 1
    assert not center.packs
    ear.reset()
    wait_for(lambda: not ear.sounding, "the siren's silence after the reset")

    gateway.kill()
    (small_disk / "filler").unlink()
    gateway.start()
    center.wait_alarms(2)
    wait_for(lambda: sum(len(pack.readings) for pack in center.packs) == 30, "the readings that the broker kept")
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 0, "the outbox to let go")
    wait_for(lambda: ballast.exists() and not center.fault("nearly full"), "the ballast back", 8)
    assert sorted(alarm.subject for alarm in center.alarms) == ["z2m:first", "z2m:second"]


def test_it_starts_on_a_full_disk(
    make_gateway: MakeGateway, small_disk: Path, bridge: Client, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway(data_dir=small_disk / "data")
    gateway.start()
    ready(gateway)
    gateway.kill()
    (gateway.data / "outbox.db-shm").unlink()  # as after a power cut: to look at its log needs room for this
    fill(small_disk)
    gateway.start()
    ready(gateway)
    assert not (gateway.data / "ballast").exists()
    bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
    make_center(gateway).wait_alarms(1)


def test_an_outbox_that_cannot_grow(
    make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    """The same without root: the kernel refuses to grow files."""
    gateway = make_gateway(top="status_period_s = 1.0", tables=SIREN)
    gateway.start()
    center, ear = make_center(gateway), make_ear(gateway)
    ready(gateway)
    assert gateway.process is not None
    limits = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
    bridge.publish("plug/status/switch:0", STATUS)
    bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
    wait_for(lambda: ear.sounding, "the siren, at once", 5)
    wait_for(lambda: center.fault("cannot be stored"), "the fault in the status")
    steady(lambda: not center.events and not center.packs, 0.3, "something was sent that is not stored")
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, limits)
    center.wait_alarms(1)
    wait_for(lambda: center.packs, "the reading")
    wait_for(lambda: not ear.sounding, "the siren's silence")
    wait_for(lambda: not center.fault("cannot be stored"), "the fault to go")
    assert len(center.alarms) == 1


def test_a_disk_that_neither_writes_nor_fails(
    make_gateway: MakeGateway,
    bridge: Client,
    make_center: Callable[..., Center],
    make_ear: Callable[..., HomeEar],
    tmp_path: Path,
    stack: ExitStack,
) -> None:
    """A stranger's lock on the outbox makes each commit wait for ten seconds, as a worn SD card does."""
    supervisor = NotifySocket(tmp_path / "notify")
    stack.callback(supervisor.close)
    environment = {"NOTIFY_SOCKET": str(supervisor.path), "WATCHDOG_USEC": "1000000"}
    gateway = make_gateway(tables=SIREN, environment=environment)
    gateway.start()
    center, ear = make_center(gateway), make_ear(gateway)
    ready(gateway)
    stranger = stack.enter_context(contextlib.closing(sqlite3.connect(gateway.data / "outbox.db")))
    stranger.execute("BEGIN IMMEDIATE")
    signs = supervisor.listen().count("WATCHDOG=1")
    bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
    wait_for(lambda: ear.sounding, "the siren before the commit has failed", 7)
    assert supervisor.listen().count("WATCHDOG=1") >= signs + 3, "the supervisor would end it"
    stranger.rollback()
    center.wait_alarms(1)
    wait_for(lambda: not ear.sounding, "the siren's silence")
    assert len(center.alarms) == 1
