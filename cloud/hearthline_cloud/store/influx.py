"""InfluxDB as time-series store: line protocol in, InfluxQL out. What versions differ in is their dialect's.

    influxdb ..... 1.x, `influx_v1`: /write, retention policies, summaries made by the server
    influxdb2 .... 2.x, 3.x and Cloud, `influx_v2`: /api/v2/write, buckets, summaries read and written by us

InfluxQL at `/query` is the one language that all of them answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from hearthline.errors import LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store.influx_answers import Result, Series
from hearthline_cloud.store.influx_http import InfluxHttp
from hearthline_cloud.store.influx_text import TAGS, decoded, select, select_summaries, summary_rows, tags_of
from hearthline_cloud.store.influx_v1 import InfluxV1
from hearthline_cloud.store.influx_writing import Answer, LineWriting
from hearthline_cloud.store.port import Keeping, Point, Sample, SeriesQuery, StoreState, Summary
from hearthline_cloud.store.tiers import Span, Tier

Row = TypeVar("Row", Sample, Summary)


class Dialect(Protocol):
    """What versions of InfluxDB differ in."""

    def write(self, lines: bytes, tier: Tier = Tier.RAW) -> Answer: ...

    def check(self) -> None: ...

    def roll_up(self, measurement: str, tier: Tier, span: Span, gateway: str | None) -> str: ...

    def source(self, tier: Tier) -> dict[str, str]: ...

    def keep(self, keeping: Keeping, shorten: bool) -> list[str]: ...

    def state(self) -> StoreState: ...


class InfluxStore:
    """A `TimeSeries` in one database or bucket of an InfluxDB."""

    def __init__(self, config: StoreConfig) -> None:
        """Connects at the first call only. Raises ConfigError for a wrong URL, an empty database or a lost secret."""
        self._http = InfluxHttp(config)
        keeping = Keeping(config.raw_days, config.quarter_days, config.daily_days)
        self._dialect: Dialect
        if config.kind == "influxdb2":
            from hearthline_cloud.store.influx_v2 import InfluxV2  # its client is large

            self._dialect = InfluxV2(config, self._http)
        else:
            self._dialect = InfluxV1(self._http, keeping)
        self._writing = LineWriting(self._http, self._dialect.write)

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        return self._writing.write(points)

    def read(self, query: SeriesQuery) -> list[Sample]:
        return _merged((_samples(series) for series in self._selected(select(query), Tier.RAW)), query)

    def check(self) -> None:
        self._dialect.check()

    def roll_up(self, tier: Tier, from_ns: int, to_ns: int, gateway: str | None = None) -> list[str]:
        problems = []
        for measurement in self._measurements():
            problem = self._dialect.roll_up(measurement, tier, (from_ns, to_ns), gateway)
            if problem:
                problems.append(f"{measurement}: {problem}")
        return problems

    def summaries(self, tier: Tier, query: SeriesQuery) -> list[Summary]:
        return _merged((summary_rows(series) for series in self._selected(select_summaries(query), tier)), query)

    def keep(self, keeping: Keeping, now_ns: int, shorten: bool) -> list[str]:
        return self._dialect.keep(keeping, shorten)

    def oldest_ns(self) -> int | None:
        times = []
        for series in self._selected('SELECT first("value") FROM /.*/', Tier.RAW):
            times += [row[0] for row in series.values if isinstance(row[0], int)]
        return min(times, default=None)

    def quantities(self) -> list[str]:
        return [decoded(name) for name in self._measurements()]

    def state(self) -> StoreState:
        return self._dialect.state()

    def close(self) -> None:
        self._writing.close()
        self._http.close()

    def _measurements(self) -> list[str]:
        """The names of all measurements, as they are stored."""
        names = []
        for series in self._series("SHOW MEASUREMENTS", Tier.RAW):
            if series.name not in ("measurements", ""):
                raise self._stranger(series)
            names += [str(row[-1]) for row in series.values]  # 3.x puts the kind of measurement before the name
        return names

    def _selected(self, text: str, tier: Tier) -> Iterator[Series]:
        for series in self._series(text, tier):
            if series.columns[:1] != ["time"]:
                raise self._stranger(series)
            yield series

    def _series(self, text: str, tier: Tier) -> Iterator[Series]:
        """What one statement found, some rows at a time. Raises LinkError for an error, and for what is not whole."""
        for result in self._http.chunks(text, fields=self._dialect.source(tier)):
            if result.error.startswith("database not found"):
                return
            if result.error:
                raise self._trouble_of(result)
            yield from result.series

    def _stranger(self, series: Series) -> LinkError:
        """VictoriaMetrics tells its databases, whatever it is asked."""
        asked = f"was asked for something else than its {series.name!r}"
        return self._http.trouble(asked, "look whether store.url is an InfluxDB: it must answer InfluxQL")

    def _trouble_of(self, result: Result) -> LinkError:
        missing = "retention policy not found" in result.error
        advice = "run hearthline cloud store migrate" if missing else "look at its log"
        return self._http.trouble(f"could not answer: {result.error}", advice)


def _merged(found: Iterable[Iterable[Row]], query: SeriesQuery) -> list[Row]:
    """The first rows of all series in the query's order; what is beyond its limit is let go of as it comes."""
    kept: list[Row] = []
    for rows in found:
        kept += rows
        if len(kept) > 2 * query.limit:
            _keep_first(kept, query)
    _keep_first(kept, query)
    return kept


def _keep_first(kept: list[Row], query: SeriesQuery) -> None:
    kept.sort(key=lambda row: row.time_ns, reverse=query.newest_first)
    del kept[query.limit :]


def _samples(series: Series) -> Iterator[Sample]:
    """The samples of one result. Whatever is not a number was written into the database by somebody else."""
    for time_ns, value, *tags in series.values:
        if isinstance(time_ns, int) and isinstance(value, int | float) and not isinstance(value, bool):
            texts = tags or [series.tags.get(tag) for tag in TAGS]
            yield Sample(time_ns, float(value), tags_of(texts))
