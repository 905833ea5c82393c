"""What is in flight on the uplink and when it is sent again: pure bookkeeping, `now` in monotonic seconds.

A record is in flight from its first sending until its acknowledgement. At most 32 events are, of which the last eight
places are for alarms alone, and at most 8 packs, so that neither vital signs nor telemetry ever fill the line ahead
of an alarm. What stays unacknowledged is sent again with backoff and jitter; for an alarm the backoff stays short.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from hearthline.model import Lane
from hearthline.ranges import in_ranges

EVENT_WINDOW = 32
ALARM_RESERVE = 8
TELEMETRY_WINDOW = 8
_FIRST_RESEND_S = 3.0
_ALARM_RESEND_MAX_S = 6.0
_RESEND_MAX_S = 60.0


@dataclass(slots=True)
class _Flight:
    urgent: bool
    attempts: int
    resend_at: float


class Flights:
    """The records in flight of one lane."""

    def __init__(self, lane: Lane, rng: random.Random) -> None:
        self._lane = lane
        self._rng = rng
        self._flights: dict[int, _Flight] = {}

    def __contains__(self, seq: int) -> bool:
        return seq in self._flights

    def __len__(self) -> int:
        return len(self._flights)

    def room(self, urgent: bool = False) -> int:
        """How many more records of this kind may be sent now."""
        if self._lane is Lane.TELEMETRY:
            return TELEMETRY_WINDOW - len(self._flights)
        return (EVENT_WINDOW if urgent else EVENT_WINDOW - ALARM_RESERVE) - len(self._flights)

    def sent(self, seq: int, urgent: bool, now: float) -> None:
        flight = self._flights.setdefault(seq, _Flight(urgent, 0, 0.0))
        longest = _ALARM_RESEND_MAX_S if urgent else _RESEND_MAX_S
        backoff = min(_FIRST_RESEND_S * 2 ** min(flight.attempts, 10), longest)
        flight.attempts += 1
        flight.resend_at = now + backoff * self._rng.uniform(0.8, 1.2)

    def landed(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Acknowledged or refused: no longer ours to send."""
        ranges = list(ranges)
        for seq in [seq for seq in self._flights if in_ranges(seq, ranges)]:
            del self._flights[seq]

    def due(self, now: float) -> list[int]:
        """Records to send again now, alarms first."""
        late = [(not flight.urgent, seq) for seq, flight in self._flights.items() if flight.resend_at <= now]
        return [seq for _, seq in sorted(late)]

    def next_due(self) -> float | None:
        return min((flight.resend_at for flight in self._flights.values()), default=None)

    def grounded(self) -> None:
        """The link was lost: nothing is known of what was in flight, all of it is sent again."""
        self._flights.clear()
