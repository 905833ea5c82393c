"""The words of the time-series port, and which points no store ever takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Aggregate = Literal["mean", "min", "max", "last", "sum", "spread"]

# InfluxDB keeps the outermost 64-bit times for itself; the same bounds hold for every store.
MIN_TIME_NS = -(2**63) + 2
MAX_TIME_NS = 2**63 - 2

# InfluxDB bounds a series key to 65,535 bytes; six texts of this length fit, however they are escaped.
MAX_TAG_CHARS = 1024

SeriesKey = tuple[str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Point:
    """One measured value of one series. `time_ns`: Unix time; `resident`, a pseudonymous id, for vital signs only."""

    quantity: str
    community: str
    home: str
    gateway: str
    device: str
    value: float
    time_ns: int
    resident: str = ""

    @property
    def series(self) -> SeriesKey:
        """What, together with the time, a repeat has in common with the first."""
        return (self.quantity, self.community, self.home, self.gateway, self.device, self.resident)


@dataclass(frozen=True, slots=True)
class Tags:
    """Where a sample was measured; an empty text is a tag that the point did not have."""

    community: str
    home: str
    gateway: str
    device: str
    resident: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as read. Of a window: `time_ns` is its start, a multiple of the window since 1970."""

    time_ns: int
    value: float
    tags: Tags


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """Which samples: `from_ns` included, `to_ns` excluded, at most `limit`, in order of time.

    A filter of None is no filter; "" asks for points without that tag. `newest_first` turns the order round, so that
    the limit keeps the newest. `window_ns` with `aggregate` gives one sample a window and series; windows without
    points give none.
    """

    quantity: str
    from_ns: int
    to_ns: int
    limit: int = 10_000
    newest_first: bool = False
    community: str | None = None
    home: str | None = None
    gateway: str | None = None
    device: str | None = None
    resident: str | None = None
    window_ns: int | None = None
    aggregate: Aggregate | None = None

    def __post_init__(self) -> None:
        if (self.window_ns is None) != (self.aggregate is None):
            raise ValueError("window_ns and aggregate go together")
        if self.limit < 1 or (self.window_ns is not None and self.window_ns < 1):
            raise ValueError("limit and window_ns are at least 1")

    @property
    def filters(self) -> dict[str, str]:
        """Tag -> the value it must have."""
        wanted = {
            "community": self.community,
            "home": self.home,
            "gateway": self.gateway,
            "device": self.device,
            "resident": self.resident,
        }
        return {tag: value for tag, value in wanted.items() if value is not None}


class Store(Protocol):
    """A time-series store. Every method is bounded in time and may be called from several threads."""

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        """Store `points`; durable on return. Returns those that the store refuses for ever, each with the reason.

        Same series and time overwrites, the last one wins, so that a repeat is harmless. Raises LinkError when the
        store is away, slow or full: then nothing may be assumed, and the caller sends everything again.
        """

    def read(self, query: SeriesQuery) -> list[Sample]:
        """The samples that `query` asks for; an unknown series has none. Raises LinkError."""

    def check(self) -> None:
        """Raises LinkError, saying what to do, when a write could not work now."""


def value_refusal(value: float, time_ns: int) -> str | None:
    """Why no store takes this value at this time, or None."""
    if not math.isfinite(value):
        return f"the value is {value}, not a finite number"
    if not MIN_TIME_NS <= time_ns <= MAX_TIME_NS:
        return f"the time {time_ns} ns does not fit into 64 bits"
    return None


def series_refusal(series: SeriesKey) -> str | None:
    """Why no store takes a series of this name and these tags, or None."""
    if not series[0]:
        return "the quantity is empty"
    for text in series:
        if len(text) > MAX_TAG_CHARS:
            return f"a quantity or tag has {len(text)} characters, more than {MAX_TAG_CHARS}"
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"a quantity or tag is not valid Unicode: {text!a}"
    return None
