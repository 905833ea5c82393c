"""What the data identifiers of DL/T 645-2007 mean: quantity, place, size and scale.

    00 tt 00 00  energy total of the running period: 00 combined (sign), 01 forward, 02 reverse     4 bytes  0.01 kWh
    02 01 pp 00  voltage    02 02 pp 00  current (sign)           2, 3 bytes  0.1 V, 0.001 A   pp phase 01 A, 02 B, 03 C
    02 03 / 04 / 05 pp 00   active, reactive, apparent power (sign)  3 bytes  0.0001 kW …      pp 00 total, else phase
    02 06 pp 00  power factor (sign)   02 80 00 07  temperature (sign)   2 bytes  0.001, 0.1 Cel

A sign is the top bit of the highest byte. A meter's device id carries its total, or the phase A of a quantity that has
no total; other phases are devices of their own with `:A`, `:B` or `:C` behind the address, so that no phase is taken
for another. Combined energy is `energy_import` as well: poll 00000000 or 00010000 of a meter, not both.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hearthline.model import TELEMETRY_UNITS, Reading

ASCII_ITEMS: Final = frozenset({"04000404", "04000405", "04000406"})  # rated voltage, rated and largest current


@dataclass(frozen=True, slots=True)
class MeterItem:
    """`scale`: what one count is in the unit of the quantity; `place`: what follows the address."""

    quantity: str
    size: int
    scale: Decimal
    signed: bool = False
    place: str = ""


def _items() -> dict[str, MeterItem]:
    items = {
        "00000000": MeterItem("energy_import", 4, Decimal("0.01"), signed=True),
        "00010000": MeterItem("energy_import", 4, Decimal("0.01")),
        "00020000": MeterItem("energy_export", 4, Decimal("0.01")),
        "02800007": MeterItem("temperature", 2, Decimal("0.1"), signed=True),
    }
    for number, place in enumerate(("", ":B", ":C"), start=1):
        items[f"02010{number}00"] = MeterItem("voltage", 2, Decimal("0.1"), place=place)
        items[f"02020{number}00"] = MeterItem("current", 3, Decimal("0.001"), signed=True, place=place)
    for number, place in enumerate(("", ":A", ":B", ":C")):
        for kind, quantity in (("03", "power"), ("04", "reactive_power"), ("05", "apparent_power")):
            items[f"02{kind}0{number}00"] = MeterItem(quantity, 3, Decimal("0.1"), signed=True, place=place)
        items[f"02060{number}00"] = MeterItem("power_factor", 2, Decimal("0.001"), signed=True, place=place)
    return items


ITEMS: Final[dict[str, MeterItem]] = _items()


def bcd_digits(value: bytes) -> str | None:
    """The decimal digits of a BCD number, high byte first, or None when a nibble is no digit."""
    digits = value.hex()
    return digits if digits.isdecimal() else None


def decode_item(device: str, item: MeterItem, value: bytes) -> Reading | None:
    """The reading of a value with its high byte first, scaled exactly; None when a nibble is no digit."""
    negative = item.signed and bool(value[0] & 0x80)
    digits = bcd_digits(bytes((value[0] & 0x7F,)) + value[1:] if negative else value)
    if digits is None:
        return None
    number = float(Decimal(digits) * item.scale)
    return Reading(device + item.place, item.quantity, -number if negative else number, TELEMETRY_UNITS[item.quantity])
