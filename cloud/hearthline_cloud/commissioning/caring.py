"""The desk role's part in commissioning: presses are judged each second, overdue pendants looked for each minute."""

from __future__ import annotations

import threading
import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.exc import SQLAlchemyError

from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline_cloud.commissioning.rehearsing import decide
from hearthline_cloud.commissioning.reminding import remind
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.selftesting import Rules
from hearthline_cloud.wake import Waker

ROLE = "commissioning"
MAX_DAYS = 366
_PERIOD_S = 1.0
_REMIND_EVERY_S = 60.0
_STOP_S = 1.0
log = Log(__name__)


class Caring:
    """Start it, ask `failed()` now and then, stop it. `rules`: what escalation decides by."""

    def __init__(self, config: CloudConfig, database: Database, waker: Waker, rules: Rules) -> None:
        """Raises ConfigError with the key."""
        self._every_days = config.commissioning.remind_days
        if not 0 <= self._every_days <= MAX_DAYS:
            raise ConfigError(f"commissioning.remind_days = {self._every_days}: must be 0 (never) to {MAX_DAYS}")
        try:
            self._zone = ZoneInfo(config.service.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = f"service.zone = {config.service.zone!r}: there is no such time zone on this machine"
            raise ConfigError(message) from None
        self._database = database
        self._waker = waker
        self._rules = rules
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._reminded_at = float("-inf")
        self._thread = threading.Thread(target=self._guard, name=ROLE, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=_STOP_S)
        self._waker.close()

    def failed(self) -> BaseException | None:
        """The bug that ended the thread, if one did."""
        return self._failure

    def _guard(self) -> None:
        try:
            while not self._stopping.wait(_PERIOD_S):
                try:
                    self._round(time.time_ns(), time.monotonic())
                except SQLAlchemyError as error:
                    if not is_away(error):
                        raise
                    log.error("database away, commissioning waits", error=str(error))
        except BaseException as error:  # told to the watching thread, which starts it anew
            self._failure = error
            log.exception("commissioning died")
            raise

    def _round(self, now_ns: int, mono_s: float) -> None:
        changed = decide(self._database, self._rules, now_ns)
        if self._every_days and mono_s - self._reminded_at >= _REMIND_EVERY_S:
            self._reminded_at = mono_s
            changed += remind(self._database, self._every_days, self._zone, now_ns)
        if changed:
            self._waker.wake("web")
