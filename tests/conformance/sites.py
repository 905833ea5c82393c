"""Where the stores under test have their data, and the points and queries that every test of a store uses."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace

from conformance.points import BATCH, SECOND, START_NS, point
from conformance.relay import relay
from conformance.v2_proxy import TOKEN, Proxy
from hearthline.errors import LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Keeping, SeriesQuery, Store, TimeSeries, open_store
from hearthline_cloud.store.embedded import FILE_NAME
from secret_files import write_secret
from servers import Influxd

__all__ = ["BATCH", "SECOND", "START_NS", "point"]
LINK_TIMEOUT_S = 0.5
CUT_AFTER = 200_000  # bytes of an answer: some rows have come
_databases = itertools.count(1)


class Site(Protocol):
    """Where a store's data is, so that a test may take it away, kill it and bring it back."""

    def open(self) -> TimeSeries: ...

    def away(self) -> AbstractContextManager[None]:
        """Inside, the store cannot be written."""

    def write_and_die(self, points: int) -> None:
        """Write `points` of `point(index)`, and kill what holds them with SIGKILL right after `write` returned."""

    def write_through_kills(self, points: int, kills: int) -> None:
        """The same in batches, each repeated until it is taken, while the store is killed and started again."""

    def kill_in_mid_answer(self) -> None:
        """Read `everything()`, of some megabytes, and kill with SIGKILL what answers; no short answer may come out."""


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
        child = subprocess.run(
            [sys.executable, program, self.directory, str(points)], timeout=30, check=False, env=_importing()
        )
        assert child.returncode == -signal.SIGKILL

    def write_through_kills(self, points: int, kills: int) -> None:
        program = Path(__file__).with_name("write_on.py")
        done = 0
        for kill in [*range(1, kills + 1), None]:
            command = [sys.executable, str(program), str(self.directory), str(done), str(points)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_importing()) as child:
                assert child.stdout is not None
                for text in child.stdout:
                    done = int(text)
                    if kill is not None and done >= points * kill // (kills + 1):
                        child.kill()  # most often while the next batch is written
                        break
        assert done == points

    def kill_in_mid_answer(self) -> None:
        """The reader is what answers."""
        command = [sys.executable, str(Path(__file__).with_name("read_on.py")), str(self.directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_importing()) as child:
            assert child.stdout is not None
            child.stdout.readline()
            child.kill()  # most often while it reads again
        assert child.returncode == -signal.SIGKILL


class InfluxSite:
    """A database of its own in a server that others use too."""

    def __init__(self, directory: Path, server: Influxd, config: StoreConfig | None = None) -> None:
        self.directory = directory
        self.server = server
        timeout_s = LINK_TIMEOUT_S * 10
        self.config = config or StoreConfig(
            kind="influxdb", url=server.url, database=f"d{next(_databases)}", timeout_s=timeout_s, raw_days=0
        )

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

    def write_through_kills(self, points: int, kills: int) -> None:
        acknowledged: list[int] = []
        with opened(self) as store:
            writer = threading.Thread(target=_write_all, args=(store, points, acknowledged))
            writer.start()
            for kill in range(1, kills + 1):
                while len(acknowledged) * BATCH < points * kill // (kills + 1):
                    time.sleep(0.001)
                self.server.kill()  # most often while a batch is on its way
                self.server.start()
            writer.join(120)
        assert not writer.is_alive()

    def kill_in_mid_answer(self) -> None:
        port = int(self.config.url.rpartition(":")[2])
        with relay(port, CUT_AFTER, self.server.kill) as url:
            store = open_store(replace(self.config, url=url), self.directory)
            with closing(store), pytest.raises(LinkError, match="broke off in the middle of an answer"):
                store.read(everything())
        self.server.start()


class InfluxV2Site(InfluxSite):
    """The same server behind what 2.x has in front of it: written by influxdb-client, buckets made by its API."""

    def __init__(self, directory: Path, proxy: Proxy) -> None:
        token = write_secret(directory / "token", TOKEN)
        config = StoreConfig(
            kind="influxdb2",
            url=proxy.url,
            database=f"d{next(_databases)}",
            org="center",
            token_file=str(token),
            timeout_s=LINK_TIMEOUT_S * 10,
            raw_days=0,
        )
        super().__init__(directory, proxy.server, config)

    def open(self) -> TimeSeries:
        store = super().open()
        store.keep(Keeping(0, 0, 0), time.time_ns(), shorten=False)  # the buckets, as `store migrate` makes them
        return store


@contextmanager
def opened(site: Site) -> Iterator[TimeSeries]:
    store = site.open()
    yield store
    store.close()


def _write_all(store: Store, points: int, acknowledged: list[int]) -> None:
    """As the telemetry lane does: a batch that was not taken is sent again, whole."""
    for first in range(0, points, BATCH):
        batch = [point(index) for index in range(first, min(first + BATCH, points))]
        while True:
            try:
                assert store.write(batch) == []
                break
            except LinkError:
                time.sleep(0.02)
        acknowledged.append(first)


def _importing() -> dict[str, str]:
    """For a child that imports what lies beside the tests."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}


def everything(quantity: str = "power", limit: int = 100_000) -> SeriesQuery:
    return SeriesQuery(quantity, 0, 2**63 - 1, limit=limit)


def values(store: Store, query: SeriesQuery) -> list[float]:
    return [sample.value for sample in store.read(query)]
