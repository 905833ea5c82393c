"""The M-Bus frames recorded outside, against every record of libmbus' own output for them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, Readings, RefusalReason, Refused, SerialDriver, find_drivers
from hearthline_edge.devices.mbus_readings import device_id
from hearthline_edge.devices.mbus_records import Record, Telegram, read_telegram

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
FILES = 19
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
ERROR_REPLIES = {
    "application_busy",
    "error",
    "too_many_difes",
    "too_many_records",
    "too_many_vifes",
    "unimplemented_ci",
}


def recordings(folder: Path) -> list[tuple[str, bytes, dict[str, Any]]]:
    """Name, frame and what it is expected to hold."""
    found = []
    for path in sorted(folder.glob("*.expected.json")):
        recording = path.with_name(path.name.removesuffix(".expected.json"))
        expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
        found.append((recording.stem, bytes.fromhex(recording.read_text(encoding="ascii")), expected))
    assert len(found) >= FILES, f"{folder}: {len(found)} recordings, {FILES} were known"
    return found


def decode(frame: bytes) -> list[Item]:
    driver = find_drivers()["mbus-wired"]
    assert isinstance(driver, SerialDriver)
    session = driver.open_session({}, "port")
    items = list(session.receive(frame, START))
    for second in (1, 2):
        items += session.receive(b"", START.later(second))
    return items


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


def test_records_equal_those_of_libmbus(captures_dir: Path) -> None:
    compared = 0
    for name, frame, expected in recordings(captures_dir / "mbus-wired"):
        if "slave" not in expected:
            continue
        telegram, slave = read_telegram(frame[7:-2]), expected["slave"]
        assert telegram.identification.lstrip("0") == slave["Id"].lstrip("0"), name
        assert telegram.manufacturer == slave["Manufacturer"], name
        assert str(telegram.version) == slave["Version"], name
        assert MEDIA[telegram.medium] == slave["Medium"], name
        assert str(telegram.access_number) == slave["AccessNumber"], name
        assert f"{telegram.status:02X}" == slave["Status"], name
        # libmbus leaves out what is 0 where no DIFE tells it
        records = [{"Tariff": "0", "Device": "0"} | record for record in expected["records"]]
        assert [as_libmbus(record) for record in telegram.records] + own_data(telegram) == records, name
        compared += len(records)
    assert compared >= 149


def test_every_reply_gives_readings_of_its_meter(captures_dir: Path) -> None:
    for name, frame, expected in recordings(captures_dir / "mbus-wired"):
        if "slave" in expected:
            (item,) = decode(frame)
            assert isinstance(item, Readings), name
            series = [(reading.device, reading.quantity) for reading in item.readings]
            assert len(set(series)) == len(series), name
            assert all(device.startswith(device_id(read_telegram(frame[7:-2]))) for device, _ in series), name


def test_malformed_frames_are_refused_with_their_reason(captures_dir: Path) -> None:
    refused = 0
    for name, frame, expected in recordings(captures_dir / "mbus-wired"):
        if "case" in expected:
            reason: RefusalReason = "error-reply" if expected["case"] in ERROR_REPLIES else "length"
            assert decode(frame) == [Refused(reason, frame.hex())], name
            refused += 1
    assert refused >= 10
