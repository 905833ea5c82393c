"""What a chart needs out of any store: single values where they are few, else summaries, and raw values for the rest.

Summaries of quarters and days are made some time after their end (`store.tiers`). So what is newer than the newest
summary is read from raw values, in windows of a quarter of an hour. Every read is bounded in rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from hearthline.clock import NS
from hearthline_cloud.charts.counters import Stand, Used, together, used
from hearthline_cloud.charts.spans import Range, Shown
from hearthline_cloud.store.port import Aggregate, Sample, SeriesQuery, Summary, Tags
from hearthline_cloud.store.tiers import QUARTER_NS, Span, Tier, day_of

MOST_SINGLE = 400  # values of a quantity that a chart shows one by one
_MOST_ROWS = 10_000
_DAY_NS = 86_400 * NS
_PARTS: tuple[Aggregate, ...] = ("last", "min", "max", "sum", "count")
_PATIENCE_NS = 2 * 3600 * NS
_LOOK_BACK_NS = {Range.DAY: _DAY_NS, Range.WEEK: 3 * _DAY_NS, Range.MONTH: 3 * _DAY_NS, Range.YEAR: 7 * _DAY_NS}


class ReadableStore(Protocol):
    def read(self, query: SeriesQuery) -> list[Sample]: ...

    def summaries(self, tier: Tier, query: SeriesQuery) -> list[Summary]: ...


@dataclass(frozen=True, slots=True)
class Value:
    """A measured value, or those of a window: `count` of them from `least` to `most`, `mean` on average."""

    time_ns: int
    mean: float
    least: float
    most: float
    count: int = 1


def values(store: ReadableStore, quantity: str, resident: str, shown: Shown) -> list[Value]:
    """A resident's values of one quantity: one by one in a day or week, of each day in a month or year.

    Raises LinkError.
    """
    begin_ns, end_ns = shown.span
    query = SeriesQuery(quantity, begin_ns, end_ns, limit=MOST_SINGLE + 1, resident=resident)
    if shown.range in (Range.DAY, Range.WEEK):
        single = store.read(query)
        if len(single) <= MOST_SINGLE:
            return [Value(each.time_ns, each.value, each.value, each.value) for each in single]
        tier = Tier.QUARTER
    else:
        tier = Tier.DAILY
    return _merged(_windows(store, tier, replace(query, limit=_MOST_ROWS), shown), shown)


def energy(store: ReadableStore, home: str, shown: Shown) -> list[Used]:
    """What a home took from the grid in each bucket, all its meters together. Raises LinkError."""
    begin_ns, end_ns = shown.span
    query = SeriesQuery("energy_import", begin_ns - _LOOK_BACK_NS[shown.range], end_ns, limit=_MOST_ROWS, home=home)
    tier = Tier.QUARTER if shown.range is Range.DAY else Tier.DAILY
    meters: dict[tuple[str, str], list[Stand]] = {}
    for each in _windows(store, tier, query, shown):
        row = each.row
        stand = Stand(row.time_ns, each.end_ns, row.last, row.min, row.max)
        meters.setdefault((row.tags.gateway, row.tags.device), []).append(stand)
    spans = [span for span, _ in shown.buckets]
    return together([used(stands, spans, _PATIENCE_NS) for stands in meters.values()], len(spans))


@dataclass(frozen=True, slots=True)
class _Window:
    row: Summary
    end_ns: int


def _windows(store: ReadableStore, tier: Tier, query: SeriesQuery, shown: Shown) -> list[_Window]:
    """The tier's rows, and quarters of raw values for what is newer than the last of them."""
    kept = [_Window(row, _end_ns(row.time_ns, tier, shown)) for row in store.summaries(tier, query)]
    known_ns = max((each.end_ns for each in kept), default=query.from_ns)
    if known_ns >= query.to_ns:
        return kept
    rest = replace(query, from_ns=known_ns, newest_first=True)
    parts = {name: _by_key(store.read(replace(rest, window_ns=QUARTER_NS, aggregate=name))) for name in _PARTS}
    fresh = []
    for key, last in parts["last"].items():
        if all(key in part for part in parts.values()):  # else it came between two of the reads
            count, total, least, most = (parts[name][key].value for name in ("count", "sum", "min", "max"))
            row = Summary(last.time_ns, round(count), total / count, least, most, last.value, last.tags)
            fresh.append(_Window(row, row.time_ns + QUARTER_NS))
    return [*kept, *reversed(fresh)]


def _end_ns(begin_ns: int, tier: Tier, shown: Shown) -> int:
    return day_of(begin_ns, shown.zone)[1] if tier is Tier.DAILY else begin_ns + QUARTER_NS


def _by_key(samples: Iterable[Sample]) -> dict[tuple[int, Tags], Sample]:
    return {(each.time_ns, each.tags): each for each in samples}


def _merged(windows: Iterable[_Window], shown: Shown) -> list[Value]:
    """One value for each bucket that is drawn: a quarter in a day or week, else a day; devices together."""
    of: dict[Span, list[Summary]] = {}
    for each in windows:
        is_short = shown.range in (Range.DAY, Range.WEEK)
        span = (each.row.time_ns, each.end_ns) if is_short else day_of(each.row.time_ns, shown.zone)
        of.setdefault(span, []).append(each.row)
    return [
        Value(
            begin + (end - begin) // 2,
            sum(row.mean * row.count for row in here) / sum(row.count for row in here),
            min(row.min for row in here),
            max(row.max for row in here),
            sum(row.count for row in here),
        )
        for (begin, end), here in sorted(of.items())
    ]
