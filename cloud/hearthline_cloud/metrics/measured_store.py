"""A time-series store whose every request is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hearthline.errors import LinkError
from hearthline_cloud.metrics.instruments import STORE_FAILURES, STORE_POINTS, STORE_SECONDS
from hearthline_cloud.store.port import Point, Sample, SeriesQuery, Summary, TimeSeries
from hearthline_cloud.store.tiers import Tier


class MeasuredStore:
    """`store`, as it is."""

    def __init__(self, store: TimeSeries) -> None:
        self._store = store

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        with _measured("write"):
            refused = self._store.write(points)
        STORE_POINTS.labels("stored").inc(len(points) - len(refused))
        STORE_POINTS.labels("refused").inc(len(refused))
        return refused

    def read(self, query: SeriesQuery) -> list[Sample]:
        with _measured("read"):
            return self._store.read(query)

    def summaries(self, tier: Tier, query: SeriesQuery) -> list[Summary]:
        with _measured("read"):
            return self._store.summaries(tier, query)

    def check(self) -> None:
        with _measured("check"):
            self._store.check()


@contextmanager
def _measured(operation: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    except LinkError:
        STORE_FAILURES.labels(operation).inc()
        raise
    STORE_SECONDS.labels(operation).observe(time.perf_counter() - began)
