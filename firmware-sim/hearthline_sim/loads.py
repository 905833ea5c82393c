"""What the home draws and counts now: the flat's load for its meters, the television's for the plugs."""

from __future__ import annotations

import time
from random import Random

from hearthline_sim.devices.load_curve import LoadCurve
from hearthline_sim.schedule import HomeTime


class Loads:
    """Pure in the seed and the home's time, but for the mains voltage, which wavers."""

    def __init__(self, seed: int, home_time: HomeTime, rng: Random) -> None:
        self._time = home_time
        self._rng = rng
        self._flat = LoadCurve(seed)
        self._television = LoadCurve(seed, television_only=True)

    def power_w(self) -> float:
        return self._flat.power_w(self._second())

    def energy_kwh(self) -> float:
        """Since the first midnight."""
        return self._flat.energy_wh(self._second()) / 1000

    def voltage_v(self) -> float:
        return self._rng.gauss(230.0, 1.5)

    def plug_power_w(self, wall_ns: int) -> float:
        return self._television.power_w(self._time.second(wall_ns))

    def plug_energy_wh(self, wall_ns: int) -> float:
        return self._television.energy_wh(self._time.second(wall_ns))

    def celsius(self) -> float:
        """Warmer while more is drawn: a room's temperature with a course of its own."""
        return 20.5 + min(self.power_w(), 2500.0) / 1000

    def _second(self) -> float:
        return self._time.second(time.time_ns())
