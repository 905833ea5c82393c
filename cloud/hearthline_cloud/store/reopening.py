"""A store that may be away already when it is opened: each call tries again until it is there.

A damaged, busy or unreadable file of readings must not keep the ingester from starting, for alarms do not need it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.store.port import Keeping, Point, Sample, SeriesQuery, StoreState, Summary, TimeSeries
from hearthline_cloud.store.tiers import Tier


class ReopeningStore:
    """The store that `open_it` opens. Until that works every call raises LinkError."""

    def __init__(self, open_it: Callable[[], TimeSeries]) -> None:
        """Tries once at once. Raises ConfigError for what no waiting mends."""
        self._open_it = open_it
        self._opening = threading.Lock()
        self._store: TimeSeries | None = None
        try:
            self._store = open_it()
        except LinkError:
            pass  # said by each call, until it is mended

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        return self._opened().write(points)

    def read(self, query: SeriesQuery) -> list[Sample]:
        return self._opened().read(query)

    def check(self) -> None:
        self._opened().check()

    def roll_up(self, tier: Tier, from_ns: int, to_ns: int, gateway: str | None = None) -> list[str]:
        return self._opened().roll_up(tier, from_ns, to_ns, gateway)

    def summaries(self, tier: Tier, query: SeriesQuery) -> list[Summary]:
        return self._opened().summaries(tier, query)

    def keep(self, keeping: Keeping, now_ns: int, shorten: bool) -> list[str]:
        return self._opened().keep(keeping, now_ns, shorten)

    def oldest_ns(self) -> int | None:
        return self._opened().oldest_ns()

    def quantities(self) -> list[str]:
        return self._opened().quantities()

    def state(self) -> StoreState:
        return self._opened().state()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _opened(self) -> TimeSeries:
        if self._store is not None:
            return self._store
        if not self._opening.acquire(blocking=False):
            raise LinkError("the time-series store is being opened; try again")
        try:
            if self._store is None:
                self._store = self._open_it()
            return self._store
        except ConfigError as error:  # by now alarms depend on this process
            raise LinkError(str(error)) from None
        finally:
            self._opening.release()
