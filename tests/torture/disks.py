"""Disks that are small, that hang, and that fail; and a gateway between two brokers whose outbox lies on one.

SmallDisk    an ext4 file system in a file, to fill, free, freeze and thaw
FailingCalls libfiu between a process and its disk: calls fail while they are told to
Household    the agent, a home that hears, and a center that acknowledges; every press has a name of its own
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.edge.gateway import Center, Client, Gateway, HomeEar, wait_for
from servers import find_binary, mosquitto

SIREN = '[[siren]]\nkind = "zigbee"\ntarget = "zigbee2mqtt/siren"'
MB = 1024 * 1024
_FIU = "/usr/lib/fiu"


@dataclass
class SmallDisk:
    """Mounted at `folder`."""

    folder: Path

    def fill(self) -> None:
        """Every block that is left, by somebody else's file."""
        handle = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (MB, 4096, 1):
                with contextlib.suppress(OSError):
                    while os.write(handle, b"\0" * size):
                        pass
        finally:
            os.close(handle)

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)

    @contextmanager
    def frozen(self, seconds: float) -> Iterator[None]:
        """It takes nothing and says nothing for so long. It thaws by itself, whatever becomes of us."""
        script = (
            f"{find_binary('fsfreeze')} -f {self.folder} && echo frozen; sleep {seconds}; fsfreeze -u {self.folder}"
        )
        freezer = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE)
        try:
            assert freezer.stdout is not None
            assert freezer.stdout.readline() == b"frozen\n"
            yield
        finally:
            freezer.wait(seconds + 30)
            freezer.communicate()


@contextmanager
def small_disk(folder: Path, mib: int = 64) -> Iterator[SmallDisk]:
    """Needs root."""
    image, mount = folder / "disk.img", folder / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(mib * MB)
    _run(find_binary("mkfs.ext4"), "-q", "-F", "-m", "0", str(image))
    _run("mount", "-t", "ext4", "-o", "loop", str(image), str(mount))
    try:
        yield SmallDisk(mount)
    finally:
        _run("umount", "-l", str(mount))
        image.unlink()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@dataclass(frozen=True)
class FailingCalls:
    """Give `environment` to a process at its start; `fail` its calls later."""

    prefix: Path  # of the named pipes through which it is told

    @property
    def environment(self) -> dict[str, str]:
        libraries = " ".join(f"{_FIU}/fiu_{name}_preload.so" for name in ("run", "posix"))
        return {"LD_PRELOAD": libraries, "FIU_CTRL_FIFO": str(self.prefix)}

    @contextmanager
    def fail(self, pid: int, point: str, number: int = errno.EIO, probability: float = 1.0) -> Iterator[None]:
        """Calls of `point` (say `posix/io/sync/fdatasync`) fail with this errno within the block."""
        enable = f"enable_random name={point},probability={probability},failinfo={number}"
        self._tell(pid, enable)
        try:
            yield
        finally:
            self._tell(pid, f"disable name={point}")

    def _tell(self, pid: int, command: str) -> None:
        """A process that is gone cannot be told, and needs not to be."""
        tell = [find_binary("fiu-ctrl"), "-f", str(self.prefix), "-c", command, str(pid)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(tell, capture_output=True, timeout=5, check=False)


class Household:
    """One gateway, started by `start`. `pressed`: the devices that were pressed, each once."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        data_dir: Path | None = None,
        *,
        alarm_after_s: float = 10.0,
        persistence: bool = False,
    ) -> None:
        """`persistence`: of the brokers."""
        for name in ("home", "center"):
            (folder / name).mkdir()
        home = stack.enter_context(mosquitto(folder / "home", persistence=persistence))
        broker = stack.enter_context(mosquitto(folder / "center", persistence=persistence))
        self.home_broker, self.center_broker = home, broker
        top = f"status_period_s = 1.0\nlocal_alarm_after_s = {alarm_after_s}"
        self.gateway = Gateway(
            folder, "gw-disk", broker.port, home.port, top=top, tables=SIREN, data_dir=data_dir, log_level="info"
        )
        stack.callback(self.gateway.end)
        self.center = Center(broker.port, "gw-disk")
        self.bridge = Client(home.port, ())
        self.ear = HomeEar(home.port, "gw-disk")
        for client in (self.center, self.bridge, self.ear):
            stack.callback(client.close)
        self.pressed: list[str] = []
        self._readings = 0

    def start(self) -> None:
        self.gateway.start()
        wait_for(lambda: self.gateway.told("local broker connected") == 3, "the local sessions", 30)

    @property
    def pid(self) -> int:
        assert self.gateway.process is not None
        return self.gateway.process.pid

    @property
    def memory_mb(self) -> float:
        """What the agent holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MB

    def press(self) -> str:
        """A button that was never pressed before."""
        name = f"sos{len(self.pressed)}"
        self.pressed.append(f"z2m:{name}")
        self.bridge.publish(f"zigbee2mqtt/{name}", '{"action":"emergency"}')
        return f"z2m:{name}"

    def read(self) -> None:
        self._readings += 1
        number = self._readings
        self.bridge.publish(f"plug{number % 20}/status/switch:0", f'{{"id":0,"apower":{number}.5}}')

    @contextmanager
    def load(self, presses_per_s: float, readings_per_s: float = 0.0) -> Iterator[None]:
        """Presses and readings, evenly, until the end of the block."""
        over = threading.Event()

        def work() -> None:
            began, presses, readings = time.monotonic(), 0, 0
            while not over.wait(0.01):
                elapsed = time.monotonic() - began
                while presses < elapsed * presses_per_s:
                    presses += 1
                    self.press()
                while readings < elapsed * readings_per_s:
                    readings += 1
                    self.read()

        thread = threading.Thread(target=work, name="load")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(30)

    def heard(self) -> list[str]:
        """The devices of the alarms at the center, one for each event id."""
        return [alarm.subject for alarm in self.center.alarms]

    def received(self) -> set[str]:
        return {signal["device"] for signal in self.ear.signals("received")}

    def depth(self) -> int:
        return int(self.gateway.outbox()["event"]["depth"])

    def settle(self, seconds: float = 60.0) -> None:
        """Every press at the center, exactly once; out of the outbox; told at home; and quiet."""
        wait_for(lambda: set(self.heard()) >= set(self.pressed), "every press at the center", seconds)
        wait_for(lambda: self.depth() == 0, "the outbox to let go", seconds)
        wait_for(lambda: self.received() >= set(self.pressed), '"received" for every press', seconds)
        wait_for(lambda: not self.ear.sounding, "the siren's silence", seconds)
        assert sorted(self.heard()) == sorted(self.pressed), "a press became two events"

    def nothing_hollow(self) -> bool:
        """Whether nothing was told "received" that the center has not."""
        received = self.received()
        return received <= set(self.heard())
