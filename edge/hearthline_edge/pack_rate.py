"""How many telemetry packs come in an hour, smoothed over some minutes."""

from __future__ import annotations

from hearthline.clock import Stamp

_SMOOTHING = 0.05


class PackRate:
    """`taken`: packs since the last tick."""

    def __init__(self) -> None:
        self.taken = 0
        self.per_hour = 0.0
        self._since: Stamp | None = None
        self._ticks = 0

    def tick(self, now: Stamp) -> None:
        since, self._since = self._since, now
        elapsed_s = None if since is None else now.seconds_since(since)
        if not elapsed_s:
            return
        self._ticks += 1
        per_hour = self.taken * 3600 / elapsed_s
        self.per_hour += (per_hour - self.per_hour) * max(_SMOOTHING, 1 / self._ticks)
        self.taken = 0
