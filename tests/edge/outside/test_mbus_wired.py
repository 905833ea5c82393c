"""The M-Bus frames recorded outside, against every record of libmbus' own output for them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import Recording, Told, compare_all, only
from edge.outside.table import Row
from hearthline_edge.devices import Readings, RefusalReason, Refused
from hearthline_edge.devices.mbus_readings import device_id
from hearthline_edge.devices.mbus_records import Record, Telegram, read_telegram

pytestmark = pytest.mark.captures

FUNCTIONS = {"present": "Instantaneous value", "max": "Maximum value", "min": "Minimum value"}
MEDIA = {0x00: "Other", 0x02: "Electricity", 0x03: "Gas", 0x04: "Heat: Outlet"}
UNITS = {"m3": "m^3", "m3/h": "m^3/h", "Cel": "Â°C"}  # ours -> theirs, as their output came down to us
QUANTITIES = {
    "volume": "Volume",
    "volume_flow": "Volume flow",
    "energy": "Energy",
    "power": "Power",
    "voltage": "Voltage",
    "current": "Current",
    "on_time": "On time",
    "flow_temperature": "Flow temperature",
    "return_temperature": "Return temperature",
    "temperature_difference": "Temperature difference",
    "external_temperature": "External temperature",
    "averaging_duration": "Averaging Duration",
    "date": "Time point (date)",
    "date_time": "Time point (date & time)",
    "fabrication_number": "Fabrication No",
    "digital_output": "Digital Output",
    "digital_input": "Digital Input",
    "error_flags": "Error flags",
    "supplier_information": "Special supplier information",
    "software_version": "Software version",
    "dimensionless": "Dimensionless",
    "manufacturer": "Manufacturer specific",
}
READINGS = {  # theirs -> our quantity, unit, and what one of theirs is
    "Volume": ("volume", "m3", 1.0),
    "Volume flow": ("volume_flow", "m3/s", 1 / 3600),
    "Energy": ("energy", "kWh", 0.001),
    "Power": ("power", "W", 1.0),
    "Voltage": ("voltage", "V", 1.0),
    "Current": ("current", "A", 1.0),
    "On time": ("operating_time", "h", 1 / 3600),
    "Flow temperature": ("flow_temperature", "Cel", 1.0),
    "Return temperature": ("return_temperature", "Cel", 1.0),
    "Temperature difference": ("temperature_difference", "K", 1.0),
    "External temperature": ("temperature", "Cel", 1.0),
    "%RH": ("humidity", "%RH", 1.0),
}
BY_MEDIUM = {
    ("volume", "Gas"): "gas_volume",
    ("energy", "Electricity"): "energy_import",
    ("energy", "Heat: Outlet"): "heat_energy",
    ("power", "Heat: Outlet"): "heat_power",
}
ERROR_REPLIES = {
    "application_busy",
    "error",
    "too_many_difes",
    "too_many_records",
    "too_many_vifes",
    "unimplemented_ci",
}


def as_libmbus(record: Record) -> dict[str, Any]:
    """A record in the words of libmbus' output."""
    unit: str | None
    if record.name == "text":
        quantity, unit = record.unit, "-"
    else:
        quantity = QUANTITIES[record.name]
        unit = UNITS.get(record.unit, record.unit) or ("-" if record.name.startswith("date") else None)
    value = f"{record.value:.6f}" if isinstance(record.value, Decimal) else record.value
    return {
        "Function": FUNCTIONS[record.function],
        "StorageNumber": str(record.storage),
        "Tariff": str(record.tariff),
        "Device": str(record.subunit),
        "Unit": unit,
        "Quantity": quantity,
        "Value": f"{value}Z" if record.name == "date_time" else value,
    }


def own_data(telegram: Telegram) -> list[dict[str, Any]]:
    """The manufacturer's bytes at the end, which libmbus counts as a record."""
    if telegram.own is None:
        return []
    function = "More records follow" if telegram.more else "Manufacturer specific"
    value = bytes.fromhex(telegram.own).hex(" ").upper() or None
    return [
        {"Function": function, "StorageNumber": "0", "Tariff": "0", "Device": "0"}
        | {"Unit": None, "Quantity": None, "Value": value}
    ]


def compare(recording: Recording, row: Row) -> None:
    known = recording.expected
    frame = bytes.fromhex(recording.path.read_text(encoding="ascii"))
    if "case" in known:
        compare_malformed(recording, frame, row)
        return
    only(known, "slave", "records")
    telegram, slave = read_telegram(frame[7:-2]), known["slave"]
    found = {
        "Id": telegram.identification.lstrip("0"),
        "Manufacturer": telegram.manufacturer,
        "Version": str(telegram.version),
        "Medium": MEDIA[telegram.medium],
        "AccessNumber": str(telegram.access_number),
        "Status": f"{telegram.status:02X}",
    }
    row.same(found, {key: slave[key].lstrip("0") if key == "Id" else slave[key] for key in found}, "slave")
    # libmbus leaves out what is 0 where no DIFE tells it
    records = [{"Tariff": "0", "Device": "0"} | record for record in known["records"]]
    row.same([as_libmbus(record) for record in telegram.records] + own_data(telegram), records, "records")
    compare_readings(recording.told(), device_id(telegram), records, telegram.medium, row)


def compare_readings(told: list[Told], device: str, records: list[dict[str, Any]], medium: int, row: Row) -> None:
    """Each record of libmbus that has a quantity of ours is a reading, and nothing else is."""
    (item,) = (one.item for one in told)
    assert isinstance(item, Readings)
    wanted = []
    for record in records:
        reading = reading_of(record, medium)
        if reading is None:
            row.leave_out(f"records of no quantity of ours: {record['Quantity'] or record['Function']}")
        else:
            wanted.append(reading)
    found = [(reading.quantity, pytest.approx(reading.value, rel=1e-12), reading.unit) for reading in item.readings]
    row.same(found, wanted, "readings")
    series = [(reading.device, reading.quantity) for reading in item.readings]
    assert len(set(series)) == len(series)
    assert all(owner.startswith(device) for owner, _ in series)


def reading_of(record: dict[str, Any], medium: int) -> tuple[str, float, str] | None:
    """(quantity, value, unit) by the words of libmbus, where ours has such a quantity."""
    quantity, unit, factor = READINGS.get(record["Quantity"], ("", "", 1.0))
    quantity = BY_MEDIUM.get((quantity, MEDIA[medium]), quantity)
    return (quantity, float(record["Value"]) * factor, unit) if quantity else None


def compare_malformed(recording: Recording, frame: bytes, row: Row) -> None:
    known = recording.expected
    only(known, "case", "libmbus", "records")
    reason: RefusalReason = "error-reply" if known["case"] in ERROR_REPLIES else "length"
    row.same([item for item, *_ in recording.told()], [Refused(reason, frame.hex())], known["case"])
    row.same(known.get("records", []), [], "records of libmbus")


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "mbus-wired", compare, 19)
