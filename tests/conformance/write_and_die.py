"""A child process: writes points into the embedded store and kills itself with SIGKILL when `write` has returned."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hearthline_cloud.store import Point
from hearthline_cloud.store.embedded import EmbeddedStore

START_NS = 1_790_000_000_000_000_000
SECOND = 1_000_000_000

if __name__ == "__main__":
    store = EmbeddedStore(Path(sys.argv[1]))
    store.write(
        [
            Point("power", "c1", "h1", "g1", "meter-1", float(index), START_NS + index * SECOND)
            for index in range(int(sys.argv[2]))
        ]
    )
    os.kill(os.getpid(), signal.SIGKILL)
