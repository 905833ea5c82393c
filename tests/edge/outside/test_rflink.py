"""The RFLink sample lines from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import Recording, Told, compare_all, only
from edge.outside.table import Row
from hearthline_edge.devices import Change, DeviceNote, Press, Readings

pytestmark = pytest.mark.captures

QUANTITIES = {
    "temperature": ("temperature", "Cel"),
    "humidity": ("humidity", "%RH"),
    "barometric_pressure": ("pressure", "hPa"),
    "uv_intensity": ("uv_intensity", "/"),
}
UNITS = {"temperature_unit": "°C", "humidity_unit": "%"}
TOLD = ("node", "protocol", "id", *QUANTITIES, *UNITS, "battery", "switch", "command", "doorbell_melody", "pir")


def wanted(decoded: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What a line must give, in the words of its expected.json."""
    only(decoded, *TOLD)
    assert decoded["node"] == "gateway"
    assert all(decoded.get(key, unit) == unit for key, unit in UNITS.items())
    device = f"rflink:{decoded['protocol'].replace(' ', '-')}:{decoded['id']}"
    found: list[tuple[Any, ...]] = []
    melody = {"melody": decoded["doorbell_melody"]} if "doorbell_melody" in decoded else {}
    if "command" in decoded:
        key = decoded["switch"] if decoded["command"] == "on" else f"{decoded['switch']}:{decoded['command']}"
        found.append(("press", device, key, melody))
    elif melody:
        found.append(("press", device, "chime", melody))
    if "pir" in decoded:
        found.append(("change", device, {"on": "motion", "off": "no-motion"}[decoded["pir"]]))
    if decoded.get("battery") == "low":
        found.append(("note", device, "low-battery"))
    values = {(*QUANTITIES[key], value) for key, value in decoded.items() if key in QUANTITIES}
    return [*found, *([("readings", device, values)] if values else [])]


def words(one: Told) -> tuple[Any, ...]:
    match one.item:
        case Press() as item:
            return ("press", item.device, item.button, {name: int(value) for name, value in item.facts})
        case Change() as item:
            return ("change", item.device, item.kind)
        case DeviceNote() as item:
            return ("note", item.device, item.kind)
        case Readings(readings=readings):
            devices = {each.device for each in readings}
            assert len(devices) == 1
            return ("readings", *devices, {(each.quantity, each.unit, each.value) for each in readings})
    raise AssertionError(one.item)


def compare(recording: Recording, row: Row) -> None:
    lines, told = recording.lines(), recording.told(by_line=True)
    row.frames = len(lines)
    assert [line.strip() for line in lines] == [each["line"] for each in recording.expected]
    for number, each in enumerate(recording.expected):
        row.same([words(one) for one in told if one.line == number], wanted(each["decoded"]), each["line"])
        row.leave_out("a battery that is said to be well", each["decoded"].get("battery") == "ok")
    pressed = sum("command" in each["decoded"] or "doorbell_melody" in each["decoded"] for each in recording.expected)
    row.same(len(recording.presses(told)), pressed, "presses")


def test_every_line(captures_dir: Path) -> None:
    compare_all(captures_dir, "rflink", compare, 1)
