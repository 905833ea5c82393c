"""Recorded Zigbee2MQTT messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import Recording, Told, changes, compare_all, only, refusals, series, series_of
from edge.outside.table import Row
from hearthline_edge.devices import DeviceNote

pytestmark = pytest.mark.captures

PLUG = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage", "current_a": "current"}
GAP_S = 0.1  # between messages, which bring no time
VALUES: dict[str, list[dict[str, float]]] = {  # read from the messages by eye, for expected.json names but few
    "hs1eb_state_without_reset.jsonl": [{"battery": 51.5, "link_quality": 192}],
    "lidl_doorbell_one_event.jsonl": [{"battery": 100, "link_quality": 28}] * 2,
    "ts0215a_sos_press.jsonl": [{"link_quality": 90}] * 2,
    "ts0601_sos_idle_announce_press.jsonl": [{"battery": 100, "link_quality": link} for link in (14, 0, 18)],
    "develco_smoke_test.jsonl": [{"battery": 100, "temperature": 24.06, "battery_voltage": 3.1, "link_quality": 30}],
    "rtcgq11lm_battery_string.jsonl": [{"battery": 100, "battery_voltage": 3.005, "illuminance": 122}],
    "rtcgq11lm_motion_repeats.jsonl": [{"illuminance": light} for light in (122, 112, 155)],
    "sjcgq11lm_water_leak_null.jsonl": [
        {"battery": 100, "temperature": 33, "battery_voltage": 3.045, "link_quality": 167}
    ],
}
LINK_QUALITY = {"plug_zigbee22": 45, "plug_zigbee23": 48}


def device_of(recording: Recording) -> str:
    return "z2m:" + str(json.loads(recording.lines()[0])["topic"]).partition("/")[2]


def notes(told: list[Told]) -> list[tuple[str, str]]:
    return [(item.device, item.kind) for item, *_ in told if isinstance(item, DeviceNote)]


def same_values(told: list[Told], row: Row, device: str, name: str, known: dict[str, Any]) -> None:
    messages = VALUES[name]
    if "battery_pct" in known:
        assert {message["battery"] for message in messages} == {known["battery_pct"]}
    if "battery" in known:
        row.same(None, known["battery"], "battery")
        assert not any("battery" in message for message in messages)
    row.same(series(told), series_of(device, *messages), "values")
    row.same(refusals(told), [], "refused")


def compare_button(recording: Recording, row: Row) -> None:
    known, device, told = recording.expected, device_of(recording), recording.told(GAP_S)
    only(known, "presses", "tamper", "battery", "battery_pct")
    row.same([press.device for press in recording.presses(told)], [device] * known["presses"], "presses")
    row.same(notes(told), [(device, "tamper")] if known.get("tamper") else [], "notes")
    row.same(changes(told), [], "changes")
    same_values(told, row, device, recording.name, known)


def compare_plug(recording: Recording, row: Row) -> None:
    told = recording.told(GAP_S)
    wanted = []
    for plug in recording.expected:
        only(plug, "device", *PLUG)
        values = {quantity: plug[figure] for figure, quantity in PLUG.items()}
        wanted += series_of(f"z2m:{plug['device']}", values | {"link_quality": LINK_QUALITY[plug["device"]]})
    row.same(series(told), sorted(wanted), "values")
    row.same(changes(told), [(f"z2m:{plug['device']}", "on") for plug in recording.expected], "changes")
    assert (recording.presses(told), refusals(told), notes(told)) == ([], [], [])


def compare_sensor(recording: Recording, row: Row) -> None:
    known, device, told = recording.expected, device_of(recording), recording.told(GAP_S)
    only(known, "smoke", "test", "alarm", "battery_pct", "motion", "transitions", "water_leak")
    assert not known.get("smoke")
    assert not known.get("alarm")
    assert str(known.get("water_leak", "unknown")).startswith("unknown")
    row.same(recording.presses(told), [], "presses")
    row.same(notes(told), [(device, "test")] if known.get("test") else [], "notes")
    motion = known.get("motion")
    wanted = ["no-motion"] if motion is False else ["motion"] * known.get("transitions", 0)
    row.same(changes(told), [(device, kind) for kind in wanted], "changes")
    same_values(told, row, device, recording.name, known)


def test_buttons(captures_dir: Path) -> None:
    compare_all(captures_dir, "zigbee2mqtt-sos", compare_button, 4)


def test_plugs(captures_dir: Path) -> None:
    compare_all(captures_dir, "zigbee2mqtt-plug", compare_plug, 1)


def test_sensors(captures_dir: Path) -> None:
    compare_all(captures_dir, "zigbee2mqtt-sensors", compare_sensor, 4)
