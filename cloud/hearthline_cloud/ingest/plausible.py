"""Which values are none: what no such instrument can measure, and what was measured in the future or too long ago.

The bounds are those of physics and of instruments, not of health or comfort: 41 °C in a room and a pulse of 180 are
values, and somebody has to see them. What is refused here is kept aside with its reason and counted (docs/data.md).
"""

from __future__ import annotations

from typing import Final

from hearthline.clock import rfc3339
from hearthline_cloud.ingest.timing import FUTURE_TOLERANCE_NS
from hearthline_cloud.store.tiers import oldest_taken_ns

_COUNTER: Final = (0.0, 1e9)  # also a count of kWh that a mill would take centuries for
BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "systolic": (0, 400),
    "diastolic": (0, 400),
    "mean_arterial_pressure": (0, 400),
    "heart_rate": (0, 400),
    "temperature": (-90, 150),
    "humidity": (0, 110),  # wet sensors say a little more than 100
    "pressure": (300, 1200),
    "illuminance": (0, 200_000),
    "co2": (0, 100_000),
    "battery": (0, 100),
    "battery_voltage": (0, 500),
    "radio_level": (-200, 50),
    "power": (-1e7, 1e7),
    "voltage": (0, 100_000),
    "current": (-100_000, 100_000),
    "frequency": (0, 1000),
    "power_factor": (-1.01, 1.01),
    "flow_temperature": (-60, 400),
    "return_temperature": (-60, 400),
    "energy_import": _COUNTER,
    "energy_export": _COUNTER,
    "heat_energy": _COUNTER,
    "gas_volume": _COUNTER,
    "water_volume": _COUNTER,
}


def oddity(quantity: str, value: float, time_ns: int, now_ns: int, raw_days: int) -> str | None:
    """Why this is no value of that time, or None. `raw_days`: for how long raw values are kept, 0 for ever."""
    low, high = BOUNDS.get(quantity, (value, value))
    if not low <= value <= high:  # also what is no number
        return f"{quantity} of {value:g} is impossible: {low:g} to {high:g}"
    if time_ns > now_ns + FUTURE_TOLERANCE_NS:
        return f"{quantity} was measured in the future, at {_moment(time_ns)}"
    if time_ns < oldest_taken_ns(now_ns, raw_days):
        return f"{quantity} was measured at {_moment(time_ns)}, longer ago than values are kept"
    return None


def _moment(time_ns: int) -> str:
    try:
        return rfc3339(time_ns)
    except (ValueError, OverflowError, OSError):  # a year that no calendar has
        return f"{time_ns} ns"
