"""When a gateway is asked to prove its way to the center, and when its silence on that is an alert: pure.

    slot of the day --> asked --> proved            the marked alarm has come: an alert `self-test`, closed at once
                          |------> cannot           an older gateway: it says so itself, and that is no fault
                          +------> missed           neither within the time: one alert `test-missed`, until a proof

Each gateway has its own moment in the window, by its id, so that a city's gateways do not all speak at once. One that
is silent at its moment is asked when it is heard again. Times are Unix nanoseconds of the cloud's clock.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from enum import StrEnum

from hearthline.clock import NS

CANNOT = "unknown"  # how a gateway answers a command that it does not know
GIVEN_UP_S = 24 * 3600  # no command is sent longer


class Standing(StrEnum):
    WAITING = "waiting"
    PROVED = "proved"
    CANNOT = "cannot"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Window:
    """Local times of a day, `begin` before `end`."""

    begin: time = time(10)
    end: time = time(11)
    zone: tzinfo = UTC

    def slot_ns(self, gateway: str, now_ns: int) -> int:
        """The moment of this gateway on the day, in the window's zone, that `now_ns` lies in."""
        day = datetime.fromtimestamp(now_ns // NS, self.zone).date()
        begin, end = (round(datetime.combine(day, at, self.zone).timestamp()) * NS for at in (self.begin, self.end))
        return begin + (end - begin) * zlib.crc32(gateway.encode()) // 2**32

    def day(self, now_ns: int) -> str:
        return datetime.fromtimestamp(now_ns // NS, self.zone).date().isoformat()

    def has_begun(self, now_ns: int) -> bool:
        return datetime.fromtimestamp(now_ns // NS, self.zone).time() >= self.begin


def standing(proved: bool, missed: bool, answer: str | None) -> Standing:
    """How a test stands. A proof counts, however late it came."""
    if proved:
        return Standing.PROVED
    if answer == CANNOT:
        return Standing.CANNOT
    return Standing.MISSED if missed else Standing.WAITING


def is_missed(asked_ns: int, audible_since_ns: int, within_s: float, now_ns: int) -> bool:
    """Whether an unanswered test has to be raised.

    `audible_since_ns`: since when the center can hear this gateway: silence and blindness have alerts of their own,
    and after them the time begins anew. Nothing is asked for over a day.
    """
    waited_ns = now_ns - max(asked_ns, audible_since_ns)
    return waited_ns > round(within_s * NS) and now_ns - asked_ns < GIVEN_UP_S * NS
