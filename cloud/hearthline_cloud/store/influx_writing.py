"""Lines into an InfluxDB, of whichever version, so that one bad point never costs a batch.

A 400 may have stored any part of the batch, and its text names one cause of several, so nothing is read from it: the
batch is sent again in halves until each bad point stands alone. The write is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from hearthline_cloud.store.influx_http import InfluxHttp
from hearthline_cloud.store.influx_text import line, line_head
from hearthline_cloud.store.port import MAX_TIME_NS, MIN_TIME_NS, Point, SeriesKey, series_refusal, value_refusal

_SERIES_REMEMBERED = 100_000
# What InfluxDB says in a 400 when a limit of its configuration is reached: it is full, the point is good.
_FULL = ("max-series-per-database", "max-values-per-tag")
# From then on a batch goes in two requests at once; more, smaller ones are slower: the server syncs each to its disk.
_WORTH_PARTS = 2000
_PARTS = 2
_REFUSALS = (400, 422)  # 422: what 2.x says of points beyond the retention

_Batch = tuple[list[str], list[Point]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write was answered; 204 is stored."""

    status: int
    text: str


class LineWriting:
    """Points as lines, given to `post` in batches and, where it refuses one, in halves."""

    def __init__(self, http: InfluxHttp, post: Callable[[bytes], Answer]) -> None:
        self._http = http
        self._post = post
        self._known: dict[SeriesKey, tuple[str, int]] = {}  # the head of its lines, and the part that it goes in
        self._beside = ThreadPoolExecutor(_PARTS, "influxdb-write")

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        refused: list[tuple[Point, str]] = []
        batches = self._batches(points, _PARTS if len(points) >= _WORTH_PARTS else 1, refused)
        if len(batches) == 1:
            self._write(batches[0], refused)
            return refused
        sent = [self._beside.submit(self._write, batch, refused) for batch in batches]
        wait(sent)  # all have ended before anything is said of one
        for each in sent:
            each.result()
        return refused

    def close(self) -> None:
        self._beside.shutdown()

    def _batches(self, points: Sequence[Point], parts: int, refused: list[tuple[Point, str]]) -> list[_Batch]:
        """The lines in so many parts; of each series all in one, in their order: the last of two values stays."""
        if len(self._known) > _SERIES_REMEMBERED:
            self._known = {}
        known = self._known
        batches: list[_Batch] = [([], []) for _ in range(parts)]
        for point in points:
            series = (point.quantity, point.community, point.home, point.gateway, point.device, point.resident)
            value, time_ns = point.value, point.time_ns
            entry = known.get(series)
            if entry is None or value - value != 0 or not MIN_TIME_NS <= time_ns <= MAX_TIME_NS:
                reason = value_refusal(value, time_ns) or series_refusal(series)
                if reason is not None:
                    refused.append((point, reason))
                    continue
                entry = known[series] = (line_head(series), len(known) % _PARTS)
            lines, of = batches[entry[1] % parts]
            lines.append(line(entry[0], value, time_ns))
            of.append(point)
        return batches

    def _write(self, batch: _Batch, refused: list[tuple[Point, str]]) -> None:
        lines, points = batch
        if not lines:
            return
        answer = self._send(lines)
        if answer.status != 204:
            # What is bad is often one quantity or one span of time: side by side, they need fewer requests.
            both = sorted(zip(lines, points, strict=True), key=lambda each: (each[1].quantity, each[1].time_ns))
            self._isolate(([each[0] for each in both], [each[1] for each in both]), answer, refused)

    def _send(self, lines: list[str]) -> Answer:
        return self._post("\n".join(lines).encode())

    def _isolate(self, batch: _Batch, answer: Answer, refused: list[tuple[Point, str]]) -> None:
        """Send a batch, answered by `answer`, in halves until all but the bad points are stored."""
        if answer.status == 204:
            return
        lines, points = batch
        too_large = answer.status == 413
        if not too_large and answer.status not in _REFUSALS:
            raise self._http.refused(answer.status, answer.text)
        if len(lines) > 1:
            middle = len(lines) // 2
            for half in (slice(0, middle), slice(middle, None)):
                self._isolate((lines[half], points[half]), self._send(lines[half]), refused)
        elif too_large:
            raise self._http.trouble("takes not even one point in a request", "raise its max-body-size")
        elif any(limit in answer.text for limit in _FULL):
            raise self._http.trouble(f"is full: {answer.text}", "raise that limit in its configuration")
        else:
            refused.append((points[0], f"InfluxDB: {answer.text}"))
