"""DL/T 645-2007 recorded by others, against every value that their `*.expected.json` know."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import Recording, compare_all, only
from edge.outside.table import Row
from hearthline_edge.devices import DeviceNote, Item, Readings, Refused, Seen

pytestmark = pytest.mark.captures

LAYOUT = ("hex", "preamble", "address", "control", "len", "checksum_ok", "di", "value_bcd", "read_address")
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


def words(item: Item) -> tuple[Any, ...]:
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
    only(frame, *LAYOUT, "value", "unit", "error_word")
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


def compare(recording: Recording, row: Row) -> None:
    known = recording.expected
    only(known, "frames", "source_says")
    row.frames = len(known["frames"])
    found = [words(item) for item, *_ in recording.told()]
    row.same(found, [one for frame in known["frames"] for one in wanted(frame)], "replies")
    replies = (frame for frame in known["frames"] if int(frame["control"], 16) >= 0x80)
    silent = [frame for frame in replies if "value" not in frame and "error_word" not in frame]
    row.leave_out("an address, or a rated value in ASCII: alive, no reading", len(silent))
    if isinstance(known.get("source_says"), dict):
        assert [frame["value"] for frame in known["frames"] if "value" in frame] == [*known["source_says"].values()]


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "dlt645-2007", compare, 7)
