"""The points that the tests of stores write."""

from __future__ import annotations

from hearthline_cloud.store import Point

START_NS = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
BATCH = 50


def point(index: int, value: float | None = None, device: str = "meter-1", quantity: str = "power") -> Point:
    """The point of second `index`; by default its value is the index."""
    return Point(
        quantity, "c1", "h1", "g1", device, float(index) if value is None else value, START_NS + index * SECOND
    )
