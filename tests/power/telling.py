"""What the writers on the rig share: they hear their orders on standard input and tell on standard output."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

_lock = threading.Lock()


def tell(*words: Any) -> None:
    """One line, whole."""
    with _lock:
        os.write(sys.stdout.fileno(), json.dumps(words).encode() + b"\n")


def orders() -> dict[str, Any]:
    """Everything is imported: what comes next is the product's own work."""
    tell("ready")
    heard: dict[str, Any] = json.loads(sys.stdin.readline())
    return heard


def make_durably(folder: Path) -> None:
    """As an installer's folder, that was there long before the cut; a new one has the disk to itself."""
    if not folder.exists():
        for old in folder.parent.glob("data-*"):
            shutil.rmtree(old)
        folder.mkdir()
    handle = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)
    tell("begun")
