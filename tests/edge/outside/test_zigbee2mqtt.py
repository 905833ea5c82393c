"""Recorded Zigbee2MQTT messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.outside.mqtt_recordings import decode, quantities, recordings
from hearthline_edge.devices import DeviceNote, Press

pytestmark = pytest.mark.captures

PLUG = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage", "current_a": "current"}
SENSOR_VALUES = {
    "develco_smoke_test.jsonl": {"battery": 100.0, "temperature": 24.06, "battery_voltage": 3.1, "link_quality": 30.0},
    "rtcgq11lm_battery_string.jsonl": {"battery": 100.0, "battery_voltage": 3.005, "illuminance": 122.0},
    "rtcgq11lm_motion_repeats.jsonl": {"illuminance": 155.0},
    "sjcgq11lm_water_leak_null.jsonl": {
        "battery": 100.0,
        "temperature": 33.0,
        "battery_voltage": 3.045,
        "link_quality": 167.0,
    },
}


def device_of(recording: Path) -> str:
    first = json.loads(recording.read_text(encoding="utf-8").splitlines()[0])
    return "z2m:" + str(first["topic"]).partition("/")[2]


def notes(items: list[object]) -> list[str]:
    return [item.kind for item in items if isinstance(item, DeviceNote)]


def test_buttons(captures_dir: Path) -> None:
    for name, recording, expected in recordings(captures_dir / "zigbee2mqtt-sos", 4):
        decoded, device = decode("zigbee2mqtt-sos", recording), device_of(recording)
        assert [owner for owner, _ in decoded.presses] == [device] * expected["presses"], name
        assert ("tamper" in notes([*decoded.items])) == expected.get("tamper", False), name
        battery = quantities(decoded.values, device).get("battery")
        if "battery_pct" in expected:
            assert battery == expected["battery_pct"], name
        if "battery" in expected:
            assert battery is expected["battery"], name
        assert not decoded.changes, name
        assert not decoded.refused, name


def test_plugs(captures_dir: Path) -> None:
    for name, recording, expected in recordings(captures_dir / "zigbee2mqtt-plug", 1):
        decoded = decode("zigbee2mqtt-plug", recording)
        for plug in expected:
            values = quantities(decoded.values, f"z2m:{plug['device']}")
            assert values.pop("link_quality") in (45, 48)
            assert values == {quantity: plug[figure] for figure, quantity in PLUG.items()}, name
        assert decoded.changes == [(f"z2m:{plug['device']}", "on") for plug in expected]
        assert (decoded.presses, decoded.refused) == ([], [])


def test_sensors(captures_dir: Path) -> None:
    for name, recording, expected in recordings(captures_dir / "zigbee2mqtt-sensors", 4):
        decoded, device = decode("zigbee2mqtt-sensors", recording), device_of(recording)
        assert quantities(decoded.values, device) == SENSOR_VALUES[name], name
        assert (decoded.presses, decoded.refused) == ([], []), name
        assert not any(isinstance(item, Press) for item in decoded.items), name
        assert notes([*decoded.items]) == (["test"] if expected.get("test") else []), name
        motion = expected.get("motion", [])
        wanted = ["motion"] * expected["transitions"] if isinstance(motion, list) and motion else []
        if motion is False:
            wanted = ["no-motion"]
        assert decoded.changes == [(device, kind) for kind in wanted], name
        if "battery_pct" in expected:
            assert decoded.values[device, "battery"] == expected["battery_pct"], name
