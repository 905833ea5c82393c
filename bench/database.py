"""What the center's database takes here: events, write transactions and their waiting, on SQLite and on PostgreSQL.

    python bench/database.py [--seconds 4]

Starts its own PostgreSQL on loopback; both databases lie on the disk of the temporary folder. An event is a press that
joins an open alert, by the ingester's own code, in batches as the broker hands them over.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cloud_center import Cloud
from hearthline_cloud.database import Database
from servers import postgresql

BATCHES = (1, 20, 100)
WRITERS = (1, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each figure")
    options = parser.parse_args()
    print(f"{'database':<12}{'what':<34}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for engine in ("sqlite", "postgresql"):
        with opened(engine) as cloud:
            for batch in BATCHES:
                report(engine, f"events, {batch} a transaction", events(cloud, batch, options.seconds), batch)
            for writers in WRITERS:
                report(engine, f"writes, {writers} processes", writes(cloud.database.url, writers, options.seconds), 1)
            report(engine, "reads", reads(cloud.database, options.seconds), 1)


@contextmanager
def opened(engine: str) -> Iterator[Cloud]:
    with tempfile.TemporaryDirectory(prefix="hearthline-bench-") as name:
        if engine == "sqlite":
            yield from _populated(Cloud(Path(name)))
        else:
            with postgresql() as server:
                yield from _populated(Cloud(Path(name), server.create("center")))


def _populated(cloud: Cloud) -> Iterator[Cloud]:
    cloud.populate()
    yield cloud
    cloud.close()


def events(cloud: Cloud, batch: int, seconds: float) -> tuple[float, list[float]]:
    """Transactions a second, and how long each took."""
    took: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        presses = [cloud.gateway.press(ordinal=number) for number in range(batch)]
        start = time.monotonic()
        cloud.take(*presses)
        took.append(time.monotonic() - start)
    return len(took) / sum(took), took


def writes(url: str, writers: int, seconds: float) -> tuple[float, list[float]]:
    """Small transactions of several processes at once; each wait for the lock is in its time."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(writers) as pool:
        parts: list[list[float]] = pool.starmap(write_on, [(url, seconds)] * writers)
    took = [each for part in parts for each in part]
    return len(took) / seconds, took


def write_on(url: str, seconds: float) -> list[float]:
    database, took = Database(url), []
    with database.reading() as connection:
        connection.execute(text("SELECT 1"))
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        start = time.monotonic()
        with database.transaction() as connection:
            connection.execute(text("UPDATE community SET name = name"))
        took.append(time.monotonic() - start)
    database.close()
    return took


def reads(database: Database, seconds: float) -> tuple[float, list[float]]:
    took: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        start = time.monotonic()
        with database.reading() as connection:
            connection.execute(text("SELECT name FROM community")).all()
        took.append(time.monotonic() - start)
    return len(took) / seconds, took


def report(engine: str, what: str, found: tuple[float, list[float]], each: int) -> None:
    rate, took = found
    took.sort()
    p50, p99 = (1000 * took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.99))
    print(f"{engine:<12}{what:<34}{rate * each:>10,.0f}{p50:>9.1f}{p99:>9.1f}")


if __name__ == "__main__":
    main()
