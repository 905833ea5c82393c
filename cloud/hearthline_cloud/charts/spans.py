"""Which time a chart shows: a local day, week, month or year, and the buckets that it is divided into. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from hearthline.clock import NS
from hearthline_cloud.store.tiers import Span

HOUR_NS = 3600 * NS
FIRST_DAY, LAST_DAY = dt.date(1970, 1, 5), dt.date(2261, 12, 31)  # what a 64-bit count of nanoseconds holds


class Range(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Shown:
    """A range of the calendar. `buckets`: hours of a day, days of a week or month, months of a year, with names."""

    range: Range
    first: dt.date
    after: dt.date
    zone: ZoneInfo
    buckets: tuple[tuple[Span, str], ...]

    @property
    def span(self) -> Span:
        return midnight_ns(self.first, self.zone), midnight_ns(self.after, self.zone)

    @property
    def before(self) -> dt.date:
        """A day of the range before this one."""
        return self.first - dt.timedelta(days=1)


def shown(range_: Range, day: dt.date, zone: ZoneInfo) -> Shown:
    """The range that has this day in it. A week begins on Monday; a day may have 23 or 25 hours."""
    match range_:
        case Range.DAY:
            first, after = day, _later(day, 1)
        case Range.WEEK:
            first = _later(day, -day.weekday())
            after = _later(first, 7)
        case Range.MONTH:
            first = day.replace(day=1)
            after = _next_month(first)
        case Range.YEAR:
            first, after = dt.date(day.year, 1, 1), dt.date(day.year + 1, 1, 1)
    return Shown(range_, first, after, zone, tuple(_buckets(range_, first, after, zone)))


def local_day(time_ns: int, zone: ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(time_ns // NS, zone).date()


def midnight_ns(day: dt.date, zone: ZoneInfo) -> int:
    return round(dt.datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NS


def _buckets(range_: Range, first: dt.date, after: dt.date, zone: ZoneInfo) -> list[tuple[Span, str]]:
    if range_ is Range.DAY:
        begin, end = midnight_ns(first, zone), midnight_ns(after, zone)
        return [((at, min(at + HOUR_NS, end)), _clock(at, zone)) for at in range(begin, end, HOUR_NS)]
    found, day = [], first
    while day < after:
        last = _next_month(day) if range_ is Range.YEAR else _later(day, 1)
        name = f"{day:%Y-%m}" if range_ is Range.YEAR else f"{day:%m-%d}"
        found.append(((midnight_ns(day, zone), midnight_ns(last, zone)), name))
        day = last
    return found


def _clock(time_ns: int, zone: ZoneInfo) -> str:
    return f"{dt.datetime.fromtimestamp(time_ns // NS, zone):%H:%M}"


def _later(day: dt.date, days: int) -> dt.date:
    return day + dt.timedelta(days=days)


def _next_month(first: dt.date) -> dt.date:
    return _later(first.replace(day=28), 4).replace(day=1)
