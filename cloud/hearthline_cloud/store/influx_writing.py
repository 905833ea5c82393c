"""Lines into an InfluxDB, of whichever version, so that one bad point never costs a batch.

A 400 may have stored any part of the batch, and its text names one cause of several, so nothing is read from it: the
batch is sent again in halves until each bad point stands alone. The write is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hearthline_cloud.store.influx_http import InfluxHttp
from hearthline_cloud.store.influx_text import line, line_head
from hearthline_cloud.store.port import Point, SeriesKey, series_refusal, value_refusal

_SERIES_REMEMBERED = 100_000
# What InfluxDB says in a 400 when a limit of its configuration is reached: it is full, the point is good.
_FULL = ("max-series-per-database", "max-values-per-tag")
_REFUSALS = (400, 422)  # 422: what 2.x says of points beyond the retention

_Line = tuple[Point, str]


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
        self._heads: dict[SeriesKey, str] = {}

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        refused: list[tuple[Point, str]] = []
        lines = list(self._lines(points, refused))
        if lines:
            answer = self._send(lines)
            if answer.status != 204:
                # What is bad is often one quantity or one span of time: side by side, they need fewer requests.
                lines.sort(key=lambda each: (each[0].quantity, each[0].time_ns))
                self._isolate(lines, answer, refused)
        return refused

    def head(self, series: SeriesKey) -> str:
        head = self._heads.get(series)
        if head is None:
            if len(self._heads) > _SERIES_REMEMBERED:
                self._heads = {}
            head = self._heads[series] = line_head(series)
        return head

    def _lines(self, points: Sequence[Point], refused: list[tuple[Point, str]]) -> Iterator[_Line]:
        if len(self._heads) > _SERIES_REMEMBERED:
            self._heads = {}
        heads = self._heads
        for point in points:
            series = point.series
            head = heads.get(series)
            reason = value_refusal(point.value, point.time_ns)
            if head is None and reason is None:
                reason = series_refusal(series)
            if reason is not None:
                refused.append((point, reason))
                continue
            if head is None:
                head = heads[series] = line_head(series)
            yield point, line(head, point.value, point.time_ns)

    def _send(self, lines: Sequence[_Line]) -> Answer:
        return self._post("\n".join([text for _, text in lines]).encode())

    def _isolate(self, lines: list[_Line], answer: Answer, refused: list[tuple[Point, str]]) -> None:
        """Send `lines`, answered by `answer`, in halves until all but the bad points are stored."""
        if answer.status == 204:
            return
        too_large = answer.status == 413
        if not too_large and answer.status not in _REFUSALS:
            raise self._http.refused(answer.status, answer.text)
        if len(lines) > 1:
            middle = len(lines) // 2
            for half in (lines[:middle], lines[middle:]):
                self._isolate(half, self._send(half), refused)
        elif too_large:
            raise self._http.trouble("takes not even one point in a request", "raise its max-body-size")
        elif any(limit in answer.text for limit in _FULL):
            raise self._http.trouble(f"is full: {answer.text}", "raise that limit in its configuration")
        else:
            refused.append((lines[0][0], f"InfluxDB: {answer.text}"))
