"""Intervals and protected hours, against a model that looks at every instant."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS
from hearthline_cloud.alerts.intervals import Interval, clip, common, length, union
from hearthline_cloud.alerts.protection import Chain, month_of, protection

MONTH = (10, 40)
instants = st.integers(0, 50)
intervals = st.lists(st.tuples(instants, instants), max_size=5)
chains = st.lists(
    st.builds(Chain, instants, intervals.map(tuple), intervals.map(tuple)),
    max_size=3,
)


def lit(spans: list[Interval]) -> set[int]:
    return {at for begin, end in spans for at in range(begin, end)}


@given(intervals, intervals, instants, instants)
def test_intervals_are_sets_of_instants(one: list[Interval], other: list[Interval], begin: int, end: int) -> None:
    assert lit(union(one)) == lit(one)
    assert all(a[1] < b[0] for a, b in zip(union(one), union(one)[1:], strict=False))
    assert lit(common(one, other)) == lit(one) & lit(other)
    assert lit(clip(one, begin, end)) == lit(one) & set(range(begin, end))
    assert length(one) == len(lit(one))


@given(chains, intervals, intervals, instants)
def test_who_is_protected_at_an_instant_adds_up(
    ways: list[Chain], center: list[Interval], maintenance: list[Interval], now: int
) -> None:
    found = protection(MONTH, now, ways, center, maintenance)
    watched = {at for at in range(*MONTH) if at < now and any(at >= way.since_ns for way in ways)}
    dark = lit(center) | lit(maintenance)
    alive = {
        at
        for at in watched - dark
        for way in ways
        if at >= way.since_ns and at not in lit([*way.gateway, *way.pendant])
    }
    assert (found.watched_ns, found.protected_ns) == (len(watched), len(alive))
    assert found.center_ns == len(lit(center) & watched)
    assert found.maintenance_ns == len(lit(maintenance) & watched)
    assert found.share is None or 0 <= found.share <= 1


@pytest.mark.parametrize(
    ("zone", "month", "hours"),
    [
        ("Asia/Shanghai", (2026, 2), 28 * 24),
        ("Asia/Shanghai", (2028, 2), 29 * 24),
        ("Asia/Shanghai", (2026, 12), 31 * 24),
        ("Europe/Berlin", (2026, 3), 31 * 24 - 1),
        ("Europe/Berlin", (2026, 10), 31 * 24 + 1),
    ],
)
def test_a_month_is_by_the_clocks_of_the_place(zone: str, month: tuple[int, int], hours: int) -> None:
    begin, end = month_of(*month, ZoneInfo(zone))
    assert end - begin == hours * 3600 * NS
    assert datetime.fromtimestamp(begin // NS, ZoneInfo(zone)).day == 1


def test_a_silence_over_the_end_of_a_month_is_split_by_it() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    november, december = month_of(2026, 11, zone), month_of(2026, 12, zone)
    assert november[1] == december[0] == round(datetime(2026, 11, 30, 16, tzinfo=UTC).timestamp()) * NS
    hour = 3600 * NS
    silence = (november[1] - 2 * hour, november[1] + 3 * hour)
    way = [Chain(0, gateway=(silence,))]
    assert protection(november, december[1], way, (), ()).gateway_ns == 2 * hour
    assert protection(december, december[1], way, (), ()).gateway_ns == 3 * hour
