from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hearthline.ranges import in_ranges, to_ranges


def test_the_example_of_the_contract() -> None:
    assert to_ranges([16, 12, 14, 13, 12]) == [(12, 14), (16, 16)]
    assert to_ranges([]) == []


@given(st.sets(st.integers(-50, 50)))
def test_ranges_hold_exactly_their_numbers(numbers: set[int]) -> None:
    ranges = to_ranges(numbers)
    assert {number for number in range(-60, 60) if in_ranges(number, ranges)} == numbers
    assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(ranges))
