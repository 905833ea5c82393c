"""The desk role's loop that keeps the retention periods: one short transaction after another, with a breath between.

No press waits for it longer than for one bundle. Each hour a round removes what has become due since; once a day the
journal is told how much went. A desk that was away for a year, or whose clock is ahead, moves on by a day each hour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS
from hearthline.log import Log
from hearthline_cloud.config import RetentionConfig
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.retention.kinds import KINDS
from hearthline_cloud.retention.removing import limits, reach, remove_entries, remove_some, tell

ROLE = "retention"  # of the heartbeat that says that a bug keeps it from working
PERIOD_S = 3600.0
_FIRST_S = 60.0  # after a start there is more urgent work
_BREATH_S = 0.25  # between two bundles: who waits to write goes first
_TOLD_EVERY_NS = 20 * 3600 * NS
log = Log(__name__)


class Retainer:
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: RetentionConfig, database: Database) -> None:
        self._config = config
        self._database = database
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._guard, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=1.0)

    def failed(self) -> BaseException | None:
        """The bug that ended the thread, if one did."""
        return self._failure

    def _guard(self) -> None:
        try:
            wait_s = _FIRST_S
            while not self._stopping.wait(wait_s):
                self._round()
                wait_s = PERIOD_S
        except BaseException as error:  # told to the watching thread, which makes it anew
            self._failure = error
            log.exception("retention died")
            raise

    def _round(self) -> None:
        try:
            remove_all(self._database, self._config, time.time_ns(), lambda: self._stopping.wait(_BREATH_S))
            tell(self._database, time.time_ns(), _TOLD_EVERY_NS)
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            log.error("database away, what is old stays for now", error=str(error)[:300])


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
