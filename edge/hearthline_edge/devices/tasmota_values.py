"""What Tasmota's SENSOR and STATE payloads measure: quantities, units, phases and places. No topics, no I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices import Item, Readings
from hearthline_edge.payload import number

# Field of ENERGY -> quantity, least and greatest value that can be one.
_ENERGY: Final[dict[str, tuple[str, int | None, int | None]]] = {
    "Total": ("energy_import", 0, None),
    "ExportActive": ("energy_export", 0, None),
    "ImportReactive": ("reactive_energy_import", 0, None),
    "ExportReactive": ("reactive_energy_export", 0, None),
    "Power": ("power", None, None),
    "ApparentPower": ("apparent_power", None, None),
    "ReactivePower": ("reactive_power", None, None),
    "Factor": ("power_factor", -1, 1),
    "Voltage": ("voltage", 0, None),
    "Current": ("current", None, None),
    "Frequency": ("frequency", 0, None),
}
_TARIFFS: Final = {
    "TotalTariff": ("energy_import_t1", "energy_import_t2", "energy_import_t3", "energy_import_t4"),
    "ExportTariff": ("energy_export_t1", "energy_export_t2"),
}
_PHASES: Final = "ABCDEFGH"  # Tasmota measures eight at most
_CLIMATE: Final[dict[str, tuple[str, int | None, int | None]]] = {
    "Temperature": ("temperature", None, None),
    "Humidity": ("humidity", 0, 100),
    "Pressure": ("pressure", 300, 1200),
    "Illuminance": ("illuminance", 0, None),
    "CarbonDioxide": ("co2", 0, None),
}
_HPA_OF: Final = {"hPa": Decimal(1), "mmHg": Decimal("1.33322387415"), "inHg": Decimal("33.86389")}
_SENSORS: Final = 64  # of one device
_NAME_LIMIT: Final = 48


def sensor_readings(device: str, value: dict[str, Any]) -> tuple[Reading, ...] | None:
    """Every value of a known quantity, one for each series; None when ENERGY is out of its form."""
    found: dict[tuple[str, str], Reading] = {}
    energy = value.get("ENERGY")
    if energy is not None:
        if not isinstance(energy, dict):
            return None
        _energy(found, device, energy)
    sensors = [(name, each) for name, each in value.items() if name != "ENERGY" and isinstance(each, dict)]
    for name, sensor in sensors[:_SENSORS]:
        _climate(found, device, name, sensor, value)
    return tuple(found.values())


def radio_level(device: str, value: dict[str, Any]) -> list[Item]:
    """The Wi-Fi signal of a STATE."""
    wifi = value.get("Wifi")
    exact = number(wifi.get("Signal")) if isinstance(wifi, dict) else None
    if exact is None or exact >= 0:
        return []
    return [Readings((Reading(device, "radio_level", float(exact), TELEMETRY_UNITS["radio_level"]),))]


def _energy(found: dict[tuple[str, str], Reading], device: str, energy: dict[str, Any]) -> None:
    for name, (quantity, least, greatest) in _ENERGY.items():
        told = energy.get(name)
        if not isinstance(told, list):
            _take(found, device, quantity, number(told), least, greatest)
            continue
        for phase, each in zip(_PHASES, told, strict=False):
            _take(found, f"{device}:{phase}", quantity, number(each), least, greatest)
    for name, quantities in _TARIFFS.items():
        told = energy.get(name)
        for quantity, each in zip(quantities, told if isinstance(told, list) else (), strict=False):
            _take(found, device, quantity, number(each), 0, None)


def _climate(
    found: dict[tuple[str, str], Reading], device: str, name: str, sensor: dict[str, Any], value: dict[str, Any]
) -> None:
    identity = sensor.get("Id")
    if isinstance(identity, str) and identity:
        name = f"{name.partition('-')[0]}-{identity}"
    for field, (quantity, least, greatest) in _CLIMATE.items():
        exact = number(sensor.get(field))
        if exact is not None and field == "Temperature" and value.get("TempUnit") == "F":
            exact = (exact - 32) * 5 / 9
        if exact is not None and field == "Pressure":
            unit = value.get("PressureUnit", "hPa")
            factor = _HPA_OF.get(unit) if isinstance(unit, str) else None
            exact = exact * factor if factor is not None else None
        _take(found, f"{device}:{name[:_NAME_LIMIT]}", quantity, exact, least, greatest)


def _take(
    found: dict[tuple[str, str], Reading],
    device: str,
    quantity: str,
    exact: Decimal | None,
    least: int | None,
    greatest: int | None,
) -> None:
    if exact is None or (least is not None and exact < least) or (greatest is not None and exact > greatest):
        return
    found.setdefault((device, quantity), Reading(device, quantity, float(exact), TELEMETRY_UNITS[quantity]))
