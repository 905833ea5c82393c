"""When the home must make itself heard: pure decisions about the local output (siren, relay).

An alarm that the center has not confirmed ("received") within ten seconds sounds in the home, until it is received
or somebody resets it. The state is the outbox itself: an alarm that still lies there has not been received. So a
restarted agent knows it again. An alarm that could not even be stored, or that the center refused, sounds at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hearthline.clock import Stamp


@dataclass(frozen=True, slots=True)
class Pending:
    """An alarm that the center has not confirmed. `at_once`: it could not be committed, or the center refused it."""

    stamp: Stamp
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sound`: drive the local output now. `again_in_s`: when to ask again, None when nothing is pending."""

    sound: bool
    again_in_s: float | None


def judge(pending: Iterable[Pending], now: Stamp, after_s: float, reset: Stamp | None = None) -> Verdict:
    """Whether the local output sounds. An alarm from before a reboot has waited long enough.

    `reset`: when somebody last silenced what was pending then.
    """
    waits: list[float] = []
    for alarm in pending:
        if reset is not None and _is_silenced(alarm.stamp, reset):
            continue
        age = now.seconds_since(alarm.stamp)
        waits.append(0.0 if age is None or alarm.at_once else max(after_s - age, 0.0))
    if not waits:
        return Verdict(sound=False, again_in_s=None)
    soonest = min(waits)
    return Verdict(sound=soonest <= 0, again_in_s=soonest if soonest > 0 else 1.0)


def _is_silenced(stamp: Stamp, reset: Stamp) -> bool:
    before = reset.seconds_since(stamp)
    return before is None or before >= 0
