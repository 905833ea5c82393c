"""What the records of an M-Bus reply are to the gateway: readings by unit and medium, and their places.

    mbus:LGB:12082058:s1 gas_volume          family : manufacturer : identification  place

A place tells the records of one meter apart, in this order, each part left out where it is nothing:
    :u2 subunit   :t1 tariff   :s1 storage number   :max :min function   :A phase, :m01 :v3a what a VIFE adds (in hex)
    :n2 the second record of the same quantity and place in one reply, :n3 the third …

So one reply never gives two values of one series. A storage number over 0 is a value of the past: of the last due date
or month. Energy, power and volume get their quantity from the meter's medium: backward flow is `energy_export` of an
electricity meter and `cooling_energy` of a heat meter; the volume of a heat meter is `volume`, as it is not consumed.
Values during an error state, limits and what has no quantity of ours give no reading. For profiles: mbus_profile.py.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final, NamedTuple

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices.mbus_records import Record, Telegram

_ELECTRICITY: Final = frozenset({0x02})
_GAS: Final = frozenset({0x03})
_HEAT: Final = frozenset({0x04, 0x05, 0x0C, 0x0D})
_COOLING: Final = frozenset({0x0A, 0x0B})
_WATER: Final = frozenset({0x06, 0x07, 0x15, 0x16, 0x17})
_LARGEST: Final = Decimal(10) ** 15  # no quantity of a home comes near


class Scale(NamedTuple):
    """To the unit of a quantity: `* times / by`, in whole numbers, so that the result is the nearest float."""

    times: int
    by: int


_SAME: Final = Scale(1, 1)
_THOUSANDFOLD: Final = Scale(1000, 1)
_PER_HOUR: Final = Scale(1, 3600)
_SCALES: Final[dict[tuple[str, str], Scale]] = {  # (unit of the record, unit of the quantity)
    ("Wh", "kWh"): Scale(1, 1000),
    ("J", "kWh"): Scale(1, 3_600_000),
    ("cal", "kWh"): Scale(41868, 36_000_000_000),  # the international calorie, 4.1868 J
    ("J/h", "W"): _PER_HOUR,
    ("m3/h", "m3/s"): _PER_HOUR,
    ("m3/min", "m3/s"): Scale(1, 60),
    ("ft3", "m3"): Scale(28_316_846_592, 10**12),
    ("t", "kg"): _THOUSANDFOLD,
    ("bar", "hPa"): _THOUSANDFOLD,
    ("s", "h"): _PER_HOUR,
    ("d", "h"): Scale(24, 1),
    ("kvar", "var"): _THOUSANDFOLD,
    ("kVA", "VA"): _THOUSANDFOLD,
}
_TEXT_UNITS: Final = {"%RH": "humidity"}
_BY_NAME: Final = {
    "volume_flow": "volume_flow",
    "mass": "mass",
    "flow_temperature": "flow_temperature",
    "return_temperature": "return_temperature",
    "temperature_difference": "temperature_difference",
    "external_temperature": "temperature",
    "pressure": "pressure",
    "humidity": "humidity",
    "on_time": "operating_time",
    "operating_time": "operating_time",
    "voltage": "voltage",
    "current": "current",
    "frequency": "frequency",
    "phase_angle": "phase_angle",
    "phase_angle_voltages": "phase_angle",
    "apparent_power": "apparent_power",
    "radio_level": "radio_level",
}
_BY_DIRECTION: Final = {  # (forward or none, backward)
    "reactive_energy": ("reactive_energy_import", "reactive_energy_export"),
    "reactive_power": ("reactive_power", "reactive_power_export"),
}
_BY_MEDIUM: Final = {
    "energy": (
        (_ELECTRICITY, "energy_import", "energy_export"),
        (_HEAT, "heat_energy", "cooling_energy"),
        (_COOLING, "cooling_energy", "heat_energy"),
    ),
    "power": ((_ELECTRICITY, "power", "power_export"), (_HEAT | _COOLING, "heat_power", "")),
    "volume": ((_GAS, "gas_volume", ""), (_WATER, "water_volume", "")),
}


def device_id(telegram: Telegram) -> str:
    """A manufacturer's code that is no three letters stands as it is, in hex."""
    maker = telegram.manufacturer
    return f"mbus:{maker if maker.isalpha() else f'{telegram.manufacturer_code:04x}'}:{telegram.identification}"


def quantity_of(record: Record, medium: int) -> str:
    """The quantity that a record measures, or ""."""
    backward = record.direction == "backward"
    if record.name in _BY_MEDIUM:
        for media, forward_quantity, backward_quantity in _BY_MEDIUM[record.name]:
            if medium in media:
                return backward_quantity if backward else forward_quantity
        return "volume" if record.name == "volume" and not backward else ""
    if record.name in _BY_DIRECTION:
        return _BY_DIRECTION[record.name][backward]
    if backward:
        return ""
    return _TEXT_UNITS.get(record.unit, "") if record.name == "text" else _BY_NAME.get(record.name, "")


def place_of(record: Record) -> str:
    """What follows the meter's id, without the number of a repeated record."""
    if not (record.storage or record.tariff or record.subunit or record.place or record.function != "present"):
        return ""
    numbers = (("u", record.subunit), ("t", record.tariff), ("s", record.storage))
    parts = "".join(f":{letter}{number}" for letter, number in numbers if number)
    return parts + (f":{record.function}" if record.function != "present" else "") + record.place


def scale_of(unit: str, wanted: str) -> Scale:
    """From a record's unit to that of a quantity, where there is a way; else the number as it is."""
    return _SCALES.get((unit, wanted), _SAME)


def measures_the_same(unit: str, wanted: str) -> bool:
    """Whether a number in `unit` is one in `wanted` after `scale_of`."""
    return unit == wanted or (unit, wanted) in _SCALES


def _in_unit(value: Decimal, unit: str, wanted: str) -> float:
    scale = scale_of(unit, wanted)
    numerator, denominator = value.as_integer_ratio()
    return numerator * scale.times / (denominator * scale.by)


class ReplyReadings:
    """The readings of one reply, which may come in several telegrams."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def read(self, telegram: Telegram) -> tuple[list[Reading], bool]:
        """The readings of the next telegram, and whether each of its values is one."""
        device, readings, sane = device_id(telegram), list[Reading](), True
        for record in telegram.records:
            quantity = quantity_of(record, telegram.medium)
            if not quantity or not record.plain or record.function == "error":
                continue
            place = place_of(record)
            place += self._number(f"{quantity}{place}")
            if not record.valid or (isinstance(record.value, Decimal) and abs(record.value) >= _LARGEST):
                sane = False
            elif isinstance(record.value, Decimal):
                unit = TELEMETRY_UNITS[quantity]
                readings.append(Reading(device + place, quantity, _in_unit(record.value, record.unit, unit), unit))
        return readings, sane

    def _number(self, key: str) -> str:
        """`:n2` for the second record of a key; a record without a value is counted too, so that places stay."""
        self._seen[key] += 1
        return f":n{self._seen[key]}" if self._seen[key] > 1 else ""
