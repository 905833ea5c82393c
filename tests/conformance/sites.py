"""Where the stores under test have their data, and the points and queries that every test of a store uses."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Point, SeriesQuery, Store, TimeSeries, open_store
from hearthline_cloud.store.embedded import FILE_NAME
from servers import Influxd

START_NS = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
LINK_TIMEOUT_S = 0.5


class Site(Protocol):
    """Where a store's data is, so that a test may take it away, kill it and bring it back."""

    def open(self) -> TimeSeries: ...

    def away(self) -> AbstractContextManager[None]:
        """Inside, the store cannot be written."""

    def write_and_die(self, points: int) -> None:
        """Write `points` of `point(index)`, and kill what holds them with SIGKILL right after `write` returned."""


class EmbeddedSite:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = StoreConfig(timeout_s=LINK_TIMEOUT_S)

    def open(self) -> TimeSeries:
        return open_store(self.config, self.directory)

    @contextmanager
    def away(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.directory / FILE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    def write_and_die(self, points: int) -> None:
        program = Path(__file__).with_name("write_and_die.py")
        child = subprocess.run([sys.executable, program, self.directory, str(points)], timeout=30, check=False)
        assert child.returncode == -signal.SIGKILL


class InfluxSite:
    def __init__(self, directory: Path, server: Influxd) -> None:
        self.directory = directory
        self.server = server
        self.config = StoreConfig(kind="influxdb", url=server.url, timeout_s=LINK_TIMEOUT_S * 10, raw_days=0)

    def open(self) -> TimeSeries:
        return open_store(self.config, self.directory)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.kill()
        yield
        self.server.start()

    def write_and_die(self, points: int) -> None:
        with opened(self) as store:
            assert store.write([point(index) for index in range(points)]) == []
            self.server.kill()
        self.server.start()


@contextmanager
def opened(site: Site) -> Iterator[TimeSeries]:
    store = site.open()
    yield store
    store.close()


def point(index: int, value: float | None = None, device: str = "meter-1", quantity: str = "power") -> Point:
    """The point of second `index`; by default its value is the index."""
    return Point(
        quantity, "c1", "h1", "g1", device, float(index) if value is None else value, START_NS + index * SECOND
    )


def everything(quantity: str = "power", limit: int = 100_000) -> SeriesQuery:
    return SeriesQuery(quantity, 0, 2**63 - 1, limit=limit)


def values(store: Store, query: SeriesQuery) -> list[float]:
    return [sample.value for sample in store.read(query)]
