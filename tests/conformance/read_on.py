"""A child process: reads everything out of the embedded store again and again, and says how many values that were."""

from __future__ import annotations

import sys
from pathlib import Path

from hearthline_cloud.store import SeriesQuery
from hearthline_cloud.store.embedded import EmbeddedStore

if __name__ == "__main__":
    store = EmbeddedStore(Path(sys.argv[1]))
    while True:
        sys.stdout.write(f"{len(store.read(SeriesQuery('power', 0, 2**63 - 1, limit=100_000)))}\n")
        sys.stdout.flush()
