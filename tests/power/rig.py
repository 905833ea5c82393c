"""A disk whose power can be cut: what was not flushed to it is gone, as with the write cache of an SD card.

    writer -> ext4 on `mnt` -> loop device -> `nbd/disk` (nbdfuse) -> nbdkit --filter=cache -> `disk.img`
                                                                     ^ holds every write in
                                                        kill -9 is   | memory until a flush
                                                        the cut -----+

All mounts live in a mount namespace of their own, which a process (`cat`) keeps until the end of its standard input;
every other process on the rig dies with its parent. So nothing outlives the test, also when it is killed itself: with
the namespace go the mounts, with the mount goes the loop device.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from servers import find_binary

_PATIENCE_S = 20.0
_POLL_S = 0.002
TOOLS = ("nbdkit", "nbdfuse", "mkfs.ext4", "mount", "umount", "unshare", "nsenter", "setpriv")


class Rig:
    """One virtual disk with an ext4 file system; use as a context and start processes from the main thread.

    `mount` is where it is seen by what `start` starts, and by nobody else.
    """

    def __init__(self, folder: Path, mib: int = 64) -> None:
        for tool in TOOLS:
            find_binary(tool)
        self.mount = folder / "mnt"
        self._folder = folder
        self._image = folder / "disk.img"
        self._fuse_folder = folder / "nbd"
        self._keeper: subprocess.Popen[bytes] | None = None
        self._disk: subprocess.Popen[bytes] | None = None
        self._fuse: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []
        self._mortals: list[Callable[[], None]] = []
        for each in (self.mount, self._fuse_folder):
            each.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(mib << 20)
        whole = ("-E", "lazy_itable_init=0,lazy_journal_init=0")  # nothing is left to be initialised behind our back
        _run([find_binary("mkfs.ext4"), "-q", "-F", "-b", "4096", "-m", "0", *whole, str(self._image)])

    def __enter__(self) -> Rig:
        own = ["unshare", "--mount", "--propagation", "private", "cat"]
        self._keeper = subprocess.Popen(own, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(b"!")
        self._keeper.stdin.flush()
        assert self._keeper.stdout.read(1) == b"!", "no mount namespace could be made"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._keeper is not None
        try:
            if self._disk is not None:
                self.cut()
        finally:
            for process in (self._disk, self._fuse, *self._started):
                if process is not None:
                    _kill(process)
            self._keeper.communicate(timeout=_PATIENCE_S)

    def power_on(self) -> None:
        """Start the disk and mount it; ext4 recovers its journal."""
        assert self._disk is None, "it is on"
        socket = self._folder / "s"
        socket.unlink(missing_ok=True)
        # The path of a Unix socket may have 107 bytes: it is given relative to the folder.
        cached = ["--filter=cache", "file", self._image.name, "cache=writeback", "cache-on-read=false"]
        # By default the cache keeps and writes 64 KiB at once; a disk keeps and writes its own blocks.
        self._disk = self._inside(["nbdkit", "-f", "-U", "s", *cached, "cache-min-block-size=4096"])
        _wait_for(socket.is_socket, "nbdkit")
        self._fuse = self._inside(["nbdfuse", "nbd/disk", "--unix", "s"])
        device = self._seen_inside(self._fuse_folder / "disk")
        _wait_for(device.exists, "nbdfuse")
        _run(self._enter(["mount", "-t", "ext4", "-o", "loop", "nbd/disk", "mnt"]))

    def start(self, command: Sequence[str], stderr: Path) -> subprocess.Popen[bytes]:
        """A process that sees the disk; it ends with the rig at the latest."""
        with stderr.open("ab") as log:
            process = self._inside(command, subprocess.PIPE, subprocess.PIPE, log.fileno())
        self._started.append(process)
        return process

    def dies_with_the_power(self, kill: Callable[[], None]) -> None:
        """What the next cut kills after the disk: whoever has files open on it."""
        self._mortals.append(kill)

    def run(self, command: Sequence[str]) -> str:
        """What a process that sees the disk has said when it has ended well."""
        return _run(self._enter(command))

    def cut(self) -> None:
        """The power goes: the disk first, with all that it has not been told to flush, then whoever wrote to it."""
        assert self._disk is not None, "it is off"
        assert self._fuse is not None
        loops = self._loop_devices()
        _kill(self._disk)
        for kill in self._mortals:
            kill()
        _kill(self._fuse)
        self._mortals.clear()
        self._disk = self._fuse = None
        mounted = [name for name in ("mnt", "nbd") if f" {self._folder / name} " in self._mounts()]
        if mounted:
            _run(self._enter(["umount", "--lazy", *mounted]))
        # Detached by the kernel with the last use of the file system; nobody else's is waited for.
        _wait_for(lambda: not any(self._is_ours(loop) for loop in loops), f"{loops} to be detached")

    @contextmanager
    def powered(self) -> Iterator[None]:
        """On within the block, cut at its end at the latest."""
        try:
            self.power_on()
            yield
        finally:
            if self._disk is not None:
                self.cut()

    def _inside(
        self,
        command: Sequence[str],
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        mortal = ["setpriv", "--pdeathsig", "KILL", *command]
        return subprocess.Popen(self._enter(mortal), stdin=stdin, stdout=stdout, stderr=stderr, env=_environment())

    def _enter(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", "--target", str(self._keeper_pid), "--mount", f"--wdns={self._folder}", *command]

    @property
    def _keeper_pid(self) -> int:
        assert self._keeper is not None, "use the rig as a context"
        return self._keeper.pid

    def _seen_inside(self, path: Path) -> Path:
        return Path(f"/proc/{self._keeper_pid}/root{path}")

    def _mounts(self) -> str:
        return Path(f"/proc/{self._keeper_pid}/mountinfo").read_text(encoding="utf-8")

    def _loop_devices(self) -> list[tuple[str, str]]:
        """(name, what sysfs calls its file) of the loop devices that are mounted in our namespace alone."""
        names = re.findall(rf" {re.escape(str(self.mount))} .* (?:/dev/)(loop\d+) ", self._mounts())
        return [(name, _backing_file(name)) for name in names]

    def _is_ours(self, loop: tuple[str, str]) -> bool:
        name, file = loop
        return file != "" and _backing_file(name) == file


def _backing_file(loop: str) -> str:
    try:
        return Path(f"/sys/block/{loop}/loop/backing_file").read_text(encoding="utf-8")
    except OSError:
        return ""


def _environment() -> dict[str, str]:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return {**os.environ, "PATH": path}


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, env=_environment())
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(_PATIENCE_S)


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {_PATIENCE_S} s in vain for {what}"
        time.sleep(_POLL_S)
