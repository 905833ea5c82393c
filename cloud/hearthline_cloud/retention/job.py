"""The desk role's loop that keeps the retention periods: one short transaction after another, with a breath between.

No press waits for it longer than for one bundle. Each hour a round removes what has become due since; once a day the
journal is told how much went. A desk that was away for a year, or whose clock is ahead, moves on by a day each hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from hearthline.clock import NS
from hearthline_cloud.config import RetentionConfig
from hearthline_cloud.database import Database
from hearthline_cloud.loop import Loop, patiently
from hearthline_cloud.retention.kinds import KINDS
from hearthline_cloud.retention.removing import limits, reach, remove_entries, remove_some, tell

ROLE = "retention"  # of the heartbeat that says that a bug keeps it from working
PERIOD_S = 3600.0
_FIRST_S = 60.0  # after a start there is more urgent work
_BREATH_S = 0.25  # between two bundles: who waits to write goes first
_TOLD_EVERY_NS = 20 * 3600 * NS


class Retainer(Loop):
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: RetentionConfig, database: Database) -> None:
        super().__init__("retention")
        self._config = config
        self._database = database

    def _work(self) -> None:
        wait_s = _FIRST_S
        while not self._stopping.wait(wait_s):
            patiently("what is old stays for now", self._round)
            wait_s = PERIOD_S

    def _round(self) -> None:
        remove_all(self._database, self._config, time.time_ns(), lambda: self._stopping.wait(_BREATH_S))
        tell(self._database, time.time_ns(), _TOLD_EVERY_NS)


def remove_all(
    database: Database, config: RetentionConfig, now_ns: int, breathe: Callable[[], bool] = lambda: False
) -> int:
    """Remove whatever is due; how many rows went. `breathe` is called between two bundles, and says when to stop."""
    with database.reading() as connection:
        until = limits(connection, config, now_ns)
    total = 0
    for kind in KINDS:
        while count := remove_some(database, kind, until[kind.name], now_ns):
            total += count
            if breathe():
                return total
    while count := remove_entries(database, until["journal"], now_ns):
        total += count
        if breathe():
            return total
    reach(database, until)
    return total
