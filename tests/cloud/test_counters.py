"""What a meter's register went on: gaps, registers that roll over, meters that are changed, readings that are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS
from hearthline_cloud.charts.counters import Mark, Stand, Used, together, used

HOUR = 3600 * NS
DAY = 24 * HOUR
PATIENCE = 2 * HOUR


def hourly(*lasts: float, skipped: tuple[int, ...] = ()) -> list[Stand]:
    """A register read once an hour."""
    return [
        Stand(number * HOUR, (number + 1) * HOUR, last, last, last)
        for number, last in enumerate(lasts)
        if number not in skipped
    ]


def one(stands: list[Stand], begin: int = 1, end: int = 24) -> Used:
    """What was used from the first hour on; the hour before it says where the meter stood."""
    return used(stands, [(begin * HOUR, end * HOUR)], PATIENCE)[0]


def test_differences_are_counted_from_where_the_meter_stood() -> None:
    assert one(hourly(100.0, 100.5, 101.5)) == Used(1.5)
    assert used(hourly(100.0, 100.5, 101.5), [(HOUR, 2 * HOUR), (2 * HOUR, 3 * HOUR)], PATIENCE) == [
        Used(0.5),
        Used(1.0),
    ]


def test_a_bucket_without_a_reading_is_no_zero() -> None:
    assert used(hourly(1.0, 2.0), [(5 * HOUR, 6 * HOUR)], PATIENCE) == [Used(None)]
    assert used([], [(0, HOUR)], PATIENCE) == [Used(None)]


def test_the_energy_of_a_gap_counts_where_it_was_read_and_is_marked() -> None:
    lasts = [10.0] * 2 + [0.0] * 5 + [15.0, 15.5]
    found = used(hourly(*lasts, skipped=(2, 3, 4, 5, 6)), [(n * HOUR, (n + 1) * HOUR) for n in range(1, 9)], PATIENCE)
    assert found == [Used(0.0), *[Used(None)] * 5, Used(5.0, frozenset({Mark.GAP})), Used(0.5)]


@pytest.mark.parametrize("size", [10_000.0, 100_000.0, 1_000_000.0])
def test_a_register_rolls_over(size: float) -> None:
    assert one(hourly(size - 0.3, size - 0.1, 0.4)) == Used(0.7, frozenset({Mark.ROLLED_OVER}))


def test_a_new_meter_counts_from_its_own_beginning() -> None:
    assert one(hourly(4321.0, 4321.5, 0.2, 0.9)) == Used(1.2, frozenset({Mark.CHANGED}))


def test_a_new_meter_that_had_counted_elsewhere() -> None:
    assert one(hourly(5.0, 5.5, 9000.0, 9001.0)) == Used(1.5, frozenset({Mark.CHANGED}))


def test_a_meter_changed_within_a_day_is_told_by_the_days_least_and_most() -> None:
    before = Stand(0, DAY, 4321.0, 4300.0, 4321.0)
    changed = Stand(DAY, 2 * DAY, 3.0, 0.5, 4325.0)  # 4 kWh of the old one, 2.5 of the new one
    assert used([before, changed], [(DAY, 2 * DAY)], PATIENCE) == [Used(6.5, frozenset({Mark.CHANGED}))]


def test_one_wrong_reading_costs_itself_alone() -> None:
    assert one(hourly(4321.0, 4321.5, 0.0, 4322.0, 4322.5)) == Used(1.0, frozenset({Mark.CHANGED}))


def test_a_reading_that_trembles_is_no_new_meter() -> None:
    assert one(hourly(100.0, 99.995, 100.01)) == Used(0.015)


def test_the_first_day_of_all_counts_what_it_saw() -> None:
    assert used([Stand(0, DAY, 12.0, 10.0, 12.0)], [(0, DAY)], PATIENCE) == [Used(2.0)]
    assert used([Stand(0, DAY, 99_999.0, 10.0, 99_999.0)], [(0, DAY)], PATIENCE) == [
        Used(0.0, frozenset({Mark.CHANGED}))
    ]


def test_meters_add_up_and_one_that_is_silent_takes_nothing_away() -> None:
    first, second = [Used(1.0), Used(None)], [Used(2.0, frozenset({Mark.GAP})), Used(None)]
    assert together([first, second], 2) == [Used(3.0, frozenset({Mark.GAP})), Used(None)]
    assert together([], 2) == [Used(None), Used(None)]


@given(
    st.lists(st.floats(0, 20), min_size=2, max_size=60),
    st.sampled_from([0.0, 123.0, 9_990.0, 99_990.0]),
    st.integers(1, 12),
)
def test_whatever_the_buckets_what_was_used_is_what_the_register_went_on(
    steps: list[float], start: float, hours: int
) -> None:
    """A five- or six-digit register that may roll over; the buckets share the hours out and lose nothing."""
    size = 10_000.0 if start < 10_000 else 100_000.0
    lasts = [start]
    for step in steps:
        lasts.append((lasts[-1] + step) % size)
    count = len(lasts)
    buckets = [(n * HOUR, (n + hours) * HOUR) for n in range(1, count + hours, hours)]
    found = used(hourly(*lasts), buckets, PATIENCE)
    assert sum(each.kwh or 0.0 for each in found) == pytest.approx(sum(steps), abs=0.05 + 0.01 * count)
