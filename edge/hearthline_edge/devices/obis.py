"""What OBIS codes mean, for every family that names its values by them: DSMR P1, SML and IEC 62056-21.

    1-0:1.8.0*255     A medium (0 abstract, 1 electricity) - B channel : C what . D how . E tariff * F storage
    1.8.0 import  2.8.0 export  15.8.0 both added up    .8.1 ….8.4 by tariff        3.8.0 4.8.0 reactive  9.8.0 apparent
    1.7.0 2.7.0 16.7.0 power now: import, export, import less export;  15.7.0 both added up
    21 22 36  41 42 56  61 62 76  the same by phase     31 51 71 current  32 52 72 voltage   .32.0 sags  .36.0 swells
    33 53 73 power factor  34 54 74 frequency  81.7.x angles between voltages and currents
    1.4.0 running demand  1.6.0 its maximum  31.4.0 fuse limit  0-0:17.0.0 power limit  0-0:96.7.21, 96.7.9 failures

Values of the whole meter belong to its device id, values of a phase to the id with `:A`, `:B` or `:C` behind it, an
angle between two voltages to `:A-B` or `:A-C`. Several codes may tell one series (1.7.0 and 16.7.0 are both `power`):
of those that stand in one telegram the one with the lowest rank counts. Only the present value (F absent or 255) is
read: billing periods are other values under the same name.

Sources: IEC 62056-61, DSMR P1 companion standard 5.0.2 and 2.2, e-MUCS P1 1.7.1 (Belgium), and the recorded telegrams.
1.7.1 (an EMH eHZ361L5R sends its only power there) and the ranks are from recordings alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hearthline.clock import NS, Stamp
from hearthline.model import TELEMETRY_UNITS, Reading

ABSTRACT: Final = 0
ELECTRICITY: Final = 1
CURRENT_STORAGE: Final = 255
_CHANNELS: Final = (0, 1)  # a meter of one channel numbers it 0, or 1 (Swiss and German industrial ones)
_LARGEST: Final = Decimal(10) ** 15  # no quantity of a home comes near


@dataclass(frozen=True, slots=True)
class Register:
    """What a code tells. `place` follows the meter's id; of one series in one telegram the lowest `rank` counts."""

    quantity: str
    place: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True)
class ObisValue:
    """One value of a telegram. `code` is C.D.E; `unit` as the device writes it, "" when it has none."""

    medium: int
    channel: int
    code: str
    number: Decimal
    unit: str
    storage: int = CURRENT_STORAGE


_OF_THE_METER: Final = {
    "1.8.0": Register("energy_import"),
    "2.8.0": Register("energy_export"),
    "15.8.0": Register("energy_total"),
    "3.8.0": Register("reactive_energy_import"),
    "4.8.0": Register("reactive_energy_export"),
    "9.8.0": Register("apparent_energy"),
    "16.7.0": Register("power"),
    "1.7.0": Register("power", rank=1),
    "15.7.0": Register("power", rank=2),
    "1.7.1": Register("power", rank=3),
    "2.7.0": Register("power_export"),
    "3.7.0": Register("reactive_power"),
    "4.7.0": Register("reactive_power_export"),
    "9.7.0": Register("apparent_power"),
    "11.7.0": Register("current"),
    "12.7.0": Register("voltage"),
    "13.7.0": Register("power_factor"),
    "14.7.0": Register("frequency"),
    "1.4.0": Register("power_demand"),
    "1.6.0": Register("power_demand_max"),
    "81.7.1": Register("phase_angle", ":A-B"),
    "81.7.2": Register("phase_angle", ":A-C"),
    "81.7.4": Register("phase_angle", ":A"),
    "81.7.15": Register("phase_angle", ":B"),
    "81.7.26": Register("phase_angle", ":C"),
}


def _electricity() -> dict[str, Register]:
    registers = dict(_OF_THE_METER)
    registers |= {f"1.8.{tariff}": Register(f"energy_import_t{tariff}") for tariff in (1, 2, 3, 4)}
    registers |= {f"2.8.{tariff}": Register(f"energy_export_t{tariff}") for tariff in (1, 2)}
    for first, place in ((20, ":A"), (40, ":B"), (60, ":C")):
        registers |= {
            f"{first + 16}.7.0": Register("power", place),
            f"{first + 1}.7.0": Register("power", place, rank=1),
            f"{first + 2}.7.0": Register("power_export", place),
            f"{first + 3}.7.0": Register("reactive_power", place),
            f"{first + 4}.7.0": Register("reactive_power_export", place),
            f"{first + 9}.7.0": Register("apparent_power", place),
            f"{first + 11}.7.0": Register("current", place),
            f"{first + 11}.4.0": Register("current_limit", place),
            f"{first + 12}.7.0": Register("voltage", place),
            f"{first + 12}.32.0": Register("voltage_sags", place),
            f"{first + 12}.36.0": Register("voltage_swells", place),
            f"{first + 13}.7.0": Register("power_factor", place),
            f"{first + 14}.7.0": Register("frequency", place),
        }
    return registers


REGISTERS: Final[dict[int, dict[str, Register]]] = {
    ELECTRICITY: _electricity(),
    ABSTRACT: {
        "17.0.0": Register("power_limit"),
        "96.7.9": Register("long_power_failures"),
        "96.7.21": Register("power_failures"),
    },
}

