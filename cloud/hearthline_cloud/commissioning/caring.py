"""The desk role's part in commissioning: presses are judged each second, overdue pendants every ten minutes."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hearthline.errors import ConfigError
from hearthline_cloud.commissioning.claiming import settle
from hearthline_cloud.commissioning.rehearsing import decide
from hearthline_cloud.commissioning.reminding import remind
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.loop import Loop, patiently
from hearthline_cloud.selftesting import Rules
from hearthline_cloud.wake import Waker

ROLE = "commissioning"
MAX_DAYS = 366
_PERIOD_S = 1.0
_REMIND_EVERY_S = 600.0


class Caring(Loop):
    """Start it, ask `failed()` now and then, stop it. `rules`: what escalation decides by."""

    def __init__(self, config: CloudConfig, database: Database, waker: Waker, rules: Rules) -> None:
        """Raises ConfigError with the key."""
        super().__init__(ROLE)
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
        self._reminded_at = float("-inf")

    def stop(self) -> None:
        super().stop()
        self._waker.close()

    def _work(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            patiently("commissioning waits", lambda: self._round(time.time_ns(), time.monotonic()))

    def _round(self, now_ns: int, mono_s: float) -> None:
        changed = decide(self._database, self._rules, now_ns) + settle(self._database, now_ns)
        if self._every_days and mono_s - self._reminded_at >= _REMIND_EVERY_S:
            self._reminded_at = mono_s
            changed += remind(self._database, self._every_days, self._zone, now_ns)
        if changed:
            self._waker.wake("web")
