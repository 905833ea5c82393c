"""Local days, weeks, months and years, also those of 23 and 25 hours; and the drawing's own arithmetic."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from hearthline.clock import NS
from hearthline_cloud.charts.counters import Used
from hearthline_cloud.charts.reading import Value
from hearthline_cloud.charts.spans import Range, local_day, midnight_ns, shown
from hearthline_cloud.charts.svg import bar_chart, line_chart

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
HOUR = 3600 * NS


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)], ids=["usual", "spring", "autumn"]
)
def test_a_day_has_the_hours_that_it_has(day: str, hours: int) -> None:
    found = shown(Range.DAY, dt.date.fromisoformat(day), BERLIN)
    begin, end = found.span
    assert (end - begin) // HOUR == len(found.buckets) == hours
    names = [name for _, name in found.buckets]
    assert names[0] == "00:00"
    assert names[-1] == "23:00"
    assert names.count("02:00") == {23: 0, 24: 1, 25: 2}[hours]


@pytest.mark.parametrize("zone", [SHANGHAI, BERLIN], ids=str)
@pytest.mark.parametrize("range_", Range)
def test_buckets_share_a_range_out(range_: Range, zone: ZoneInfo) -> None:
    for number in range(400):
        day = dt.date(2025, 12, 1) + dt.timedelta(days=number)
        found = shown(range_, day, zone)
        begin, end = found.span
        assert begin <= midnight_ns(day, zone) < end
        assert found.buckets[0][0][0] == begin
        assert found.buckets[-1][0][1] == end
        ends = [span[1] for span, _ in found.buckets[:-1]]
        assert ends == [span[0] for span, _ in found.buckets[1:]]
        assert shown(range_, found.before, zone).span[1] == begin
        assert local_day(begin, zone) == found.first


def test_lines_break_where_nothing_was_measured() -> None:
    span = (0, 100 * HOUR)
    at = [0, 10, 20, 60, 70, 95]
    values = [Value(hour * HOUR, 120.0 + hour, 118.0 + hour, 122.0 + hour, 2) for hour in at]
    chart = line_chart(
        {"systolic": values, "diastolic": []}, {"systolic": 135.0, "diastolic": 85.0}, span, [], 15 * HOUR
    )
    systolic, diastolic = chart.lines
    assert [piece.count(",") for piece in systolic.paths] == [3, 2]  # and the last one stands alone
    assert len(systolic.marks) == 6
    assert systolic.limit is not None
    assert diastolic.limit is None
    for mark in systolic.marks:
        assert chart.left <= mark.x <= chart.right
        assert chart.top <= mark.high <= mark.y <= mark.low <= chart.bottom


@pytest.mark.parametrize("value", [0.0, -40.0, 1e-6, 1e9, 120.0])
def test_any_value_is_within_the_drawing(value: float) -> None:
    chart = line_chart({"x": [Value(HOUR, value, value, value)]}, {}, (0, 2 * HOUR), [], HOUR)
    (mark,) = chart.lines[0].marks
    assert chart.top <= mark.y <= chart.bottom
    assert 2 <= len(chart.y_ticks) <= 12
    assert all(chart.top - 0.1 <= tick.at <= chart.bottom + 0.1 for tick in chart.y_ticks)


def test_a_bucket_without_a_reading_has_no_bar_and_zero_has_one() -> None:
    chart = bar_chart([Used(None), Used(0.0), Used(2.0)], [((0, 1), "a"), ((1, 2), "b"), ((2, 3), "c")])
    assert [bar.height for bar in chart.bars][:2] == [None, 0.0]
    assert chart.bars[2].height is not None
    assert chart.bars[2].height > 0
    assert bar_chart([], []).bars == []
