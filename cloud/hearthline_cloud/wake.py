"""A commit wakes the other roles: one Unix datagram to each listening process of a role on this machine.

Only a hint: it carries nothing, may be lost, and everybody also looks for himself once a second. Sockets lie in
`<data_dir>/wake/<role>.<pid>`; one that nobody listens to any more is removed by whoever finds it. They are addressed
through an open folder (`/proc/self/fd/N/NAME`), for a socket's path may have 107 bytes and a data_dir may be deeper.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from hearthline.errors import ConfigError

Role = Literal["ingest", "desk", "web", "keeper"]


@contextmanager
def _opened(folder: Path) -> Iterator[str]:
    """A short path to the folder, good within this process and this block."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


class WakeListener:
    """One process's ear for its role."""

    def __init__(self, data_dir: Path, role: Role) -> None:
        """Raises ConfigError for a directory that cannot be written."""
        folder = data_dir / "wake"
        self._path = folder / f"{role}.{os.getpid()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._path.unlink(missing_ok=True)
            with _opened(folder) as short:
                self.socket.bind(f"{short}/{self._path.name}")
        except OSError as error:
            self.socket.close()
            raise ConfigError(f"data_dir: no socket can be made at {self._path}: {error}") from None

    def wait(self, timeout_s: float) -> None:
        """Return when woken or after the timeout, whichever comes first, with every waiting hint taken."""
        self.socket.settimeout(timeout_s)
        try:
            self.socket.recv(16)
        except TimeoutError:
            return
        self.drain()

    def drain(self) -> None:
        """Take the hints that have piled up; never waits."""
        self.socket.setblocking(False)
        while True:
            try:
                self.socket.recv(16)
            except BlockingIOError:
                return

    def close(self) -> None:
        self.socket.close()
        self._path.unlink(missing_ok=True)


class Waker:
    """Wakes the processes of a role. Never blocks and never fails: a full or dead socket has been told enough."""

    def __init__(self, data_dir: Path, process: int | None = None) -> None:
        """`process`: wake that one alone."""
        self._folder = data_dir / "wake"
        self._which = "*" if process is None else str(process)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def wake(self, role: Role) -> None:
        """Whatever goes wrong, a process without a free file handle included: what is committed must go on."""
        with suppress(OSError):
            self._wake(role)

    def _wake(self, role: Role) -> None:
        ears = list(self._folder.glob(f"{role}.{self._which}"))
        if not ears:
            return
        with _opened(self._folder) as short:
            for path in ears:
                try:
                    self._socket.sendto(b"w", f"{short}/{path.name}")
                except ConnectionRefusedError:
                    path.unlink(missing_ok=True)
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()
