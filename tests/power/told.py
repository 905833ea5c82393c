"""What a writer on the rig has told: one JSON array a line, each after the commit that it speaks of.

The lines lie with the test, not on the disk that is cut; so they bear witness against it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from power.rig import Rig

PATIENCE_S = 60.0
Line = list[Any]


class Boot:
    """One process of a script from its orders to its end. It dies with the cut, or by `kill`."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._handle = -1
        self._told: list[Line] = []
        self._cut_short = False
        self._news = threading.Condition()

    def take(self, text: bytes) -> None:
        """The next line."""
        with self._news:
            try:
                line = json.loads(text)
                assert not self._cut_short or line[0] == "ended", f"garbled before {line}"
                self._told.append(line)
            except ValueError:
                self._cut_short = self._cut_short or bool(text.strip())  # of it nothing was told
            self._news.notify_all()

    def hold(self, process: int) -> None:
        with suppress(ProcessLookupError):  # it has ended by itself; whoever waits for its words is told so
            self._handle = os.pidfd_open(process)

    def kill(self) -> None:
        """The process alone; the power stays. Returns when it has ended."""
        if self._handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
            self._handle = -1
        self.wait_for("ended")

    def wait_for(self, word: str) -> Line:
        """The first line of this word."""
        return self._wait(frozenset({word}), 1)

    def wait_for_rows(self, words: frozenset[str], count: int) -> None:
        """Until `count` lines of these words have been told."""
        self._wait(words, count)

    def told(self) -> list[Line]:
        """All lines until now; after `kill` all that it ever told."""
        with self._news:
            return list(self._told)

    def _wait(self, words: frozenset[str], count: int) -> Line:
        deadline = time.monotonic() + PATIENCE_S
        what = f"{count} of {sorted(words)}"
        with self._news:
            while True:
                found = [line for line in self._told if line[0] in words]
                if len(found) >= count:
                    return found[count - 1]
                assert not self._told or self._told[-1][0] != "ended", f"ended before {what}\n{self._tail()}"
                assert self._news.wait(deadline - time.monotonic()), f"{what} not told in time\n{self._tail()}"

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]


class Script:
    """A script of this folder: it has imported everything, and forks a process for each boot."""

    def __init__(self, rig: Rig, name: str, log: Path) -> None:
        self._rig = rig
        self._log = log
        self._process = rig.start([sys.executable, "-u", str(Path(__file__).with_name(name))], log)
        self._boot = Boot(log)
        self._reader = threading.Thread(target=self._read, name=f"told by {name}", daemon=True)
        self._reader.start()
        self._boot.wait_for("ready")

    def boot(self, **orders: Any) -> Boot:
        assert self._process.stdin is not None
        self._boot = boot = Boot(self._log)
        self._process.stdin.write(json.dumps(orders).encode() + b"\n")
        self._process.stdin.flush()
        boot.hold(boot.wait_for("started")[1])
        self._rig.dies_with_the_power(boot.kill)
        return boot

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()  # and with it, as its child, a boot that a failure has left
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._boot.take(line)
        self._boot.take(b'["ended"]')
