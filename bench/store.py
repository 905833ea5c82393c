"""How many points a second each time-series store takes, by batch size, and what they cost in CPU.

    python bench/store.py --seconds 2

Starts its own influxd on loopback. CPU is that of this process alone: InfluxDB's own work is not in it; the column
`server` shows it. One batch is in flight at a time; each is durable before the next begins.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Point
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.store.influx import InfluxStore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from servers import influxd

BATCHES = (1, 20, 100, 1000, 5000)
GATEWAYS = 200
QUANTITIES = ("power", "voltage", "current", "energy_import", "battery")
START_NS = 1_790_000_000_000_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Result:
    store: str
    batch: int
    points: int
    seconds: float
    cpu_s: float
    server_cpu_s: float

    def __str__(self) -> str:
        share = 100_000 / self.points
        return (
            f"{self.store:<10}{self.batch:>7}{self.points / self.seconds:>12,.0f}"
            f"{self.cpu_s * share:>12.2f}{self.server_cpu_s * share:>12.2f}"
        )


def batches(size: int) -> Iterator[list[Point]]:
    """Endless batches: every gateway's five quantities, once a second."""
    batch: list[Point] = []
    time_ns = START_NS
    while True:
        for gateway in range(GATEWAYS):
            for place, quantity in enumerate(QUANTITIES):
                value = gateway + place / 7 + (time_ns // SECOND) % 60 / 10
                names = (f"home-{gateway}", f"gateway-{gateway}", f"meter-{gateway}")
                batch.append(Point(quantity, "center", *names, value, time_ns))
                if len(batch) == size:
                    yield batch
                    batch = []
        time_ns += SECOND


def measure(
    store: EmbeddedStore | InfluxStore, name: str, size: int, seconds: float, server_cpu: Callable[[], float]
) -> Result:
    source = batches(size)
    for _ in range(max(1, 1000 // size)):  # the series are known before the clock starts
        store.write(next(source))
    written, elapsed, cpu = 0, 0.0, 0.0
    server_before = server_cpu()
    while elapsed < seconds:
        batch = next(source)  # always new points, made outside of the measured time
        cpu_before, began = time.process_time(), time.perf_counter()
        refused = store.write(batch)
        elapsed += time.perf_counter() - began
        cpu += time.process_time() - cpu_before
        assert not refused, refused[:1]
        written += size
    return Result(name, size, written, elapsed, cpu, server_cpu() - server_before)


def process_cpu_s(pid: int) -> float:
    """User and system time of another process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each of the ten measurements lasts")
    seconds = parser.parse_args().seconds
    print(f"{'store':<10}{'batch':>7}{'points/s':>12}{'CPU s/100k':>12}{'server':>12}")
    for size in BATCHES:
        with tempfile.TemporaryDirectory() as name, closing(EmbeddedStore(Path(name))) as embedded:
            print(measure(embedded, "embedded", size, seconds, lambda: 0.0), flush=True)
    for size in BATCHES:
        with tempfile.TemporaryDirectory() as name, influxd(Path(name)) as server:
            config = StoreConfig(kind="influxdb", url=server.url)
            with closing(InfluxStore(config)) as influx:
                result = measure(influx, "influxdb", size, seconds, lambda: process_cpu_s(server.pid))
                print(result, flush=True)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
