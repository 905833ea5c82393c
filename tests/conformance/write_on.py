"""A child process: writes points into the embedded store, and prints the end of each batch when it is stored."""

from __future__ import annotations

import sys
from pathlib import Path

from conformance.points import BATCH, point
from hearthline_cloud.store.embedded import EmbeddedStore

if __name__ == "__main__":
    store = EmbeddedStore(Path(sys.argv[1]))
    begin, end = int(sys.argv[2]), int(sys.argv[3])
    for first in range(begin, end, BATCH):
        last = min(first + BATCH, end)
        store.write([point(index) for index in range(first, last)])
        sys.stdout.write(f"{last}\n")
        sys.stdout.flush()
