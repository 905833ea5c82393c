"""What a Zigbee device says in Zigbee2MQTT's JSON: hazards, changes, notes and readings. No topics, no I/O.

Names, types and units of the attributes: the "Exposes" tables of zigbee2mqtt.io/devices. Rules beyond them:
- null and absent say nothing; neither does a word where a truth value or a number is expected.
- Zigbee2MQTT tells a device's whole remembered state with each report: a state counts when it differs from the last.
- `voltage` is mV of a battery (recorded: 3005, 3045, 3100) or V of a meter (recorded: 241). It is a meter's when the
  device has told power, energy or current, or is switched ON and OFF and tells no battery.
- `illuminance` is lx, but in 1.x a raw logarithm beside `illuminance_lux`: lx wins, for good, once it was told.
- `energy` of plugs may go down (Koenkk/zigbee2mqtt issue #24396): for the reader of the series to see.

Unverified, by the documentation alone: phases as `power_phase_b`, `fall_down_status` of radar sensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices import Change, DeviceNote, Item, Readings
from hearthline_edge.payload import number

HAZARD_OF: Final = {
    "smoke": "smoke",
    "water_leak": "leak",
    "gas": "gas",
    "carbon_monoxide": "carbon-monoxide",
    "fall_down_status": "fall",
}
_TRUTHS: Final = {"fall": True, "none": False}  # of fall_down_status; "maybe_fall" is neither
_CHANGE_OF: Final = {
    "contact": ("closed", "open"),  # when true, when false
    "occupancy": ("motion", "no-motion"),
    "presence": ("present", "absent"),
    "vibration": ("vibration", ""),
}
_SWITCH: Final = re.compile(r"state(?:_(l[1-8]|left|right|center|top|bottom))?\Z")
_SWITCHED: Final = {"ON": "on", "OFF": "off"}
_LATCHES: Final = (
    ("battery_low", "low-battery", "battery low"),
    ("tamper", "tamper", "case opened"),
    ("trouble", "error", "the device reports trouble"),
    ("test", "test", "test button or self-test"),
)
_OLD_NEWS: Final = ("test",)  # a moment that is over, where the other latches still hold

# Attribute -> quantity, least and greatest value that can be one.
_QUANTITIES: Final[dict[str, tuple[str, int | None, int | None]]] = {
    "battery": ("battery", 0, 100),
    "temperature": ("temperature", None, None),
    "local_temperature": ("temperature", None, None),  # of a radiator valve
    "humidity": ("humidity", 0, 100),
    "pressure": ("pressure", 300, 1200),
    "co2": ("co2", 0, None),
    "energy": ("energy_import", 0, None),
    "produced_energy": ("energy_export", 0, None),
    "power": ("power", None, None),
    "power_reactive": ("reactive_power", None, None),
    "power_apparent": ("apparent_power", None, None),
    "power_factor": ("power_factor", -1, 1),
    "current": ("current", None, None),
    "ac_frequency": ("frequency", 0, None),
    "linkquality": ("link_quality", 0, 255),
}
_PHASED: Final = ("power", "current", "energy", "power_factor", "power_reactive", "power_apparent")
_PHASES: Final = ("a", "b", "c")
_METERED: Final = ("power", "energy", "current")
_FIELDS: Final = [(name, "", *rule) for name, rule in _QUANTITIES.items()] + [
    (f"{name}_phase_{phase}", f":{phase.upper()}", *_QUANTITIES[name]) for name in _PHASED for phase in _PHASES
]
_LATEST_NS: Final = 1 << 63  # the year 2262
ATTRIBUTES: Final = frozenset(
    [
        *HAZARD_OF, *_CHANGE_OF, *_QUANTITIES, *(latch[0] for latch in _LATCHES), *(row[0] for row in _FIELDS),
        "action", "state", "voltage", "illuminance", "illuminance_lux", "last_seen",
    ]
)  # fmt: skip


class LastSeen(NamedTuple):
    """`ns` since 1970 by the zone it names, or by an unknown zone (`zoned` false)."""

    ns: int
    zoned: bool

    def moment_ns(self) -> int | None:
        """`ns` when it is one moment, and one that JSON can carry."""
        return self.ns if self.zoned and 0 < self.ns < _LATEST_NS else None


@dataclass(slots=True)
class Known:
    """What the session knows of one device. `states`: attribute and its last state; `latched`: notes that hold.

    `reported_ns`: when its last report in JSON came, monotonic.
    """

    last_seen: LastSeen | None = None
    reported_ns: int = -(1 << 63)
    latched: frozenset[str] = frozenset()
    states: dict[str, bool] = field(default_factory=dict)
    metered: bool = False
    in_lux: bool = False
    offline: bool = False

    def turns(self, name: str, state: bool) -> bool:
        """Whether it is another state than the last, or the first."""
        if self.states.get(name) is state:
            return False
        self.states[name] = state
        return True


def hazards(value: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """(attribute, hazard, whether it is there) of each that the device tells."""
    for name, hazard in HAZARD_OF.items():
        told = value.get(name)
        state = _TRUTHS.get(told) if isinstance(told, str) and name == "fall_down_status" else told
        if isinstance(state, bool):
            yield name, hazard, state


def changes(device: str, value: dict[str, Any], known: Known, raw: str) -> list[Item]:
    """What is another state than the last one told."""
    found: list[Item] = []
    for name, kinds in _CHANGE_OF.items():
        state = value.get(name)
        if isinstance(state, bool) and known.turns(name, state):
            kind = kinds[0] if state else kinds[1]
            found += [Change(device, kind, raw)] if kind else []
    for name, told in value.items():
        match = _SWITCH.match(name)
        kind = _SWITCHED.get(told, "") if match and isinstance(told, str) else ""
        if match and kind and known.turns(name, kind == "on"):
            found.append(Change(f"{device}:{match[1]}" if match[1] else device, kind, raw))
    return found


def notes(device: str, value: dict[str, Any], known: Known, retained: bool) -> list[Item]:
    """A note when one of the latches becomes true."""
    found: list[Item] = []
    for name, kind, detail in _LATCHES:
        state = value.get(name)
        if retained and name in _OLD_NEWS:
            continue
        if state is True and kind not in known.latched:
            known.latched |= {kind}
            found.append(DeviceNote(device, kind, detail))
        elif state is False:
            known.latched -= {kind}
    return found


def readings(device: str, value: dict[str, Any], known: Known) -> list[Item]:
    """Every value of a known quantity, one for each series."""
    found: dict[tuple[str, str], Reading] = {}

    def take(place: str, quantity: str, exact: Decimal) -> None:
        one = Reading(device + place, quantity, float(exact), TELEMETRY_UNITS[quantity])
        found.setdefault((place, quantity), one)

    _learn(value, known)
    for name, place, quantity, least, greatest in _FIELDS:
        exact = number(value.get(name))
        if exact is not None and (least is None or exact >= least) and (greatest is None or exact <= greatest):
            take(place, quantity, exact)
    for place, name in (("", "voltage"), *((f":{phase.upper()}", f"voltage_phase_{phase}") for phase in _PHASES)):
        exact = number(value.get(name))
        if exact is None:
            continue
        if known.metered and 0 <= exact < 1000:
            take(place, "voltage", exact)
        elif not known.metered and not place and 1000 <= exact <= 5000:
            take(place, "battery_voltage", exact / 1000)
    exact = number(value.get("illuminance_lux" if known.in_lux else "illuminance"))
    if exact is not None and exact >= 0:
        take("", "illuminance", exact)
    return [Readings(tuple(found.values()))] if found else []


def _learn(value: dict[str, Any], known: Known) -> None:
    """What kind of device it is."""
    switched = value.get("state") in ("ON", "OFF") and "battery" not in value
    known.metered |= switched or any(number(value.get(name)) is not None for name in _METERED)
    known.in_lux |= number(value.get("illuminance_lux")) is not None
