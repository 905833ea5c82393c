"""Charts as data for a template: every coordinate is worked out here, so that the SVG needs neither script nor style.

The drawing has 400 by 210 units. A line is broken where values are missing; what has no value is no zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hearthline_cloud.charts.counters import Used
from hearthline_cloud.charts.reading import Value
from hearthline_cloud.store.tiers import Span

WIDTH, HEIGHT = 400.0, 210.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 380.0, 10.0, 182.0


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A value at (x, y); `low` and `high`: where the window's least and most are, the same as y for a single value."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity. `paths`: its unbroken pieces; `limit`: where its reference stands, if it has one."""

    quantity: str
    paths: list[str]
    marks: list[Mark]
    limit: Tick | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bucket. `height` None: nothing was read."""

    x: float
    y: float
    width: float
    height: float | None
    is_marked: bool


@dataclass(frozen=True, slots=True)
class Chart:
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line]
    bars: list[Bar]
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP
    bottom: float = _BOTTOM


def line_chart(
    found: dict[str, list[Value]],
    limits: dict[str, float],
    span: Span,
    names: Sequence[tuple[Span, str]],
    gap_ns: int,
) -> Chart:
    """Lines over time. `gap_ns`: values that are farther apart are not joined."""
    ends = [end for values in found.values() for each in values for end in (each.least, each.most)]
    ends += [limits[quantity] for quantity, values in found.items() if values and quantity in limits]
    scale = _Scale.over(min(ends, default=0.0), max(ends, default=1.0))

    def x(time_ns: int) -> float:
        return round(_LEFT + (time_ns - span[0]) / (span[1] - span[0]) * (_RIGHT - _LEFT), 1)

    lines = []
    for quantity, values in found.items():
        marks = [Mark(x(v.time_ns), scale.y(v.mean), scale.y(v.least), scale.y(v.most)) for v in values]
        limit = limits.get(quantity)
        shown = Tick(scale.y(limit), f"{limit:g}") if limit is not None and values else None
        lines.append(Line(quantity, _pieces(values, marks, gap_ns), marks, shown))
    ticks = [Tick(x(bucket[0]), name) for bucket, name in _some(names)]
    return Chart(ticks, scale.ticks(), lines, [])


def bar_chart(found: Sequence[Used], names: Sequence[tuple[Span, str]]) -> Chart:
    """A bar for each bucket, all of one width."""
    scale = _Scale.over(0.0, max((each.kwh or 0.0 for each in found), default=1.0) or 1.0)
    room = (_RIGHT - _LEFT) / max(len(found), 1)
    bars = []
    for place, each in enumerate(found):
        at = _LEFT + place * room
        y = _BOTTOM if each.kwh is None else scale.y(each.kwh)
        height = None if each.kwh is None else round(_BOTTOM - y, 1)
        bars.append(Bar(round(at + room * 0.12, 1), y, round(room * 0.76, 1), height, bool(each.marks)))
    ticks = [Tick(round(_LEFT + (place + 0.5) * room, 1), name) for place, name in _some_places(names)]
    return Chart(ticks, scale.ticks(), [], bars)


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    step: float

    @classmethod
    def over(cls, low: float, high: float) -> _Scale:
        """Round numbers around the values: steps of 1, 2 or 5 times a power of ten."""
        reach = max(high - low, abs(high) * 0.05, 1e-3)
        raw = reach / 4
        power = 10 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
        bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
        return cls(bottom, top, step) if bottom < top else cls(bottom - step if bottom else 0.0, top + step, step)

    def y(self, value: float) -> float:
        return round(_BOTTOM - (value - self.low) / (self.high - self.low) * (_BOTTOM - _TOP), 1)

    def ticks(self) -> list[Tick]:
        count = round((self.high - self.low) / self.step)
        values = [self.low + number * self.step for number in range(count + 1)]
        return [Tick(self.y(value), f"{round(value, 6):g}") for value in values]


def _pieces(values: Sequence[Value], marks: Sequence[Mark], gap_ns: int) -> list[str]:
    """The points of each polyline; a value that stands alone has its mark and no line."""
    pieces: list[list[Mark]] = []
    before: Value | None = None
    for value, mark in zip(values, marks, strict=True):
        if before is None or value.time_ns - before.time_ns > gap_ns:
            pieces.append([])
        pieces[-1].append(mark)
        before = value
    return [" ".join(f"{mark.x},{mark.y}" for mark in piece) for piece in pieces if len(piece) > 1]


def _some(names: Sequence[tuple[Span, str]]) -> list[tuple[Span, str]]:
    return [names[place] for place, _ in _some_places(names)]


def _some_places(names: Sequence[tuple[Span, str]]) -> list[tuple[int, str]]:
    """So many that they do not run into each other."""
    every = max(1, math.ceil(len(names) / 7))
    return [(place, name) for place, (_, name) in enumerate(names) if place % every == 0]
