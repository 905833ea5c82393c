"""The status of a Shelly's components, generation 2 and later: what each field is, and in which unit. No I/O.

    switch:N light:N pm1:N  {"output": true, "apower": W, "voltage": V, "current": A, "pf": …, "freq": Hz,
                             "aenergy": {"total": Wh}, "ret_aenergy": {"total": Wh}, "temperature": {"tC": Cel}}
    em:0                    {"a_voltage": V, "a_current": A, "a_act_power": W, "a_aprt_power": VA, "a_pf": …,
                             "a_freq": Hz, b_…, c_…, "n_current": A, "total_act_power": W, "total_current": A,
                             "total_aprt_power": VA}
    emdata:0                {"a_total_act_energy": Wh, "a_total_act_ret_energy": Wh, b_…, c_…, "total_act": Wh,
                             "total_act_ret": Wh}
    em1:N em1data:N         the same of one phase, without the letter
    smoke:N flood:N         {"alarm": true, "mute": false}
    temperature:N humidity:N illuminance:N voltmeter:N   {"tC": Cel} {"rh": %} {"lux": lx} {"voltage": V}
    devicepower:N           {"battery": {"V": V, "percent": %}, "external": {"present": false}}
    bthomedevice:N          {"battery": %, "rssi": dBm}   a Bluetooth device that the Shelly hears
    wifi                    {"rssi": dBm}

Source: shelly-api-docs.shelly.cloud, Gen2 ComponentsAndServices; switch: recorded (tests/captures/shelly-gen2). The
others follow the documentation and were not recorded here. Covers are no meters of a home: passed over.

Component 0 is the device itself, the Nth is `:N`; a phase is `:A`, `:B`, `:C`, the neutral wire `:N`; no device of the
documentation has two components that would share a quantity so. Energy comes in watt-hours and leaves in
kilowatt-hours, exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.payload import number

_Row = tuple[tuple[str, ...], str, str, int]  # keys down to the value, place, quantity, how many make one of ours


def _phase(prefix: str, place: str) -> tuple[_Row, ...]:
    return (
        ((f"{prefix}voltage",), place, "voltage", 1),
        ((f"{prefix}current",), place, "current", 1),
        ((f"{prefix}act_power",), place, "power", 1),
        ((f"{prefix}aprt_power",), place, "apparent_power", 1),
        ((f"{prefix}pf",), place, "power_factor", 1),
        ((f"{prefix}freq",), place, "frequency", 1),
    )


def _phase_energy(prefix: str, place: str) -> tuple[_Row, ...]:
    return (
        ((f"{prefix}total_act_energy",), place, "energy_import", 1000),
        ((f"{prefix}total_act_ret_energy",), place, "energy_export", 1000),
    )


_METER: Final[tuple[_Row, ...]] = (
    (("aenergy", "total"), "", "energy_import", 1000),
    (("ret_aenergy", "total"), "", "energy_export", 1000),
    (("apower",), "", "power", 1),
    (("aprtpower",), "", "apparent_power", 1),
    (("voltage",), "", "voltage", 1),
    (("current",), "", "current", 1),
    (("pf",), "", "power_factor", 1),
    (("freq",), "", "frequency", 1),
    (("temperature", "tC"), "", "temperature", 1),
)
_ROWS: Final[dict[str, tuple[_Row, ...]]] = {
    "switch": _METER,
    "light": _METER,
    "pm1": _METER,
    "em": (
        *_phase("a_", ":A"),
        *_phase("b_", ":B"),
        *_phase("c_", ":C"),
        (("n_current",), ":N", "current", 1),
        (("total_act_power",), "", "power", 1),
        (("total_aprt_power",), "", "apparent_power", 1),
        (("total_current",), "", "current", 1),
    ),
    "emdata": (
        *_phase_energy("a_", ":A"),
        *_phase_energy("b_", ":B"),
        *_phase_energy("c_", ":C"),
        (("total_act",), "", "energy_import", 1000),
        (("total_act_ret",), "", "energy_export", 1000),
    ),
    "em1": _phase("", ""),
    "em1data": _phase_energy("", ""),
    "temperature": ((("tC",), "", "temperature", 1),),
    "humidity": ((("rh",), "", "humidity", 1),),
    "illuminance": ((("lux",), "", "illuminance", 1),),
    "voltmeter": ((("voltage",), "", "voltage", 1),),
    "devicepower": (
        (("battery", "percent"), "", "battery", 1),
        (("battery", "V"), "", "battery_voltage", 1),
    ),
    "bthomedevice": ((("battery",), "", "battery", 1), (("rssi",), "", "radio_level", 1)),
    "wifi": ((("rssi",), "", "radio_level", 1),),
}
_HAZARDS: Final = {"smoke": "smoke", "flood": "leak"}
_SWITCHED: Final = ("switch", "light")
_NEVER_NEGATIVE: Final = ("energy_import", "energy_export")
_COMPONENT: Final = re.compile(r"([a-z0-9]+)(?::([0-9]{1,3}))?\Z")
_FAULTS: Final = 8  # of one component that are named


@dataclass(frozen=True, slots=True)
class Told:
    """What one component says. `hazard`: its word and whether it is there. `faults` None: it says nothing of them.

    `sleeps`: the device runs on its battery.
    """

    device: str
    readings: tuple[Reading, ...]
    hazard: tuple[str, bool] | None = None
    output: bool | None = None
    faults: tuple[str, ...] | None = None
    sleeps: bool = False


def place_of(device: str, component: str) -> str:
    """The device with the place of one of its components: `shelly:x`, `shelly:x:1`, `shelly:x:bthomedevice:200`."""
    match = _COMPONENT.match(component)
    if match is None or match[2] is None:
        return device
    if match[1] == "bthomedevice":
        return f"{device}:{match[1]}:{int(match[2])}"
    return device if int(match[2]) == 0 else f"{device}:{int(match[2])}"


def told_by(device: str, component: str, status: Any) -> Told | None:
    """What a component's status says; absent and null are no values. Raises ValueError when a value cannot be one."""
    match = _COMPONENT.match(component)
    if match is None or not isinstance(status, dict):
        return None
    kind, place = match[1], place_of(device, component)
    readings = []
    for keys, below, quantity, divisor in _ROWS.get(kind, ()):
        exact = _value(status, keys, quantity)
        if exact is not None:
            readings.append(Reading(place + below, quantity, float(exact / divisor), TELEMETRY_UNITS[quantity]))
    alarm, output, errors = status.get("alarm"), status.get("output"), status.get("errors")
    return Told(
        place,
        tuple(readings),
        (_HAZARDS[kind], alarm) if kind in _HAZARDS and isinstance(alarm, bool) else None,
        output if kind in _SWITCHED and isinstance(output, bool) else None,
        tuple(str(each)[:64] for each in errors[:_FAULTS]) if isinstance(errors, list) else None,
        kind == "devicepower" and _deep(status, ("external", "present")) is not True,
    )


def _value(status: dict[str, Any], keys: tuple[str, ...], quantity: str) -> Decimal | None:
    told = _deep(status, keys)
    if told is None:
        return None
    exact = None if isinstance(told, str) else number(told)
    if exact is None or (quantity in _NEVER_NEGATIVE and exact < 0):
        raise ValueError
    return exact


def _deep(status: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        status = status.get(key) if isinstance(status, dict) else None
    return status
