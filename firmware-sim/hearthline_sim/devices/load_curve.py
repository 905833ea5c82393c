"""What a flat draws over its days: a fridge that cycles, a kettle, a television, lights, and quiet nights.

Power is a step function of the time, energy its exact integral: both are pure functions of a seed and of seconds since
the curve's first midnight, so energy never falls and never depends on how often somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

DAY_S = 86_400
MINUTE_S = 60.0
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Use:
    """One appliance drawing `watts` from `start_s` to `end_s` of a day."""

    start_s: float
    end_s: float
    watts: float

    def joules_until(self, second: float) -> float:
        return self.watts * max(0.0, min(second, self.end_s) - self.start_s)


class LoadCurve:
    """The load of one flat, or of one appliance (`television_only`). `seed` decides every day of it."""

    def __init__(self, seed: int, *, television_only: bool = False) -> None:
        self._seed = seed
        self._television_only = television_only
        self._base_w = 1.5 if television_only else 28.0
        self._day = lru_cache(maxsize=8)(self._plan)
        self._until: list[float] = [0.0]  # joules before each midnight

    def power_w(self, second: float) -> float:
        """Watts at `second`, counted from the first midnight (not negative)."""
        day, rest = divmod(second, DAY_S)
        return self._base_w + sum(use.watts for use in self._day(int(day)) if use.start_s <= rest < use.end_s)

    def energy_wh(self, second: float) -> float:
        """Watt-hours from the first midnight until `second`."""
        day, rest = divmod(second, DAY_S)
        while len(self._until) <= int(day):
            self._until.append(self._until[-1] + self._joules(len(self._until) - 1, DAY_S))
        return (self._until[int(day)] + self._joules(int(day), rest)) / HOUR_S

    def _joules(self, day: int, until_s: float) -> float:
        return self._base_w * until_s + sum(use.joules_until(until_s) for use in self._day(day))

    def _plan(self, day: int) -> tuple[Use, ...]:
        rng = Random(f"{self._seed}:{day}")
        television = self._from_hour(rng, 18.5, rng.uniform(3.0, 4.0) * HOUR_S, 105.0)
        if self._television_only:
            return (television,)
        kettles = [self._from_hour(rng, hour, rng.uniform(150, 280), 2000.0) for hour in (6.8, 9.5, 15.2, 17.8)]
        lights = [self._from_hour(rng, 6.4, 1.4 * HOUR_S, 40.0), self._from_hour(rng, 17.5, 5.0 * HOUR_S, 65.0)]
        return (television, *kettles, *lights, *self._fridge(rng))

    @staticmethod
    def _fridge(rng: Random) -> list[Use]:
        uses = []
        start = rng.uniform(0, 40) * MINUTE_S
        while start < DAY_S:
            run_s = rng.uniform(12, 18) * MINUTE_S
            uses.append(Use(start, min(start + run_s, DAY_S), 92.0))
            start += run_s + rng.uniform(24, 36) * MINUTE_S
        return uses

    @staticmethod
    def _from_hour(rng: Random, hour: float, length_s: float, watts: float) -> Use:
        start = hour * HOUR_S + rng.gauss(0, 10 * MINUTE_S)
        return Use(start, min(start + length_s, DAY_S), watts)
