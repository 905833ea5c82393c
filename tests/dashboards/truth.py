"""What the panels ought to show, worked out in Python from the simulator's own lines: no query, no store, no summary.

A shown value's key is (tags…, milliseconds) for curves and (tags…) for numbers and rows.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from dashboards.conftest import ZONE

QUARTER_MS = 900_000
HOUR_S, DAY_S = 3600, 86_400
Tags = dict[str, str]
Key = tuple[object, ...]
Shown = dict[Key, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """One line of the simulator."""

    tags: Tags
    at_ms: int
    value: float

    @property
    def series(self) -> Key:
        return tuple(sorted(self.tags.items()))


@dataclass(frozen=True)
class Truth:
    """The lines, and the moment at which somebody looks. `home`: only this one's."""

    lines: tuple[str, ...]
    now_ms: int
    home: str | None = None

    @cached_property
    def readings(self) -> dict[str, list[Reading]]:
        """By quantity, in order of time."""
        made: dict[str, list[Reading]] = defaultdict(list)
        for line in self.lines:
            head, field, time = line.split(" ")
            quantity, *pairs = head.split(",")
            tags = dict(pair.split("=") for pair in pairs)
            if self.home in (None, tags.get("home")):
                made[quantity].append(Reading(tags, int(time) // 1_000_000, float(field.partition("=")[2])))
        return {name: sorted(found, key=lambda reading: reading.at_ms) for name, found in made.items()}

    def since(self, quantity: str, back_s: float, start: Callable[[int], int] = lambda ms: ms) -> list[Reading]:
        """Those of the last `back_s`; of a summary counts when its window began."""
        begin = self.now_ms - back_s * 1000
        return [each for each in self.readings.get(quantity, ()) if begin <= start(each.at_ms) <= self.now_ms]

    def last(self, quantity: str, back_s: float, *by: str, start: Callable[[int], int] = lambda ms: ms) -> Shown:
        """The last value of each group."""
        return {key_of(each, by): each.value for each in self.since(quantity, back_s, start)}

    def raw(self, quantity: str, back_s: float, *by: str) -> Shown:
        return {(*key_of(each, by), each.at_ms): each.value for each in self.since(quantity, back_s)}

    def curve(self, quantity: str, back_s: float, window_s: int, how: str, *by: str) -> Shown:
        """Quarters of an hour of each series, then `how` of a group's and window's quarters: mean, max or min."""
        quarters: dict[tuple[Key, Key, int], list[float]] = defaultdict(list)
        for each in self.since(quantity, back_s, quarter):
            quarters[each.series, key_of(each, by), quarter(each.at_ms)].append(each.value)
        windows: dict[Key, list[float]] = defaultdict(list)
        for (_, key, at), values in quarters.items():
            windows[(*key, at // (window_s * 1000) * window_s * 1000)].append(HOW[how](values))
        return {key: HOW[how](values) for key, values in windows.items()}

    def days(self, quantity: str, back_s: float, how: str, *by: str) -> Shown:
        """The same of local days."""
        days: dict[tuple[Key, Key], list[float]] = defaultdict(list)
        for each in self.since(quantity, back_s, midnight):
            days[each.series, (*key_of(each, by), midnight(each.at_ms))].append(each.value)
        groups: dict[Key, list[float]] = defaultdict(list)
        for (_, key), values in days.items():
            groups[key].append(HOW[how](values))
        return {key: HOW[how](values) for key, values in groups.items()}

    def times(self, quantity: str, back_s: float, start: Callable[[int], int], *by: str) -> Shown:
        """How often it began in each window: ones, not the zeros that end them."""
        counts: Shown = defaultdict(float)
        for each in self.since(quantity, back_s, quarter):
            counts[(*key_of(each, by), start(quarter(each.at_ms)))] += each.value
        return dict(counts)

    def used(self, quantity: str, back_s: float, *by: str) -> Shown:
        """By how much the counters of a group went on in each day whose day before is in the range."""
        ends: dict[Key, dict[int, float]] = defaultdict(dict)
        groups: dict[Key, Key] = {}
        for each in self.since(quantity, back_s, midnight):
            ends[each.series][midnight(each.at_ms)] = each.value
            groups[each.series] = key_of(each, by)
        shown: Shown = defaultdict(float)
        for series, days in ends.items():
            for before, day in zip(sorted(days), sorted(days)[1:], strict=False):
                shown[(*groups[series], day)] += days[day] - days[before]
        return dict(shown)


HOW: dict[str, Callable[[list[float]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "max": max,
    "min": min,
    "last": lambda values: values[-1],
    "count": lambda values: float(len(values)),
}


def key_of(reading: Reading, by: Iterable[str]) -> Key:
    return tuple(reading.tags[tag] for tag in by)


def quarter(at_ms: int) -> int:
    return at_ms // QUARTER_MS * QUARTER_MS


def hour(at_ms: int) -> int:
    return at_ms // 3_600_000 * 3_600_000


def midnight(at_ms: int) -> int:
    day = dt.datetime.fromtimestamp(at_ms / 1000, ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return round(day.timestamp() * 1000)


def whole(shown: Shown, how: str = "sum") -> Shown:
    """One number of all."""
    values = list(shown.values())
    return {(): {"sum": sum, "max": max, "min": min, "count": len}[how](values)}  # type: ignore[operator]


def without_time(shown: Shown) -> Shown:
    """Summed over time."""
    summed: Shown = defaultdict(float)
    for key, value in shown.items():
        summed[key[:-1]] += value
    return dict(summed)


def only(shown: Shown, value: float) -> Shown:
    return {key: each for key, each in shown.items() if each == value}