_UNITS: Final[dict[str, tuple[str, Decimal]]] = {  # as devices write it, in lower case -> (our unit, what one of it is)
    "kwh": ("kWh", Decimal(1)),
    "wh": ("kWh", Decimal("0.001")),
    "mwh": ("kWh", Decimal(1000)),
    "gj": ("kWh", Decimal(2500) / 9),
    "mj": ("kWh", Decimal(5) / 18),
    "kvarh": ("kvarh", Decimal(1)),
    "varh": ("kvarh", Decimal("0.001")),
    "kvah": ("kVAh", Decimal(1)),
    "vah": ("kVAh", Decimal("0.001")),
    "kw": ("W", Decimal(1000)),
    "w": ("W", Decimal(1)),
    "kvar": ("var", Decimal(1000)),
    "var": ("var", Decimal(1)),
    "kva": ("VA", Decimal(1000)),
    "va": ("VA", Decimal(1)),
    "v": ("V", Decimal(1)),
    "a": ("A", Decimal(1)),
    "hz": ("Hz", Decimal(1)),
    "deg": ("deg", Decimal(1)),
    "m3": ("m3", Decimal(1)),
}
_WITHOUT_UNIT: Final = ("count", "/")


def in_unit_of(quantity: str, number: Decimal, unit: str) -> float | None:
    """The number in the quantity's own unit; None when the unit is of another kind, or the number beyond belief."""
    ours, factor = _UNITS.get(unit.lower(), ("", Decimal(1)))
    expected = TELEMETRY_UNITS[quantity]
    if expected != ours and not (unit == "" and expected in _WITHOUT_UNIT):
        return None
    return float(number * factor) if number.copy_abs() < _LARGEST else None


def register_of(value: ObisValue) -> Register | None:
    """What the value is, or None for what is of no use here."""
    if value.storage != CURRENT_STORAGE or value.channel not in _CHANNELS:
        return None
    return REGISTERS.get(value.medium, {}).get(value.code)


def readings_of(device: str, values: Iterable[ObisValue]) -> tuple[Reading, ...]:
    """The readings of one telegram: one a series, in the telegram's order."""
    best: dict[tuple[str, str], tuple[int, Reading]] = {}
    for value in values:
        register = register_of(value)
        if register is None:
            continue
        number = in_unit_of(register.quantity, value.number, value.unit)
        if number is None:
            continue
        series, rank = (register.place, register.quantity), 2 * register.rank + value.channel
        if series not in best or rank < best[series][0]:
            unit = TELEMETRY_UNITS[register.quantity]
            best[series] = (rank, Reading(device + register.place, register.quantity, number, unit))
    return tuple(reading for _, reading in best.values())


# --- values as text: P1 and IEC 62056-21 ------------------------------------------------------------------------

_LINE: Final = re.compile(
    r"(?:(?P<medium>\d{1,3})-(?P<channel>\d{1,3}):)?"
    r"(?P<code>[0-9A-Z]{1,3}\.[0-9A-Z]{1,3}(?:\.[0-9A-Z]{1,3})?)"
    r"(?:[*&](?P<storage>\d{1,3}))?(?P<groups>(?:\([^()]*\))+)",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,12})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ObisLine:
    """One line of a telegram: `1-0:1.6.0(200509134558S)(02.589*kW)`. Without A and B it is electricity, channel 0."""

    medium: int
    channel: int
    code: str
    storage: int
    groups: tuple[str, ...]

    @property
    def value(self) -> ObisValue | None:
        """The number that the line tells: of several groups the one with a unit (others are moments)."""
        text = self.groups[0] if len(self.groups) == 1 else next((each for each in self.groups if "*" in each), "")
        figure, _, unit = text.partition("*")
        number = decimal_of(figure)
        if number is None:
            return None
        return ObisValue(self.medium, self.channel, self.code, number, unit, self.storage)


def number_of_device(text: str) -> str:
    """A device's number as it may stand in an id; "" when it says nothing (zeros alone, blanks, other characters)."""
    return text if text.isascii() and text.isalnum() and text.strip("0") and len(text) <= 96 else ""


def decimal_of(text: str) -> Decimal | None:
    """A number in plain digits, or None."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def parse_line(text: str) -> ObisLine | None:
    """The line, or None when it is none."""
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    return ObisLine(
        int(found["medium"] or ELECTRICITY),
        int(found["channel"] or 0),
        found["code"],
        int(found["storage"] or CURRENT_STORAGE),
        tuple(found["groups"][1:-1].split(")(")),
    )


# --- meters that push more often than anybody needs -------------------------------------------------------------


class Pace:
    """Which telegrams of a meter that pushes every second or so give readings: one in `interval_s`; 0: all."""

    def __init__(self, interval_s: float) -> None:
        self._interval_ns = round(interval_s * NS)
        self._due_mono_ns: int | None = None

    def is_due(self, now: Stamp) -> bool:
        """Whether this telegram's readings are wanted. A telegram that comes a little early is in time."""
        if self._due_mono_ns is not None and now.mono_ns < self._due_mono_ns - self._interval_ns // 20:
            return False
        self._due_mono_ns = now.mono_ns + self._interval_ns
        return True
