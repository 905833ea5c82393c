"""Vital signs and a meter over the spring of 2026, with gaps, a changed meter and summaries, as a home has them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from hearthline.clock import NS
from hearthline_cloud.charts.spans import midnight_ns
from hearthline_cloud.store import Point, Tier
from hearthline_cloud.store.tiers import days_of
from web.seeding import SwitchedStore

ZONE = ZoneInfo("Asia/Shanghai")
FIRST, AFTER = dt.date(2026, 2, 20), dt.date(2026, 4, 3)
_HOUR_NS = 3600 * NS
_NOT_MEASURED = range(10, 13)  # days of March on which nobody measured, and the gateway was away


def months_of_values(store: SwitchedStore) -> None:
    """Write them, and summarise what is before the last days."""
    store.write([*vitals(), *meter()])
    begin_ns, end_ns = midnight_ns(FIRST, ZONE), midnight_ns(AFTER - dt.timedelta(days=3), ZONE)
    store.roll_up(Tier.QUARTER, begin_ns, end_ns)
    for span in days_of(begin_ns, end_ns, ZONE):
        store.roll_up(Tier.DAILY, *span)


def vitals() -> Iterator[Point]:
    for number, day in enumerate(_days()):
        if day.month == 3 and day.day in _NOT_MEASURED:
            continue
        for hour in (7, 19):
            at_ns = midnight_ns(day, ZONE) + hour * _HOUR_NS + number * 60 * NS
            pulse = 66 + 6 * math.sin(number / 3) + hour / 4
            systolic = 128 + 12 * math.sin(number / 4) + (hour == 7) * 4
            diastolic = 78 + 7 * math.sin(number / 4)
            for name, value in (("systolic", systolic), ("diastolic", diastolic), ("heart_rate", pulse)):
                yield Point(name, "east", "h-1", "gw-east-1", "bp:cuff-1", round(value), at_ns, "r-1")


def meter() -> Iterator[Point]:
    kwh = 12_345.0
    for day in _days():
        for hour in range(24):
            if (day.month, day.day, hour) == (3, 20, 12):
                kwh = 2.0  # another meter
            kwh += 0.12 + (0.5 if hour in (11, 12, 18, 19) else 0.0)
            if day.month == 3 and day.day in _NOT_MEASURED:
                continue
            at_ns = midnight_ns(day, ZONE) + hour * _HOUR_NS + 1800 * NS
            yield Point("energy_import", "east", "h-1", "gw-east-1", "meter:1", round(kwh, 2), at_ns)


def _days() -> Iterator[dt.date]:
    day = FIRST
    while day < AFTER:
        yield day
        day += dt.timedelta(days=1)
