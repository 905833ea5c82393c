"""How long an alarm took from its telegram to the gateway's disk, out of the house, and to the center's word for it.

All by the gateway's monotonic clock, from the moment when the telegram was read. The last alarms that the center has
received are told with the gateway's status for some minutes, so that the center can show the whole way of a press.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hearthline.clock import NS, Stamp
from hearthline.model import EventType
from hearthline.wire import AlarmHops, Status
from hearthline_edge.outbox import EventRow

TOLD_FOR_S = 300.0
_TOLD = 8  # alarms a status
_UNDERWAY = 256
_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_WAY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class Tally:
    """Counts of durations up to given bounds, in seconds, as a Prometheus histogram has them."""

    def __init__(self, bounds_s: Sequence[float] = _FAST_S) -> None:
        self._bounds = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many were at most so long), the last for all."""
        found, together = [], 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            together += count
            found.append((bound, float(together)))
        return found


@dataclass(slots=True)
class _Way:
    made: Stamp
    kept_s: float
    sent_s: float | None = None
    sendings: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """How the agent is, for its page of metrics. `durations`: metric -> (what it is, its counts)."""

    status: Status
    connected: bool
    durations: dict[str, tuple[str, Tally]]


class Hops:
    """Follows alarms of this boot; call from the event loop."""

    def __init__(self) -> None:
        self.kept, self.received = Tally(_WAY_S), Tally(_WAY_S)
        self._underway: dict[str, _Way] = {}
        self._told: deque[tuple[Stamp, AlarmHops]] = deque(maxlen=_TOLD)

    def committed(self, rows: Iterable[EventRow], now: Stamp) -> None:
        for row in rows:
            kept_s = now.seconds_since(row.stamp)
            if row.urgent and row.type == EventType.ALARM and kept_s is not None:
                self.kept.observe(kept_s)
                if len(self._underway) >= _UNDERWAY:
                    self._underway.pop(next(iter(self._underway)))
                self._underway[row.id] = _Way(row.stamp, kept_s)

    def sent(self, row: EventRow, now: Stamp) -> None:
        """Handed to the link, perhaps not for the first time."""
        way = self._underway.get(row.id)
        if way is not None:
            way.sendings += 1
            if way.sent_s is None:
                way.sent_s = now.seconds_since(way.made)

    def acknowledged(self, rows: Iterable[EventRow], now: Stamp) -> None:
        """The center has committed these."""
        for row in rows:
            way = self._underway.pop(row.id, None)
            received_s = None if way is None else now.seconds_since(way.made)
            if way is not None and received_s is not None:
                self.received.observe(received_s)
                hops = AlarmHops(
                    event=row.id,
                    kept=round(way.kept_s, 6),
                    sent=None if way.sent_s is None else round(way.sent_s, 6),
                    sendings=way.sendings,
                    received=round(received_s, 6),
                )
                self._told.append((now, hops))

    def to_tell(self, now: Stamp) -> list[AlarmHops]:
        return [hops for at, hops in self._told if 0 <= now.mono_ns - at.mono_ns < TOLD_FOR_S * NS]
