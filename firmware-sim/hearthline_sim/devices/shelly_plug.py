"""Shelly Gen2 plug: its switch status on the local broker.

    <id>/status/switch:0   {"id":0, "source", "output", "apower" W, "voltage" V, "current" A,
                            "aenergy": {"total" Wh, "by_minute" [mWh, newest first], "minute_ts"}, "temperature"}
    <id>/online            true (retained)

Source: Shelly Gen2 API, components Switch and MQTT. `by_minute` holds the last three whole minutes; `minute_ts` is
the Unix time at which the minute now running began. The counter restarts at zero when somebody resets it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import msgspec

from hearthline.clock import NS
from hearthline_sim.devices.bus import Value
from hearthline_sim.devices.emission import Publish

MINUTE_NS = 60 * NS


@dataclass(frozen=True, slots=True)
class PlugStatus:
    """One status message, and the values in it in the units of the time-series contract (kWh, W, V, A)."""

    message: Publish
    readings: dict[str, float]


class ShellyPlug:
    """One plug. `power_w` and `energy_wh` give its load and its counter at a wall time (Unix nanoseconds)."""

    def __init__(
        self,
        plug_id: str,
        rng: Random,
        power_w: Callable[[int], float],
        energy_wh: Callable[[int], float],
    ) -> None:
        self.device = f"shelly:{plug_id}"
        self._id = plug_id
        self._rng = rng
        self._power_w = power_w
        self._energy_wh = energy_wh
        self._zero_wh = 0.0

    def online(self) -> Publish:
        return Publish(0.0, f"{self._id}/online", b"true", retain=True)

    def reset_counter(self, wall_ns: int) -> None:
        """What `Switch.ResetCounters` does."""
        self._zero_wh = self._energy_wh(wall_ns)

    def status(self, wall_ns: int) -> PlugStatus:
        """The status at `wall_ns`."""
        power = round(self._power_w(wall_ns), 1)
        voltage = round(self._rng.gauss(230.0, 1.5), 1)
        current = round(power / voltage, 3)
        total = round(max(0.0, self._energy_wh(wall_ns) - self._zero_wh), 3)
        celsius = round(self._rng.gauss(41.0, 1.0), 1)
        payload = {
            "id": 0,
            "source": "timer",
            "output": True,
            "apower": power,
            "voltage": voltage,
            "current": current,
            "aenergy": {"total": total, **self._minutes(wall_ns)},
            "temperature": {"tC": celsius, "tF": round(celsius * 1.8 + 32, 1)},
        }
        readings = {"energy_import": total / 1000, "power": power, "voltage": voltage, "current": current}
        return PlugStatus(Publish(0.0, f"{self._id}/status/switch:0", msgspec.json.encode(payload)), readings)

    def report(self, wall_ns: int) -> tuple[tuple[Publish, ...], tuple[Value, ...]]:
        """The status and its values in the words of every meter."""
        status = self.status(wall_ns)
        values = (Value(self.device, quantity, value) for quantity, value in status.readings.items())
        return (status.message,), tuple(values)

    def _minutes(self, wall_ns: int) -> dict[str, object]:
        minute_ns = wall_ns // MINUTE_NS * MINUTE_NS
        marks = [self._energy_wh(minute_ns - back * MINUTE_NS) for back in range(4)]
        by_minute = [round(max(0.0, later - earlier) * 1000, 3) for later, earlier in pairwise(marks)]
        return {"by_minute": by_minute, "minute_ts": minute_ns // NS}
