"""DL/T 645-2007 recorded by others, against every value that their `*.expected.json` know."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import DeviceNote, Item, Readings, Refused, Seen, SerialDriver, find_drivers

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
FILES = 7
UNITS = {  # unit in expected.json -> (quantity, unit, factor)
    "kWh": ("energy_import", "kWh", 1),
    "V": ("voltage", "V", 1),
    "A": ("current", "A", 1),
    "C": ("temperature", "Cel", 1),
    "kW": ("power", "W", 1000),
    "kvar": ("reactive_power", "var", 1000),
    "kVA": ("apparent_power", "VA", 1000),
    "": ("power_factor", "/", 1),
}


def recordings(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = sorted(folder.glob("*.expected.json"))
    assert len(found) >= FILES, folder
    return [
        (path.with_name(path.name.removesuffix(".expected.json")), json.loads(path.read_text("utf-8"))["expected"])
        for path in found
    ]


def decode(recording: Path) -> list[Item]:
    driver = find_drivers()["dlt645-2007"]
    assert isinstance(driver, SerialDriver)
    session, now, items = driver.open_session(driver.decode_options, "port"), START, list[Item]()
    for line in recording.read_text("ascii").split():
        for chunk, after_s in ((bytes.fromhex(line), 0), (b"", 1), (b"", 2)):
            items += session.receive(chunk, now.later(after_s))
        now = now.later(3)
    return items


def told(item: Item) -> tuple[Any, ...]:
    match item:
        case Readings():
            return ("readings", *((each.device, each.quantity, each.value, each.unit) for each in item.readings))
        case Seen():
            return ("seen", item.device)
        case Refused():
            return ("refused", item.reason)
        case DeviceNote():
            return ("note", item.device, item.kind, item.detail[-4:])
    raise AssertionError(item)


def wanted(frame: dict[str, Any]) -> list[tuple[Any, ...]]:
    assert frame["checksum_ok"]
    if int(frame["control"], 16) < 0x80:
        return []
    device = f"dlt645:{frame['address']}"
    if "error_word" in frame:
        return [("refused", "error-reply"), ("note", device, "error", f"({frame['error_word']})")]
    if "value" not in frame:
        return [("seen", device)]
    quantity, unit, factor = UNITS[frame["unit"]]
    return [("readings", (device, quantity, float(Decimal(str(frame["value"])) * factor), unit))]


def test_every_value_of_every_recording(captures_dir: Path) -> None:
    values = 0
    for recording, expected in recordings(captures_dir / "dlt645-2007"):
        found = [told(item) for item in decode(recording)]
        assert found == [one for frame in expected["frames"] for one in wanted(frame)], recording.name
        values += sum("value" in frame for frame in expected["frames"])
    assert values >= 17
