"""What the data identifiers of DL/T 645-2007 mean: quantity, place, size and scale (appendix A, tables A.1, A.3).

    00 0k tt 00  energy of the running period: k 0 combined (sign), 1 forward, 2 reverse      4 bytes   0.01 kWh
                 3, 4 reactive 1 and 2 (sign) 0.01 kvarh, 9 apparent 0.01 kVAh                tt 00 total, 01 … tariff
    02 01 pp 00  voltage    02 02 pp 00  current (sign)           2, 3 bytes  0.1 V, 0.001 A   pp phase 01 A, 02 B, 03 C
    02 03 / 04 / 05 pp 00   active, reactive, apparent power (sign)  3 bytes  0.0001 kW …      pp 00 total, else phase
    02 06 pp 00  power factor (sign)   02 07 pp 00  phase angle      2 bytes  0.001, 0.1 deg
    02 80 00 nn  01 neutral current (sign), 02 frequency 0.01 Hz, 04 demand (sign) 0.0001 kW,
                 07 temperature (sign) 0.1 Cel, 08 battery of the clock 0.01 V
    pp or tt FF  a block: its items one behind the other; a phase that the meter does not have is FF throughout

A sign is the top bit of the highest byte. A meter's device id carries its total, or the phase A of a quantity that has
no total; other phases are devices of their own with `:A`, `:B` or `:C` behind the address, so that no phase is taken
for another. Combined energy is `energy_import` as well: a meter is asked for 00000000 or 00010000, not for both.

Recorded frames exist of 00000000, 00010000, 02010100, 02020100, 0203 … 02060000 and 02800007. Unverified, from the
standard alone: the other items, and all blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices import RefusalReason

ASCII_ITEMS: Final = frozenset({"04000404", "04000405", "04000406"})  # rated voltage, rated and largest current
_TARIFFS: Final = {"energy_import": 4, "energy_export": 2}  # of how many the model has a quantity
_ENERGY_SIZE: Final = 4
_MOST_TARIFFS: Final = 63


@dataclass(frozen=True, slots=True)
class MeterItem:
    """`scale`: what one count is in the unit of the quantity; `place`: what follows the address."""

    quantity: str
    size: int
    scale: Decimal
    signed: bool = False
    place: str = ""
    offset: Decimal = Decimal(0)
    minimum: float | None = None
    maximum: float | None = None


def _items() -> dict[str, MeterItem]:
    items = {
        "00000000": MeterItem("energy_import", _ENERGY_SIZE, Decimal("0.01"), signed=True),
        "00010000": MeterItem("energy_import", _ENERGY_SIZE, Decimal("0.01")),
        "00020000": MeterItem("energy_export", _ENERGY_SIZE, Decimal("0.01")),
        "00030000": MeterItem("reactive_energy_import", _ENERGY_SIZE, Decimal("0.01"), signed=True),
        "00040000": MeterItem("reactive_energy_export", _ENERGY_SIZE, Decimal("0.01"), signed=True),
        "00090000": MeterItem("apparent_energy", _ENERGY_SIZE, Decimal("0.01")),
        "02800001": MeterItem("current", 3, Decimal("0.001"), signed=True, place=":N"),
        "02800002": MeterItem("frequency", 2, Decimal("0.01")),
        "02800004": MeterItem("power_demand", 3, Decimal("0.1"), signed=True),
        "02800007": MeterItem("temperature", 2, Decimal("0.1"), signed=True),
        "02800008": MeterItem("battery_voltage", 2, Decimal("0.01")),
    }
    for kind, quantity in (("01", "energy_import"), ("02", "energy_export")):
        for tariff in range(1, _TARIFFS[quantity] + 1):
            items[f"00{kind}{tariff:02X}00"] = MeterItem(f"{quantity}_t{tariff}", _ENERGY_SIZE, Decimal("0.01"))
    for number, place in enumerate(("", ":B", ":C"), start=1):
        items[f"02010{number}00"] = MeterItem("voltage", 2, Decimal("0.1"), place=place)
        items[f"02020{number}00"] = MeterItem("current", 3, Decimal("0.001"), signed=True, place=place)
        items[f"02070{number}00"] = MeterItem("phase_angle", 2, Decimal("0.1"), place=place)
    for number, place in enumerate(("", ":A", ":B", ":C")):
        for kind, quantity in (("03", "power"), ("04", "reactive_power"), ("05", "apparent_power")):
            items[f"02{kind}0{number}00"] = MeterItem(quantity, 3, Decimal("0.1"), signed=True, place=place)
        items[f"02060{number}00"] = MeterItem("power_factor", 2, Decimal("0.001"), signed=True, place=place)
    return items


ITEMS: Final[dict[str, MeterItem]] = _items()

# Block -> the identifiers of its items in order; behind the last come tariffs that the model has no quantity for.
BLOCKS: Final[dict[str, tuple[str, ...]]] = {
    "0001FF00": ("00010000", "00010100", "00010200", "00010300", "00010400"),
    "0002FF00": ("00020000", "00020100", "00020200"),
    **{f"020{kind}FF00": tuple(f"020{kind}0{phase}00" for phase in (1, 2, 3)) for kind in (1, 2, 7)},
    **{f"020{kind}FF00": tuple(f"020{kind}0{phase}00" for phase in (0, 1, 2, 3)) for kind in (3, 4, 5, 6)},
}
_OPEN_ENDED: Final = frozenset({"0001FF00", "0002FF00"})


def bcd_digits(value: bytes) -> str | None:
    """The decimal digits of a BCD number, high byte first, or None when a nibble is no digit."""
    digits = value.hex()
    return digits if digits.isdecimal() else None


def decode_data(
    device: str, identifier: str, data: bytes, own: Mapping[str, MeterItem]
) -> tuple[list[Reading], RefusalReason | None]:
    """The readings of an item's or a block's data, low byte first, and why some of it is refused.

    `own`: items of a profile, which stand before those of the standard.
    """
    layout = _layout(identifier, own)
    if not layout:
        return [], "unsupported"
    size = layout[0].size
    count = len(data) // size
    most = 1 + _MOST_TARIFFS if identifier in _OPEN_ENDED else len(layout)
    if len(data) != count * size or not 1 <= count <= most:
        return [], "length"
    readings: list[Reading] = []
    reason: RefusalReason | None = None
    for number, item in enumerate(layout[:count]):
        value = data[number * size : (number + 1) * size][::-1]
        if value.count(0xFF) == size:
            continue
        reading = decode_item(device, item, value)
        if reading is None:
            reason = "sanity"
        else:
            readings.append(reading)
    return readings, reason


def _layout(identifier: str, own: Mapping[str, MeterItem]) -> list[MeterItem]:
    if identifier in own:
        return [own[identifier]]
    if identifier in ITEMS:
        return [ITEMS[identifier]]
    return [own.get(each, ITEMS[each]) for each in BLOCKS.get(identifier, ())]


def decode_item(device: str, item: MeterItem, value: bytes) -> Reading | None:
    """The reading of a value with its high byte first, scaled exactly; None: no number, or beyond its limits."""
    negative = item.signed and bool(value[0] & 0x80)
    digits = bcd_digits(bytes((value[0] & 0x7F,)) + value[1:] if negative else value)
    if digits is None:
        return None
    exact = Decimal(digits) * (-item.scale if negative else item.scale)
    number = float(exact + item.offset if item.offset else exact)
    if item.minimum is not None and number < item.minimum:
        return None
    if item.maximum is not None and number > item.maximum:
        return None
    return Reading(device + item.place, item.quantity, number, TELEMETRY_UNITS[item.quantity])
