"""The console's charts are the same out of every store: without summaries, with some, and with all of them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from conformance.sites import Site, opened
from hearthline.clock import NS
from hearthline_cloud.charts.counters import Mark, Used
from hearthline_cloud.charts.reading import MOST_SINGLE, Value, energy, values
from hearthline_cloud.charts.spans import Range, Shown, midnight_ns, shown
from hearthline_cloud.store import Keeping, Point, Tier, TimeSeries
from hearthline_cloud.store.tiers import days_of

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = dt.datetime.now(ZONE).date()
HOUR_NS = 3600 * NS
DAYS = 9


@pytest.fixture
def store(site: Site) -> Iterator[TimeSeries]:
    with opened(site) as opened_store:
        opened_store.keep(Keeping(0, 0, 0), time.time_ns(), shorten=False)
        yield opened_store


def day(number: int) -> dt.date:
    """The first day is 0, the last one, which is never summarised, 8."""
    return TODAY - dt.timedelta(days=DAYS - number)


def at_ns(number: int, hour: float) -> int:
    return midnight_ns(day(number), ZONE) + round(hour * HOUR_NS)


def fill(store: TimeSeries) -> None:
    """A meter that counts 0.5 kWh an hour; on day 4 it is silent, on day 6 at noon another takes its place."""
    points, kwh = [], 9_000.0
    for number in range(DAYS):
        for hour in range(24):
            kwh = 100.0 if (number, hour) == (6, 12) else kwh + 0.5
            if number != 4:
                points.append(Point("energy_import", "c", "h1", "g", "m", kwh, at_ns(number, hour + 0.5)))
        for hour, pressure in ((7, 130.0 + number), (19, 120.0 + number)):
            points.append(Point("systolic", "c", "h1", "g", "cuff", pressure, at_ns(number, hour), "r1"))
            points.append(Point("systolic", "c", "h1", "g", "cuff", 999.0, at_ns(number, hour), "r2"))
    points.append(Point("energy_import", "c", "h2", "g2", "m", 5.0, at_ns(1, 3)))
    assert store.write(points) == []


def summarise(store: TimeSeries, days: int) -> None:
    begin_ns, end_ns = at_ns(0, 0), at_ns(days, 0)
    store.roll_up(Tier.QUARTER, begin_ns, end_ns)
    for span in days_of(begin_ns, end_ns, ZONE):
        store.roll_up(Tier.DAILY, *span)


def of_days(store: TimeSeries) -> list[Used]:
    """What each of the nine days took, whatever month they lie in."""
    months = {day(number).replace(day=1) for number in range(DAYS)}
    found: dict[str, Used] = {}
    for month in sorted(months):
        on = shown(Range.MONTH, month, ZONE)
        found |= {
            f"{month:%Y}-{name}": each for (_, name), each in zip(on.buckets, energy(store, "h1", on), strict=True)
        }
    return [found[f"{day(number)}"] for number in range(DAYS)]


def test_energy_is_the_same_however_much_is_summarised(store: TimeSeries) -> None:
    fill(store)
    gap, changed = frozenset({Mark.GAP}), frozenset({Mark.CHANGED})
    for days in (0, 5, 8):
        summarise(store, days)
        found = of_days(store)
        assert found[0].kwh == 11.5  # its first reading says where it stood
        assert found[1:4] == [Used(12.0)] * 3
        assert found[4] == Used(None)
        assert found[5] == Used(24.0, gap)
        assert found[6] == Used(11.5, changed)  # half an hour each side of the change nobody read
        assert found[7:] == [Used(12.0)] * 2


def test_a_day_by_hours(store: TimeSeries) -> None:
    fill(store)
    for days in (0, 8):
        summarise(store, days)
        assert energy(store, "h1", shown(Range.DAY, day(2), ZONE)) == [Used(0.5)] * 24
    assert energy(store, "nowhere", shown(Range.DAY, day(2), ZONE)) == [Used(None)] * 24


def test_vital_signs_are_single_values_or_those_of_days(store: TimeSeries) -> None:
    fill(store)
    on = shown(Range.DAY, day(3), ZONE)
    assert values(store, "systolic", "r1", on) == [
        Value(at_ns(3, 7), 133.0, 133.0, 133.0),
        Value(at_ns(3, 19), 123.0, 123.0, 123.0),
    ]
    for days in (0, 5, 8):
        summarise(store, days)
        found = [value for month in _months() for value in values(store, "systolic", "r1", month)]
        assert found == [Value(at_ns(n, 12), 125.0 + n, 120.0 + n, 130.0 + n, 2) for n in range(DAYS)]


def test_a_device_that_measures_all_the_time_is_read_by_quarters(store: TimeSeries) -> None:
    minutes = range(MOST_SINGLE + 100)
    store.write([Point("heart_rate", "c", "h", "g", "d", 60.0 + n % 2, at_ns(2, n / 60), "r1") for n in minutes])
    found = values(store, "heart_rate", "r1", shown(Range.DAY, day(2), ZONE))
    assert sum(each.count for each in found) == len(minutes)
    assert len(found) <= len(minutes) / 15 + 1
    assert {(each.least, each.most) for each in found} == {(60.0, 61.0)}


def _months() -> list[Shown]:
    return [shown(Range.MONTH, first, ZONE) for first in sorted({day(n).replace(day=1) for n in range(DAYS)})]
