"""When the home must make itself heard: pure decisions about the local output (siren, relay).

An alarm that the center has not confirmed ("received") within ten seconds sounds in the home, until it is received
or somebody resets it. The state is the outbox itself: an alarm that still lies there has not been received. So a
restarted agent knows it again, and an alarm that could not even be stored sounds at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hearthline.clock import Stamp


@dataclass(frozen=True, slots=True)
class Pending:
    """An alarm that the center has not confirmed. `stored` false: it could not be committed (disk full)."""

    stamp: Stamp
    silenced: bool
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sound`: drive the local output now. `again_in_s`: when to ask again, None when nothing is pending."""

    sound: bool
    again_in_s: float | None


def judge(pending: Iterable[Pending], now: Stamp, after_s: float) -> Verdict:
    """Whether the local output sounds. An alarm from before a reboot has waited long enough."""
    waits: list[float] = []
    for alarm in pending:
        if alarm.silenced:
            continue
        age = now.seconds_since(alarm.stamp)
        waits.append(0.0 if age is None or not alarm.stored else max(after_s - age, 0.0))
    if not waits:
        return Verdict(sound=False, again_in_s=None)
    soonest = min(waits)
    return Verdict(sound=soonest <= 0, again_in_s=soonest if soonest > 0 else 1.0)
