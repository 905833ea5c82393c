"""When things happen in a home: pure functions of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random

from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_sim.devices.load_curve import DAY_S

MIN_GAP_S = 2.0  # nobody presses one pendant faster, and a driver may suppress repeats until then
_HABIT_S = 15 * 60  # how far from its usual time a measurement strays


@dataclass(frozen=True, slots=True)
class Call:
    """The schedule's wish that pendant number `caller` (from 0) be pressed `at_s` seconds after the start."""

    at_s: float
    caller: int


def plan_calls(rng: Random, callers: int, presses: int, seconds: float) -> list[Call]:
    """`presses` calls spread over `seconds` and over all pendants, in order. Raises ConfigError if they do not fit.

    Drawn from the quarter of the pendants that rested longest: a button pressed over five times a minute chatters.
    """
    if presses and not callers:
        raise ConfigError("--presses: the home has no pendant and no SOS button")
    if presses > callers * (seconds / MIN_GAP_S):
        raise ConfigError(
            f"--presses {presses}: {callers} pendants take at most {int(callers * seconds / MIN_GAP_S)} presses "
            f"in {seconds:g} s (one each {MIN_GAP_S:g} s); give more --seconds or more pendants"
        )
    last = [-MIN_GAP_S] * callers
    calls = []
    for index in range(presses):
        at_s = (index + rng.random()) * seconds / presses
        rested = sorted(range(callers), key=last.__getitem__)[: max(callers // 4, 1)]
        caller = rng.choice(rested)
        at_s = max(at_s, last[caller] + MIN_GAP_S)
        last[caller] = at_s
        calls.append(Call(at_s, caller))
    return sorted(calls, key=lambda call: call.at_s)


@dataclass(frozen=True, slots=True)
class HomeTime:
    """The time in the home, which runs `speed` times as fast as the wall clock since `start_wall_ns`.

    It counts in seconds since the midnight before the start, local time.
    """

    start_wall_ns: int
    start_second: float
    speed: float

    @classmethod
    def starting(cls, wall_ns: int, speed: float) -> HomeTime:
        local = datetime.fromtimestamp(wall_ns / NS).astimezone()
        return cls(wall_ns, local.hour * 3600 + local.minute * 60 + local.second, speed)

    def second(self, wall_ns: int) -> float:
        """Home seconds at a wall time; zero before the first midnight."""
        return max(0.0, self.start_second + (wall_ns - self.start_wall_ns) / NS * self.speed)

    def wait_s(self, second: float, wall_ns: int) -> float:
        """Real seconds from `wall_ns` until the home's `second`."""
        return max(0.0, second - self.second(wall_ns)) / self.speed


def next_measurement(seed: int, habits: list[int], second: float) -> float | None:
    """The first home second after `second` at which the elder measures: near each of `habits`, every day."""
    day = int(second // DAY_S)
    times = [
        (day + ahead) * DAY_S + habit + Random(f"{seed}:{day + ahead}:{habit}").uniform(-_HABIT_S, _HABIT_S)
        for ahead in range(3)
        for habit in habits
    ]
    return min((time for time in times if time > second), default=None)
