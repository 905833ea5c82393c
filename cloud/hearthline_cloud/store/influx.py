"""InfluxDB 1.x as time-series store: `/write` with line protocol, `/query` with InfluxQL.

InfluxDB answers 204 after its own fsync. A 400 may have stored any part of the batch, and its text names one cause of
several, so nothing is read from it: the batch is sent again in halves until each bad point stands alone.
"""

from __future__ import annotations

import base64
import heapq
import itertools
from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.util import Timeout, parse_url

from hearthline.config import read_secret
from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store.influx_text import TAGS, create_database, decoded, line, line_head, select
from hearthline_cloud.store.port import Point, Sample, SeriesKey, SeriesQuery, Tags, series_refusal, value_refusal

_CONNECTIONS = 4
_SERIES_REMEMBERED = 100_000
_ERROR_CHARS = 300
# What InfluxDB says in a 400 when a limit of its configuration is reached: it is full, the point is good.
_FULL = ("max-series-per-database", "max-values-per-tag")
_SIGNATURE = "X-Influxdb-Version"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class _Series(msgspec.Struct):
    values: list[list[float | int | str | bool | None]] = []
    tags: dict[str, str] = {}
    partial: bool = False


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""
    partial: bool = False


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


_decode_answer = msgspec.json.Decoder(_Answer).decode
_Line = tuple[Point, str]


