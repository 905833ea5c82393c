"""The gateway's page for Prometheus: `GET /metrics`, from the agent's own event loop.

Built from the status that the center gets and a few durations, when it is asked for: nothing on the way of an alarm
knows of it, and an agent without `[metrics]` does not load the library.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from hearthline.log import Log
from hearthline_edge.config import MetricsConfig
from hearthline_edge.hops import Sight, Tally

_PATIENCE_S = 5.0
_MOST_AT_ONCE = 8
_LINE_BYTES = 4096
_AGAIN_S = 30.0
log = Log(__name__)


async def serve(config: MetricsConfig, look: Callable[[], Awaitable[Sight]]) -> None:
    """Answer until cancelled. A port that is taken is in the log and tried again: it must cost no alarm."""
    places = asyncio.Semaphore(_MOST_AT_ONCE)
    process = CollectorRegistry()
    ProcessCollector(registry=process)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S), places:
                writer.write(await _answer(reader, look, process))
                await writer.drain()
        except (TimeoutError, OSError, ValueError) as error:
            log.debug("metrics not told", error=repr(error))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    while True:
        try:
            server = await asyncio.start_server(answer, config.host, config.port, limit=_LINE_BYTES)
        except OSError as error:
            log.error("metrics not shown, choose another metrics.port", port=config.port, error=str(error))
            await asyncio.sleep(_AGAIN_S)
            continue
        try:
            await asyncio.get_running_loop().create_future()  # serve_forever would wait for the clients at its end
        finally:
            server.close()


async def _answer(
    reader: asyncio.StreamReader, look: Callable[[], Awaitable[Sight]], process: CollectorRegistry
) -> bytes:
    asked = (await reader.readline()).split()
    while (await reader.readline()).strip():
        pass  # the headers say nothing that matters here
    if asked[:2] != [b"GET", b"/metrics"]:
        return _response("404 Not Found", "text/plain; charset=utf-8", b"There is /metrics alone.\n")
    page = generate_latest(_Page(families(await look()), process))
    return _response("200 OK", CONTENT_TYPE_LATEST, page)


def _response(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


class _Page(CollectorRegistry):
    """What was found, as the library wants to be given it."""

    def __init__(self, found: Sequence[Metric], process: Collector) -> None:
        super().__init__()
        self._found = found
        self._process = process

    def collect(self) -> Iterator[Metric]:
        yield from self._found
        yield from self._process.collect()


def families(sight: Sight) -> list[Metric]:
    """Everything but the process' own. An outbox that cannot be read leaves its figures out."""
    status = sight.status
    found: list[Metric] = [
        _labelled("build_info", "Which version runs", "version", {status.version: 1.0}),
        _gauge("uplink_connected", "1: connected to the center's broker and subscribed", float(sight.connected)),
        _gauge("clock_synced", "1: the clock is synchronised", float(status.clock == "synced")),
        _gauge("faults", "What is wrong, as the center is told it", float(len(status.faults))),
    ]
    lanes = {lane: told for lane, told in (("event", status.event), ("telemetry", status.telemetry)) if told}
    if lanes:
        depths = {lane: float(told.depth) for lane, told in lanes.items()}
        found.append(_labelled("outbox_records", "Records that wait for the center", "lane", depths))
        ages = {lane: told.oldest_s for lane, told in lanes.items()}
        found.append(_labelled("outbox_oldest_seconds", "Age of the oldest of them", "lane", ages))
        refused = {lane: float(told.refused) for lane, told in lanes.items()}
        found.append(_counter("records_refused", "Records that the center has refused", "lane", refused))
        frames: Counter[str] = Counter()
        for reason, count in status.refusals.items():
            frames[reason.partition(":")[0]] += count
        found.append(_counter("frames_refused", "Frames that a driver has refused", "source", dict(frames)))
    if status.telemetry is not None:
        if status.telemetry.room_h is not None:
            text = "Until the telemetry lane is full, at the present rate"
            found.append(_gauge("outbox_room_seconds", text, status.telemetry.room_h * 3600))
        dropped = CounterMetricFamily("hearthline_edge_readings_dropped", "Readings that a full lane has dropped")
        dropped.add_metric([], float(status.telemetry.dropped))
        found.append(dropped)
    return [*found, *(_histogram(name, text, tally) for name, (text, tally) in sight.durations.items())]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"hearthline_edge_{name}", text, value=value)


def _labelled(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(f"hearthline_edge_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = CounterMetricFamily(f"hearthline_edge_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _histogram(name: str, text: str, tally: Tally) -> Metric:
    family = HistogramMetricFamily(f"hearthline_edge_{name}", text)
    family.add_metric([], tally.buckets(), tally.total_s)
    return family
