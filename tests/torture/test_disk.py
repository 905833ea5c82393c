"""Full, failing and hanging disks under the agent: an alarm is stored or heard at home, never "received" unstored."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from integration.edge.gateway import steady, wait_for
from torture.disks import MB, FailingCalls, Household, small_disk
from trials import SEED, publish, trials

pytestmark = pytest.mark.torture

STRIKES = trials(10, 300)
HANG_S = trials(12, 15)
POINTS = (
    ("posix/io/sync/fdatasync", errno.EIO),
    ("posix/io/sync/fsync", errno.EIO),
    ("posix/io/sync/*", errno.EIO),
    ("posix/io/rw/pwrite", errno.EIO),
    ("posix/io/rw/pwrite", errno.ENOSPC),
    ("posix/io/rw/ftruncate", errno.EIO),
    ("posix/io/oc/open", errno.EIO),
    ("posix/io/rw/pread", errno.EIO),
)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_full_disk_under_load(tmp_path: Path, opened: ExitStack, root: None) -> None:
    disk = opened.enter_context(small_disk(tmp_path))
    home = Household(tmp_path, opened, disk.folder / "data")
    home.start()
    ballast = home.gateway.data / "ballast"
    assert ballast.stat().st_size == 16 * MB
    with home.load(10, 20):
        wait_for(lambda: len(home.heard()) > 5, "the load")
        disk.fill()
        wait_for(lambda: not ballast.exists(), "the ballast to be released")
        wait_for(lambda: home.center.fault("nearly full"), "the fault in the status")
        by_ballast = len(home.heard())
        wait_for(lambda: len(home.heard()) > by_ballast + 20, "alarms by the ballast's room", 60)
        before = len(home.center.packs)
        steady(lambda: len(home.center.packs) <= before + 8, 0.5, "readings take the room that is kept for alarms")
        disk.fill()
        wait_for(lambda: home.ear.sounding, "the siren at once")
        wait_for(lambda: home.center.fault("cannot be stored"), "the fault in the status")
        steady(home.nothing_hollow, 1.0, '"received" for what the center has not')
        disk.free()
        wait_for(lambda: not home.center.fault("cannot be stored"), "the fault to go")
    home.settle()
    wait_for(ballast.exists, "the ballast back", 20)
    wait_for(lambda: not home.center.fault("nearly full"), "the fault to go")
    publish("full disk at the edge", presses=len(home.pressed), events=len(home.heard()))


@pytest.mark.timeout(STRIKES * 6 + 120)
def test_failing_calls_under_load(tmp_path: Path, opened: ExitStack) -> None:
    """EIO and ENOSPC of one call or another, for a while, again and again; sometimes the agent is killed meanwhile."""
    rng = Random(SEED)
    calls = FailingCalls(tmp_path / "fiu")
    home = Household(tmp_path, opened)
    home.gateway.environment = calls.environment
    home.start()
    seen, kills = 0, 0
    with home.load(15, 5):
        for number in range(STRIKES):
            point, error = POINTS[number % len(POINTS)]
            told = home.gateway.told("cannot be written")
            with calls.fail(home.pid, point, error, rng.choice((1.0, 1.0, 0.5))):
                time.sleep(rng.uniform(0.3, 1.2))
                assert home.gateway.process is not None
                assert home.gateway.process.poll() is None, home.gateway.log_text()[-2000:]
                assert home.nothing_hollow()
                seen += home.gateway.told("cannot be written") > told
                if rng.random() < 0.25:
                    home.gateway.kill()
                    kills += 1
            if home.gateway.process is None:
                home.start()
            time.sleep(rng.uniform(0.1, 0.8))
    home.settle()
    lost = len(set(home.pressed) - set(home.heard()))
    assert seen >= STRIKES // 4, "the calls did not fail: is SQLite linked statically?"
    publish("failing calls at the edge", strikes=STRIKES, felt=seen, kills=kills, presses=len(home.pressed), lost=lost)


def test_an_agent_that_starts_on_a_disk_that_fails_is_heard_at_home(tmp_path: Path, opened: ExitStack) -> None:
    calls = FailingCalls(tmp_path / "fiu")
    home = Household(tmp_path, opened)
    home.gateway.environment = {**calls.environment, "FIU_ENABLE": "enable name=posix/io/sync/*,failinfo=5"}
    home.start()
    assert home.gateway.told("outbox not opened yet"), "the disk did not fail"
    home.press()
    wait_for(lambda: home.ear.sounding, "the siren at once")
    wait_for(lambda: home.center.fault("cannot be stored"), "the fault in the status")
    assert not home.received()
    with calls.fail(home.pid, "posix/io/sync/*"):
        pass  # which ends with the failing
    home.settle()
    wait_for(lambda: not home.center.fault("outbox"), "the fault to go")


def test_a_disk_that_hangs_under_load(tmp_path: Path, opened: ExitStack, root: None) -> None:
    disk = opened.enter_context(small_disk(tmp_path))
    home = Household(tmp_path, opened, disk.folder / "data")
    home.start()
    with home.load(5, 100):
        wait_for(lambda: len(home.heard()) > 5, "the load")
        before = home.memory_mb
        began = time.monotonic()
        with disk.frozen(HANG_S):
            wait_for(lambda: home.ear.sounding, "the siren", HANG_S)
            sounded_s = time.monotonic() - began
            wait_for(lambda: home.center.fault("does not answer"), "the fault in the status", HANG_S)
            assert home.nothing_hollow()
        grown = home.memory_mb - before
    home.settle()
    wait_for(lambda: not home.center.fault("outbox"), "the fault to go")
    publish(
        "hanging disk at the edge",
        hang_s=HANG_S,
        siren_after_s=round(sounded_s, 1),
        presses=len(home.pressed),
        events=len(home.heard()),
        memory_grown_mb=round(grown, 1),
    )
    assert sounded_s < 10
    assert grown < 40
