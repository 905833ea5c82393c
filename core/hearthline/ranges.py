"""Sets of sequence numbers as sorted, closed ranges: `{12, 13, 14, 16}` is `[[12, 14], [16, 16]]`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def to_ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Closed ranges of the given numbers, in order, without repeats."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def in_ranges(number: int, ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether the number is in one of the ranges."""
    return any(low <= number <= high for low, high in ranges)
