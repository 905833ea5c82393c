"""What the writers on the rig share: they hear their orders on standard input and tell on standard output."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_lock = threading.Lock()


def tell(*words: Any) -> None:
    """One line, whole."""
    line = json.dumps(words).encode() + b"\n"
    with _lock:
        while line:
            line = line[os.write(sys.stdout.fileno(), line) :]


def serve(boot: Callable[[dict[str, Any]], None]) -> None:
    """For each order on standard input a process of its own, one after the other."""
    tell("ready")
    for order in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(boot, json.loads(order))
        tell("started", child)
        os.waitpid(child, 0)
        os.write(sys.stdout.fileno(), b"\n")  # after what it may have left half said
        tell("ended")


def _run(boot: Callable[[dict[str, Any]], None], orders: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.excepthook = _end_with_it
    try:
        boot(orders)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told and ends this process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(4)


def _end_with_it(arguments: threading.ExceptHookArgs) -> None:
    """A thread that dies before the cut must not go unnoticed."""
    traceback.print_exception(arguments.exc_value)
    sys.stderr.flush()
    os._exit(4)


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