class InfluxStore:
    """A `Store` in one database of an InfluxDB 1.x. The database is created when it is missing."""

    def __init__(self, config: StoreConfig) -> None:
        """Connects at the first call only. Raises ConfigError for a wrong URL, an empty database or a lost secret."""
        self.url = _checked_url(config.url)
        if not config.database:
            raise ConfigError("store.database is empty; name the database of the InfluxDB")
        self._database = config.database
        self._timeout_s = config.timeout_s
        self._headers = _login(config)
        self._heads: dict[SeriesKey, str] = {}
        self._write_url = f"{self.url}/write?{urlencode({'db': config.database, 'precision': 'ns'})}"
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=_CONNECTIONS, retries=False, timeout=Timeout(total=config.timeout_s)
        )

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        refused: list[tuple[Point, str]] = []
        lines = list(self._lines(points, refused))
        if lines:
            answer = self._post_lines(lines)
            if answer.status != 204:
                # What is bad is often one quantity or one span of time: side by side, they need fewer requests.
                lines.sort(key=lambda each: (each[0].quantity, each[0].time_ns))
                self._isolate(lines, answer, refused)
        return refused

    def read(self, query: SeriesQuery) -> list[Sample]:
        fields = {"q": select(query), "db": self._database, "epoch": "ns"}
        for result in self._query(fields):
            if result.error.startswith("database not found"):
                return []
            if result.error:
                raise self._trouble(f"could not answer: {result.error}", "look at its log")
            if result.partial or any(series.partial for series in result.series):
                raise self._trouble("cut its answer short", "raise its max-row-limit")
            streams = [_samples(series) for series in result.series]
            merged = heapq.merge(*streams, key=lambda sample: sample.time_ns, reverse=query.newest_first)
            return list(itertools.islice(merged, query.limit))
        raise self._trouble("answered a query with nothing", "look whether store.url is an InfluxDB 1.x")

    def check(self) -> None:
        answer = self._post_lines([])  # an empty write passes its login, the database and the right to write
        if answer.status != 204:
            raise self._wrong_answer(answer)

    def close(self) -> None:
        self._pool.clear()

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

    def _isolate(self, lines: list[_Line], answer: urllib3.BaseHTTPResponse, refused: list[tuple[Point, str]]) -> None:
        """Send `lines`, answered by `answer`, in halves until all but the bad points are stored."""
        if answer.status == 204:
            return
        too_large = answer.status == 413
        reason = "" if too_large else self._refusal(answer)
        if len(lines) > 1:
            middle = len(lines) // 2
            for half in (lines[:middle], lines[middle:]):
                self._isolate(half, self._post_lines(half), refused)
        elif too_large:
            raise self._trouble("takes not even one point in a request", "raise its max-body-size")
        elif any(limit in reason for limit in _FULL):
            raise self._trouble(f"is full: {reason}", "raise that limit in its configuration")
        else:
            refused.append((lines[0][0], f"InfluxDB: {reason}"))

    def _post_lines(self, lines: Sequence[_Line]) -> urllib3.BaseHTTPResponse:
        body = "\n".join([text for _, text in lines]).encode()
        answer = self._post(self._write_url, body)
        if answer.status == 404:
            for result in self._query({"q": create_database(self._database)}):
                if result.error:
                    advice = f"create it by hand: {create_database(self._database)}"
                    raise self._trouble(f"has no database {self._database!r}: {result.error}", advice)
            answer = self._post(self._write_url, body)
        if answer.status in (204, 400) and _SIGNATURE not in answer.headers:
            raise self._wrong_answer(answer)  # a proxy's or a stranger's word about points is worth nothing
        return answer

    def _query(self, fields: dict[str, str]) -> list[_Result]:
        answer = self._post(f"{self.url}/query", urlencode(fields).encode(), _FORM)
        if answer.status != 200:
            raise self._wrong_answer(answer)
        try:
            return _decode_answer(answer.data).results
        except msgspec.DecodeError as error:
            raise self._trouble(f"gave an answer that is not its own: {error}", "look at store.url") from None

    def _post(self, url: str, body: bytes, headers: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request("POST", url, body=body, headers=self._headers | (headers or {}), redirect=False)
        except urllib3.exceptions.TimeoutError:
            raise self._trouble(f"did not answer within {self._timeout_s:g} s", "look at its load and log") from None
        except urllib3.exceptions.HTTPError as error:
            raise self._trouble(f"cannot be reached: {error}", "start influxd, or correct store.url") from None

    def _refusal(self, answer: urllib3.BaseHTTPResponse) -> str:
        """Why InfluxDB refused. Raises LinkError for what is not about the points."""
        if answer.status != 400:
            raise self._wrong_answer(answer)
        return _error_text(answer)

    def _wrong_answer(self, answer: urllib3.BaseHTTPResponse) -> LinkError:
        advice = {
            401: "check store.username and store.password_file",
            403: f"grant store.username all rights on {self._database!r}",
            404: "look whether store.url is an InfluxDB 1.x",
        }.get(answer.status, "look at its log, or correct store.url")
        return self._trouble(f"answered {answer.status}: {_error_text(answer)}", advice)

    def _trouble(self, what: str, advice: str) -> LinkError:
        return LinkError(f"InfluxDB at {self.url} {what}; {advice}")


def _samples(series: _Series) -> Iterator[Sample]:
    """The samples of one result. Whatever is not a number was written into the database by somebody else."""
    for time_ns, value, *tags in series.values:
        if isinstance(time_ns, int) and isinstance(value, int | float) and not isinstance(value, bool):
            texts = [decoded(str(tag or "")) for tag in tags or [series.tags.get(tag) for tag in TAGS]]
            yield Sample(time_ns, float(value), Tags(*texts))


def _error_text(answer: urllib3.BaseHTTPResponse) -> str:
    try:
        text = _decode_answer(answer.data).error
    except msgspec.DecodeError:
        text = answer.data.decode("utf-8", "replace")
    return " ".join(text.split())[:_ERROR_CHARS] or "no reason given"


def _checked_url(url: str) -> str:
    try:
        parts = parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parts = parse_url("")
    if parts.scheme not in ("http", "https") or not parts.host or parts.query or parts.fragment:
        raise ConfigError(f"store.url = {url!r}: expected something like http://127.0.0.1:8086")
    if parts.auth is not None:
        raise ConfigError("store.url carries a login; use store.username and store.password_file")
    return url.rstrip("/")


def _login(config: StoreConfig) -> dict[str, str]:
    if config.username is None:
        return {}
    password = read_secret(config.password_file, "store.password_file") or ""
    token = base64.b64encode(f"{config.username}:{password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {token}"}
