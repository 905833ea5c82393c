"""After a failed fsync the kernel shows what the disk does not have: no commit may be built on that.

The disk refuses writes for a moment, a transaction fails, and its pages stay in the page cache, called clean. What is
committed afterwards, by the same process or by one that was started since, must survive a power cut.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from power.rig import Rig
from trials import SEED, publish, trials

ROUNDS = trials(1, 50)
FILLING = (20, 50)  # commits, so that the log's blocks are allocated and its next turn only overwrites

pytestmark = pytest.mark.torture


class FailingRig(Rig):
    """A disk that refuses every write while `broken` exists."""

    def _inside(self, command: Sequence[str], *pipes: int) -> subprocess.Popen[bytes]:
        if command[0] == "nbdkit":
            at = command.index("--filter=cache")
            error = ["error-pwrite=EIO", "error-pwrite-rate=100%", "error-pwrite-file=broken"]
            command = [*command[:at], "--filter=error", *command[at:], *error]
        return super()._inside(command, *pipes)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        broken = self._folder / "broken"
        broken.touch()
        try:
            yield
        finally:
            broken.unlink()

    def keep_journal_quiet(self) -> None:
        """The file system's own journal must not be what fails: it is written every five minutes."""
        subprocess.run(self._enter(["mount", "-o", "remount,commit=300,lazytime", "mnt"]), check=True, timeout=20)


class Writer:
    """`disks_writer.py` on the rig."""

    def __init__(self, rig: Rig, log: Path, kind: str, *, believing: bool = False) -> None:
        command = [sys.executable, str(Path(__file__).with_name("disks_writer.py")), kind, str(rig.mount)]
        self._process = rig.start([*command, "believing"] if believing else command, log)

    def ask(self, word: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)


def lost_after_a_failed_fsync(folder: Path, kind: str, rng: Random, *, restarted: bool, believing: bool) -> list[str]:
    """The ids of what was committed and is gone after the cut."""
    folder.mkdir()
    log = folder / "log"
    rig = FailingRig(folder)
    with rig:
        with rig.powered(), ExitStack() as writers:
            rig.keep_journal_quiet()
            writer = opened(writers, Writer(rig, log, kind))
            committed = [writer.ask("commit") for _ in range(rng.randint(*FILLING))]
            assert all(committed)
            assert writer.ask("turn")
            committed += [writer.ask("commit") for _ in range(rng.randint(1, 4))]
            with rig.refusing():
                assert writer.ask("commit") is None, "the disk refused nothing"
            if restarted:
                writer.kill()
                writer = opened(writers, Writer(rig, log, kind, believing=believing))
                committed = writer.ask("show")  # with what the cache shows as committed
            committed += [writer.ask("commit") for _ in range(rng.randint(1, 4))]
            assert all(committed)
            rig.cut()
        with rig.powered(), ExitStack() as writers:
            found = set(opened(writers, Writer(rig, log, kind)).ask("show"))
        return [each for each in committed if each not in found]


def opened(writers: ExitStack, writer: Writer) -> Writer:
    writers.callback(writer.kill)
    return writer


@pytest.mark.timeout(ROUNDS * 30 + 60)
@pytest.mark.parametrize("kind", ["edge", "center"])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_committed_after_a_failed_fsync_survives_a_power_cut(
    tmp_path: Path, root: None, kind: str, restarted: bool
) -> None:
    rng = Random(SEED)
    lost = []
    for number in range(ROUNDS):
        lost += lost_after_a_failed_fsync(tmp_path / str(number), kind, rng, restarted=restarted, believing=False)
    publish("power cut after a failed fsync", of=kind, restarted=restarted, rounds=ROUNDS, lost=len(lost))
    assert lost == []


@pytest.mark.parametrize("kind", ["edge", "center"])
def test_the_rig_loses_what_is_built_on_a_log_that_was_believed(tmp_path: Path, root: None, kind: str) -> None:
    """The control: SQLite alone reads the failed transaction in the page cache and appends to it."""
    lost = lost_after_a_failed_fsync(tmp_path / "control", kind, Random(SEED), restarted=True, believing=True)
    publish("power cut after a failed fsync, control", of=kind, lost=len(lost))
    assert lost
