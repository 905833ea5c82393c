"""The words of the time-series port, and which points no store ever takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hearthline_cloud.store.tiers import Tier

Aggregate = Literal["mean", "min", "max", "last", "sum", "spread", "count"]

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
class Summary:
    """The values of one series in one quarter of an hour or one day; `time_ns` is its start."""

    time_ns: int
    count: int
    mean: float
    min: float
    max: float
    last: float
    tags: Tags


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how many days each tier is kept; 0: for ever."""

    raw_days: int
    quarter_days: int
    daily_days: int


@dataclass(frozen=True, slots=True)
class StoreState:
    """What a store says of itself. `days`: for how long each tier is kept, 0 for ever; a tier that is missing has none.
    None: the store lets go of what is old when it is told to.

    `series` and `bytes` are None where the store does not tell.
    """

    engine: str
    place: str
    days: dict[str, float] | None
    series: int | None = None
    bytes: int | None = None


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


class Tiers(Protocol):
    """The summaries of a store: a quarter of an hour and a day of raw values as one row each (`tiers`)."""

    def roll_up(self, tier: Tier, from_ns: int, to_ns: int, gateway: str | None = None) -> list[str]:
        """Make the summaries of [from_ns, to_ns) anew out of raw values; durable on return, a repeat is harmless.

        QUARTER: of each quarter in the span. DAILY: of each 24 hours of it, or of a span that is no multiple of them
        as one day. Of one gateway, or of all. Returns what could not be summarised, a line for each quantity: the
        others are. Raises LinkError.
        """

    def summaries(self, tier: Tier, query: SeriesQuery) -> list[Summary]:
        """QUARTER or DAILY rows as `query` asks for them, which has no window. Raises LinkError."""


class Kept(Protocol):
    """What a store keeps and for how long."""

    def keep(self, keeping: Keeping, now_ns: int, shorten: bool) -> list[str]:
        """Make what is missing (database, tiers), and let go of what is older than `keeping` says; what was changed.

        Raw values that somebody may not have summarised are let go of only with `shorten`. Raises LinkError.
        """

    def state(self) -> StoreState:
        """What is there now. Raises LinkError."""


class Contents(Protocol):
    """What a store holds, for whoever moves it elsewhere."""

    def oldest_ns(self) -> int | None:
        """The time of the oldest raw value, None without any. Raises LinkError."""

    def quantities(self) -> list[str]:
        """All quantities that were ever stored. Raises LinkError."""


class TimeSeries(Store, Tiers, Kept, Contents, Protocol):
    """All that a store does; `close` it at the end."""

    def close(self) -> None: ...


def is_longer(days: float, than: float) -> bool:
    """Whether a tier is to be kept longer than it is; 0 days is for ever."""
    return than != 0 and (days == 0 or days > than)


def in_words(days: float) -> str:
    return f"{days:g} days" if days else "ever"


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
