"""How many points a second each time-series store takes, beside influxdb-client's own ways and a naive script.

    python bench/store.py --seconds 2            every store by batch size, and what that costs in CPU
    python bench/store.py --beside --points 50000 the same points into one InfluxDB by five clients, in one run
    python bench/store.py --outage               what each client loses when InfluxDB is away for longer than it retries

Starts its own influxd on loopback. What speaks /api/v2/write goes through an nginx before it that maps it to /write;
ours does as well in the row of that name. CPU is that of this process alone; the column `server` shows InfluxDB's.
Ours has one batch in flight at a time, from 2,000 points on in two requests, each durable before the next begins.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from influxdb_client import InfluxDBClient, WriteOptions
from influxdb_client import Point as ClientPoint
from influxdb_client.client.write_api import SYNCHRONOUS

from hearthline.errors import LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Point, Store
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.store.influx import InfluxStore
from hearthline_cloud.store.influx_http import InfluxHttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from secret_files import write_secret
from servers import HOST, Influxd, Server, find_binary, free_ports, influxd

BATCHES = (1, 20, 100, 1000, 5000)
BATCH = 5000
GATEWAYS = 200
QUANTITIES = ("power", "voltage", "current", "energy_import", "battery")
START_NS = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
TOKEN = "not asked for by 1.x"


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


def measure(store: Store, name: str, size: int, seconds: float, server_cpu: Callable[[], float]) -> Result:
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


# --- five clients, the same points --------------------------------------------------------------------------------


class Ours:
    """Repeats a batch until it is taken, as the telemetry lane does: until then no gateway is told anything."""

    def __init__(self, store: InfluxStore) -> None:
        self._store = store

    def write(self, batch: list[Point]) -> None:
        while True:
            try:
                self._store.write(batch)
                return
            except LinkError:
                time.sleep(0.1)

    def close(self) -> None:
        self._store.close()


class PointApi:
    """influxdb-client as its documents show it: a Point for each value, a batch written at once."""

    def __init__(self, client: InfluxDBClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._api = client.write_api(write_options=SYNCHRONOUS)

    def write(self, batch: list[Point]) -> None:
        self._api.write(self._bucket, "center", [client_point(each) for each in batch])

    def close(self) -> None:
        self._api.close()
        self._client.close()


class BatchingApi(PointApi):
    """Its batching API, Points too: written by a thread of its own, with its retries."""

    def __init__(self, client: InfluxDBClient, bucket: str, **options: int) -> None:
        super().__init__(client, bucket)
        chosen = WriteOptions(batch_size=BATCH, flush_interval=1000, jitter_interval=0, **options)
        self._api = client.write_api(write_options=chosen)


class Naive:
    """A script of twenty lines: text put together, posted, and what fails is forgotten."""

    def __init__(self, url: str, database: str) -> None:
        self._target = f"{url}/write?db={database}"
        self._pool = urllib3.PoolManager(retries=False, timeout=5.0)

    def write(self, batch: list[Point]) -> None:
        lines = "\n".join(
            f"{p.quantity},community={p.community},home={p.home},gateway={p.gateway},device={p.device} "
            f"value={p.value} {p.time_ns}"
            for p in batch
        )
        try:
            self._pool.request("POST", self._target, body=lines.encode())
        except urllib3.exceptions.HTTPError:
            return

    def close(self) -> None:
        self._pool.clear()


def client_point(point: Point) -> Any:
    made = ClientPoint(point.quantity).tag("community", point.community).tag("home", point.home)
    return (
        made.tag("gateway", point.gateway).tag("device", point.device).field("value", point.value).time(point.time_ns)
    )


def clients(server: Influxd, proxy: str, folder: Path) -> dict[str, tuple[str, Callable[[str], Any]]]:
    """Name -> (its database, how it is made)."""
    token = str(write_secret(folder / "token", TOKEN))

    def ours(database: str) -> Ours:
        return Ours(InfluxStore(StoreConfig("influxdb", server.url, database=database, raw_days=0)))

    def ours_v2(database: str) -> Ours:
        config = StoreConfig("influxdb2", proxy, database=database, org="center", token_file=token, raw_days=0)
        return Ours(InfluxStore(config))

    def client() -> InfluxDBClient:
        return InfluxDBClient(proxy, TOKEN, org="center")

    return {
        "ours, 1.x": ("ours", ours),
        "ours, by influxdb-client": ("ours2", ours_v2),
        "influxdb-client Points, one call a batch": ("points", lambda name: PointApi(client(), name)),
        "influxdb-client Points, batching": ("batching", lambda name: BatchingApi(client(), name)),
        "naive script": ("naive", lambda name: Naive(server.url, name)),
    }


def ask(server: Influxd, text: str) -> bytes:
    with urllib3.PoolManager(retries=False, timeout=60.0) as pool:
        return pool.request("POST", f"{server.url}/query", fields={"q": text}, encode_multipart=False).data


def stored(server: Influxd, database: str) -> int:
    http = InfluxHttp(StoreConfig("influxdb", server.url, database=database))
    with closing(http):
        found = http.query('SELECT count("value") FROM /.*/', timeout_s=60.0)
    return sum(int(row[1] or 0) for series in found.series for row in series.values)


@contextmanager
def nginx(folder: Path, server: Influxd) -> Iterator[str]:
    """An nginx that maps what influxdb-client sends to what InfluxDB 1.x takes; its URL."""
    (port,) = free_ports(1)
    config = folder / "nginx.conf"
    config.write_text(
        f"""daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
