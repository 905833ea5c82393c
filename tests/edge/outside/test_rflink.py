"""The RFLink sample lines from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Change, DeviceNote, Press, Readings, SerialDriver, find_drivers
from hearthline_edge.grouping import PressState, Verdict, judge

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
QUANTITIES = {
    "temperature": ("temperature", "Cel"),
    "humidity": ("humidity", "%RH"),
    "barometric_pressure": ("pressure", "hPa"),
    "uv_intensity": ("uv_intensity", "/"),
}
UNITS = {"temperature_unit": "°C", "humidity_unit": "%"}
TOLD = {"node", "protocol", "id", *QUANTITIES, *UNITS, "battery", "switch", "command", "doorbell_melody", "pir"}


def wanted(decoded: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What a line must give, in the words of its expected.json; every key of it is used."""
    assert set(decoded) <= TOLD, "a key that this test does not compare"
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


def told(item: Any) -> tuple[Any, ...]:
    match item:
        case Press():
            return ("press", item.device, item.button, {name: int(value) for name, value in item.facts})
        case Change():
            return ("change", item.device, item.kind)
        case DeviceNote():
            return ("note", item.device, item.kind)
        case Readings():
            devices = {each.device for each in item.readings}
            assert len(devices) == 1
            return ("readings", *devices, {(each.quantity, each.unit, each.value) for each in item.readings})
    raise AssertionError(item)


def test_every_line(captures_dir: Path) -> None:
    paths = sorted((captures_dir / "rflink").glob("*.expected.json"))
    assert paths
    driver = find_drivers()["rflink"]
    assert isinstance(driver, SerialDriver)
    for path in paths:
        expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
        lines = path.with_name(path.name.removesuffix(".expected.json")).read_bytes().splitlines(keepends=True)
        assert [line.decode().strip() for line in lines if line.strip()] == [each["line"] for each in expected]
        session, states, new = driver.open_session(driver.decode_options, "port"), dict[Any, PressState](), 0
        for number, (line, each) in enumerate(zip((line for line in lines if line.strip()), expected, strict=True)):
            now = START.later(3 * number)
            items = list(session.receive(line, now))
            assert [told(item) for item in items] == wanted(each["decoded"]), each["line"]
            for item in items:
                if isinstance(item, Press):
                    key = (item.device, item.button)
                    verdict, states[key] = judge(states.get(key), item, driver.grouping, now)
                    new += verdict is Verdict.NEW
        assert new == sum("command" in each["decoded"] or "doorbell_melody" in each["decoded"] for each in expected)
