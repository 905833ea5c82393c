"""A file of 16 MiB beside the outbox that is given back to a full disk, so that alarms go on.

While it is out, what room there is, is kept for alarms: telemetry is not taken. It is laid in again when there is room
for it twice over. `release` runs in the thread that commits, `restore` in another.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

BALLAST_BYTES = 16 * 1024 * 1024


class Ballast:
    """`laid`: whether the file lies there, whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh = path.with_name(f"{path.name}.new")
        self._lock = threading.Lock()
        self.laid = False
        self.restore()

    def release(self) -> bool:
        """Give the room back; False when there is nothing to give. Never raises."""
        with self._lock:
            self.laid = False
            return _remove(self._path) | _remove(self._fresh)

    def restore(self) -> bool:
        """Lay it in if there is room; whether it lies there. Never raises."""
        with self._lock:
            try:
                self.laid = self._is_whole() or self._lay()
            except OSError:  # the disk filled meanwhile, or is broken
                self.laid = False
                _remove(self._fresh)
            return self.laid

    def _is_whole(self) -> bool:
        try:
            return self._path.stat().st_size == BALLAST_BYTES
        except FileNotFoundError:
            return False

    def _lay(self) -> bool:
        _remove(self._fresh)  # half-made when the power was cut, it would take the room that it needs itself
        space = os.statvfs(self._path.parent)
        if space.f_bavail * space.f_frsize < 2 * BALLAST_BYTES:
            return False
        with self._fresh.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        self._fresh.replace(self._path)
        return True


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
