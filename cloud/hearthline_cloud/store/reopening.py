"""A store that may be away already when it is opened: each call tries again until it is there.

A damaged, busy or unreadable file of readings must not keep the ingester from starting, for alarms do not need it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.store.port import Point, Sample, SeriesQuery, Store


class ClosableStore(Store, Protocol):
    def close(self) -> None: ...


class ReopeningStore:
    """The store that `open_it` opens. Until that works every call raises LinkError."""

    def __init__(self, open_it: Callable[[], ClosableStore]) -> None:
        """Tries once at once. Raises ConfigError for what no waiting mends."""
        self._open_it = open_it
        self._opening = threading.Lock()
        self._store: ClosableStore | None = None
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

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _opened(self) -> ClosableStore:
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
