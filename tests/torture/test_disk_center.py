"""Full and failing disks under the center: nothing is acknowledged that is not committed, nothing dies."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

import pytest
import urllib3

from cloud_processes import PlayedEdge, Role, edge, running, until
from hearthline.model import Lane
from servers import Server, free_ports, mosquitto
from torture.disks import FailingCalls, small_disk
from trials import SEED, publish, trials

pytestmark = pytest.mark.torture

STRIKES = trials(6, 200)
POINTS = (
    ("posix/io/sync/fdatasync", errno.EIO),
    ("posix/io/sync/*", errno.EIO),
    ("posix/io/rw/pwrite", errno.EIO),
    ("posix/io/rw/pwrite", errno.ENOSPC),
    ("posix/io/oc/open", errno.EIO),
    ("posix/io/rw/pread", errno.EIO),
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as server:
        yield server


def stored(folder: Path) -> list[str]:
    """The ids of the alarms in the center's database."""
    with closing(sqlite3.connect(f"file:{folder / 'hearthline.db'}?mode=ro", uri=True, timeout=10)) as connection:
        return [event for (event,) in connection.execute("SELECT event_id FROM event WHERE type LIKE '%alarm%'")]


class Presses:
    """What one gateway was pressed; `acknowledged` by event id."""

    def __init__(self, gateway: PlayedEdge) -> None:
        self._gateway = gateway
        self._ids: dict[tuple[Lane, int], str] = {}

    def press(self) -> None:
        event = self._gateway.gateway.press()
        self._ids[self._gateway.send(event)] = event.id
        self._gateway.send(self._gateway.gateway.pack(float(len(self._ids))))

    @property
    def ids(self) -> list[str]:
        return list(self._ids.values())

    @property
    def acknowledged(self) -> set[str]:
        return {self._ids[key] for key in list(self._gateway.acked_at) if key in self._ids}


def test_a_full_disk_of_the_center(tmp_path: Path, broker: Server, root: None) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path, 24))
        (port,) = free_ports(1)
        role = Role(disk.folder, broker.port, ("ingest", "desk", "web"), extra="")
        role.broker_extra = f"[web]\nport = {port}\n"
        stack.enter_context(running(role))
        stack.callback(disk.free)
        gateway = stack.enter_context(edge(broker.port))
        presses = Presses(gateway)
        until(lambda: _get(port, "/readyz") == 200, 30)
        for _ in range(20):
            presses.press()
        until(lambda: len(presses.acknowledged) == 20)
        disk.fill()
        _press_until(lambda: _get(port, "/readyz") == 503, presses)
        full_since = len(presses.acknowledged)
        for _ in range(60):
            presses.press()
            assert _get(port, "/healthz") == 200
        assert presses.acknowledged <= set(stored(disk.folder)), "acknowledged, and not committed"
        waiting = len(presses.ids) - len(presses.acknowledged)
        assert waiting >= 60 - 5, "the disk was not full"
        assert role.process is not None
        assert role.process.poll() is None
        disk.free()
        until(lambda: len(presses.acknowledged) == len(presses.ids), 60)
        until(lambda: not gateway.kept, 60)
        until(lambda: _get(port, "/readyz") == 200, 30)
        lost = len(set(presses.ids) - set(stored(disk.folder)))
        assert sorted(stored(disk.folder)) == sorted(presses.ids)
        assert "died" not in role.log
        publish("full disk at the center", presses=len(presses.ids), before=full_since, waited=waiting, lost=lost)


def _press_until(found: object, presses: Presses) -> None:
    assert callable(found)
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline, "the center does not say that its database is full"
        presses.press()
        time.sleep(0.05)


def _get(port: int, path: str) -> int:
    try:
        return int(urllib3.request("GET", f"http://127.0.0.1:{port}{path}", retries=False, timeout=10.0).status)
    except urllib3.exceptions.HTTPError:
        return 0


@pytest.mark.timeout(STRIKES * 6 + 120)
def test_failing_calls_under_the_ingester(tmp_path: Path, broker: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(SEED)
    calls = FailingCalls(tmp_path / "fiu")
    folder = tmp_path / "center"
    folder.mkdir()
    role = Role(folder, broker.port)

    def start() -> None:
        with monkeypatch.context() as patch:
            for name, value in calls.environment.items():
                patch.setenv(name, value)
            role.start()
        until(lambda: role.log.count("cloud running") == kills + 1, 30)

    kills = 0
    start()
    try:
        with edge(broker.port) as gateway:
            presses = Presses(gateway)
            presses.press()
            until(lambda: presses.acknowledged, 30)
            for number in range(STRIKES):
                point, error = POINTS[number % len(POINTS)]
                with calls.fail(role.pid, point, error, rng.choice((1.0, 0.5))):
                    ends = time.monotonic() + rng.uniform(0.3, 1.0)
                    while time.monotonic() < ends:
                        presses.press()
                        time.sleep(0.03)
                    assert role.process is not None
                    assert role.process.poll() is None, role.log[-2000:]
                    if rng.random() < 0.25:
                        role.kill()
                        kills += 1
                if role.process is None:
                    start()
                time.sleep(rng.uniform(0.1, 0.5))
            until(lambda: len(presses.acknowledged) == len(presses.ids), 60)
            until(lambda: not gateway.kept, 60)
            felt = role.log.count("database away")
            lost = len(set(presses.ids) - set(stored(folder)))
            assert sorted(stored(folder)) == sorted(presses.ids)
            assert felt, "the calls did not fail: is SQLite linked statically?"
            figures = {"strikes": STRIKES, "kills": kills, "presses": len(presses.ids), "felt": felt, "lost": lost}
            publish("failing calls at the center", **figures)
    finally:
        role.kill()
