"""A child process: writes points into the embedded store and kills itself with SIGKILL when `write` has returned."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from conformance.points import point
from hearthline_cloud.store.embedded import EmbeddedStore

if __name__ == "__main__":
    store = EmbeddedStore(Path(sys.argv[1]))
    store.write([point(index) for index in range(int(sys.argv[2]))])
    os.kill(os.getpid(), signal.SIGKILL)