events {{}}
http {{
  access_log off; client_max_body_size 64m; client_body_buffer_size 8m; client_body_temp_path {folder}/body;
  upstream influxd {{ server {HOST}:{server.port} max_fails=0; keepalive 8; }}
  server {{
    listen {HOST}:{port};
    location = /api/v2/write {{
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass http://influxd/write?db=$arg_bucket&precision=ns;
    }}
  }}
}}
"""
    )
    running = Server("nginx", [find_binary("nginx"), "-c", str(config), "-p", str(folder)], port, folder)
    running.start()
    try:
        yield f"http://{HOST}:{port}"
    finally:
        running.stop()


def beside(points: int) -> None:
    source = batches(BATCH)
    given = [next(source) for _ in range(points // BATCH)]
    with tempfile.TemporaryDirectory() as name, influxd(Path(name)) as server, nginx(Path(name), server) as proxy:
        print(f"{'client':<44}{'points/s':>10}{'CPU s/100k':>12}{'stored of ' + str(points):>20}")
        for client, (database, make) in clients(server, proxy, Path(name)).items():
            ask(server, f"CREATE DATABASE {database}")
            writer = make(database)
            began, cpu_before = time.perf_counter(), time.process_time()
            for batch in given:
                writer.write(batch)
            writer.close()  # the batching client has written then
            took = time.perf_counter() - began
            cpu = time.process_time() - cpu_before
            rate = points / took
            print(f"{client:<44}{rate:>10,.0f}{cpu * 1e5 / points:>12.2f}{stored(server, database):>20,}", flush=True)


def outage(points: int, away_s: float) -> None:
    """InfluxDB is killed after a third of the points, and started again after `away_s`."""
    size = 500
    source = batches(size)
    given = [next(source) for _ in range(points // size)]
    print(
        f"InfluxDB away for {away_s:g} s; clients retry 2 times, their own choice; {points} points in {away_s * 3:g} s"
    )
    print(f"{'client':<44}{'stored':>10}{'lost':>10}")
    for client in ("ours, 1.x", "influxdb-client Points, batching", "naive script"):
        with tempfile.TemporaryDirectory() as name, influxd(Path(name)) as server, nginx(Path(name), server) as proxy:
            database, make = clients(server, proxy, Path(name))[client]
            ask(server, f"CREATE DATABASE {database}")
            if "batching" in client:
                retries = {"max_retries": 2, "retry_interval": 500, "max_retry_delay": 1000, "max_retry_time": 3000}
                writer = BatchingApi(InfluxDBClient(proxy, TOKEN, org="center"), database, **retries)
            else:
                writer = make(database)
            back = threading.Timer(away_s, server.start)
            for number, batch in enumerate(given):
                if number == len(given) // 3:
                    server.kill()
                    back.start()
                began = time.perf_counter()
                writer.write(batch)
                time.sleep(max(away_s * 3 / len(given) - (time.perf_counter() - began), 0))
            back.join()
            writer.close()
            found = stored(server, database)
            print(f"{client:<44}{found:>10,}{points - found:>10,}", flush=True)


def by_batch_size(seconds: float) -> None:
    print(f"{'store':<10}{'batch':>7}{'points/s':>12}{'CPU s/100k':>12}{'server':>12}")
    for size in BATCHES:
        with tempfile.TemporaryDirectory() as name, closing(EmbeddedStore(Path(name))) as embedded:
            print(measure(embedded, "embedded", size, seconds, lambda: 0.0), flush=True)
    for size in BATCHES:
        with tempfile.TemporaryDirectory() as name, influxd(Path(name)) as server:
            config = StoreConfig("influxdb", server.url, raw_days=0)
            with closing(InfluxStore(config)) as influx:
                result = measure(influx, "influxdb", size, seconds, lambda: process_cpu_s(server.pid))
                print(result, flush=True)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each of the ten measurements lasts")
    parser.add_argument("--beside", action="store_true", help="only the clients beside each other")
    parser.add_argument("--outage", action="store_true", help="only what each loses")
    parser.add_argument("--points", type=int, default=100_000, help="of --beside; a multiple of 5000")
    parser.add_argument("--away", type=float, default=10.0, help="seconds of --outage")
    options = parser.parse_args()
    everything = not (options.beside or options.outage)
    logging.disable()  # influxdb-client tells there of what it drops, a page each time
    if everything:
        by_batch_size(options.seconds)
    if everything or options.beside:
        beside(options.points)
    if everything or options.outage:
        outage(30_000, options.away)


if __name__ == "__main__":
    main()
