"""What a writer on the rig has told: one JSON array a line, each after the commit that it speaks of.

The lines lie with the test, not on the disk that is cut; so they bear witness against it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from power.rig import Rig

PATIENCE_S = 60.0
Line = list[Any]


class Writer:
    """A script of this folder, running on the rig. `go` is what it gets to know; it begins then."""

    def __init__(self, rig: Rig, script: str, log: Path) -> None:
        self._log = log
        self._process = rig.start([sys.executable, "-u", str(Path(__file__).with_name(script))], log)
        self._told: list[Line] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name=f"told by {script}", daemon=True)
        self._reader.start()
        self.wait_for("ready")

    def go(self, **orders: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(orders).encode() + b"\n")
        self._process.stdin.flush()

    def wait_for(self, word: str, count: int = 1) -> Line:
        """The line that tells it the `count`th time."""

        def found() -> list[Line]:
            return [line for line in self._told if line[0] == word][count - 1 : count]

        return self._wait(found, f"{count} {word!r}")[0]

    def wait_for_rows(self, words: frozenset[str], count: int) -> None:
        """Until `count` lines of these words have been told."""
        self._wait(lambda: [line for line in self._told if line[0] in words][count - 1 :], f"{count} of {words}")

    def told(self) -> list[Line]:
        """All lines until now."""
        with self._news:
            return list(self._told)

    def last_words(self) -> list[Line]:
        """All that it ever told; it has been killed."""
        self._reader.join(PATIENCE_S)
        assert not self._reader.is_alive()
        return self.told()

    def _wait(self, found: Callable[[], list[Line]], what: str) -> list[Line]:
        deadline = time.monotonic() + PATIENCE_S
        with self._news:
            while not (lines := found()):
                log = self._log.read_text(encoding="utf-8", errors="replace")[-3000:]
                assert not self._ended, f"ended before {what} was told; the last: {self._told[-1:]}\n{log}"
                assert self._news.wait(deadline - time.monotonic()), f"{what} was not told in {PATIENCE_S} s\n{log}"
            return lines

    def _read(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._process.stdin, self._process.stdout:
            for line in self._process.stdout:
                if line.endswith(b"\n"):  # of a line cut short, nothing was told
                    with self._news:
                        self._told.append(json.loads(line))
                        self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
