"""The three ways in which values are kept: raw, by quarters of an hour, by days; and which spans of time those are.

    raw ------> quarter   windows of 15 minutes, at multiples since 1970
     `--------> daily     days of the center's zone, from midnight to midnight

Both are made from raw values, so a span can be made anew whenever something late has come. Nothing here reads a clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from enum import StrEnum
from zoneinfo import ZoneInfo

from hearthline.clock import NS

QUARTER_NS = 900 * NS
DAY_NS = 86_400 * NS
# A day that has begun to expire is not made anew, and what would change it is not taken any more.
MARGIN_DAYS = 2

Span = tuple[int, int]


class Tier(StrEnum):
    """How values are kept; also the names of InfluxDB's retention policies, that of raw values apart."""

    RAW = "raw"
    QUARTER = "quarter"
    DAILY = "daily"


def quarter_of(time_ns: int) -> Span:
    """The quarter of an hour in which a time lies, its end excluded."""
    start = time_ns - time_ns % QUARTER_NS
    return start, start + QUARTER_NS


def day_of(time_ns: int, zone: ZoneInfo) -> Span:
    """The local day in which a time lies, its end excluded: 23 to 25 hours."""
    day = dt.datetime.fromtimestamp(time_ns // NS, zone).date()
    return _midnight_ns(day, zone), _midnight_ns(day + dt.timedelta(days=1), zone)


def days_of(from_ns: int, to_ns: int, zone: ZoneInfo) -> Iterator[Span]:
    """The local days that [from_ns, to_ns) touches, in order."""
    while from_ns < to_ns:
        span = day_of(from_ns, zone)
        yield span
        from_ns = span[1]


def weeks_of(from_ns: int, to_ns: int, zone: ZoneInfo) -> Iterator[Span]:
    """The same days, up to seven of 24 hours together; one that is shorter or longer alone."""
    week: Span | None = None
    for day in days_of(from_ns, to_ns, zone):
        length = 0 if week is None else week[1] - week[0]
        if week is not None and length % DAY_NS == 0 and length < 7 * DAY_NS and day[1] - day[0] == DAY_NS:
            week = (week[0], day[1])
            continue
        if week is not None:
            yield week
        week = day
    if week is not None:
        yield week


def windows_of(tier: Tier, span: Span) -> tuple[int, int] | None:
    """Width of the windows of a span and where one begins; None: the span is one, a day that has not 24 hours."""
    if tier is Tier.QUARTER:
        return QUARTER_NS, 0
    return (DAY_NS, span[0] % DAY_NS) if (span[1] - span[0]) % DAY_NS == 0 else None


def oldest_taken_ns(now_ns: int, raw_days: int) -> int:
    """What was measured before is too old to be stored; `raw_days` 0: nothing is."""
    return now_ns - (raw_days - MARGIN_DAYS) * DAY_NS if raw_days else -(2**62)


def oldest_whole_ns(now_ns: int, raw_days: int) -> int:
    """Raw values since then are all there still."""
    return now_ns - raw_days * DAY_NS if raw_days else -(2**62)


def _midnight_ns(day: dt.date, zone: ZoneInfo) -> int:
    return round(dt.datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NS
