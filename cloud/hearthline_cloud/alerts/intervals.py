"""Stretches of time as sorted, disjoint, half-open intervals in nanoseconds: union, overlap, what is left."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]
"""From, inclusive, to, exclusive."""


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same instants as sorted intervals that neither touch nor overlap. What ends before it begins is nothing."""
    joined: list[Interval] = []
    for begin, end in sorted(each for each in intervals if each[0] < each[1]):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def clip(intervals: Iterable[Interval], begin: int, end: int) -> list[Interval]:
    """What of the intervals lies between `begin` and `end`, as a union."""
    return union((max(first, begin), min(last, end)) for first, last in intervals)


def common(one: Iterable[Interval], other: Iterable[Interval]) -> list[Interval]:
    """The instants that are in both."""
    others = union(other)
    return union((max(a, c), min(b, d)) for a, b in union(one) for c, d in others)


def length(intervals: Iterable[Interval]) -> int:
    """How long the instants last together, each counted once."""
    return sum(end - begin for begin, end in union(intervals))
