"""What the value information fields of M-Bus records mean: EN 13757-3, its primary, FB and FD tables.

    E000 0nnn energy 10^(nnn-3) Wh      E001 0nnn volume 10^(nnn-6) m3      E011 1nnn volume flow 10^(nnn-6) m3/h  …
    E the extension bit: a VIFE follows; FB and FD: the true VIF is the next byte, of the second and third table

`nn` of a duration counts seconds, minutes, hours and days, which are all given in seconds here. What the tables of 2013
leave reserved is unknown here too. Checked against the recorded frames for energy, volume, on time, power, flow, the
four temperatures, dates, fabrication number, voltage, current, digital inputs and outputs and versions; the rest is
the standard's word alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_SECONDS: Final = (1, 60, 3600, 86400)
_HOURS_TO_YEARS: Final = (("h", 3600), ("d", 86400), ("month", 1), ("year", 1))


class Kind(NamedTuple):
    """What a record measures: a count is `factor * 10 ** exponent` in `unit`; "" for what has no unit."""

    name: str
    unit: str = ""
    exponent: int = 0
    factor: int = 1


UNKNOWN: Final = Kind("unknown")
MANUFACTURER: Final = Kind("manufacturer")
DATE: Final = "date"
DATE_TIME: Final = "date_time"
PLAIN_TEXT: Final = 0x7C
MANUFACTURER_SPECIFIC: Final = 0x7F
SECOND_TABLE: Final = 0xFB
THIRD_TABLE: Final = 0xFD

Table = dict[int, Kind]


def _steps(table: Table, first: int, count: int, name: str, unit: str, exponent: int) -> None:
    """Codes that differ by a power of ten each."""
    table |= {first + step: Kind(name, unit, exponent + step) for step in range(count)}


def _durations(table: Table, first: int, name: str) -> None:
    table |= {first + step: Kind(name, "s", 0, seconds) for step, seconds in enumerate(_SECONDS)}


def _names(table: Table, names: dict[int, str]) -> None:
    table |= {code: Kind(name) for code, name in names.items()}


def _primary() -> Table:
    table: Table = {}
    for first, count, name, unit, exponent in (
        (0x00, 8, "energy", "Wh", -3),
        (0x08, 8, "energy", "J", 0),
        (0x10, 8, "volume", "m3", -6),
        (0x18, 8, "mass", "kg", -3),
        (0x28, 8, "power", "W", -3),
        (0x30, 8, "power", "J/h", 0),
        (0x38, 8, "volume_flow", "m3/h", -6),
        (0x40, 8, "volume_flow", "m3/min", -7),
        (0x48, 8, "volume_flow", "m3/s", -9),
        (0x50, 8, "mass_flow", "kg/h", -3),
        (0x58, 4, "flow_temperature", "Cel", -3),
        (0x5C, 4, "return_temperature", "Cel", -3),
        (0x60, 4, "temperature_difference", "K", -3),
        (0x64, 4, "external_temperature", "Cel", -3),
        (0x68, 4, "pressure", "bar", -3),
    ):
        _steps(table, first, count, name, unit, exponent)
    _durations(table, 0x20, "on_time")
    _durations(table, 0x24, "operating_time")
    _durations(table, 0x70, "averaging_duration")
    _durations(table, 0x74, "actuality_duration")
    table |= {0x6C: Kind(DATE), 0x6D: Kind(DATE_TIME), 0x6E: Kind("heat_cost_allocation")}
    _names(table, {0x78: "fabrication_number", 0x79: "identification", 0x7A: "bus_address", 0x7E: "any"})
    return table


def _second() -> Table:
    """Behind FB."""
    table: Table = {}
    for first, count, name, unit, exponent in (
        (0x00, 2, "energy", "Wh", 5),
        (0x02, 2, "reactive_energy", "kvarh", 0),
        (0x08, 2, "energy", "J", 8),
        (0x0C, 4, "energy", "cal", 5),
        (0x10, 2, "volume", "m3", 2),
        (0x14, 4, "reactive_power", "kvar", -3),
        (0x18, 2, "mass", "t", 2),
        (0x1A, 2, "humidity", "%RH", -1),
        (0x28, 2, "power", "W", 5),
        (0x2A, 1, "phase_angle_voltages", "deg", -1),
        (0x2B, 1, "phase_angle", "deg", -1),
        (0x2C, 4, "frequency", "Hz", -3),
        (0x30, 2, "power", "J/h", 8),
        (0x34, 4, "apparent_power", "kVA", -3),
        (0x74, 4, "temperature_limit", "Cel", -3),
        (0x78, 8, "power_max_cumulated", "W", -3),
    ):
        _steps(table, first, count, name, unit, exponent)
    table |= {0x20: Kind("volume", "ft3", 0), 0x21: Kind("volume", "ft3", -1)}
    return table


def _third() -> Table:
    """Behind FD."""
    table: Table = {}
    _steps(table, 0x00, 4, "credit", "currency", -3)
    _steps(table, 0x04, 4, "debit", "currency", -3)
    _steps(table, 0x40, 16, "voltage", "V", -9)
    _steps(table, 0x50, 16, "current", "A", -12)
    _durations(table, 0x24, "storage_interval")
    _durations(table, 0x2C, "duration_since_readout")
    _durations(table, 0x30, "tariff_duration")
    _durations(table, 0x34, "tariff_period")
    _durations(table, 0x3C, "transmission_period")
    for step, (unit, factor) in enumerate(_HOURS_TO_YEARS):
        in_seconds = unit in ("h", "d")
        table[0x68 + step] = Kind("duration_since_cumulation", "s" if in_seconds else unit, 0, factor)
        table[0x6C + step] = Kind("battery_operating_time", "s" if in_seconds else unit, 0, factor)
    table |= {0x30: Kind(DATE_TIME), 0x70: Kind(DATE_TIME)}
    table |= {0x28: Kind("storage_interval", "month"), 0x29: Kind("storage_interval", "year")}
    table |= {0x38: Kind("tariff_period", "month"), 0x39: Kind("tariff_period", "year")}
    table |= {0x71: Kind("radio_level", "dBm"), 0x74: Kind("battery_remaining", "d")}
    words = (
        "access_number medium manufacturer_code parameter_set model hardware_version firmware_version software_version "
        "customer_location customer access_code_user access_code_operator access_code_system access_code_developer "
        "password error_flags error_mask"
    )
    _names(table, dict(enumerate(words.split(), start=0x08)))
    words = "digital_output digital_input baud_rate response_delay retry remote_control first_storage last_storage"
    _names(table, dict(enumerate(words.split(), start=0x1A)))
    words = "reset_counter cumulation_counter control_signal day_of_week week_number day_change parameter_activation"
    _names(table, dict(enumerate((words + " supplier_information").split(), start=0x60)))
    _names(table, {0x22: "storage_size", 0x3A: "dimensionless"})
    return table


PRIMARY: Final[Table] = _primary()
SECOND: Final[Table] = _second()
THIRD: Final[Table] = _third()


def _units() -> dict[str, frozenset[str]]:
    units: dict[str, frozenset[str]] = {MANUFACTURER.name: frozenset({""})}
    for kind in (kind for table in (PRIMARY, SECOND, THIRD) for kind in table.values()):
        if kind.name not in (DATE, DATE_TIME):
            units[kind.name] = units.get(kind.name, frozenset()) | {kind.unit}
    return units


KINDS: Final = _units()  # the names of what is no date, each with the units that it comes in
