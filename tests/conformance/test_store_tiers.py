"""What every store does with quarters of an hour and days: made out of raw values, made anew, kept, let go of."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from conformance.sites import Site, opened
from hearthline.clock import NS
from hearthline_cloud.store import Keeping, Point, SeriesQuery, Summary, Tier, TimeSeries
from hearthline_cloud.store.tiers import DAY_NS, QUARTER_NS, day_of, days_of, quarter_of, weeks_of

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
FOR_EVER = Keeping(0, 0, 0)
TODAY = day_of(time.time_ns(), SHANGHAI)
YESTERDAY = day_of(TODAY[0] - 1, SHANGHAI)


@pytest.fixture
def store(site: Site) -> Iterator[TimeSeries]:
    with opened(site) as opened_store:
        opened_store.keep(FOR_EVER, time.time_ns(), shorten=False)
        yield opened_store


def point(time_ns: int, value: float, gateway: str = "g1", quantity: str = "power") -> Point:
    return Point(quantity, "c1", "h1", gateway, "meter-1", value, time_ns)


def rows(store: TimeSeries, tier: Tier, quantity: str = "power", gateway: str | None = None) -> list[Summary]:
    return store.summaries(tier, SeriesQuery(quantity, 0, 2**62, gateway=gateway))


def expected(points: list[Point], tier: Tier) -> dict[int, tuple[int, float, float, float, float]]:
    """The same summaries, made in another way."""
    windows: dict[int, list[Point]] = {}
    for each in sorted(points, key=lambda one: one.time_ns):
        start = quarter_of(each.time_ns)[0] if tier is Tier.QUARTER else day_of(each.time_ns, SHANGHAI)[0]
        windows.setdefault(start, []).append(each)
    made = {}
    for start, inside in windows.items():
        values = [each.value for each in inside]
        made[start] = (len(values), sum(values) / len(values), min(values), max(values), values[-1])
    return made


def test_summaries_are_those_of_the_raw_values(store: TimeSeries) -> None:
    rng = random.Random(5)
    points = [point(YESTERDAY[0] + rng.randrange(DAY_NS), rng.gauss(50, 20)) for _ in range(500)]
    assert store.write(points) == []
    for tier in (Tier.QUARTER, Tier.DAILY):
        assert store.roll_up(tier, *YESTERDAY) == []
        made = {row.time_ns: (row.count, row.mean, row.min, row.max, row.last) for row in rows(store, tier)}
        wanted = expected(points, tier)
        assert list(made) == sorted(wanted)
        for start, values in made.items():
            assert values == pytest.approx(wanted[start], rel=1e-12)
    (day,) = rows(store, Tier.DAILY)
    assert (day.tags.community, day.tags.home, day.tags.device, day.tags.resident) == ("c1", "h1", "meter-1", "")


def test_a_week_at_once_makes_the_same_days(store: TimeSeries) -> None:
    week = (TODAY[0] - 7 * DAY_NS, TODAY[0])
    rng = random.Random(6)
    points = [point(week[0] + rng.randrange(7 * DAY_NS), rng.gauss(50, 20)) for _ in range(300)]
    assert store.write([*points, point(week[0] - 1, 1000.0), point(week[1], 1000.0)]) == []
    for tier in (Tier.QUARTER, Tier.DAILY):
        assert store.roll_up(tier, *week) == []
        made = {row.time_ns: (row.count, row.mean, row.min, row.max, row.last) for row in rows(store, tier)}
        wanted = expected(points, tier)
        assert list(made) == sorted(wanted)
        for start, values in made.items():
            assert values == pytest.approx(wanted[start], rel=1e-12)


def test_a_day_of_23_hours_is_one_day(store: TimeSeries) -> None:
    spring = day_of(round(dt.datetime(2026, 3, 29, 12, tzinfo=BERLIN).timestamp()) * NS, BERLIN)
    store.write([point(spring[0], 1.0), point(spring[1] - 1, 3.0), point(spring[1], 9.0)])
    assert store.roll_up(Tier.DAILY, *spring) == []
    (day,) = rows(store, Tier.DAILY)
    assert (day.time_ns, day.count, day.mean) == (spring[0], 2, 2.0)


def test_what_comes_days_late_changes_its_summaries_and_no_others(store: TimeSeries) -> None:
    start = YESTERDAY[0]
    store.write([point(start + minute * 60 * NS, 10.0) for minute in range(60)])
    for tier in (Tier.QUARTER, Tier.DAILY):
        store.roll_up(tier, *YESTERDAY)
    before = rows(store, Tier.QUARTER)
    store.write([point(start + 20 * 60 * NS + 1, 70.0), point(start + QUARTER_NS * 40, 30.0)])
    store.roll_up(Tier.QUARTER, start + QUARTER_NS, start + 2 * QUARTER_NS)
    store.roll_up(Tier.QUARTER, start + 40 * QUARTER_NS, start + 41 * QUARTER_NS)
    store.roll_up(Tier.DAILY, *YESTERDAY)
    first, second, third, fourth, late = rows(store, Tier.QUARTER)
    assert [first, third, fourth] == [before[0], before[2], before[3]]
    assert (second.count, second.max, second.last) == (16, 70.0, 10.0)
    assert (late.count, late.mean) == (1, 30.0)
    (day,) = rows(store, Tier.DAILY)
    assert (day.count, day.max, day.last) == (62, 70.0, 30.0)
    assert day.mean == pytest.approx(700 / 62)


def test_one_gateway_is_made_anew_alone(store: TimeSeries) -> None:
    store.write([point(YESTERDAY[0], 1.0, gateway) for gateway in ("g1", "g2")])
    store.roll_up(Tier.DAILY, *YESTERDAY, gateway="g2")
    assert [row.tags.gateway for row in rows(store, Tier.DAILY)] == ["g2"]
    store.roll_up(Tier.DAILY, *YESTERDAY)
    assert sorted(row.tags.gateway for row in rows(store, Tier.DAILY)) == ["g1", "g2"]
    assert [row.tags.gateway for row in rows(store, Tier.DAILY, gateway="g1")] == ["g1"]


def test_hostile_names_are_summarised_as_what_they_are(store: TimeSeries) -> None:
    for text in ("a,b c=d", 'quote"s', "back\\slash", "按钮/三楼 东", "100%25 %", "#hash", "'; DROP DATABASE x --"):
        store.write([Point(text, text, text, text, text, 1.5, YESTERDAY[0], resident=text)])
        assert store.roll_up(Tier.DAILY, *YESTERDAY, gateway=text) == []
        (row,) = rows(store, Tier.DAILY, quantity=text, gateway=text)
        assert (row.last, row.tags.home, row.tags.resident) == (1.5, text, text)


def test_order_and_limit(store: TimeSeries) -> None:
    store.write([point(YESTERDAY[0] + index * QUARTER_NS, float(index)) for index in range(8)])
    store.roll_up(Tier.QUARTER, *YESTERDAY)
    query = SeriesQuery("power", YESTERDAY[0] + QUARTER_NS, YESTERDAY[0] + 6 * QUARTER_NS, limit=2)
    assert [row.last for row in store.summaries(Tier.QUARTER, query)] == [1.0, 2.0]
    newest = SeriesQuery("power", YESTERDAY[0], TODAY[0], limit=2, newest_first=True)
    assert [row.last for row in store.summaries(Tier.QUARTER, newest)] == [7.0, 6.0]
    assert store.summaries(Tier.QUARTER, SeriesQuery("nothing", 0, 2**62)) == []


def test_the_oldest_value(store: TimeSeries) -> None:
    assert store.oldest_ns() is None
    store.write([point(TODAY[0], 1.0), point(YESTERDAY[0], 1.0, quantity="battery")])
    assert store.oldest_ns() == YESTERDAY[0]


def test_keeping_says_once_what_it_changed(store: TimeSeries) -> None:
    store.write([point(TODAY[0], 1.0)])
    wanted = Keeping(90, 1826, 0)
    store.keep(wanted, time.time_ns(), shorten=True)
    assert store.keep(wanted, time.time_ns(), shorten=True) == []
    days = store.state().days
    assert days is None or days == {"raw": 90, "quarter": 1826, "daily": 0}
    assert store.state().series in (1, None)  # 2.x does not tell


def test_days_are_the_zones_own() -> None:
    spring = dt.datetime(2026, 3, 29, 12, tzinfo=BERLIN)
    start, end = day_of(round(spring.timestamp()) * NS, BERLIN)
    assert (end - start) / NS / 3600 == 23
    week = list(days_of(start - 3 * DAY_NS, end + 3 * DAY_NS, BERLIN))
    assert all(before[1] == after[0] for before, after in itertools.pairwise(week))
    assert len(week) == 7
    assert day_of(TODAY[1] - 1, SHANGHAI) == TODAY
    assert list(days_of(TODAY[0], TODAY[0], SHANGHAI)) == []


def test_weeks_hold_each_day_once_and_a_short_day_alone() -> None:
    spring = day_of(round(dt.datetime(2026, 3, 29, 12, tzinfo=BERLIN).timestamp()) * NS, BERLIN)
    weeks = list(weeks_of(spring[0] - 10 * DAY_NS, spring[1] + 9 * DAY_NS, BERLIN))
    assert [(end - begin) / DAY_NS for begin, end in weeks] == [7, 3, 23 / 24, 7, 2]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(weeks))
    assert list(weeks_of(TODAY[0], TODAY[0], SHANGHAI)) == []


def test_quarters_begin_early_before_1970_too() -> None:
    assert quarter_of(-1) == (-QUARTER_NS, 0)
